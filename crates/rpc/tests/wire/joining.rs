//! Those that look for their cluster are heard by whoever knows the secret, and hear nothing else there.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use platform::{BufferPool, MemoryNetwork, SystemEntropy};
use rpc::client::{CallError, Identity, RemoteIndex, RpcClient};
use rpc::server::{JoinHandler, NodeIdentity, Services};
use rpc::{Caller, ClusterCell, ClusterSecret, RpcSettings};
use types::ClusterId;

use crate::world::{CALLER, CLUSTER, NODE, Running, Setup, Told, as_node, identity, local_index, secret};

const PATIENCE: Duration = Duration::from_secs(5);

/// Says who asked, and what.
struct Echo;

#[async_trait]
impl JoinHandler for Echo {
    async fn handle(&self, from: Caller, message: Bytes) -> Bytes {
        format!("{from:?} said {}", String::from_utf8_lossy(&message)).into()
    }
}

async fn node(network: &MemoryNetwork, cluster: ClusterCell) -> Running {
    let services = Services { index: Some(local_index()), join: Some(Arc::new(Echo)), ..Services::default() };
    let setup = Setup { identity: NodeIdentity { cluster, ..identity() }, ..Setup::of(services) };
    setup.run(&network.host("node"), "node:9002").await
}

fn caller(network: &MemoryNetwork, identity: Identity, cluster: ClusterCell) -> RpcClient {
    let settings = RpcSettings { reconnect_pause: Duration::ZERO, ..RpcSettings::default() };
    let (host, entropy) = (Arc::new(network.host("caller")), Arc::new(SystemEntropy));
    RpcClient::new(host, entropy, cluster, identity, BufferPool::new(0), settings)
}

async fn asks(client: &RpcClient, address: &str) -> Result<(types::NodeId, Bytes), CallError> {
    client.join(address, b"who are you", PATIENCE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_no_cluster_and_of_another_are_heard() {
    let other = ClusterId::from_bytes([0xc2; 16]);
    for (theirs, ours) in [(None, None), (Some(CLUSTER), None), (Some(CLUSTER), Some(other)), (None, Some(other))] {
        let network = MemoryNetwork::new(1);
        let cell = |cluster: Option<ClusterId>| cluster.map(ClusterCell::from).unwrap_or_default();
        let running = node(&network, cell(theirs)).await;
        let client = caller(&network, as_node(secret()), cell(ours));
        let (node, said) = asks(&client, &running.address).await.expect("it is heard");
        assert_eq!(node, NODE);
        assert_eq!(said, format!("{:?} said who are you", Caller::Node(CALLER)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_cluster_is_served_nothing_else() {
    let network = MemoryNetwork::new(1);
    let (theirs, ours) = (ClusterCell::default(), ClusterCell::default());
    let running = node(&network, theirs.clone()).await;
    let client = caller(&network, as_node(secret()), ours.clone());
    let index = RemoteIndex::new(client, Told::all_at(NODE, &running.address));
    let ask = async || index::IndexService::query(&index, index::Query::Cluster).await;
    assert!(ask().await.is_err());
    theirs.set(CLUSTER);
    assert!(ask().await.is_err());
    ours.set(CLUSTER);
    ask().await.expect("both are of one cluster now");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_finds_itself_among_its_peers_sees_so() {
    let network = MemoryNetwork::new(1);
    let running = node(&network, ClusterCell::default()).await;
    let itself = Identity::Node { node: NODE, secret: secret() };
    let client = caller(&network, itself, ClusterCell::default());
    let (node, _) = asks(&client, &running.address).await.expect("it is heard");
    assert_eq!(node, NODE);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_know_the_secret_is_not_heard() {
    let network = MemoryNetwork::new(1);
    let running = node(&network, CLUSTER.into()).await;
    let wrong = ClusterSecret::new("another secret that is long enough").expect("long enough");
    let client = caller(&network, as_node(wrong), CLUSTER.into());
    assert!(matches!(asks(&client, &running.address).await, Err(CallError::NotSent { .. })));
}
