//! Accounts, users, groups, access keys and policies, as `cairn admin` makes and shows them: the bodies of
//! `/v1/identities`.

use serde::{Deserialize, Serialize};
use types::SecretKey;

/// What is to be done. An account is named by its twelve digits; where none is, it is the first one, the operator's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum IdentityWish {
    /// Makes an account and a key of its root. What is not given is made up.
    AddAccount {
        /// Twelve digits.
        id: Option<String>,
        /// What S3 shows as the owner's id.
        canonical_id: Option<String>,
        /// What S3 shows as the owner's name.
        display_name: String,
        /// No other account has it.
        email: Option<String>,
        /// The key.
        #[serde(flatten)]
        key: GivenKey,
    },
    /// Removes an account that has nothing any more but keys of its root.
    RemoveAccount {
        /// Which.
        account: String,
    },
    /// Makes a user with a key.
    AddUser {
        /// The account.
        account: Option<String>,
        /// The name.
        name: String,
        /// `/`, or `/division/team/`.
        path: Option<String>,
        /// Managed policies to attach, by name or ARN.
        policies: Vec<String>,
        /// The key.
        #[serde(flatten)]
        key: GivenKey,
    },
    /// Removes a user with the keys.
    RemoveUser {
        /// The account.
        account: Option<String>,
        /// The name.
        name: String,
    },
    /// Makes a group.
    AddGroup {
        /// The account.
        account: Option<String>,
        /// The name.
        name: String,
    },
    /// Removes a group; its users stay.
    RemoveGroup {
        /// The account.
        account: Option<String>,
        /// The name.
        name: String,
    },
    /// Puts a user into a group, or takes them out.
    SetMember {
        /// The account.
        account: Option<String>,
        /// The group.
        group: String,
        /// The user.
        user: String,
        /// Whether they are in it from now on.
        member: bool,
    },
    /// Makes a key of a user or, without one, of an account's root.
    AddKey {
        /// The account.
        account: Option<String>,
        /// The user.
        user: Option<String>,
        /// The key.
        #[serde(flatten)]
        key: GivenKey,
    },
    /// Has a key count, or not.
    SetKey {
        /// Which.
        access_key: String,
        /// Whether it counts.
        active: bool,
    },
    /// Removes a key.
    RemoveKey {
        /// Which.
        access_key: String,
    },
    /// Makes a managed policy.
    AddPolicy {
        /// The account.
        account: Option<String>,
        /// The name.
        name: String,
        /// The text.
        document: String,
    },
    /// Removes a managed policy that is attached to nothing.
    RemovePolicy {
        /// The account.
        account: Option<String>,
        /// The name.
        name: String,
    },
    /// Attaches a managed policy, or detaches it.
    SetPolicy {
        /// The account.
        account: Option<String>,
        /// To a user.
        user: Option<String>,
        /// To a group.
        group: Option<String>,
        /// The policy, by name or ARN.
        policy: String,
        /// Whether it is attached from now on.
        attached: bool,
    },
}

/// A key that is given; what is not is made up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GivenKey {
    /// What requests name.
    pub access_key: Option<String>,
    /// What they are signed with.
    pub secret_key: Option<SecretKey>,
}

/// What was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MadeIdentity {
    /// The account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The account's canonical id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canonical_id: Option<String>,
    /// The ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// The key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key: Option<String>,
    /// Its secret, shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<SecretKey>,
}

/// What is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Listed {
    /// Accounts.
    Accounts,
    /// Users of an account.
    Users,
    /// Groups of an account.
    Groups,
    /// Keys of a user, or of an account's root.
    Keys,
    /// Managed policies of an account.
    Policies,
}

impl Listed {
    /// As paths have it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Users => "users",
            Self::Groups => "groups",
            Self::Keys => "keys",
            Self::Policies => "policies",
        }
    }
}

/// Of what they are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListedOf {
    /// The account.
    pub account: Option<String>,
    /// The user.
    pub user: Option<String>,
}

/// One of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListedIdentity {
    /// Its name; an account's number, a key's id.
    pub name: String,
    /// Its ARN, or an account's canonical id.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// What S3 shows as an account's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// An account's email.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// ARNs of managed policies that are attached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// Groups that the user is in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access_keys: Vec<String>,
    /// Whether a key counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// When it was made, in seconds since 1970.
    pub created_seconds: u64,
}
