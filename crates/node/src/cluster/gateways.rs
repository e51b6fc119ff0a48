//! Which gateways are let in: the system range's rows, looked at every second.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use index::{IndexError, IndexService, Query, QueryAnswer};
use parking_lot::RwLock;
use rpc::GatewayKey;
use rpc::server::GatewayRegistry;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use types::GatewayId;

/// How often the rows are looked at: a revoked gateway is cut off no later than this, where the index answers.
const PERIOD: Duration = Duration::from_secs(1);

/// The gateways' credentials, as they were when the index was last asked; none before. A node that can't reach the
/// index goes by what it knew: whether somebody was revoked meanwhile, nobody there can know.
pub(crate) struct FollowedGateways {
    keys: RwLock<BTreeMap<GatewayId, GatewayKey>>,
    /// Those that were known and are no more.
    revoked: RwLock<BTreeSet<GatewayId>>,
    changes: watch::Sender<u64>,
}

impl FollowedGateways {
    /// Nobody is known yet.
    pub(crate) fn new() -> Self {
        Self { keys: RwLock::default(), revoked: RwLock::default(), changes: watch::Sender::new(0) }
    }

    /// Asks the index once; whoever has lost or changed a key is told.
    ///
    /// # Errors
    /// [`IndexError`]; what was known stays.
    pub(crate) async fn refresh(&self, index: &dyn IndexService) -> Result<(), IndexError> {
        let QueryAnswer::Gateways(rows) = index.query(Query::Gateways).await? else {
            return Err(IndexError::Unavailable { reason: "a question for gateways was misunderstood".to_owned() });
        };
        let keys: BTreeMap<_, _> = rows.into_iter().map(|row| (row.id, GatewayKey::from_bytes(row.key))).collect();
        let mut known = self.keys.write();
        if *known != keys {
            let mut revoked = self.revoked.write();
            revoked.extend(known.keys().copied());
            revoked.retain(|gateway| !keys.contains_key(gateway));
            drop(revoked);
            *known = keys;
            drop(known);
            self.changes.send_modify(|changes| *changes += 1);
        }
        Ok(())
    }

    /// Asks every second until `stopped` changes.
    pub(crate) async fn follow(self: Arc<Self>, index: Arc<dyn IndexService>, mut stopped: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stopped.changed() => return,
            }
            if let Err(error) = self.refresh(&*index).await {
                tracing::debug!(%error, "the gateways' credentials could not be read");
            }
        }
    }
}

impl GatewayRegistry for FollowedGateways {
    fn key(&self, gateway: GatewayId) -> Option<GatewayKey> {
        self.keys.read().get(&gateway).cloned()
    }

