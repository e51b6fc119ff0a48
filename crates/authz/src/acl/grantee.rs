//! To whom ACLs grant.

use serde::{Deserialize, Serialize};
use types::{CanonicalId, Owner};

use super::AclError;
use crate::principal::Principal;

/// To whom something is granted. The order is a stored format.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Grantee {
    /// An account.
    Account {
        /// Its canonical id.
        id: CanonicalId,
        /// Its display name when it was granted.
        display_name: Box<str>,
    },
    /// A group.
    Group(Group),
}

/// The predefined groups. The order is a stored format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Group {
    /// Everybody, signed or not.
    AllUsers,
    /// Everybody who signs, of any account.
    AuthenticatedUsers,
    /// Those who write access logs.
    LogDelivery,
}

/// A grantee as a request names one; `s3-wire` reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GranteeName<'a> {
    /// A canonical id.
    Id(&'a str),
    /// A group's URI.
    Uri(&'a str),
    /// The address of an account.
    Email(&'a str),
}

/// Who delivers access logs, as policies call it.
const LOG_DELIVERY_SERVICE: &str = "logging.s3.amazonaws.com";

impl Group {
    /// Its URI.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::AllUsers => "http://acs.amazonaws.com/groups/global/AllUsers",
            Self::AuthenticatedUsers => "http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
            Self::LogDelivery => "http://acs.amazonaws.com/groups/s3/LogDelivery",
        }
    }

    /// Reads that URI.
    pub fn parse(uri: &str) -> Option<Self> {
        [Self::AllUsers, Self::AuthenticatedUsers, Self::LogDelivery].into_iter().find(|known| known.uri() == uri)
    }
}

impl From<&Owner> for Grantee {
    fn from(owner: &Owner) -> Self {
        Self::Account { id: owner.canonical_id.clone(), display_name: owner.display_name.clone() }
    }
}

impl Grantee {
    /// Finds who is named; `find` looks an account up by id or address.
    ///
    /// # Errors
    /// [`AclError`], where there is nobody of that name.
    pub fn resolve(
        name: GranteeName<'_>,
        find: impl FnOnce(GranteeName<'_>) -> Option<Owner>,
    ) -> Result<Self, AclError> {
        let error = match name {
            GranteeName::Uri(uri) => return Group::parse(uri).map(Self::Group).ok_or(AclError::UnknownGroup),
            GranteeName::Id(_) => AclError::UnknownId,
            GranteeName::Email(_) => AclError::UnknownEmail,
        };
        find(name).map(|owner| Self::from(&owner)).ok_or(error)
    }

    /// Whether it is this account.
    pub(crate) fn is(&self, owner: &Owner) -> bool {
        matches!(self, Self::Account { id, .. } if *id == owner.canonical_id)
    }

    /// Whether it is everybody, or everybody who signs.
    pub const fn is_public(&self) -> bool {
        matches!(self, Self::Group(Group::AllUsers | Group::AuthenticatedUsers))
    }

    /// Whether who asks is it, or of it.
    pub(crate) fn includes(&self, principal: &Principal<'_>) -> bool {
        match self {
            Self::Account { id, .. } => principal.canonical_id() == Some(id),
            Self::Group(Group::AllUsers) => true,
            Self::Group(Group::AuthenticatedUsers) => principal.owner().is_some(),
            Self::Group(Group::LogDelivery) => *principal == Principal::Service(LOG_DELIVERY_SERVICE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::tests::owner;

    #[test]
    fn grantees_are_found_by_id_address_and_uri() {
        let seven = owner(7);
        let find = |name: GranteeName<'_>| match name {
            GranteeName::Id(id) if *id == *seven.canonical_id.0 => Some(seven.clone()),
            GranteeName::Email("seven@example.com") => Some(seven.clone()),
            _ => None,
        };
        for name in [GranteeName::Id(&seven.canonical_id.0), GranteeName::Email("seven@example.com")] {
            assert_eq!(Grantee::resolve(name, find), Ok(Grantee::from(&seven)));
        }
        let group = GranteeName::Uri("http://acs.amazonaws.com/groups/global/AllUsers");
        assert_eq!(Grantee::resolve(group, find), Ok(Grantee::Group(Group::AllUsers)));
        for (name, error) in [
            (GranteeName::Id("_foo"), AclError::UnknownId),
            (GranteeName::Email("nobody@example.com"), AclError::UnknownEmail),
            (GranteeName::Uri("http://acs.amazonaws.com/groups/global/Nobody"), AclError::UnknownGroup),
        ] {
            assert_eq!(Grantee::resolve(name, find), Err(error));
        }
    }

    #[test]
    fn groups_have_those_who_are_in_them() {
        let seven = owner(7);
        let (nobody, account) = (Principal::Anonymous, Principal::Account(&seven));
        let logs = Principal::Service("logging.s3.amazonaws.com");
        let includes = |group, principal: &Principal<'_>| Grantee::Group(group).includes(principal);
        assert!(includes(Group::AllUsers, &nobody) && includes(Group::AllUsers, &account));
        assert!(!includes(Group::AuthenticatedUsers, &nobody) && includes(Group::AuthenticatedUsers, &account));
        assert!(includes(Group::LogDelivery, &logs) && !includes(Group::LogDelivery, &account));
        assert!(Grantee::from(&seven).includes(&account) && !Grantee::from(&owner(8)).includes(&account));
    }
}
