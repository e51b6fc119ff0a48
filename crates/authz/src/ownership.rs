//! Whose the objects of a bucket are (S3 User Guide, "Controlling ownership of objects and disabling ACLs for your
//! bucket").

use serde::{Deserialize, Serialize};
use types::Owner;

use crate::acl::{Acl, CannedAcl};

/// The setting of a bucket. The order is a stored format.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ObjectOwnership {
    /// The bucket's owner has all objects, and ACLs count for nothing.
    #[default]
    BucketOwnerEnforced,
    /// The bucket's owner has what is put with `bucket-owner-full-control`, others what they put else.
    BucketOwnerPreferred,
    /// Who puts an object has it.
    ObjectWriter,
}

impl ObjectOwnership {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::BucketOwnerEnforced, Self::BucketOwnerPreferred, Self::ObjectWriter];

    /// Its name in XML and `x-amz-object-ownership`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BucketOwnerEnforced => "BucketOwnerEnforced",
            Self::BucketOwnerPreferred => "BucketOwnerPreferred",
            Self::ObjectWriter => "ObjectWriter",
        }
    }

    /// Reads that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    /// Whether ACLs count.
    pub const fn has_acls(self) -> bool {
        !matches!(self, Self::BucketOwnerEnforced)
    }

    /// Whether a request may carry this canned ACL; else it is answered `AccessControlListNotSupported`.
    pub const fn takes_canned(self, canned: CannedAcl) -> bool {
        self.has_acls() || matches!(canned, CannedAcl::BucketOwnerFullControl)
    }

    /// The same of grants: while ACLs are disabled, those that give the bucket's owner full control and nobody else
    /// anything.
    pub fn takes_acl(self, acl: &Acl, bucket_owner: &Owner) -> bool {
        self.has_acls() || acl.is_of_owner_alone(bucket_owner)
    }

    /// Whose a new object is, that `writer` puts with `canned`. What nobody signed is the bucket's owner's.
    pub fn owner_of_new_object<'a>(
        self,
        bucket_owner: &'a Owner,
        writer: Option<&'a Owner>,
        canned: Option<CannedAcl>,
    ) -> &'a Owner {
        match (self, writer) {
            (Self::BucketOwnerEnforced, _) | (_, None) => bucket_owner,
            (Self::BucketOwnerPreferred, _) if canned == Some(CannedAcl::BucketOwnerFullControl) => bucket_owner,
            (Self::BucketOwnerPreferred | Self::ObjectWriter, Some(writer)) => writer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acl::{Grant, Grantee, Group, Permission};
    use crate::principal::tests::owner;

    #[test]
    fn a_new_object_is_whose_the_setting_says() {
        let (bucket, writer) = (owner(7), owner(8));
        let full = Some(CannedAcl::BucketOwnerFullControl);
        for (ownership, canned, expected) in [
            (ObjectOwnership::BucketOwnerEnforced, None, &bucket),
            (ObjectOwnership::BucketOwnerEnforced, full, &bucket),
            (ObjectOwnership::BucketOwnerPreferred, None, &writer),
            (ObjectOwnership::BucketOwnerPreferred, full, &bucket),
            (ObjectOwnership::ObjectWriter, None, &writer),
            (ObjectOwnership::ObjectWriter, full, &writer),
        ] {
            assert_eq!(ownership.owner_of_new_object(&bucket, Some(&writer), canned), expected);
            assert_eq!(ownership.owner_of_new_object(&bucket, None, canned), &bucket);
            assert_eq!(ObjectOwnership::parse(ownership.as_str()), Some(ownership));
        }
    }

    #[test]
    fn without_acls_only_full_control_of_the_owner_may_be_sent() {
        let (seven, eight) = (owner(7), owner(8));
        let enforced = ObjectOwnership::BucketOwnerEnforced;
        let public = Grant { grantee: Grantee::Group(Group::AllUsers), permission: Permission::Read };
        let public = Acl::new(vec![public]).expect("few");
        assert!(enforced.takes_acl(&Acl::private(&seven), &seven));
        assert!(!enforced.takes_acl(&Acl::private(&eight), &seven) && !enforced.takes_acl(&public, &seven));
        assert!(ObjectOwnership::ObjectWriter.takes_acl(&public, &seven));
        assert!(
            !enforced.takes_canned(CannedAcl::PublicRead) && enforced.takes_canned(CannedAcl::BucketOwnerFullControl)
        );
    }

    #[test]
    fn the_stored_bytes_do_not_change() {
        let stored = ObjectOwnership::ALL.map(|ownership| postcard::to_stdvec(&ownership).expect("it is stored"));
        assert_eq!(stored, [[0], [1], [2]]);
    }
}
