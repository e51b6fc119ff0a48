//! Accounts, users, groups, keys and policies as the admin API makes and shows them.

use admin::{AdminError, GivenKey, IdentityWish, Listed, ListedIdentity, ListedOf, MadeIdentity};
use iam::{IamError, Identities, NewAccessKey, NewAccount, NewIdentity, built_in};
use index::command::{BUILT_IN_POLICIES, IdentityChange, IdentityKind, IdentityName, IdentityRow};
use types::{AccessKeyId, AccountId, CanonicalId, Timestamp};

/// Carries out a wish. What takes several steps is undone where one fails.
///
/// # Errors
/// [`AdminError`].
pub(crate) async fn change(identities: &Identities, wish: IdentityWish) -> Result<MadeIdentity, AdminError> {
    let done = |outcome: Result<(), IamError>| outcome.map(|()| MadeIdentity::default()).map_err(refusal);
    match wish {
        IdentityWish::AddAccount { id, canonical_id, display_name, email, key } => {
            let id = id.as_deref().map(number).transpose()?;
            let canonical_id = canonical_id.map(|id| CanonicalId(id.into()));
            add_account(identities, NewAccount { id, canonical_id, display_name, email }, key).await
        }
        IdentityWish::RemoveAccount { account } => remove_account(identities, number(&account)?).await,
        IdentityWish::AddUser { account, name, path, policies, key } => {
            let wish = NewIdentity { account: of(account)?, kind: IdentityKind::User, name, path };
            add_user(identities, wish, &policies, key).await
        }
        IdentityWish::RemoveUser { account, name } => {
            let identity = named(account, IdentityKind::User, name)?;
            done(identities.apply(IdentityChange::Delete { identity, with_all: true }).await)
        }
        IdentityWish::AddGroup { account, name } => {
            let account = of(account)?;
            let wish = NewIdentity { account, kind: IdentityKind::Group, name, path: None };
            let row = identities.create(wish).await.map_err(refusal)?;
            Ok(MadeIdentity { arn: Some(arn_of(account, &row)), ..MadeIdentity::default() })
        }
        IdentityWish::RemoveGroup { account, name } => {
            let identity = named(account, IdentityKind::Group, name)?;
            done(identities.apply(IdentityChange::Delete { identity, with_all: true }).await)
        }
        IdentityWish::SetMember { account, group, user, member } => {
            let (account, group, user) = (of(account)?, group.into(), user.into());
            let change = match member {
                true => IdentityChange::AddToGroup { account, group, user },
                false => IdentityChange::RemoveFromGroup { account, group, user },
            };
            done(identities.apply(change).await)
        }
        IdentityWish::AddKey { account, user, key } => {
            add_key(identities, of(account)?, user, key).await.map_err(refusal)
        }
        IdentityWish::SetKey { access_key, active } => {
            let id = AccessKeyId(access_key.into());
            done(identities.apply(IdentityChange::SetAccessKeyActive { id, active }).await)
        }
        IdentityWish::RemoveKey { access_key } => {
            done(identities.apply(IdentityChange::DeleteAccessKey(AccessKeyId(access_key.into()))).await)
        }
        IdentityWish::AddPolicy { account, name, document } => {
            let arn = identities.create_policy(of(account)?, name, document).await.map_err(refusal)?;
            Ok(MadeIdentity { arn: Some(arn), ..MadeIdentity::default() })
        }
        IdentityWish::RemovePolicy { account, name } => {
            let change = IdentityChange::DeletePolicy { account: of(account)?, policy: name.into() };
            done(identities.apply(change).await)
        }
        IdentityWish::SetPolicy { account, user, group, policy, attached } => {
            let identity = match (user, group) {
                (Some(user), None) => named(account, IdentityKind::User, user)?,
                (None, Some(group)) => named(account, IdentityKind::Group, group)?,
                _ => return Err(AdminError::Refused("a policy is attached to one user or one group".to_owned())),
            };
            done(match attached {
                true => identities.attach(identity, &policy).await,
                false => identities.detach(identity, &policy).await,
            })
        }
    }
}

async fn add_account(identities: &Identities, wish: NewAccount, key: GivenKey) -> Result<MadeIdentity, AdminError> {
    let owner = identities.create_account(wish).await.map_err(refusal)?;
    match add_key(identities, owner.account, None, key).await {
        Ok(made) => Ok(MadeIdentity { canonical_id: Some(owner.canonical_id.0.into()), ..made }),
        Err(error) => {
            undo(identities, IdentityChange::DeleteAccount(owner.account)).await;
            Err(refusal(error))
        }
    }
}

/// Its root's keys go with it, where nothing else is left.
async fn remove_account(identities: &Identities, account: AccountId) -> Result<MadeIdentity, AdminError> {
    let users = identities.list(account, IdentityKind::User).await.map_err(refusal)?;
    if let Some(user) = users.first() {
        return Err(AdminError::Refused(format!("it still has users: {}", user.name)));
    }
    identities.apply(IdentityChange::DeleteAccount(account)).await.map_err(refusal)?;
    Ok(MadeIdentity::default())
}

