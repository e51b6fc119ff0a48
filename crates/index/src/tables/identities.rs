//! Identities, in the system range: one table, whose rows are told apart by account, kind and name.

use rusqlite::params;
use serde::Serialize;
use serde::de::DeserializeOwned;
use types::{AccessKeyId, AccountId, CanonicalId, CommitStamp};

use super::{Tables, blob, to_sql};
use crate::command::{AccessKeyRow, AccountRow, IdentityKind, IdentityRow, PolicyRow};
use crate::query::InlinePolicy;
use crate::{IndexDatabaseError, keys, rows};

/// The account of rows that are of the whole cluster.
const CLUSTER: AccountId = AccountId(0);

/// What a row is. The numbers never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum RowKind {
    /// Of the cluster: an account, by its twelve digits.
    Account = 1,
    /// Of the cluster: an access key, by its id.
    AccessKey = 2,
    /// Of the cluster: the account of a canonical id.
    CanonicalId = 3,
    /// Of the cluster: the account of an email.
    Email = 4,
    /// Of an account: a user, by name.
    User = 16,
    /// Of an account: a group, by name.
    Group = 17,
    /// Of an account: a role, by name.
    Role = 18,
    /// Of an account: a managed policy, by name.
    Policy = 19,
    /// Of an account: an inline policy, by the user's name and its own.
    UserInline = 20,
    /// Of an account: an inline policy, by the group's name and its own.
    GroupInline = 21,
    /// Of an account: an inline policy, by the role's name and its own.
    RoleInline = 22,
    /// Of an account: a user in a group, by the group's name and the user's.
    Member = 23,
}

impl RowKind {
    const fn inline_of(kind: IdentityKind) -> Self {
        match kind {
            IdentityKind::User => Self::UserInline,
            IdentityKind::Group => Self::GroupInline,
            IdentityKind::Role => Self::RoleInline,
        }
    }
}

impl From<IdentityKind> for RowKind {
    fn from(kind: IdentityKind) -> Self {
        match kind {
            IdentityKind::User => Self::User,
            IdentityKind::Group => Self::Group,
            IdentityKind::Role => Self::Role,
        }
    }
}

/// What rows are found by: names differ by more than capitals. ASCII's: tables of other letters differ between releases
/// of Rust, and replicas must not.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// Two names in one; neither has a slash.
fn pair(first: &str, second: &str) -> String {
    format!("{}/{}", folded(first), folded(second))
}

