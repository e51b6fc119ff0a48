//! Identities: accounts, their users, groups and roles, access keys, and policies.
//!
//! The index keeps the texts of policies and doesn't read them; names are checked by whoever proposes. What `apply`
//! decides is that names are free, that quotas are kept (IAM User Guide, "IAM and STS quotas"), and that nothing goes
//! that something else hangs on.

use std::fmt;

use serde::{Deserialize, Serialize};
use types::{AccessKeyId, AccountId, Owner, Timestamp};

/// How the ARNs begin of policies that every account has and no row: who proposes knows them.
pub const BUILT_IN_POLICIES: &str = "arn:aws:iam::aws:policy/";

/// Keys of a user, or of an account's root.
pub const ACCESS_KEYS_MAX: usize = 2;
/// Managed policies that are attached to one identity.
pub const ATTACHED_MAX: usize = 10;
/// Groups of one user.
pub const GROUPS_MAX: usize = 10;
/// Versions of a managed policy.
pub const POLICY_VERSIONS_MAX: usize = 5;
/// Managed policies of an account.
pub const POLICIES_MAX: u64 = 1500;
/// The longest document in bytes, white space and all.
pub const POLICY_BYTES_MAX: usize = 131_072;
/// The longest name.
pub const IDENTITY_NAME_BYTES_MAX: usize = 128;

/// What an identity of an account is. Rows have the numbers: they never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IdentityKind {
    /// A user.
    User,
    /// A group of users.
    Group,
    /// A role.
    Role,
}

impl IdentityKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::User, Self::Group, Self::Role];

    /// The most of an account.
    pub const fn quota(self) -> u64 {
        match self {
            Self::User => 5000,
            Self::Group => 300,
            Self::Role => 1000,
        }
    }

    /// The most characters, white space not counted, of all inline policies of one identity.
    pub const fn inline_characters_max(self) -> usize {
        match self {
            Self::User => 2_048,
            Self::Group => 5_120,
            Self::Role => 10_240,
        }
    }
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRow {
    /// Its number, canonical id and display name.
    pub owner: Owner,
    /// No other account has it.
    pub email: Option<Box<str>>,
    /// When it was made; decided by `apply`.
    pub created: Timestamp,
    /// Keys of its root, in order of id; decided by `apply`.
    pub access_keys: Vec<AccessKeyId>,
    /// Tags.
    pub tags: Vec<(String, String)>,
}

/// A user, group or role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityRow {
    /// What it is.
    pub kind: IdentityKind,
    /// Its name as it was given; no other of its kind and account has the same, capitals or not.
    pub name: Box<str>,
    /// `/`, or `/division/team/`.
    pub path: Box<str>,
    /// The unique id: `AIDA...`, `AGPA...` or `AROA...`. Whoever makes it chooses it; the same again is the same wish.
    pub id: Box<str>,
    /// When it was made; decided by `apply`.
    pub created: Timestamp,
    /// Tags.
    pub tags: Vec<(String, String)>,
    /// ARNs of managed policies that are attached, in order; changed by commands of their own.
    pub attached: Vec<Box<str>>,
    /// The ARN of the permissions boundary; changed by a command of its own.
    pub boundary: Option<Box<str>>,
    /// Keys of a user, in order of id; decided by `apply`.
    pub access_keys: Vec<AccessKeyId>,
    /// Groups of a user by name, in order; decided by `apply`.
    pub groups: Vec<Box<str>>,
    /// What only a role has.
    pub role: Option<RoleRow>,
}

/// What only a role has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleRow {
    /// Who may take it on: a policy.
    pub trust: Box<str>,
    /// In words.
    pub description: Box<str>,
    /// The longest session in seconds.
    pub session_seconds_max: u32,
}

/// A secret as it is kept, and how.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSecret {
    /// How it is sealed: 0, not at all. Others are for later releases, and need a feature level.
    pub scheme: u8,
    /// Which key it is sealed with; 0 with scheme 0.
    pub key: u32,
    /// The secret, sealed.
    pub bytes: Vec<u8>,
}