async fn add_user(
    identities: &Identities,
    wish: NewIdentity,
    policies: &[String],
    key: GivenKey,
) -> Result<MadeIdentity, AdminError> {
    let account = wish.account;
    let row = identities.create(wish).await.map_err(refusal)?;
    let identity = IdentityName { account, kind: row.kind, name: row.name.clone() };
    let steps = async {
        for policy in policies {
            identities.attach(identity.clone(), policy).await?;
        }
        add_key(identities, account, Some(row.name.to_string()), key).await
    };
    match steps.await {
        Ok(made) => Ok(MadeIdentity { arn: Some(arn_of(account, &row)), ..made }),
        Err(error) => {
            undo(identities, IdentityChange::Delete { identity, with_all: true }).await;
            Err(refusal(error))
        }
    }
}

/// Takes back what was made a moment ago; what is left then is shown by lists, and can be removed.
async fn undo(identities: &Identities, change: IdentityChange) {
    if let Err(error) = identities.apply(change).await {
        tracing::warn!(%error, "what was half made was not taken back");
    }
}

async fn add_key(
    identities: &Identities,
    account: AccountId,
    user: Option<String>,
    key: GivenKey,
) -> Result<MadeIdentity, IamError> {
    let wish = NewAccessKey { id: key.access_key.map(|id| AccessKeyId(id.into())), secret: key.secret_key };
    let (id, secret) = identities.create_access_key(account, user, wish).await?;
    Ok(MadeIdentity {
        account: Some(account.to_string()),
        access_key: Some(id.0.into()),
        secret_key: Some(secret),
        ..MadeIdentity::default()
    })
}

/// Shows what there is, without secrets.
///
/// # Errors
/// [`AdminError`].
pub(crate) async fn list(
    identities: &Identities,
    what: Listed,
    of_: ListedOf,
) -> Result<Vec<ListedIdentity>, AdminError> {
    let account = of(of_.account)?;
    let seconds = Timestamp::seconds;
    let listed = match what {
        Listed::Accounts => {
            let rows = identities.accounts().await.map_err(refusal)?.into_iter();
            rows.map(|row| ListedIdentity {
                name: row.owner.account.to_string(),
                id: row.owner.canonical_id.0.into(),
                display_name: row.owner.display_name.into(),
                email: row.email.map(Into::into),
                access_keys: row.access_keys.into_iter().map(|key| key.0.into()).collect(),
                created_seconds: seconds(row.created),
                ..ListedIdentity::default()
            })
            .collect()
        }
        Listed::Users => listed(account, identities.list(account, IdentityKind::User).await.map_err(refusal)?),
        Listed::Groups => listed(account, identities.list(account, IdentityKind::Group).await.map_err(refusal)?),
        Listed::Keys => {
            let keys = identities.access_keys(account, of_.user).await.map_err(refusal)?.into_iter();
            keys.map(|key| ListedIdentity {
                name: key.id.0.into(),
                active: Some(key.active),
                created_seconds: seconds(key.created),
                ..ListedIdentity::default()
            })
            .collect()
        }
        Listed::Policies => {
            let built_in = built_in::names().map(|name| ListedIdentity {
                name: name.to_owned(),
                id: format!("{BUILT_IN_POLICIES}{name}"),
                ..ListedIdentity::default()
            });
            let rows = identities.policies(account).await.map_err(refusal)?.into_iter();
            let own = rows.map(|row| ListedIdentity {
                id: row.arn(account),
                name: row.name.into(),
                created_seconds: seconds(row.created),
                ..ListedIdentity::default()
            });
            built_in.chain(own).collect()
        }
    };
    Ok(listed)
}

fn listed(account: AccountId, rows: Vec<IdentityRow>) -> Vec<ListedIdentity> {
    let texts = |texts: Vec<Box<str>>| texts.into_iter().map(String::from).collect();
    let line = |row: IdentityRow| ListedIdentity {
        id: arn_of(account, &row),
        name: row.name.into(),
        policies: texts(row.attached),
        groups: texts(row.groups),
        access_keys: row.access_keys.into_iter().map(|key| key.0.into()).collect(),
        created_seconds: row.created.seconds(),
        ..ListedIdentity::default()
    };
    rows.into_iter().map(line).collect()
}

fn arn_of(account: AccountId, row: &IdentityRow) -> String {
    let kind = match row.kind {
        IdentityKind::User => "user",
        IdentityKind::Group => "group",
        IdentityKind::Role => "role",
    };
    format!("arn:aws:iam::{account}:{kind}{}{}", row.path, row.name)
}

fn of(account: Option<String>) -> Result<AccountId, AdminError> {
    account.as_deref().map_or(Ok(AccountId::ROOT), number)
}

fn number(text: &str) -> Result<AccountId, AdminError> {
    let is_number = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_number);
    number.map(AccountId).ok_or_else(|| AdminError::Refused(format!("{text:?} is no account: it has twelve digits")))
}

fn named(account: Option<String>, kind: IdentityKind, name: String) -> Result<IdentityName, AdminError> {
    Ok(IdentityName { account: of(account)?, kind, name: name.into() })
}

fn refusal(error: IamError) -> AdminError {
    match error {
        IamError::NoSuchEntity(_) => AdminError::NotFound(error.to_string()),
        IamError::Index(_) => AdminError::Failed(error.to_string()),
        _ => AdminError::Refused(error.to_string()),
    }
}
