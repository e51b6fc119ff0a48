//! What an ACL can grant, and which actions that comes to (S3 User Guide, "Mapping of ACL permissions and access policy
//! permissions").

use serde::{Deserialize, Serialize};

use super::AclOn;
use crate::action::Action;

/// What an ACL can grant. The order is a stored format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Permission {
    /// To list a bucket, to read an object.
    Read,
    /// To put and delete objects of a bucket; nothing on an object.
    Write,
    /// To read the ACL.
    ReadAcp,
    /// To write the ACL.
    WriteAcp,
    /// All of these.
    FullControl,
}

impl Permission {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Read, Self::Write, Self::ReadAcp, Self::WriteAcp, Self::FullControl];

    /// Its name in XML.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::ReadAcp => "READ_ACP",
            Self::WriteAcp => "WRITE_ACP",
            Self::FullControl => "FULL_CONTROL",
        }
    }

    /// Reads that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    /// Whether it lets its grantee do `action`.
    ///
    /// WRITE on a bucket lets them delete objects, since they may overwrite them; versions it lets nobody delete.
    pub(crate) fn allows(self, action: Action, on: AclOn) -> bool {
        let needed = match (on, action) {
            (AclOn::Bucket, Action::ListBucket | Action::ListBucketVersions | Action::ListBucketMultipartUploads) => {
                Self::Read
            }
            (AclOn::Bucket, Action::PutObject | Action::DeleteObject) => Self::Write,
            (AclOn::Bucket, Action::GetBucketAcl) => Self::ReadAcp,
            (AclOn::Bucket, Action::PutBucketAcl) => Self::WriteAcp,
            (
                AclOn::Object,
                Action::GetObject
                | Action::GetObjectVersion
                | Action::GetObjectAttributes
                | Action::GetObjectVersionAttributes
                | Action::GetObjectTorrent
                | Action::GetObjectVersionTorrent,
            ) => Self::Read,
            (AclOn::Object, Action::GetObjectAcl | Action::GetObjectVersionAcl) => Self::ReadAcp,
            (AclOn::Object, Action::PutObjectAcl | Action::PutObjectVersionAcl) => Self::WriteAcp,
            _ => return false,
        };
        self == needed || self == Self::FullControl
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(permission: Permission, on: AclOn) -> Vec<&'static str> {
        Action::ALL.iter().filter(|&&action| permission.allows(action, on)).map(|action| action.name()).collect()
    }

    #[test]
    fn permissions_come_to_the_actions_of_the_user_guide() {
        let mut reads = allowed(Permission::Read, AclOn::Bucket);
        reads.sort_unstable();
        assert_eq!(reads, ["s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions"]);
        assert_eq!(allowed(Permission::ReadAcp, AclOn::Bucket), ["s3:GetBucketAcl"]);
        assert_eq!(allowed(Permission::WriteAcp, AclOn::Bucket), ["s3:PutBucketAcl"]);
        assert_eq!(allowed(Permission::Write, AclOn::Bucket), ["s3:DeleteObject", "s3:PutObject"]);
        assert!(allowed(Permission::Write, AclOn::Object).is_empty());
        assert_eq!(allowed(Permission::WriteAcp, AclOn::Object), ["s3:PutObjectAcl", "s3:PutObjectVersionAcl"]);
    }

    #[test]
    fn full_control_is_all_of_the_others() {
        for on in [AclOn::Bucket, AclOn::Object] {
            for &action in Action::ALL {
                let others = Permission::ALL[..4].iter().any(|permission| permission.allows(action, on));
                assert_eq!(Permission::FullControl.allows(action, on), others, "{}", action.name());
            }
        }
    }

    #[test]
    fn names_are_those_of_the_api() {
        for permission in Permission::ALL {
            assert_eq!(Permission::parse(permission.as_str()), Some(permission));
        }
        assert_eq!(Permission::parse("read"), None);
    }
}
