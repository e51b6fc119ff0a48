//! Variables of the environment that are named like settings and are none: a typo must not pass for a setting.

use crate::settings::VARIABLES;

/// What is read beside settings. Secrets are also read of the file that `..._FILE` names.
const OTHERS: [&str; 11] = [
    "CAIRN_ADMIN_CA",
    "CAIRN_ADMIN_URL",
    "CAIRN_CLUSTER_SECRET",
    "CAIRN_CLUSTER_SECRET_FILE",
    "CAIRN_CONFIG",
    "CAIRN_GATEWAY_CREDENTIAL",
    "CAIRN_GATEWAY_CREDENTIAL_FILE",
    "CAIRN_ROOT_ACCESS_KEY",
    "CAIRN_ROOT_ACCESS_KEY_FILE",
    "CAIRN_ROOT_SECRET_KEY",
    "CAIRN_ROOT_SECRET_KEY_FILE",
];

/// Warns of each variable that begins like a setting and is none, with the setting that it is most like.
pub fn warn_of_unknown() {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for (variable, nearest) in unknown(names) {
        tracing::warn!(variable, nearest, "no setting has the name of this variable, and it changes nothing");
    }
}

/// Those of `names` that begin like a setting and are none, each with the nearest that is one.
fn unknown(names: impl Iterator<Item = String>) -> Vec<(String, &'static str)> {
    let known = || VARIABLES.iter().chain(&OTHERS).copied();
    names
        .filter(|name| name.starts_with("CAIRN_") && !known().any(|one| one == name) && !tells_of_a_service(name))
        .map(|name| {
            let nearest = known().min_by_key(|one| edits(&name, one)).expect("there are settings");
            (name, nearest)
        })
        .collect()
}

/// Whether Kubernetes sets such a variable in every container beside a service whose name begins with `cairn`:
/// `..._SERVICE_HOST`, `..._SERVICE_PORT`, `..._PORT`, `..._PORT_9000_TCP_ADDR` and their like.
fn tells_of_a_service(name: &str) -> bool {
    name.contains("_SERVICE_") || name.ends_with("_PORT") || name.contains("_PORT_")
}

/// How many letters are put in, left out or changed to make `b` of `a`.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (above, of_a) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (at, of_b) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(of_a != of_b);
            diagonal = row[at + 1];
            row[at + 1] = changed.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Vec<(String, &'static str)> {
        unknown(names.iter().map(|name| (*name).to_owned()))
    }

    #[test]
    fn a_typo_is_told_of_with_the_setting_that_was_meant() {
        let typos = [
            ("CAIRN_LISTN", "CAIRN_LISTEN"),
            ("CAIRN_RPC_LISTENS", "CAIRN_RPC_LISTEN"),
            ("CAIRN_MEM", "CAIRN_MEMORY"),
            ("CAIRN_CLUSTER_SECERT", "CAIRN_CLUSTER_SECRET"),
            ("CAIRN_GATEWAY_CREDENTIALS", "CAIRN_GATEWAY_CREDENTIAL"),
        ];
        for (typo, meant) in typos {
            assert_eq!(of(&[typo]), [(typo.to_owned(), meant)]);
        }
    }

    #[test]
    fn settings_secrets_and_what_belongs_to_others_are_not_told_of() {
        assert_eq!(of(VARIABLES), []);
        assert_eq!(of(&OTHERS), []);
        let of_services = [
            "CAIRN_PORT",
            "CAIRN_SERVICE_HOST",
            "CAIRN_NODES_SERVICE_PORT_RPC",
            "CAIRN_PORT_9000_TCP_ADDR",
            "CAIRN_NODES_PORT_9002_TCP",
        ];
        assert_eq!(of(&of_services), []);
        assert_eq!(of(&["PATH", "AWS_REGION", "MINIO_ROOT_USER", "XCAIRN_LISTEN"]), []);
    }

    #[test]
    fn edits_are_counted() {
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("same", "same"), 0);
    }
}
