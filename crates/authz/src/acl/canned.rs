//! Canned ACLs (S3 User Guide, "Canned ACL").

use types::Owner;

use super::{Acl, Grant, Grantee, Group, Permission};

/// A set of grants that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CannedAcl {
    /// The owner has full control.
    Private,
    /// And everybody may read.
    PublicRead,
    /// And everybody may read and write.
    PublicReadWrite,
    /// And everybody who signs may read.
    AuthenticatedRead,
    /// And the bucket's owner may read the object.
    BucketOwnerRead,
    /// And the bucket's owner has full control of the object.
    BucketOwnerFullControl,
    /// And access logs may be delivered to the bucket.
    LogDeliveryWrite,
    /// And EC2 may read machine images; there is no EC2 here, so this is `private`.
    AwsExecRead,
}

impl CannedAcl {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Private,
        Self::PublicRead,
        Self::PublicReadWrite,
        Self::AuthenticatedRead,
        Self::BucketOwnerRead,
        Self::BucketOwnerFullControl,
        Self::LogDeliveryWrite,
        Self::AwsExecRead,
    ];

    /// Its name in `x-amz-acl`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::PublicRead => "public-read",
            Self::PublicReadWrite => "public-read-write",
            Self::AuthenticatedRead => "authenticated-read",
            Self::BucketOwnerRead => "bucket-owner-read",
            Self::BucketOwnerFullControl => "bucket-owner-full-control",
            Self::LogDeliveryWrite => "log-delivery-write",
            Self::AwsExecRead => "aws-exec-read",
        }
    }

    /// Reads that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    /// The grants on a bucket of `owner`. What concerns objects alone is passed over.
    pub fn on_bucket(self, owner: &Owner) -> Acl {
        let mut grants = self.grants(owner);
        if self == Self::LogDeliveryWrite {
            grants
                .extend([Permission::Write, Permission::ReadAcp].map(|permission| to(Group::LogDelivery, permission)));
        }
        Acl { grants }
    }

    /// The grants on an object of `owner` in a bucket of `bucket_owner`.
    pub fn on_object(self, owner: &Owner, bucket_owner: &Owner) -> Acl {
        let mut grants = self.grants(owner);
        let permission = match self {
            Self::BucketOwnerRead => Some(Permission::Read),
            Self::BucketOwnerFullControl => Some(Permission::FullControl),
            _ => None,
        };
        if let Some(permission) = permission.filter(|_| owner.canonical_id != bucket_owner.canonical_id) {
            grants.push(Grant { grantee: Grantee::from(bucket_owner), permission });
        }
        Acl { grants }
    }

    fn grants(self, owner: &Owner) -> Vec<Grant> {
        let mut grants = vec![Grant { grantee: Grantee::from(owner), permission: Permission::FullControl }];
        match self {
            Self::PublicRead => grants.push(to(Group::AllUsers, Permission::Read)),
            Self::PublicReadWrite => {
                grants.extend([Permission::Read, Permission::Write].map(|permission| to(Group::AllUsers, permission)));
            }
            Self::AuthenticatedRead => grants.push(to(Group::AuthenticatedUsers, Permission::Read)),
            _ => {}
        }
        grants
    }
}

fn to(group: Group, permission: Permission) -> Grant {
    Grant { grantee: Grantee::Group(group), permission }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::tests::owner;

    fn shown(acl: &Acl, owner: &Owner) -> Vec<String> {
        let name = |grant: &Grant| match &grant.grantee {
            Grantee::Group(group) => group.uri().rsplit('/').next().expect("a URI has slashes").to_owned(),
            grantee if grantee.is(owner) => "owner".to_owned(),
            Grantee::Account { display_name, .. } => display_name.to_string(),
        };
        acl.grants().iter().map(|grant| format!("{} {}", name(grant), grant.permission.as_str())).collect()
    }

    #[test]
    fn canned_acls_have_the_grants_of_the_user_guide() {
        let (seven, eight) = (owner(7), owner(8));
        for (canned, bucket, object) in [
            (CannedAcl::Private, &[][..], &[][..]),
            (CannedAcl::PublicRead, &["AllUsers READ"], &["AllUsers READ"]),
            (CannedAcl::PublicReadWrite, &["AllUsers READ", "AllUsers WRITE"], &["AllUsers READ", "AllUsers WRITE"]),
            (CannedAcl::AuthenticatedRead, &["AuthenticatedUsers READ"], &["AuthenticatedUsers READ"]),
            (CannedAcl::BucketOwnerRead, &[], &["account-8 READ"]),
            (CannedAcl::BucketOwnerFullControl, &[], &["account-8 FULL_CONTROL"]),
            (CannedAcl::LogDeliveryWrite, &["LogDelivery WRITE", "LogDelivery READ_ACP"], &[]),
            (CannedAcl::AwsExecRead, &[], &[]),
        ] {
            let expected = |others: &[&str]| -> Vec<String> {
                std::iter::once("owner FULL_CONTROL").chain(others.iter().copied()).map(str::to_owned).collect()
            };
            assert_eq!(shown(&canned.on_bucket(&seven), &seven), expected(bucket), "{}", canned.as_str());
            assert_eq!(shown(&canned.on_object(&seven, &eight), &seven), expected(object), "{}", canned.as_str());
            assert!(
                canned.on_object(&seven, &seven).grants().iter().filter(|grant| grant.grantee.is(&seven)).count() == 1
            );
            assert_eq!(CannedAcl::parse(canned.as_str()), Some(canned));
        }
        assert_eq!(CannedAcl::parse("public-readonly"), None);
    }
}
