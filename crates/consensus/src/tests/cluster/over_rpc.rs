//! The same over rpc: its server, its connections, and who is who.

use platform::{BufferPool, MemoryBudget, MemoryNetwork, Network};
use rpc::client::{Identity, Peer, RpcClient};
use rpc::server::{NoGateways, NodeIdentity, RpcServer, Services};
use rpc::{ClusterSecret, RpcSettings};
use types::ClusterId;

use super::*;
use crate::RpcTransport;

const CLUSTER: ClusterId = ClusterId::from_bytes([0xc1; 16]);

fn secret() -> ClusterSecret {
    ClusterSecret::new("a secret that is long enough for a test").expect("long enough")
}

fn name(number: usize) -> String {
    format!("node-{number}:1")
}

fn transport(network: &MemoryNetwork, number: usize) -> Arc<dyn RaftTransport> {
    let identity = Identity::Node { node: node_id(number), secret: secret() };
    let host: Arc<dyn Network> = Arc::new(network.host(&format!("node-{number}")));
    let (pool, settings) = (BufferPool::new(1 << 20), RpcSettings::default());
    let client = RpcClient::new(host, Arc::new(SystemEntropy), CLUSTER.into(), identity, pool, settings);
    Arc::new(RpcTransport::new(client, |node| {
        let number = (0..3).find(|number| node_id(*number) == node)?;
        Some(Peer { node, address: name(number) })
    }))
}

async fn serve(network: &MemoryNetwork, number: usize, index: &ReplicatedIndex) -> tokio::task::JoinHandle<()> {
    let server = RpcServer::new(
        NodeIdentity { node: node_id(number), cluster: CLUSTER.into(), secret: secret() },
        Services { raft: Some(index.raft_handler()), ..Services::default() },
        Arc::new(NoGateways::default()),
        Arc::new(SystemEntropy),
        BufferPool::new(1 << 20),
        MemoryBudget::new(16 << 20),
        RpcSettings::default(),
    );
    let listener = network.host(&format!("node-{number}")).listen(&name(number)).await.expect("it can listen");
    tokio::spawn(async move { server.serve(&*listener).await })
}

async fn start(network: &MemoryNetwork, cluster: &mut Cluster, number: usize) -> tokio::task::JoinHandle<()> {
    let settings = ConsensusSettings { peers: Some(transport(network, number)), ..cluster.settings_of(number) };
    let index = ReplicatedIndex::open(settings).await.expect("opened");
    let serving = serve(network, number, &index).await;
    cluster.nodes[number].index = Some(Arc::new(index));
    serving
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_agree_over_rpc_go_on_without_one_and_take_it_back() {
    let network = MemoryNetwork::new(5);
    let mut cluster = Cluster { wires: Wires::default(), nodes: Vec::new(), settings: busy };
    let mut serving = Vec::new();
    for number in 0..3 {
        let node = Node { id: node_id(number), disk: FaultyDisk::new(number as u64), index: None };
        cluster.nodes.push(node);
        serving.push(start(&network, &mut cluster, number).await);
    }
    cluster.index(0).found(&cluster.voters()).await.expect("founded");
    let bucket = cluster.make_bucket().await;
    let mut acknowledged = cluster.put_all(bucket, keys("before", 100)).await;
    cluster.assert_all_there_and_equal(bucket, &acknowledged, "three").await;

    let leader = cluster.leader(FIRST_DATA_RANGE).await;
    network.kill(&format!("node-{leader}"));
    let gone = cluster.power_off(leader).expect("it ran");
    serving[leader].abort();
    acknowledged.extend(cluster.put_all(bucket, keys("without the leader", 100)).await);
    let end = gone.status().ranges[&FIRST_DATA_RANGE].log_end;
    gone.shutdown().await;
    cluster.assert_all_there_and_equal(bucket, &acknowledged, "two").await;

    // It comes back so late that it needs the rows.
    acknowledged.extend(cluster.put_until_purged(bucket, end, "while away").await);
    serving[leader] = start(&network, &mut cluster, leader).await;
    cluster.assert_all_there_and_equal(bucket, &acknowledged, "three again").await;
    assert!(cluster.index(leader).purged(FIRST_DATA_RANGE) > Some(end), "its own log was not enough");
    cluster.shutdown().await;
    serving.iter().for_each(tokio::task::JoinHandle::abort);
}