    fn is_revoked(&self, gateway: GatewayId) -> bool {
        self.revoked.read().contains(&gateway)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use admin::AddGateway;
    use index::LocalIndex;
    use platform::{BufferPool, ManualClock, MemoryBudget, MemoryNetwork, Network, SystemEntropy};
    use rpc::client::{Identity, Peer, RemoteIndex, RpcClient};
    use rpc::server::{NodeIdentity, RpcServer, Services};
    use rpc::{ClusterSecret, GatewayCredential, RpcSettings};
    use types::{ClusterId, NodeId, Timestamp};

    use super::*;
    use crate::cluster::ClusterDirectory;
    use crate::gateway_credentials;

    const CLUSTER: ClusterId = ClusterId::from_bytes([0xc1; 16]);
    const NODE: NodeId = NodeId::from_bytes([0xa1; 16]);

    async fn serve(network: &MemoryNetwork, index: &Arc<LocalIndex>, gateways: Arc<FollowedGateways>) -> String {
        let secret = ClusterSecret::new("a secret that is long enough for a test").expect("long enough");
        let identity = NodeIdentity { node: NODE, cluster: CLUSTER.into(), secret };
        let services = Services { index: Some(index.clone()), ..Services::default() };
        let (pool, budget) = (BufferPool::new(0), MemoryBudget::new(1 << 20));
        let settings = RpcSettings::default();
        let server = RpcServer::new(identity, services, gateways, Arc::new(SystemEntropy), pool, budget, settings);
        let listener = network.host("node").listen("node:9002").await.expect("it can listen");
        let address = listener.local_address().expect("an address");
        tokio::spawn(async move { server.serve(&*listener).await });
        address
    }

    fn index_of(network: &MemoryNetwork, credential: GatewayCredential, address: &str) -> RemoteIndex {
        let settings = RpcSettings { reconnect_pause: Duration::ZERO, ..RpcSettings::default() };
        let client = RpcClient::new(
            Arc::new(network.host("gateway")),
            Arc::new(SystemEntropy),
            CLUSTER.into(),
            Identity::Gateway(credential),
            BufferPool::new(0),
            settings,
        );
        let directory = Arc::new(ClusterDirectory::new(None));
        directory.add(Peer { node: NODE, address: address.to_owned() });
        RemoteIndex::new(client, directory)
    }

    /// A node that follows the rows of its index.
    struct Served {
        network: MemoryNetwork,
        index: Arc<LocalIndex>,
        gateways: Arc<FollowedGateways>,
        address: String,
        _stop: watch::Sender<bool>,
    }

    async fn served() -> Served {
        let network = MemoryNetwork::new(1);
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_700_000_000)));
        let index = Arc::new(LocalIndex::in_memory(clock).expect("opened"));
        let gateways = Arc::new(FollowedGateways::new());
        let (_stop, stopped) = watch::channel(false);
        tokio::spawn(gateways.clone().follow(index.clone(), stopped));
        let address = serve(&network, &index, gateways.clone()).await;
        Served { network, index, gateways, address, _stop }
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_is_let_in_once_it_is_added_and_cut_off_once_it_is_removed() {
        let Served { network, index, gateways, address, _stop } = served().await;
        let mut changes = gateways.changes();
        let new = gateway_credentials::add(&*index, &SystemEntropy, AddGateway::default()).await.expect("added");
        changes.changed().await.expect("it is seen");
        let remote = index_of(&network, new.credential.parse().expect("a credential"), &address);
        remote.query(Query::Cluster).await.expect("it is let in");
        gateway_credentials::remove(&*index, &new.id).await.expect("removed");
        changes.changed().await.expect("it is seen");
        // A question may still be under way; the connection that it goes over is closed, and no other is let in.
        let cut_off = async { while remote.query(Query::Cluster).await.is_ok() {} };
        tokio::time::timeout(Duration::from_secs(20), cut_off).await.expect("it is cut off");
        let asked = tokio::time::Instant::now();
        assert!(remote.query(Query::Cluster).await.is_err(), "and stays so");
        assert!(asked.elapsed() < Duration::from_secs(1), "without waiting at the door");
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_was_just_added_is_let_in_by_a_node_that_looks_only_later() {
        let Served { network, index, address, _stop, .. } = served().await;
        // It has looked a moment ago.
        tokio::time::sleep(PERIOD + PERIOD / 10).await;
        let new = gateway_credentials::add(&*index, &SystemEntropy, AddGateway::default()).await.expect("added");
        let remote = index_of(&network, new.credential.parse().expect("a credential"), &address);
        remote.query(Query::Cluster).await.expect("it waits at the door, and is let in");
    }

    #[tokio::test]
    async fn what_does_not_change_closes_no_connection() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_700_000_000)));
        let index = LocalIndex::in_memory(clock).expect("opened");
        let gateways = FollowedGateways::new();
        let changes = gateways.changes();
        gateway_credentials::add(&index, &SystemEntropy, AddGateway::default()).await.expect("added");
        for _ in 0..3 {
            gateways.refresh(&index).await.expect("asked");
        }
        assert_eq!(*changes.borrow(), 1);
    }
}
