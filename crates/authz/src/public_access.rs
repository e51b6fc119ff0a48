//! The public access block (S3 User Guide, "Blocking public access to your Amazon S3 storage").

use serde::{Deserialize, Serialize};

use crate::acl::Acl;
use crate::policy::Policy;

/// The four switches. The order of the fields is a stored format.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PublicAccessBlock {
    /// Requests that set a public ACL are denied.
    pub block_public_acls: bool,
    /// What ACLs grant to everybody, or to everybody who signs, counts for nothing.
    pub ignore_public_acls: bool,
    /// Requests that set a public bucket policy are denied.
    pub block_public_policy: bool,
    /// What a public bucket policy allows counts for the bucket's account and for services alone.
    pub restrict_public_buckets: bool,
}

impl PublicAccessBlock {
    /// What is in force where an account and a bucket have one each: whatever either says.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self {
            block_public_acls: self.block_public_acls || other.block_public_acls,
            ignore_public_acls: self.ignore_public_acls || other.ignore_public_acls,
            block_public_policy: self.block_public_policy || other.block_public_policy,
            restrict_public_buckets: self.restrict_public_buckets || other.restrict_public_buckets,
        }
    }

    /// Whether `acl` may not be set: `AccessDenied`.
    pub fn refuses_acl(self, acl: &Acl) -> bool {
        self.block_public_acls && acl.is_public()
    }

    /// Whether `policy` may not be set: `AccessDenied`.
    pub const fn refuses_policy(self, policy: &Policy) -> bool {
        self.block_public_policy && policy.is_public()
    }
}

#[cfg(test)]
mod tests {
    use types::BucketName;

    use super::*;
    use crate::acl::CannedAcl;
    use crate::principal::tests::owner;

    #[test]
    fn the_stricter_of_two_is_in_force() {
        let acls = PublicAccessBlock { block_public_acls: true, ..PublicAccessBlock::default() };
        let policy = PublicAccessBlock { block_public_policy: true, ..PublicAccessBlock::default() };
        let both = acls.with(policy);
        assert_eq!(both, policy.with(acls));
        assert!(both.block_public_acls && both.block_public_policy && !both.ignore_public_acls);
    }

    #[test]
    fn what_is_public_is_refused_where_it_is_blocked() {
        let (all, none) = (
            PublicAccessBlock { block_public_acls: true, block_public_policy: true, ..PublicAccessBlock::default() },
            PublicAccessBlock::default(),
        );
        let owner = owner(7);
        let (private, public) = (CannedAcl::Private.on_bucket(&owner), CannedAcl::AuthenticatedRead.on_bucket(&owner));
        assert!(all.refuses_acl(&public) && !all.refuses_acl(&private) && !none.refuses_acl(&public));
        let text = br#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::bucket/*"}}"#;
        let policy = Policy::bucket(text, &BucketName::new("bucket").expect("a name")).expect("a policy");
        assert!(all.refuses_policy(&policy) && !none.refuses_policy(&policy));
    }

    #[test]
    fn the_stored_bytes_do_not_change() {
        let block = PublicAccessBlock { ignore_public_acls: true, ..PublicAccessBlock::default() };
        assert_eq!(postcard::to_stdvec(&block).expect("it is stored"), [0, 1, 0, 0]);
    }
}