impl Tables<'_> {
    /// When any identity was changed last; 0 where none ever was.
    pub(crate) fn identities_changed(self) -> Result<CommitStamp, IndexDatabaseError> {
        Ok(self.system_row("identities")?.unwrap_or_default())
    }

    pub(crate) fn put_identities_changed(self, changed: CommitStamp) -> Result<(), IndexDatabaseError> {
        self.put_system_row("identities", &changed)
    }

    fn identity_row<T: DeserializeOwned>(
        self,
        account: AccountId,
        kind: RowKind,
        name: &str,
    ) -> Result<Option<T>, IndexDatabaseError> {
        let sql = "SELECT row FROM identities WHERE account = ?1 AND kind = ?2 AND name = ?3";
        self.first(sql, params![to_sql(account.0), kind as u8, name], |row| {
            Ok::<_, IndexDatabaseError>(rows::decode(blob(row, 0)?)?)
        })
    }

    fn put_identity_row<T: Serialize>(
        self,
        account: AccountId,
        kind: RowKind,
        name: &str,
        row: &T,
    ) -> Result<(), IndexDatabaseError> {
        let sql = "INSERT OR REPLACE INTO identities (account, kind, name, row) VALUES (?1, ?2, ?3, ?4)";
        self.execute(sql, params![to_sql(account.0), kind as u8, name, rows::encode(row)])?;
        Ok(())
    }

    fn delete_identity_row(self, account: AccountId, kind: RowKind, name: &str) -> Result<(), IndexDatabaseError> {
        let sql = "DELETE FROM identities WHERE account = ?1 AND kind = ?2 AND name = ?3";
        self.execute(sql, params![to_sql(account.0), kind as u8, name])?;
        Ok(())
    }

    /// Rows in order of name: of names that begin with `prefix` those after `after`.
    fn identity_rows<T: DeserializeOwned>(
        self,
        account: AccountId,
        kind: RowKind,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<T>, IndexDatabaseError> {
        let sql = "SELECT row FROM identities WHERE account = ?1 AND kind = ?2 AND name >= ?3 AND name > ?4
                   AND (?5 IS NULL OR name < ?5) ORDER BY name LIMIT ?6";
        // What follows a slash is another ASCII letter.
        let end = keys::after_prefix(prefix.as_bytes()).and_then(|end| String::from_utf8(end).ok());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.all(sql, params![to_sql(account.0), kind as u8, prefix, after, end, limit], |row| {
            Ok::<_, IndexDatabaseError>(rows::decode(blob(row, 0)?)?)
        })
    }

    /// How many rows there are of a kind.
    pub(crate) fn identity_count(self, account: AccountId, kind: RowKind) -> Result<u64, IndexDatabaseError> {
        let sql = "SELECT COUNT(*) FROM identities WHERE account = ?1 AND kind = ?2";
        let count = self.first(sql, params![to_sql(account.0), kind as u8], |row| super::from_sql(row, 0))?;
        Ok(count.unwrap_or_default())
    }

    /// Whether an account has any identity or policy.
    pub(crate) fn has_identities(self, account: AccountId) -> Result<bool, IndexDatabaseError> {
        let found = self.first("SELECT 1 FROM identities WHERE account = ?1 LIMIT 1", [to_sql(account.0)], |_| {
            Ok::<_, IndexDatabaseError>(())
        })?;
        Ok(found.is_some())
    }

    pub(crate) fn account(self, id: AccountId) -> Result<Option<AccountRow>, IndexDatabaseError> {
        self.identity_row(CLUSTER, RowKind::Account, &id.to_string())
    }

    pub(crate) fn accounts(
        self,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Vec<AccountRow>, IndexDatabaseError> {
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        self.identity_rows(CLUSTER, RowKind::Account, "", &after, limit)
    }

    pub(crate) fn put_account(self, row: &AccountRow) -> Result<(), IndexDatabaseError> {
        let id = row.owner.account;
        self.put_identity_row(CLUSTER, RowKind::Account, &id.to_string(), row)?;
        self.put_identity_row(CLUSTER, RowKind::CanonicalId, &row.owner.canonical_id.0, &id)?;
        match &row.email {
            Some(email) => self.put_identity_row(CLUSTER, RowKind::Email, &folded(email), &id),
            None => Ok(()),
        }
    }

    pub(crate) fn delete_account(self, row: &AccountRow) -> Result<(), IndexDatabaseError> {
        self.delete_identity_row(CLUSTER, RowKind::Account, &row.owner.account.to_string())?;
        self.delete_identity_row(CLUSTER, RowKind::CanonicalId, &row.owner.canonical_id.0)?;
        match &row.email {
            Some(email) => self.delete_identity_row(CLUSTER, RowKind::Email, &folded(email)),
            None => Ok(()),
        }
    }

    pub(crate) fn account_of_canonical_id(self, id: &CanonicalId) -> Result<Option<AccountId>, IndexDatabaseError> {
        self.identity_row(CLUSTER, RowKind::CanonicalId, &id.0)
    }

    pub(crate) fn account_of_email(self, email: &str) -> Result<Option<AccountId>, IndexDatabaseError> {
        self.identity_row(CLUSTER, RowKind::Email, &folded(email))
    }

    pub(crate) fn access_key(self, id: &AccessKeyId) -> Result<Option<AccessKeyRow>, IndexDatabaseError> {
        self.identity_row(CLUSTER, RowKind::AccessKey, &id.0)
    }

    pub(crate) fn put_access_key(self, row: &AccessKeyRow) -> Result<(), IndexDatabaseError> {
        self.put_identity_row(CLUSTER, RowKind::AccessKey, &row.id.0, row)
    }

    pub(crate) fn delete_access_key(self, id: &AccessKeyId) -> Result<(), IndexDatabaseError> {
        self.delete_identity_row(CLUSTER, RowKind::AccessKey, &id.0)
    }

    pub(crate) fn identity(
        self,
        account: AccountId,
        kind: IdentityKind,
        name: &str,
    ) -> Result<Option<IdentityRow>, IndexDatabaseError> {
        self.identity_row(account, kind.into(), &folded(name))
    }

    pub(crate) fn identities(
        self,
        account: AccountId,
        kind: IdentityKind,
        after: &str,
        limit: usize,
    ) -> Result<Vec<IdentityRow>, IndexDatabaseError> {
        self.identity_rows(account, kind.into(), "", &folded(after), limit)
    }

    pub(crate) fn put_identity(self, account: AccountId, row: &IdentityRow) -> Result<(), IndexDatabaseError> {
        self.put_identity_row(account, row.kind.into(), &folded(&row.name), row)
    }

    pub(crate) fn delete_identity(self, account: AccountId, row: &IdentityRow) -> Result<(), IndexDatabaseError> {
        self.delete_identity_row(account, row.kind.into(), &folded(&row.name))
    }

    pub(crate) fn policy(self, account: AccountId, name: &str) -> Result<Option<PolicyRow>, IndexDatabaseError> {
        self.identity_row(account, RowKind::Policy, &folded(name))
    }

    pub(crate) fn policies(
        self,
        account: AccountId,
        after: &str,
        limit: usize,
    ) -> Result<Vec<PolicyRow>, IndexDatabaseError> {
        self.identity_rows(account, RowKind::Policy, "", &folded(after), limit)
    }

    pub(crate) fn put_policy(self, account: AccountId, row: &PolicyRow) -> Result<(), IndexDatabaseError> {
        self.put_identity_row(account, RowKind::Policy, &folded(&row.name), row)
    }

    pub(crate) fn delete_policy(self, account: AccountId, name: &str) -> Result<(), IndexDatabaseError> {
        self.delete_identity_row(account, RowKind::Policy, &folded(name))
    }

    /// Inline policies of an identity, in order of name.
    pub(crate) fn inline_policies(
        self,
        account: AccountId,
        kind: IdentityKind,
        name: &str,
    ) -> Result<Vec<InlinePolicy>, IndexDatabaseError> {
        self.identity_rows(account, RowKind::inline_of(kind), &pair(name, ""), "", usize::MAX)
    }

    pub(crate) fn put_inline_policy(
        self,
        account: AccountId,
        kind: IdentityKind,
        name: &str,
        policy: &InlinePolicy,
    ) -> Result<(), IndexDatabaseError> {
        self.put_identity_row(account, RowKind::inline_of(kind), &pair(name, &policy.name), policy)
    }

    pub(crate) fn delete_inline_policy(
        self,
        account: AccountId,
        kind: IdentityKind,
        name: &str,
        policy: &str,
    ) -> Result<(), IndexDatabaseError> {
        self.delete_identity_row(account, RowKind::inline_of(kind), &pair(name, policy))
    }

    /// The names of a group's users, in order.
    pub(crate) fn members(
        self,
        account: AccountId,
        group: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Box<str>>, IndexDatabaseError> {
        self.identity_rows(account, RowKind::Member, &pair(group, ""), &pair(group, after), limit)
    }

    pub(crate) fn put_member(self, account: AccountId, group: &str, user: &str) -> Result<(), IndexDatabaseError> {
        self.put_identity_row(account, RowKind::Member, &pair(group, user), &user)
    }

    pub(crate) fn delete_member(self, account: AccountId, group: &str, user: &str) -> Result<(), IndexDatabaseError> {
        self.delete_identity_row(account, RowKind::Member, &pair(group, user))
    }
}
