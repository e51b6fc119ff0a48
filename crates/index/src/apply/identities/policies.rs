//! Policies of identities: managed ones and their versions, what is attached to whom, boundaries, inline ones.

use types::AccountId;

use super::super::{Applying, Stop};
use super::{is_name, is_same};
use crate::command::{
    ATTACHED_MAX, Answer, BUILT_IN_POLICIES, IdentityKind, IdentityName, IdentityRefusal, IdentityThing, POLICIES_MAX,
    POLICY_BYTES_MAX, POLICY_VERSIONS_MAX, PolicyRow, PolicyVersionRow,
};
use crate::query::InlinePolicy;
use crate::tables::RowKind;

impl Applying<'_> {
    pub(super) fn create_policy(&mut self, account: AccountId, row: &PolicyRow) -> Result<Answer, Stop> {
        self.expect_account(account)?;
        let fits = row.document().is_some_and(|document| document.len() <= POLICY_BYTES_MAX);
        if !is_name(&row.name) || row.versions.len() != 1 || !fits || row.default_version >= row.next_version {
            return Err(IdentityRefusal::Invalid(IdentityThing::Policy).into());
        }
        match self.tables.policy(account, &row.name)? {
            Some(standing) if standing.id == row.id => return Ok(Answer::Done),
            Some(_) => return Err(IdentityRefusal::AlreadyExists(IdentityThing::Policy).into()),
            None => {}
        }
        if self.tables.identity_count(account, RowKind::Policy)? >= POLICIES_MAX {
            return Err(IdentityRefusal::LimitExceeded(IdentityThing::Policy).into());
        }
        let now = self.stamp.time();
        let mut row = PolicyRow { created: now, updated: now, attachments: 0, boundaries: 0, ..row.clone() };
        row.versions.iter_mut().for_each(|version| version.created = now);
        self.tables.put_policy(account, &row)?;
        Ok(Answer::Done)
    }

    fn standing_policy(&self, account: AccountId, name: &str) -> Result<PolicyRow, Stop> {
        Ok(self.tables.policy(account, name)?.ok_or(IdentityRefusal::NoSuchEntity(IdentityThing::Policy))?)
    }

    pub(super) fn create_policy_version(
        &mut self,
        account: AccountId,
        name: &str,
        document: &str,
        set_default: bool,
    ) -> Result<Answer, Stop> {
        let mut row = self.standing_policy(account, name)?;
        if document.len() > POLICY_BYTES_MAX {
            return Err(IdentityRefusal::Invalid(IdentityThing::PolicyVersion).into());
        }
        if row.versions.len() >= POLICY_VERSIONS_MAX {
            return Err(IdentityRefusal::LimitExceeded(IdentityThing::PolicyVersion).into());
        }
        let number = row.next_version;
        row.next_version += 1;
        row.versions.push(PolicyVersionRow { number, document: document.into(), created: self.stamp.time() });
        if set_default {
            row.default_version = number;
            row.updated = self.stamp.time();
        }
        self.tables.put_policy(account, &row)?;
        Ok(Answer::PolicyVersion(number))
    }

    pub(super) fn set_default_policy_version(
        &mut self,
        account: AccountId,
        name: &str,
        number: u32,
    ) -> Result<Answer, Stop> {
        let row = self.standing_policy(account, name)?;
        if !row.versions.iter().any(|version| version.number == number) {
            return Err(IdentityRefusal::NoSuchEntity(IdentityThing::PolicyVersion).into());
        }
        let row = PolicyRow { default_version: number, updated: self.stamp.time(), ..row };
        self.tables.put_policy(account, &row)?;
        Ok(Answer::Done)
    }

    pub(super) fn delete_policy_version(
        &mut self,
        account: AccountId,
        name: &str,
        number: u32,
    ) -> Result<Answer, Stop> {
        let mut row = self.standing_policy(account, name)?;
        if !row.versions.iter().any(|version| version.number == number) {
            return Err(IdentityRefusal::NoSuchEntity(IdentityThing::PolicyVersion).into());
        }
        if row.default_version == number {
            return Err(IdentityRefusal::DeleteConflict(IdentityThing::PolicyVersion).into());
        }
        row.versions.retain(|version| version.number != number);
        self.tables.put_policy(account, &row)?;
        Ok(Answer::Done)
    }

    /// Versions that don't count go with it.
    pub(super) fn delete_policy(&mut self, account: AccountId, name: &str) -> Result<Answer, Stop> {
        let row = self.standing_policy(account, name)?;
        if row.attachments > 0 {
            return Err(IdentityRefusal::DeleteConflict(IdentityThing::Attachment).into());
        }
        if row.boundaries > 0 {
            return Err(IdentityRefusal::DeleteConflict(IdentityThing::Boundary).into());
        }
        self.tables.delete_policy(account, name)?;
        Ok(Answer::Done)
    }

    /// The policy of an ARN; `None` for one that is built in.
    fn policy_of(&self, account: AccountId, arn: &str) -> Result<Option<PolicyRow>, Stop> {
        if arn.starts_with(BUILT_IN_POLICIES) {
            return Ok(None);
        }
        let name = arn.rsplit('/').next().unwrap_or_default();
        let row = self.tables.policy(account, name)?.filter(|row| is_same(&row.arn(account), arn));
        Ok(Some(row.ok_or(IdentityRefusal::NoSuchEntity(IdentityThing::Policy))?))
    }

    /// Changes the counters of a policy; one that is built in has none.
    pub(super) fn count_uses(
        &mut self,
        account: AccountId,
        arn: &str,
        count: impl FnOnce(&mut PolicyRow),
    ) -> Result<(), Stop> {
        if let Some(mut row) = self.policy_of(account, arn)? {
            count(&mut row);
            self.tables.put_policy(account, &row)?;
        }
        Ok(())
    }

    pub(super) fn attach(&mut self, identity: &IdentityName, arn: &str) -> Result<Answer, Stop> {
        let mut row = self.standing(identity)?;
        let policy = self.policy_of(identity.account, arn)?;
        let arn = policy.map_or_else(|| arn.into(), |policy| policy.arn(identity.account).into_boxed_str());
        if row.attached.contains(&arn) {
            return Ok(Answer::Done);
        }
        if row.attached.len() >= ATTACHED_MAX {
            return Err(IdentityRefusal::LimitExceeded(IdentityThing::Attachment).into());
        }
        self.count_uses(identity.account, &arn, |policy| policy.attachments += 1)?;
        row.attached.push(arn);
        row.attached.sort_unstable();
        self.tables.put_identity(identity.account, &row)?;
        Ok(Answer::Done)
    }

    pub(super) fn detach(&mut self, identity: &IdentityName, arn: &str) -> Result<Answer, Stop> {
        let mut row = self.standing(identity)?;
        let Some(at) = row.attached.iter().position(|known| is_same(known, arn)) else {
            return Err(IdentityRefusal::NoSuchEntity(IdentityThing::Attachment).into());
        };
        let arn = row.attached.remove(at);
        self.count_uses(identity.account, &arn, |policy| policy.attachments = policy.attachments.saturating_sub(1))?;
        self.tables.put_identity(identity.account, &row)?;
        Ok(Answer::Done)
    }

    pub(super) fn set_boundary(&mut self, identity: &IdentityName, arn: Option<&str>) -> Result<Answer, Stop> {
        let mut row = self.standing(identity)?;
        if identity.kind == IdentityKind::Group {
            return Err(IdentityRefusal::Invalid(IdentityThing::Boundary).into());
        }
        let next = match arn {
            None if row.boundary.is_none() => {
                return Err(IdentityRefusal::NoSuchEntity(IdentityThing::Boundary).into());
            }
            None => None,
            Some(arn) => {
                let policy = self.policy_of(identity.account, arn)?;
                Some(policy.map_or_else(|| arn.into(), |policy| policy.arn(identity.account).into_boxed_str()))
            }
        };
        if let Some(former) = row.boundary.take() {
            self.count_uses(identity.account, &former, |policy| {
                policy.boundaries = policy.boundaries.saturating_sub(1);
            })?;
        }
        if let Some(next) = &next {
            self.count_uses(identity.account, next, |policy| policy.boundaries += 1)?;
        }
        row.boundary = next;
        self.tables.put_identity(identity.account, &row)?;
        Ok(Answer::Done)
    }

    pub(super) fn set_inline_policy(
        &mut self,
        identity: &IdentityName,
        policy: &str,
        document: Option<&str>,
    ) -> Result<Answer, Stop> {
        let row = self.standing(identity)?;
        let IdentityName { account, kind, .. } = identity;
        let standing = self.tables.inline_policies(*account, *kind, &row.name)?;
        let Some(document) = document else {
            if !standing.iter().any(|known| is_same(&known.name, policy)) {
                return Err(IdentityRefusal::NoSuchEntity(IdentityThing::InlinePolicy).into());
            }
            self.tables.delete_inline_policy(*account, *kind, &row.name, policy)?;
            return Ok(Answer::Done);
        };
        if !is_name(policy) || document.len() > POLICY_BYTES_MAX {
            return Err(IdentityRefusal::Invalid(IdentityThing::InlinePolicy).into());
        }
        let others = standing.iter().filter(|known| !is_same(&known.name, policy));
        let others: usize = others.map(|known| characters(&known.document)).sum();
        if others + characters(document) > kind.inline_characters_max() {
            return Err(IdentityRefusal::LimitExceeded(IdentityThing::InlinePolicy).into());
        }
        self.tables.put_inline_policy(
            *account,
            *kind,
            &row.name,
            &InlinePolicy { name: policy.into(), document: document.into() },
        )?;
        Ok(Answer::Done)
    }
}

/// As IAM counts them: without white space.
fn characters(document: &str) -> usize {
    document.chars().filter(|letter| !letter.is_ascii_whitespace()).count()
}