/// Without the secret.
impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedSecret").field("scheme", &self.scheme).field("key", &self.key).finish_non_exhaustive()
    }
}

/// An access key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKeyRow {
    /// What requests name; of the whole cluster.
    pub id: AccessKeyId,
    /// What they are signed with.
    pub secret: SealedSecret,
    /// Whose it is.
    pub account: AccountId,
    /// The user, by name; `None`: the account's root.
    pub user: Option<Box<str>>,
    /// Whether requests may be signed with it.
    pub active: bool,
    /// When it was made; decided by `apply`.
    pub created: Timestamp,
}

/// A managed policy of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRow {
    /// Its name as it was given.
    pub name: Box<str>,
    /// `/`, or `/division/team/`.
    pub path: Box<str>,
    /// The unique id: `ANPA...`.
    pub id: Box<str>,
    /// In words.
    pub description: Box<str>,
    /// When it was made; decided by `apply`.
    pub created: Timestamp,
    /// When its default version was changed; decided by `apply`.
    pub updated: Timestamp,
    /// Tags.
    pub tags: Vec<(String, String)>,
    /// The version that counts.
    pub default_version: u32,
    /// The number of the next version: none is given twice.
    pub next_version: u32,
    /// In order of number.
    pub versions: Vec<PolicyVersionRow>,
    /// To how many identities it is attached; decided by `apply`.
    pub attachments: u32,
    /// Of how many it is the boundary; decided by `apply`.
    pub boundaries: u32,
}

impl PolicyRow {
    /// The ARN that it has in an account.
    pub fn arn(&self, account: AccountId) -> String {
        format!("arn:aws:iam::{account}:policy{}{}", self.path, self.name)
    }

    /// The text of the version that counts.
    pub fn document(&self) -> Option<&str> {
        let version = self.versions.iter().find(|version| version.number == self.default_version);
        version.map(|version| &*version.document)
    }
}

/// A version of a managed policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVersionRow {
    /// `v1` is 1.
    pub number: u32,
    /// The text.
    pub document: Box<str>,
    /// When it was made; decided by `apply`.
    pub created: Timestamp,
}

/// Which identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityName {
    /// Its account.
    pub account: AccountId,
    /// What it is.
    pub kind: IdentityKind,
    /// Its name, in capitals or not.
    pub name: Box<str>,
}

