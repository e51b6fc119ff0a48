//! The question and its answer.

use types::{AccountId, Owner};

use crate::{Action, Resource};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal<'a> {
    /// Nobody signed the request.
    Anonymous,
    /// The account whose credential signed it.
    Account(&'a Owner),
}

/// Whether it is allowed, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is allowed.
    pub allowed: bool,
    /// What decided it.
    pub reason: Reason,
}

/// What decided a question. For logs and audit; clients are told `AccessDenied` and nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The root account may do everything.
    Root,
    /// Nothing allows it to those who don't sign.
    Anonymous,
    /// Nothing allows it to this account.
    NothingAllows,
}

/// Decides whether `principal` may do `action` to `resource`.
///
/// Today the root account may do everything and nobody else anything, so neither action nor resource tips the scale;
/// callers name the right ones all the same, since policies will.
pub fn authorize(principal: &Principal<'_>, action: Action, resource: &Resource<'_>) -> Decision {
    let _ = (action, resource);
    let reason = match principal {
        Principal::Anonymous => Reason::Anonymous,
        Principal::Account(owner) if owner.account == AccountId::ROOT => Reason::Root,
        Principal::Account(_) => Reason::NothingAllows,
    };
    Decision { allowed: reason == Reason::Root, reason }
}

#[cfg(test)]
mod tests {
    use types::{BucketName, CanonicalId, ObjectKey};

    use super::*;

    fn owner(account: AccountId) -> Owner {
        Owner { account, canonical_id: CanonicalId("0".repeat(64).into()), display_name: "someone".into() }
    }

    #[test]
    fn root_may_do_everything_and_nobody_else_anything() {
        let bucket = BucketName::new("bucket").unwrap();
        let key = ObjectKey::new("a/b").unwrap();
        let resources = [Resource::Service, Resource::Bucket(&bucket), Resource::Object { bucket: &bucket, key: &key }];
        let (root, other) = (owner(AccountId::ROOT), owner(AccountId(7)));
        for &action in Action::ALL {
            for resource in &resources {
                let ask = |principal| authorize(&principal, action, resource);
                assert_eq!(ask(Principal::Account(&root)), Decision { allowed: true, reason: Reason::Root });
                assert_eq!(ask(Principal::Anonymous), Decision { allowed: false, reason: Reason::Anonymous });
                let refused = Decision { allowed: false, reason: Reason::NothingAllows };
                assert_eq!(ask(Principal::Account(&other)), refused);
            }
        }
    }

    #[test]
    fn resources_and_actions_have_their_names_of_policies() {
        let bucket = BucketName::new("bucket").unwrap();
        let key = ObjectKey::new("a/b").unwrap();
        assert_eq!(Resource::Object { bucket: &bucket, key: &key }.to_string(), "arn:aws:s3:::bucket/a/b");
        assert_eq!(Action::GetObject.name(), "s3:GetObject");
        let mut names: Vec<_> = Action::ALL.iter().map(|action| action.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Action::ALL.len());
    }
}
