//! What is asked of identities.

use types::{AccessKeyId, AccountId, CommitStamp, Owner};

use crate::IndexDatabaseError;
use crate::command::{IdentityKind, IdentityName, IdentityRow};
use crate::query::{
    AccessKeyAnswer, AccessKeyView, HeldPolicy, IdentityAnswer, IdentityQuery, InlinePolicy, KeyHolder, KeyUser,
    QueryAnswer,
};
use crate::tables::Tables;

/// All that a gateway needs of a key, in one answer.
pub(super) fn access_key(
    tables: Tables<'_>,
    id: &AccessKeyId,
    known: Option<CommitStamp>,
) -> Result<QueryAnswer, IndexDatabaseError> {
    let changed = tables.identities_changed()?;
    if known == Some(changed) {
        return Ok(QueryAnswer::AccessKey { changed, key: AccessKeyAnswer::AsKnown });
    }
    let Some(key) = tables.access_key(id)? else {
        return Ok(QueryAnswer::AccessKey { changed, key: AccessKeyAnswer::Unknown });
    };
    let missing = |what: &str| IndexDatabaseError::Damaged { reason: format!("access key {id} is of no {what}") };
    let owner = owner_of(tables, key.account)?.ok_or_else(|| missing("account"))?;
    let user = match &key.user {
        None => None,
        Some(name) => {
            let row = tables.identity(key.account, IdentityKind::User, name)?.ok_or_else(|| missing("user"))?;
            Some(key_user(tables, key.account, row)?)
        }
    };
    Ok(QueryAnswer::AccessKey { changed, key: AccessKeyAnswer::Known(Box::new(KeyHolder { key, owner, user })) })
}

/// That of the root account stands with its credential.
fn owner_of(tables: Tables<'_>, account: AccountId) -> Result<Option<Owner>, IndexDatabaseError> {
    if account == AccountId::ROOT {
        let root = tables.credentials()?.into_iter().find(|credential| credential.owner.account == account);
        return Ok(root.map(|root| root.owner));
    }
    Ok(tables.account(account)?.map(|row| row.owner))
}

fn key_user(tables: Tables<'_>, account: AccountId, row: IdentityRow) -> Result<KeyUser, IndexDatabaseError> {
    let mut policies = Vec::new();
    held(tables, account, &row, None, &mut policies)?;
    for name in &row.groups {
        if let Some(group) = tables.identity(account, IdentityKind::Group, name)? {
            held(tables, account, &group, Some(&group.name), &mut policies)?;
        }
    }
    let boundary = match &row.boundary {
        None => None,
        Some(arn) => Some(managed(tables, account, arn, None)?),
    };
    Ok(KeyUser { row, policies, boundary })
}

fn held(
    tables: Tables<'_>,
    account: AccountId,
    row: &IdentityRow,
    group: Option<&str>,
    into: &mut Vec<HeldPolicy>,
) -> Result<(), IndexDatabaseError> {
    for InlinePolicy { name, document } in tables.inline_policies(account, row.kind, &row.name)? {
        into.push(HeldPolicy { group: group.map(Into::into), name, managed: false, document: Some(document) });
    }
    for arn in &row.attached {
        into.push(managed(tables, account, arn, group)?);
    }
    Ok(())
}

fn managed(
    tables: Tables<'_>,
    account: AccountId,
    arn: &str,
    group: Option<&str>,
) -> Result<HeldPolicy, IndexDatabaseError> {
    let name = arn.rsplit('/').next().unwrap_or_default();
    let row = if arn.starts_with(crate::command::BUILT_IN_POLICIES) { None } else { tables.policy(account, name)? };
    let document = row.as_ref().and_then(|row| row.document()).map(Into::into);
    Ok(HeldPolicy { group: group.map(Into::into), name: arn.into(), managed: true, document })
}

pub(super) fn identities(tables: Tables<'_>, query: &IdentityQuery) -> Result<IdentityAnswer, IndexDatabaseError> {
    Ok(match query {
        IdentityQuery::Accounts { after, limit } => IdentityAnswer::Accounts(tables.accounts(*after, *limit)?),
        IdentityQuery::List { account, kind, after, limit } => {
            IdentityAnswer::Identities(tables.identities(*account, *kind, after, *limit)?)
        }
        IdentityQuery::Get(IdentityName { account, kind, name }) => {
            IdentityAnswer::Identity(match tables.identity(*account, *kind, name)? {
                None => None,
                Some(row) => Some(Box::new((row, tables.inline_policies(*account, *kind, name)?))),
            })
        }
        IdentityQuery::Members { account, group, after, limit } => {
            IdentityAnswer::Members(tables.members(*account, group, after, *limit)?)
        }
        IdentityQuery::AccessKeys { account, user } => {
            let ids = match user {
                None => tables.account(*account)?.map(|row| row.access_keys),
                Some(user) => tables.identity(*account, IdentityKind::User, user)?.map(|row| row.access_keys),
            };
            let mut keys = Vec::new();
            for id in ids.unwrap_or_default() {
                if let Some(row) = tables.access_key(&id)? {
                    keys.push(AccessKeyView { id: row.id, active: row.active, created: row.created });
                }
            }
            IdentityAnswer::AccessKeys(keys)
        }
        IdentityQuery::Policies { account, after, limit } => {
            IdentityAnswer::Policies(tables.policies(*account, after, *limit)?)
        }
        IdentityQuery::Policy { account, name } => {
            IdentityAnswer::Policies(tables.policy(*account, name)?.into_iter().collect())
        }
    })
}