/// A change of identities: [`super::Answer::Done`], or [`super::Refusal::Identity`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdentityChange {
    /// Makes an account; its number, canonical id and email must be free.
    CreateAccount(Box<AccountRow>),
    /// Removes an account that has nothing any more, no bucket, identity or policy, and its root's keys with it.
    DeleteAccount(AccountId),
    /// Makes a user, group or role.
    Create {
        /// The account.
        account: AccountId,
        /// The row; what hangs on it comes by other commands.
        row: Box<IdentityRow>,
    },
    /// Removes a user, group or role.
    Delete {
        /// Which.
        identity: IdentityName,
        /// With its keys, memberships and policies; else it must have none.
        with_all: bool,
    },
    /// Makes an access key; [`super::Answer::Done`] also where the very same stands.
    CreateAccessKey(Box<AccessKeyRow>),
    /// Has an access key count, or not.
    SetAccessKeyActive {
        /// Which.
        id: AccessKeyId,
        /// Whether it counts.
        active: bool,
    },
    /// Removes an access key.
    DeleteAccessKey(AccessKeyId),
    /// Puts a user into a group; one that is in it stays.
    AddToGroup {
        /// The account.
        account: AccountId,
        /// The group.
        group: Box<str>,
        /// The user.
        user: Box<str>,
    },
    /// Takes a user out of a group.
    RemoveFromGroup {
        /// The account.
        account: AccountId,
        /// The group.
        group: Box<str>,
        /// The user.
        user: Box<str>,
    },
    /// Makes a managed policy with its first version.
    CreatePolicy {
        /// The account.
        account: AccountId,
        /// The row.
        row: Box<PolicyRow>,
    },
    /// Adds a version to a managed policy: [`super::Answer::PolicyVersion`].
    CreatePolicyVersion {
        /// The account.
        account: AccountId,
        /// The policy.
        policy: Box<str>,
        /// Its text.
        document: Box<str>,
        /// Whether it counts from now on.
        set_default: bool,
    },
    /// Has a version count.
    SetDefaultPolicyVersion {
        /// The account.
        account: AccountId,
        /// The policy.
        policy: Box<str>,
        /// The version.
        number: u32,
    },
    /// Removes a version that doesn't count.
    DeletePolicyVersion {
        /// The account.
        account: AccountId,
        /// The policy.
        policy: Box<str>,
        /// The version.
        number: u32,
    },
    /// Removes a managed policy that is attached to nothing.
    DeletePolicy {
        /// The account.
        account: AccountId,
        /// The policy.
        policy: Box<str>,
    },
    /// Attaches a managed policy; one that is attached stays.
    Attach {
        /// To what.
        identity: IdentityName,
        /// Its ARN: of the same account, or one of [`BUILT_IN_POLICIES`].
        arn: Box<str>,
    },
    /// Detaches a managed policy.
    Detach {
        /// From what.
        identity: IdentityName,
        /// Its ARN.
        arn: Box<str>,
    },
    /// Sets the permissions boundary of a user or role, or removes it.
    SetBoundary {
        /// Whose.
        identity: IdentityName,
        /// The ARN of a managed policy.
        arn: Option<Box<str>>,
    },
    /// Sets an inline policy, or removes it.
    SetInlinePolicy {
        /// Whose.
        identity: IdentityName,
        /// The policy's name.
        policy: Box<str>,
        /// Its text.
        document: Option<Box<str>>,
    },
    /// Puts tags in place of those of an identity.
    SetTags {
        /// Whose.
        identity: IdentityName,
        /// The tags.
        tags: Vec<(String, String)>,
    },
}

impl IdentityChange {
    /// Whether it stores something new. What takes rights or rows away is taken while disks are full, too.
    pub const fn adds(&self) -> bool {
        matches!(
            self,
            Self::CreateAccount(_)
                | Self::Create { .. }
                | Self::CreateAccessKey(_)
                | Self::CreatePolicy { .. }
                | Self::CreatePolicyVersion { .. }
                | Self::SetInlinePolicy { document: Some(_), .. }
        )
    }
}

/// Why a change of identities was not made (IAM API Reference, "Common errors").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdentityRefusal {
    /// What is named isn't there: IAM's `NoSuchEntity`.
    NoSuchEntity(IdentityThing),
    /// The name, id or email is taken: `EntityAlreadyExists`.
    AlreadyExists(IdentityThing),
    /// Something hangs on it: `DeleteConflict`.
    DeleteConflict(IdentityThing),
    /// There are as many as may be: `LimitExceeded`.
    LimitExceeded(IdentityThing),
    /// It is no name, or nothing that such an identity may have.
    Invalid(IdentityThing),
}

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdentityThing {
    /// An account.
    Account,
    /// An account's canonical id.
    CanonicalId,
    /// An account's email.
    Email,
    /// A bucket.
    Bucket,
    /// A user.
    User,
    /// A group.
    Group,
    /// A role.
    Role,
    /// An access key.
    AccessKey,
    /// A managed policy.
    Policy,
    /// A version of a managed policy.
    PolicyVersion,
    /// An inline policy.
    InlinePolicy,
    /// A managed policy that is attached.
    Attachment,
    /// A user in a group.
    Membership,
    /// A permissions boundary.
    Boundary,
}

impl From<IdentityKind> for IdentityThing {
    fn from(kind: IdentityKind) -> Self {
        match kind {
            IdentityKind::User => Self::User,
            IdentityKind::Group => Self::Group,
            IdentityKind::Role => Self::Role,
        }
    }
}
