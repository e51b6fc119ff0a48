//! Gateways' credentials as the admin API makes and revokes them: rows of the system range.

use admin::{AddGateway, AdminError, KnownGateway, NewGateway};
use index::command::GatewayRow;
use index::{Answer, Command, CommandBody, IndexService, Query, QueryAnswer};
use platform::Entropy;
use rpc::{GatewayCredential, GatewayKey};
use types::{GatewayId, RequestNumber, Timestamp};

/// Makes a credential, or lets the one that is given in; returns it, this once.
///
/// # Errors
/// [`AdminError::Refused`] when the name is taken, or what is given is no credential or not the one of its id;
/// [`AdminError::Failed`] when it is not known to have been committed: then it may be listed and removed.
pub(crate) async fn add(
    index: &dyn IndexService,
    entropy: &dyn Entropy,
    gateway: AddGateway,
) -> Result<NewGateway, AdminError> {
    let refused = |error: rpc::NoCredential| AdminError::Refused(error.to_string());
    let credential: GatewayCredential = match gateway.credential {
        Some(given) => given.parse().map_err(refused)?,
        None => GatewayCredential { id: GatewayId::from_bytes(entropy.id()), key: GatewayKey::generate(entropy) },
    };
    let id = credential.id.to_string();
    let rows = rows(index).await?;
    if let Some(known) = rows.iter().find(|row| row.id == credential.id) {
        let is_same = known.key == credential.key.to_bytes();
        let answer = NewGateway { id: id.clone(), name: known.name.clone(), credential: credential.to_text() };
        let other = || AdminError::Refused(format!("gateway {id} has another key; remove it first"));
        return if is_same { Ok(answer) } else { Err(other()) };
    }
    let name = gateway.name.map_or_else(|| format!("gateway-{}", &id[..8]), String::from);
    if let Some(other) = rows.into_iter().find(|row| row.name == name) {
        return Err(AdminError::Refused(format!("gateway {} is called {name} already", other.id)));
    }
    let row = GatewayRow { id: credential.id, name, key: credential.key.to_bytes(), added: Timestamp(0) };
    let name = row.name.clone();
    propose(index, CommandBody::PutGateway(Box::new(row))).await?;
    tracing::info!(gateway = %id, name, "a gateway's credential was added");
    Ok(NewGateway { id, name, credential: credential.to_text() })
}

/// All credentials, without their keys.
///
/// # Errors
/// [`AdminError::Failed`].
pub(crate) async fn list(index: &dyn IndexService) -> Result<Vec<KnownGateway>, AdminError> {
    let known = |row: GatewayRow| {
        let added_seconds = row.added.seconds();
        KnownGateway { id: row.id.to_string(), name: row.name, added_seconds }
    };
    Ok(rows(index).await?.into_iter().map(known).collect())
}

/// Revokes a credential: nodes cut its gateway off once they have looked again.
///
/// # Errors
/// [`AdminError::NotFound`]; [`AdminError::Failed`].
pub(crate) async fn remove(index: &dyn IndexService, id: &str) -> Result<(), AdminError> {
    let not_found =
        || AdminError::NotFound(format!("no gateway has the id {id}; `cairn admin gateway list` shows all"));
    let gateway: GatewayId = id.parse().map_err(|_| not_found())?;
    if !rows(index).await?.iter().any(|row| row.id == gateway) {
        return Err(not_found());
    }
    propose(index, CommandBody::RemoveGateway(gateway)).await?;
    tracing::info!(%gateway, "a gateway's credential was revoked");
    Ok(())
}

/// The rows as they stand in the system range, keys and all.
///
/// # Errors
/// [`AdminError::Failed`].
async fn rows(index: &dyn IndexService) -> Result<Vec<GatewayRow>, AdminError> {
    match index.query(Query::Gateways).await {
        Ok(QueryAnswer::Gateways(rows)) => Ok(rows),
        Ok(_) => Err(AdminError::Failed("the index answered another question".to_owned())),
        Err(error) => Err(AdminError::Failed(error.to_string())),
    }
}

async fn propose(index: &dyn IndexService, body: CommandBody) -> Result<(), AdminError> {
    let command = Command { request: None, answered: RequestNumber(0), body };
    match index.propose(command).await {
        Ok(Answer::Done) => Ok(()),
        Ok(other) => Err(AdminError::Failed(format!("the index answered {other:?}"))),
        Err(error) => Err(AdminError::Failed(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use index::LocalIndex;
    use platform::{ManualClock, SystemEntropy};

    use super::*;

    fn named(name: &str) -> AddGateway {
        AddGateway { name: Some(name.parse().expect("a name")), credential: None }
    }

    #[tokio::test]
    async fn credentials_are_shown_once_listed_without_keys_and_removed_by_id() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_700_000_000)));
        let index = LocalIndex::in_memory(clock).expect("opened");
        let web = add(&index, &SystemEntropy, named("web")).await.expect("added");
        let unnamed = add(&index, &SystemEntropy, AddGateway::default()).await.expect("added");
        assert!(matches!(add(&index, &SystemEntropy, named("web")).await, Err(AdminError::Refused(_))));
        let credential: GatewayCredential = web.credential.parse().expect("it can be read again");
        assert_eq!(credential.id.to_string(), web.id);
        let row = rows(&index).await.expect("read").into_iter().find(|row| row.id == credential.id).expect("kept");
        assert_eq!(row.key, credential.key.to_bytes());

        let listed = list(&index).await.expect("listed");
        let mut names: Vec<_> = listed.iter().map(|gateway| gateway.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, [&format!("gateway-{}", &unnamed.id[..8]), "web"]);
        assert!(listed.iter().all(|gateway| gateway.added_seconds == 1_700_000_000), "{listed:?}");

        remove(&index, &web.id).await.expect("removed");
        assert_eq!(list(&index).await.expect("listed").len(), 1);
        for id in [web.id.as_str(), "no id"] {
            assert!(matches!(remove(&index, id).await, Err(AdminError::NotFound(_))), "{id}");
        }
    }
    #[tokio::test]
    async fn a_given_credential_is_let_in_once_and_another_key_of_its_id_is_not() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_700_000_000)));
        let index = LocalIndex::in_memory(clock).expect("opened");
        let given =
            |key: &str| AddGateway { credential: Some(format!("gw1:{}:{key}", "ab".repeat(16))), ..named("web") };
        let first = add(&index, &SystemEntropy, given(&"5a".repeat(32))).await.expect("let in");
        assert_eq!(add(&index, &SystemEntropy, given(&"5a".repeat(32))).await.expect("the same again"), first);
        for wrong in ["5b".repeat(32), "5a".repeat(31), "no key".to_owned()] {
            assert!(matches!(add(&index, &SystemEntropy, given(&wrong)).await, Err(AdminError::Refused(_))), "{wrong}");
        }
        assert_eq!(list(&index).await.expect("listed").len(), 1);
    }
}
