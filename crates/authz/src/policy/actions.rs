//! `Action` and `NotAction`: patterns of names, compiled to a set of the actions that there are.

use super::{PolicyError, PolicyKind};
use crate::action::{Action, ActionSet, ActionVendor};
use crate::glob::Glob;

/// An `Action` element.
#[derive(Debug)]
pub(crate) struct CompiledActions {
    /// What the statement is about, a negation worked in.
    pub(crate) set: ActionSet,
    /// The actions that each pattern names, and whether it names one alone; for checking a statement.
    pub(crate) named: Vec<(ActionSet, bool)>,
}

/// Compiles patterns.
///
/// # Errors
/// [`PolicyError`] in the words for `kind`.
pub(crate) fn compile_actions(
    patterns: &[String],
    negated: bool,
    kind: PolicyKind,
) -> Result<CompiledActions, PolicyError> {
    if patterns.is_empty() {
        return Err(if kind.names_principals() { PolicyError::MissingField("Action") } else { PolicyError::NoActions });
    }
    let mut all = ActionSet::NONE;
    let mut named = Vec::with_capacity(patterns.len());
    for pattern in patterns {
        check_form(pattern, kind)?;
        let set = actions_of(pattern);
        let none = set == ActionSet::NONE;
        let foreign = set.iter().any(|action| action.vendor() != ActionVendor::S3);
        match kind {
            PolicyKind::Bucket if none || (foreign && pattern != "*") => return Err(PolicyError::Action),
            PolicyKind::Trust if set.iter().any(|action| action.vendor() != ActionVendor::Sts) => {
                return Err(PolicyError::TrustAction);
            }
            _ => {}
        }
        for action in set.iter() {
            all.insert(action);
        }
        named.push((set, !pattern.contains(['*', '?'])));
    }
    Ok(CompiledActions { set: if negated { all.complement() } else { all }, named })
}

/// All actions whose names match; case is of no matter.
fn actions_of(pattern: &str) -> ActionSet {
    let glob = Glob::of_text(pattern.to_ascii_lowercase().as_bytes());
    let mut set = ActionSet::NONE;
    let mut lower = [0; Action::NAME_BYTES_MAX];
    for &action in Action::ALL {
        let name = action.name().as_bytes();
        // Most are told apart by how they begin.
        if !name.get(..glob.prefix().len()).is_some_and(|head| head.eq_ignore_ascii_case(glob.prefix())) {
            continue;
        }
        let lower = &mut lower[..name.len()];
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        if glob.matches(lower) {
            set.insert(action);
        }
    }
    set
}

fn check_form(pattern: &str, kind: PolicyKind) -> Result<(), PolicyError> {
    if pattern == "*" && kind != PolicyKind::Trust {
        return Ok(());
    }
    match kind {
        PolicyKind::Bucket => {
            let is_s3 = pattern.get(..3).is_some_and(|vendor| vendor.eq_ignore_ascii_case("s3:"));
            if is_s3 { Ok(()) } else { Err(PolicyError::Action) }
        }
        PolicyKind::Trust => {
            let is_sts = pattern.get(..4).is_some_and(|vendor| vendor.eq_ignore_ascii_case("sts:"));
            if is_sts { Ok(()) } else { Err(PolicyError::TrustAction) }
        }
        _ => {
            let (vendor, name) = pattern.split_once(':').ok_or(PolicyError::NoVendor)?;
            if name.contains(':') {
                return Err(PolicyError::Colons);
            }
            let is_vendor =
                !vendor.is_empty() && vendor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            if is_vendor { Ok(()) } else { Err(PolicyError::Vendor(vendor.to_owned())) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(patterns: &[&str], negated: bool) -> ActionSet {
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        compile_actions(&patterns, negated, PolicyKind::Managed).expect("patterns in order").set
    }

    #[test]
    fn patterns_name_actions_without_regard_to_case() {
        let reads = set(&["S3:getobject*"], false);
        assert!(reads.contains(Action::GetObject) && reads.contains(Action::GetObjectVersionAcl));
        assert!(!reads.contains(Action::PutObject));
        assert!(set(&["s3:?etObject"], false).contains(Action::GetObject));
        assert!(Action::ALL.iter().all(|&action| set(&["*"], false).contains(action)));
        assert_eq!(set(&["ec2:*"], false), ActionSet::NONE);
    }

    #[test]
    fn a_negation_is_about_all_others() {
        let others = set(&["iam:*", "s3:DeleteBucket"], true);
        assert!(others.contains(Action::GetObject) && others.contains(Action::StsAssumeRole));
        assert!(!others.contains(Action::DeleteBucket) && !others.contains(Action::IamCreateUser));
    }
}
