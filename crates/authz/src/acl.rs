//! Access control lists (S3 User Guide, "Access control list (ACL) overview"): who is granted what on a bucket or an
//! object. They are values that can be stored; whoever stores them puts a version in front.

mod canned;
mod grantee;
mod permission;

pub use canned::CannedAcl;
pub use grantee::{Grantee, GranteeName, Group};
pub use permission::Permission;

use serde::{Deserialize, Serialize};
use types::Owner;

use crate::action::Action;
use crate::principal::Principal;
use crate::resource::Resource;

/// Why an ACL is refused. `Display` is the message for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AclError {
    /// More than 100 grants: `MalformedACLError`.
    #[error("The XML you provided was not well-formed or did not validate against our published schema")]
    TooManyGrants,
    /// Nobody has this canonical id: `InvalidArgument`.
    #[error("Invalid id")]
    UnknownId,
    /// There is no such group: `InvalidArgument`.
    #[error("Invalid group uri")]
    UnknownGroup,
    /// Nobody, or more than one, has this address: `UnresolvableGrantByEmailAddress`.
    #[error("The e-mail address you provided does not match any account on record.")]
    UnknownEmail,
}

/// One grant. The order of its fields is a stored format.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// To whom.
    pub grantee: Grantee,
    /// What.
    pub permission: Permission,
}

/// The grants on a bucket or an object, at most [`Acl::GRANTS_MAX`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Grant>", into = "Vec<Grant>")]
pub struct Acl {
    grants: Vec<Grant>,
}

impl TryFrom<Vec<Grant>> for Acl {
    type Error = AclError;

    fn try_from(grants: Vec<Grant>) -> Result<Self, AclError> {
        Self::new(grants)
    }
}

impl From<Acl> for Vec<Grant> {
    fn from(acl: Acl) -> Self {
        acl.grants
    }
}

impl Acl {
    /// The most grants that there may be (S3 User Guide, "ACL overview").
    pub const GRANTS_MAX: usize = 100;

    /// The ACL of these grants, in their order.
    ///
    /// # Errors
    /// [`AclError::TooManyGrants`].
    pub fn new(grants: Vec<Grant>) -> Result<Self, AclError> {
        if grants.len() > Self::GRANTS_MAX { Err(AclError::TooManyGrants) } else { Ok(Self { grants }) }
    }

    /// What a bucket or object has when nothing is said: all of it to its owner.
    pub fn private(owner: &Owner) -> Self {
        Self { grants: vec![Grant { grantee: Grantee::from(owner), permission: Permission::FullControl }] }
    }

    /// The grants.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Whether it is public: grants anything to everybody, or to everybody who signs (S3 User Guide, "The meaning of
    /// public").
    pub fn is_public(&self) -> bool {
        self.grants.iter().any(|grant| grant.grantee.is_public())
    }

    /// It as it is in force while public ACLs are ignored, which GetBucketAcl and GetObjectAcl show then.
    #[must_use]
    pub fn without_public_grants(&self) -> Self {
        Self { grants: self.grants.iter().filter(|grant| !grant.grantee.is_public()).cloned().collect() }
    }

    /// Whether it only gives its owner full control, as ACLs that may be sent while ACLs are disabled do.
    pub fn is_of_owner_alone(&self, owner: &Owner) -> bool {
        self.grants.iter().all(|grant| grant.grantee.is(owner) && grant.permission == Permission::FullControl)
    }

    /// The grant that lets `principal` do `action`, on the resource that this is the ACL of.
    pub(crate) fn grant_for(
        &self,
        principal: &Principal<'_>,
        action: Action,
        on: AclOn,
        ignore_public: bool,
    ) -> Option<&Grant> {
        self.grants
            .iter()
            .filter(|grant| !(ignore_public && grant.grantee.is_public()))
            .filter(|grant| grant.grantee.includes(principal) && grant.permission.allows(action, on))
            // A group's grant needs no more, an account's does for its users.
            .max_by_key(|grant| grant.grantee.is_public())
    }
}

/// What an ACL is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AclOn {
    Bucket,
    Object,
}

impl AclOn {
    /// Which ACL has the say over `action`, if one has.
    pub(crate) fn deciding(action: Action, resource: &Resource<'_>) -> Option<Self> {
        let governs = |on| Permission::ALL.iter().any(|permission| permission.allows(action, on));
        match resource {
            Resource::Object { .. } if governs(Self::Object) => Some(Self::Object),
            Resource::Object { .. } | Resource::Bucket(_) if governs(Self::Bucket) => Some(Self::Bucket),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use types::{AccountId, CanonicalId};

    use super::*;
    use crate::principal::tests::owner;

    fn grant(grantee: Grantee, permission: Permission) -> Grant {
        Grant { grantee, permission }
    }

    #[test]
    fn an_acl_has_at_most_a_hundred_grants_stored_or_not() {
        let one = grant(Grantee::Group(Group::AllUsers), Permission::Read);
        let most = Acl::new(vec![one.clone(); 100]).expect("a hundred");
        assert_eq!(Acl::new(vec![one.clone(); 101]), Err(AclError::TooManyGrants));
        let stored = postcard::to_stdvec(&most).expect("it is stored");
        assert_eq!(postcard::from_bytes::<Acl>(&stored).expect("it is read"), most);
        let too_many = postcard::to_stdvec(&vec![one; 101]).expect("it is stored");
        assert!(postcard::from_bytes::<Acl>(&too_many).is_err());
    }

    /// The bytes in which ACLs are stored: a change of them is a new version of whatever they are stored in.
    #[test]
    fn the_stored_bytes_do_not_change() {
        let account =
            Owner { account: AccountId(7), canonical_id: CanonicalId("ab".into()), display_name: "me".into() };
        let groups = [Group::AllUsers, Group::AuthenticatedUsers, Group::LogDelivery];
        let mut grants = vec![grant(Grantee::from(&account), Permission::FullControl)];
        grants.extend(groups.map(|group| grant(Grantee::Group(group), Permission::Read)));
        grants.extend(
            [Permission::Write, Permission::ReadAcp, Permission::WriteAcp]
                .map(|permission| grant(Grantee::Group(Group::AllUsers), permission)),
        );
        let stored = postcard::to_stdvec(&Acl::new(grants).expect("few")).expect("it is stored");
        let expected: &[u8] =
            &[7, 0, 2, b'a', b'b', 2, b'm', b'e', 4, 1, 0, 0, 1, 1, 0, 1, 2, 0, 1, 0, 1, 1, 0, 2, 1, 0, 3];
        assert_eq!(stored, expected);
    }

    #[test]
    fn grants_to_everybody_make_an_acl_public() {
        let owner = owner(7);
        let mut grants = vec![
            grant(Grantee::from(&owner), Permission::FullControl),
            grant(Grantee::Group(Group::LogDelivery), Permission::Write),
        ];
        assert!(!Acl::new(grants.clone()).expect("few").is_public());
        grants.push(grant(Grantee::Group(Group::AuthenticatedUsers), Permission::ReadAcp));
        let public = Acl::new(grants.clone()).expect("few");
        assert!(public.is_public());
        assert_eq!(public.without_public_grants().grants(), &grants[..2]);
        assert!(!public.is_of_owner_alone(&owner) && Acl::private(&owner).is_of_owner_alone(&owner));
    }
}
