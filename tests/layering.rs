//! The layers of docs/architecture.md: a crate may depend only on crates in rows below its own, and an external
//! package with a few homes is used from those alone. Reads every `crates/*/Cargo.toml`.

use std::collections::BTreeMap;
use std::path::Path;

/// The crates of each row, lowest first.
const ROWS: [&[&str]; 9] = [
    &["types", "platform", "telemetry", "base2histogram"],
    &["s3-wire", "sigv4", "authz", "erasure", "placement", "sqlite-vfs"],
    &["shards", "index"],
    &["rpc", "iam"],
    &["objects", "consensus"],
    &["gateway", "upkeep", "archive"],
    &["admin"],
    &["node"],
    &["cairn", "sim"],
];

/// Within a row: `platform` uses the nouns of `types`.
const WITHIN_A_ROW: [(&str, &str); 1] = [("platform", "types")];

/// External packages and the crates that may use them.
const HOMES: [(&str, &[&str]); 7] = [
    ("axum", &["gateway", "admin"]),
    ("hyper", &["gateway", "rpc", "admin"]),
    ("rusqlite", &["sqlite-vfs", "index", "shards", "consensus"]),
    ("openraft", &["consensus"]),
    ("reed-solomon-erasure", &["erasure"]),
    ("aws-sigv4", &["sigv4"]),
    ("rustls", &["gateway", "admin", "rpc"]),
];

fn row_of(name: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&name))
}

/// Every crate and what its `[dependencies]` name.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("crates/cairn has a parent");
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(crates).expect("crates/ can be listed") {
        let manifest = entry.expect("entry").path().join("Cargo.toml");
        let text = std::fs::read_to_string(&manifest).unwrap_or_else(|error| panic!("{}: {error}", manifest.display()));
        let manifest: toml::Table = text.parse().expect("a manifest is TOML");
        let name = manifest["package"]["name"].as_str().expect("a package has a name").to_owned();
        let names = manifest.get("dependencies").and_then(toml::Value::as_table);
        all.insert(name, names.map(|table| table.keys().cloned().collect()).unwrap_or_default());
    }
    all
}

#[test]
fn crates_depend_only_on_lower_rows() {
    let mut wrong = Vec::new();
    for (name, dependencies) in dependencies() {
        let Some(row) = row_of(&name) else {
            wrong.push(format!("{name} has no row"));
            continue;
        };
        for dependency in dependencies {
            let lower = row_of(&dependency).is_none_or(|below| below < row);
            if !lower && !WITHIN_A_ROW.contains(&(name.as_str(), dependency.as_str())) {
                wrong.push(format!("{name} (row {row}) depends on {dependency}, which is not below it"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn external_packages_stay_in_their_homes() {
    let mut wrong = Vec::new();
    for (name, dependencies) in dependencies() {
        for (package, homes) in HOMES {
            if dependencies.iter().any(|dependency| dependency == package) && !homes.contains(&name.as_str()) {
                wrong.push(format!("{name} uses {package}, whose homes are {homes:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
