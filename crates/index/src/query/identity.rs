//! Questions about identities.

use serde::{Deserialize, Serialize};
use types::{AccessKeyId, AccountId, Owner};

use crate::command::{AccessKeyRow, AccountRow, IdentityKind, IdentityName, IdentityRow, PolicyRow};

/// What is asked of identities: [`super::QueryAnswer::Identities`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdentityQuery {
    /// [`IdentityAnswer::Accounts`], in order of number.
    Accounts {
        /// Only those after it.
        after: Option<AccountId>,
        /// At most so many.
        limit: usize,
    },
    /// [`IdentityAnswer::Identities`], in order of name.
    List {
        /// The account.
        account: AccountId,
        /// What they are.
        kind: IdentityKind,
        /// Only names after it.
        after: String,
        /// At most so many.
        limit: usize,
    },
    /// [`IdentityAnswer::Identity`].
    Get(IdentityName),
    /// Users of a group: [`IdentityAnswer::Members`], in order of name.
    Members {
        /// The account.
        account: AccountId,
        /// The group.
        group: String,
        /// Only names after it.
        after: String,
        /// At most so many.
        limit: usize,
    },
    /// Keys of a user, or of an account's root: [`IdentityAnswer::AccessKeys`], without their secrets.
    AccessKeys {
        /// The account.
        account: AccountId,
        /// The user; `None`: the root.
        user: Option<String>,
    },
    /// [`IdentityAnswer::Policies`], in order of name.
    Policies {
        /// The account.
        account: AccountId,
        /// Only names after it.
        after: String,
        /// At most so many.
        limit: usize,
    },
    /// [`IdentityAnswer::Policies`]: the one of this name, or none.
    Policy {
        /// The account.
        account: AccountId,
        /// Its name.
        name: String,
    },
}

impl IdentityQuery {
    /// What is answered where there is none.
    pub(crate) fn nothing(&self) -> IdentityAnswer {
        match self {
            Self::Accounts { .. } => IdentityAnswer::Accounts(Vec::new()),
            Self::List { .. } => IdentityAnswer::Identities(Vec::new()),
            Self::Get(_) => IdentityAnswer::Identity(None),
            Self::Members { .. } => IdentityAnswer::Members(Vec::new()),
            Self::AccessKeys { .. } => IdentityAnswer::AccessKeys(Vec::new()),
            Self::Policies { .. } | Self::Policy { .. } => IdentityAnswer::Policies(Vec::new()),
        }
    }
}

/// What was answered of identities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdentityAnswer {
    /// Accounts.
    Accounts(Vec<AccountRow>),
    /// Users, groups or roles.
    Identities(Vec<IdentityRow>),
    /// One of them with its inline policies, by name, in order.
    Identity(Option<Box<(IdentityRow, Vec<InlinePolicy>)>>),
    /// Names of users.
    Members(Vec<Box<str>>),
    /// Keys.
    AccessKeys(Vec<AccessKeyView>),
    /// Managed policies.
    Policies(Vec<PolicyRow>),
}

/// An inline policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InlinePolicy {
    /// Its name.
    pub name: Box<str>,
    /// Its text.
    pub document: Box<str>,
}

/// A key without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKeyView {
    /// What requests name.
    pub id: AccessKeyId,
    /// Whether requests may be signed with it.
    pub active: bool,
    /// When it was made.
    pub created: types::Timestamp,
}

/// What is to be known of an access key: the answer to [`super::Query::AccessKey`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccessKeyAnswer {
    /// No identity was changed since: it is as it was.
    AsKnown,
    /// There is none of this id.
    Unknown,
    /// All that it takes to check a signature and to decide.
    Known(Box<KeyHolder>),
}

/// Whom a key stands for, and what bears on what they may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyHolder {
    /// The key.
    pub key: AccessKeyRow,
    /// The account.
    pub owner: Owner,
    /// The user; `None`: the account's root.
    pub user: Option<KeyUser>,
}

/// The user of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUser {
    /// The row.
    pub row: IdentityRow,
    /// All policies of the user and the groups.
    pub policies: Vec<HeldPolicy>,
    /// The permissions boundary.
    pub boundary: Option<HeldPolicy>,
}

/// A policy that an identity has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPolicy {
    /// The group through which the user has it.
    pub group: Option<Box<str>>,
    /// The ARN of a managed one; the name of an inline one.
    pub name: Box<str>,
    /// Whether it is a managed one.
    pub managed: bool,
    /// Its text; `None`: a built-in one, or (damage) one that isn't there.
    pub document: Option<Box<str>>,
}
