//! Who asks.

use types::{AccountId, CanonicalId, Owner};

use crate::arn::account_digits;
use crate::inline_text::InlineText;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal<'a> {
    /// Nobody signed the request.
    Anonymous,
    /// The root of an account. That of [`AccountId::ROOT`] is the operator, who may do everything.
    Account(&'a Owner),
    /// A user of an account, with a key of their own or a session of theirs (GetSessionToken).
    User(User<'a>),
    /// Somebody who has taken on a role.
    Session(RoleSession<'a>),
    /// Somebody whom an identity provider vouches for, on the way to a role: the provider's ARN or address.
    WebIdentity(&'a str),
    /// A service, such as `logging.s3.amazonaws.com`: Cairn itself, on behalf of a bucket.
    Service(&'a str),
}

/// A user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User<'a> {
    /// The account.
    pub account: &'a Owner,
    /// `/`, or `/division/team/`.
    pub path: &'a str,
    /// The name, without its path.
    pub name: &'a str,
    /// The unique id, `AIDA...`.
    pub id: &'a str,
}

/// A session of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleSession<'a> {
    /// The account that has the role.
    pub account: &'a Owner,
    /// The role's path: `/`, or `/division/team/`.
    pub role_path: &'a str,
    /// The role's name, without its path.
    pub role_name: &'a str,
    /// The role's unique id, `AROA...`.
    pub role_id: &'a str,
    /// What whoever took the role on called the session.
    pub session_name: &'a str,
}

/// An identity's ARN, on the stack where it is no longer than most are.
pub(crate) type IdentityText = InlineText<256>;

impl<'a> Principal<'a> {
    /// What `aws:userid` has of who did not sign.
    pub(crate) const ANONYMOUS_ID: &'static str = "anonymous";

    /// The account that they belong to.
    pub fn owner(&self) -> Option<&'a Owner> {
        match self {
            Self::Account(owner) => Some(owner),
            Self::User(user) => Some(user.account),
            Self::Session(session) => Some(session.account),
            Self::Anonymous | Self::WebIdentity(_) | Self::Service(_) => None,
        }
    }

    /// The number of that account.
    pub fn account(&self) -> Option<AccountId> {
        self.owner().map(|owner| owner.account)
    }

    /// The canonical id of that account.
    pub(crate) fn canonical_id(&self) -> Option<&'a CanonicalId> {
        self.owner().map(|owner| &owner.canonical_id)
    }

    /// Whether it is the operator.
    pub fn is_operator(&self) -> bool {
        matches!(self, Self::Account(owner) if owner.account == AccountId::ROOT)
    }

    /// Their ARN, as bucket policies name them and STS's GetCallerIdentity shows it; empty for who has none.
    pub(crate) fn arn(&self) -> IdentityText {
        match self {
            Self::Anonymous | Self::WebIdentity(_) | Self::Service(_) => InlineText::of(&[]),
            Self::Account(owner) => identity_arn(b"iam", owner.account, &[b"root"]),
            Self::User(user) => {
                identity_arn(b"iam", user.account.account, &[b"user", user.path.as_bytes(), user.name.as_bytes()])
            }
            Self::Session(session) => identity_arn(
                b"sts",
                session.account.account,
                &[b"assumed-role/", session.role_name.as_bytes(), b"/", session.session_name.as_bytes()],
            ),
        }
    }

    /// The ARN of the role that a session has taken on.
    pub(crate) fn role_arn(&self) -> Option<IdentityText> {
        let Self::Session(session) = self else { return None };
        let name = [b"role".as_slice(), session.role_path.as_bytes(), session.role_name.as_bytes()];
        Some(identity_arn(b"iam", session.account.account, &name))
    }

    /// Their ARN as text, for messages and logs; empty for who has none.
    pub fn arn_text(&self) -> String {
        String::from_utf8_lossy(self.arn().as_bytes()).into_owned()
    }

    /// What `aws:userid` has of them (IAM User Guide, "Principal key values").
    pub fn user_id(&self) -> String {
        match self {
            Self::Anonymous => Self::ANONYMOUS_ID.to_owned(),
            Self::Account(owner) => owner.account.to_string(),
            Self::User(user) => user.id.to_owned(),
            Self::Session(session) => format!("{}:{}", session.role_id, session.session_name),
            Self::WebIdentity(provider) => (*provider).to_owned(),
            Self::Service(service) => (*service).to_owned(),
        }
    }

    /// What `aws:PrincipalType` has of them.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Anonymous => "Anonymous",
            Self::Account(_) => "Account",
            Self::User(_) => "User",
            Self::Session(_) => "AssumedRole",
            Self::WebIdentity(_) => "FederatedUser",
            Self::Service(_) => "Service",
        }
    }
}

fn identity_arn(namespace: &[u8], account: AccountId, name: &[&[u8]]) -> IdentityText {
    let digits = account_digits(account);
    let mut parts = [b"arn:aws:".as_slice(), namespace, b"::", &digits, b":", b"", b"", b"", b""];
    parts[5..5 + name.len()].copy_from_slice(name);
    InlineText::of(&parts)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The root of an account with this number.
    pub(crate) fn owner(account: u64) -> Owner {
        Owner {
            account: AccountId(account),
            canonical_id: CanonicalId(format!("{account:064}").into()),
            display_name: format!("account-{account}").into(),
        }
    }

    #[test]
    fn principals_have_the_arns_of_iam() {
        let owner = owner(7);
        let user = User { account: &owner, path: "/division/", name: "bob", id: "AIDABOB" };
        let session = RoleSession {
            account: &owner,
            role_path: "/division/",
            role_name: "reader",
            role_id: "AROAREADER",
            session_name: "job",
        };
        for (principal, arn, id) in [
            (Principal::Anonymous, "", "anonymous"),
            (Principal::Account(&owner), "arn:aws:iam::000000000007:root", "000000000007"),
            (Principal::User(user), "arn:aws:iam::000000000007:user/division/bob", "AIDABOB"),
            (Principal::Session(session), "arn:aws:sts::000000000007:assumed-role/reader/job", "AROAREADER:job"),
        ] {
            assert_eq!((principal.arn_text().as_str(), principal.user_id().as_str()), (arn, id));
        }
        let role = Principal::Session(session).role_arn().expect("a session has a role");
        assert_eq!(role.as_bytes(), b"arn:aws:iam::000000000007:role/division/reader");
    }
}
