//! Changes of identities: accounts, access keys, users, groups and roles, and who is in which group.

mod policies;

use types::{AccessKeyId, AccountId, Owner};

use super::{Applying, Stop};
use crate::command::{
    ACCESS_KEYS_MAX, AccessKeyRow, AccountRow, Answer, GROUPS_MAX, IDENTITY_NAME_BYTES_MAX, IdentityChange,
    IdentityKind, IdentityName, IdentityRefusal, IdentityRow, IdentityThing, POLICY_BYTES_MAX, Refusal,
};
use crate::tables::RowKind;

impl From<IdentityRefusal> for Stop {
    fn from(refusal: IdentityRefusal) -> Self {
        Refusal::Identity(refusal).into()
    }
}

impl Applying<'_> {
    /// Whatever was changed, all that is remembered of keys is looked up anew.
    pub(super) fn change_identity(&mut self, change: &IdentityChange) -> Result<Answer, Stop> {
        let answer = self.identity_change(change)?;
        self.tables.put_identities_changed(self.stamp)?;
        Ok(answer)
    }

    fn identity_change(&mut self, change: &IdentityChange) -> Result<Answer, Stop> {
        match change {
            IdentityChange::CreateAccount(row) => self.create_account(row),
            IdentityChange::DeleteAccount(id) => self.delete_account(*id),
            IdentityChange::Create { account, row } => self.create_identity(*account, row),
            IdentityChange::Delete { identity, with_all } => self.delete_identity(identity, *with_all),
            IdentityChange::CreateAccessKey(row) => self.create_access_key(row),
            IdentityChange::SetAccessKeyActive { id, active } => self.set_access_key_active(id, *active),
            IdentityChange::DeleteAccessKey(id) => self.delete_access_key(id),
            IdentityChange::AddToGroup { account, group, user } => self.add_to_group(*account, group, user),
            IdentityChange::RemoveFromGroup { account, group, user } => self.remove_from_group(*account, group, user),
            IdentityChange::SetTags { identity, tags } => {
                let row = self.standing(identity)?;
                self.tables.put_identity(identity.account, &IdentityRow { tags: tags.clone(), ..row })?;
                Ok(Answer::Done)
            }
            IdentityChange::CreatePolicy { account, row } => self.create_policy(*account, row),
            IdentityChange::CreatePolicyVersion { account, policy, document, set_default } => {
                self.create_policy_version(*account, policy, document, *set_default)
            }
            IdentityChange::SetDefaultPolicyVersion { account, policy, number } => {
                self.set_default_policy_version(*account, policy, *number)
            }
            IdentityChange::DeletePolicyVersion { account, policy, number } => {
                self.delete_policy_version(*account, policy, *number)
            }
            IdentityChange::DeletePolicy { account, policy } => self.delete_policy(*account, policy),
            IdentityChange::Attach { identity, arn } => self.attach(identity, arn),
            IdentityChange::Detach { identity, arn } => self.detach(identity, arn),
            IdentityChange::SetBoundary { identity, arn } => self.set_boundary(identity, arn.as_deref()),
            IdentityChange::SetInlinePolicy { identity, policy, document } => {
                self.set_inline_policy(identity, policy, document.as_deref())
            }
        }
    }

    fn create_account(&mut self, row: &AccountRow) -> Result<Answer, Stop> {
        let Owner { account, canonical_id, .. } = &row.owner;
        let is_root = |owner: &Owner| owner.account == AccountId::ROOT && owner.canonical_id == *canonical_id;
        if *account == AccountId::ROOT || self.tables.account(*account)?.is_some() {
            return Err(IdentityRefusal::AlreadyExists(IdentityThing::Account).into());
        }
        if !(1..1_000_000_000_000).contains(&account.0) || canonical_id.0.is_empty() {
            return Err(IdentityRefusal::Invalid(IdentityThing::Account).into());
        }
        let is_roots = self.tables.credentials()?.iter().any(|credential| is_root(&credential.owner));
        if is_roots || self.tables.account_of_canonical_id(canonical_id)?.is_some() {
            return Err(IdentityRefusal::AlreadyExists(IdentityThing::CanonicalId).into());
        }
        if let Some(email) = &row.email
            && self.tables.account_of_email(email)?.is_some()
        {
            return Err(IdentityRefusal::AlreadyExists(IdentityThing::Email).into());
        }
        let row = AccountRow { created: self.stamp.time(), access_keys: Vec::new(), ..row.clone() };
        self.tables.put_account(&row)?;
        Ok(Answer::Done)
    }

    fn delete_account(&mut self, id: AccountId) -> Result<Answer, Stop> {
        let row = self.tables.account(id)?.ok_or(IdentityRefusal::NoSuchEntity(IdentityThing::Account))?;
        let conflict = if self.tables.all_bucket_records()?.iter().any(|record| record.owner.account == id) {
            Some(IdentityThing::Bucket)
        } else if self.tables.has_identities(id)? {
            Some(IdentityThing::User)
        } else {
            None
        };
        if let Some(thing) = conflict {
            return Err(IdentityRefusal::DeleteConflict(thing).into());
        }
        // The root's keys go with it.
        for key in &row.access_keys {
            self.tables.delete_access_key(key)?;
        }
        self.tables.delete_account(&row)?;
        Ok(Answer::Done)
    }

    /// The root's account needs no row.
    pub(super) fn expect_account(&self, id: AccountId) -> Result<(), Stop> {
        if id == AccountId::ROOT || self.tables.account(id)?.is_some() {
            return Ok(());
        }
        Err(IdentityRefusal::NoSuchEntity(IdentityThing::Account).into())
    }

    fn standing(&self, identity: &IdentityName) -> Result<IdentityRow, Stop> {
        let IdentityName { account, kind, name } = identity;
        let row = self.tables.identity(*account, *kind, name)?;
        Ok(row.ok_or(IdentityRefusal::NoSuchEntity((*kind).into()))?)
    }

    fn create_identity(&mut self, account: AccountId, row: &IdentityRow) -> Result<Answer, Stop> {
        self.expect_account(account)?;
        let thing = IdentityThing::from(row.kind);
        let is_role = row.kind == IdentityKind::Role;
        let trust_fits = row.role.as_ref().is_none_or(|role| role.trust.len() <= POLICY_BYTES_MAX);
        if !is_name(&row.name) || row.role.is_some() != is_role || !trust_fits {
            return Err(IdentityRefusal::Invalid(thing).into());
        }
        match self.tables.identity(account, row.kind, &row.name)? {
            Some(standing) if standing.id == row.id => return Ok(Answer::Done),
            Some(_) => return Err(IdentityRefusal::AlreadyExists(thing).into()),
            None => {}
        }
        if self.tables.identity_count(account, RowKind::from(row.kind))? >= row.kind.quota() {
            return Err(IdentityRefusal::LimitExceeded(thing).into());
        }
        let row = IdentityRow {
            created: self.stamp.time(),
            attached: Vec::new(),
            boundary: None,
            access_keys: Vec::new(),
            groups: Vec::new(),
            ..row.clone()
        };
        self.tables.put_identity(account, &row)?;
        Ok(Answer::Done)
    }

    fn delete_identity(&mut self, identity: &IdentityName, with_all: bool) -> Result<Answer, Stop> {
        let IdentityName { account, kind, name } = identity;
        let row = self.standing(identity)?;
        let inline = self.tables.inline_policies(*account, *kind, name)?;
        let is_group = *kind == IdentityKind::Group;
        let members = if is_group { self.tables.members(*account, name, "", usize::MAX)? } else { Vec::new() };
        let hangs = [
            (!row.access_keys.is_empty(), IdentityThing::AccessKey),
            (!row.groups.is_empty() || !members.is_empty(), IdentityThing::Membership),
            (!row.attached.is_empty(), IdentityThing::Attachment),
            (!inline.is_empty(), IdentityThing::InlinePolicy),
        ];
        if let Some((_, thing)) = hangs.into_iter().find(|(hangs, _)| *hangs && !with_all) {
            return Err(IdentityRefusal::DeleteConflict(thing).into());
        }
        for key in &row.access_keys {
            self.tables.delete_access_key(key)?;
        }
        for group in &row.groups {
            self.tables.delete_member(*account, group, &row.name)?;
        }
        for member in &members {
            self.tables.delete_member(*account, name, member)?;
            self.leave(*account, member, &row.name)?;
        }
        for arn in &row.attached {
            self.count_uses(*account, arn, |policy| policy.attachments = policy.attachments.saturating_sub(1))?;
        }
        if let Some(arn) = &row.boundary {
            self.count_uses(*account, arn, |policy| policy.boundaries = policy.boundaries.saturating_sub(1))?;
        }
        for policy in &inline {
            self.tables.delete_inline_policy(*account, *kind, name, &policy.name)?;
        }
        self.tables.delete_identity(*account, &row)?;
        Ok(Answer::Done)
    }

    /// Has a user's row name a group no longer.
    fn leave(&mut self, account: AccountId, user: &str, group: &str) -> Result<(), Stop> {
        if let Some(mut row) = self.tables.identity(account, IdentityKind::User, user)? {
            row.groups.retain(|known| !is_same(known, group));
            self.tables.put_identity(account, &row)?;
        }
        Ok(())
    }

    fn create_access_key(&mut self, row: &AccessKeyRow) -> Result<Answer, Stop> {
        let taken = IdentityRefusal::AlreadyExists(IdentityThing::AccessKey);
        if let Some(standing) = self.tables.access_key(&row.id)? {
            let user = match (&row.user, &standing.user) {
                (Some(one), Some(other)) if is_same(one, other) => standing.user.clone(),
                (other, _) => other.clone(),
            };
            let again = AccessKeyRow { created: standing.created, user, ..row.clone() };
            return if again == standing { Ok(Answer::Done) } else { Err(taken.into()) };
        }
        if self.tables.credentials()?.iter().any(|credential| credential.access_key_id == row.id) {
            return Err(taken.into());
        }
        if row.id.0.is_empty() || row.id.0.len() > IDENTITY_NAME_BYTES_MAX {
            return Err(IdentityRefusal::Invalid(IdentityThing::AccessKey).into());
        }
        let user = self.change_keys(row.account, row.user.as_deref(), |keys| {
            if keys.len() >= ACCESS_KEYS_MAX {
                return Err(IdentityRefusal::LimitExceeded(IdentityThing::AccessKey));
            }
            keys.push(row.id.clone());
            keys.sort_unstable();
            Ok(())
        })?;
        self.tables.put_access_key(&AccessKeyRow { created: self.stamp.time(), user, ..row.clone() })?;
        Ok(Answer::Done)
    }

    /// Changes the keys that a holder's row names; answers the user's name as it was given first. The first account's root
    /// has its credential, and no others.
    fn change_keys(
        &mut self,
        account: AccountId,
        user: Option<&str>,
        change: impl FnOnce(&mut Vec<AccessKeyId>) -> Result<(), IdentityRefusal>,
    ) -> Result<Option<Box<str>>, Stop> {
        match user {
            Some(user) => {
                let row = self.tables.identity(account, IdentityKind::User, user)?;
                let mut row = row.ok_or(IdentityRefusal::NoSuchEntity(IdentityThing::User))?;
                change(&mut row.access_keys)?;
                self.tables.put_identity(account, &row)?;
                Ok(Some(row.name))
            }
            None => {
                let row = self.tables.account(account)?;
                let mut row = row.ok_or(IdentityRefusal::NoSuchEntity(IdentityThing::Account))?;
                change(&mut row.access_keys)?;
                self.tables.put_account(&row)?;
                Ok(None)
            }
        }
    }

    fn standing_key(&self, id: &AccessKeyId) -> Result<AccessKeyRow, Stop> {
        Ok(self.tables.access_key(id)?.ok_or(IdentityRefusal::NoSuchEntity(IdentityThing::AccessKey))?)
    }

    fn set_access_key_active(&mut self, id: &AccessKeyId, active: bool) -> Result<Answer, Stop> {
        let row = self.standing_key(id)?;
        self.tables.put_access_key(&AccessKeyRow { active, ..row })?;
        Ok(Answer::Done)
    }

    fn delete_access_key(&mut self, id: &AccessKeyId) -> Result<Answer, Stop> {
        let row = self.standing_key(id)?;
        self.change_keys(row.account, row.user.as_deref(), |keys| {
            keys.retain(|known| known != id);
            Ok(())
        })?;
        self.tables.delete_access_key(id)?;
        Ok(Answer::Done)
    }

    fn add_to_group(&mut self, account: AccountId, group: &str, user: &str) -> Result<Answer, Stop> {
        let group = self.standing(&IdentityName { account, kind: IdentityKind::Group, name: group.into() })?;
        let mut user = self.standing(&IdentityName { account, kind: IdentityKind::User, name: user.into() })?;
        if user.groups.contains(&group.name) {
            return Ok(Answer::Done);
        }
        if user.groups.len() >= GROUPS_MAX {
            return Err(IdentityRefusal::LimitExceeded(IdentityThing::Membership).into());
        }
        self.tables.put_member(account, &group.name, &user.name)?;
        user.groups.push(group.name);
        user.groups.sort_unstable();
        self.tables.put_identity(account, &user)?;
        Ok(Answer::Done)
    }

    fn remove_from_group(&mut self, account: AccountId, group: &str, user: &str) -> Result<Answer, Stop> {
        let user = self.standing(&IdentityName { account, kind: IdentityKind::User, name: user.into() })?;
        if !user.groups.iter().any(|known| is_same(known, group)) {
            return Err(IdentityRefusal::NoSuchEntity(IdentityThing::Membership).into());
        }
        self.tables.delete_member(account, group, &user.name)?;
        self.leave(account, &user.name, group)?;
        Ok(Answer::Done)
    }
}

/// Two names that differ by capitals alone are one. ASCII's: tables of other letters differ between releases of Rust,
/// and replicas must not.
fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Rows are found by names that have no slash; what else a name may have is the proposer's matter.
fn is_name(name: &str) -> bool {
    (1..=IDENTITY_NAME_BYTES_MAX).contains(&name.len()) && !name.contains('/')
}
