//! Two nodes on a network in memory: what is asked of one reaches the disks of both and the index of the other.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use index::contract::index_contract;
use index::{Answer, Command, IndexError, IndexService, LocalIndex, Query, QueryAnswer};
use platform::{BufferPool, FaultyDisk, ManualClock, MemoryBudget, MemoryNetwork, Network, SystemEntropy, Workers};
use rpc::client::{Identity, RemoteArchive, RemoteIndex, RemoteShards, RpcClient};
use rpc::server::{NoGateways, NodeIdentity, RpcServer, Services};
use rpc::{ClusterSecret, RpcSettings};
use shards::contract::{archive_service_contract, claims, shard_service_contract};
use shards::superblock::{DiskIdentity, format};
use shards::{LocalShards, ShardSettings, StoreEnvironment};
use tokio::sync::watch;
use types::{ClusterId, Disk, DiskId, DiskState, Layout, Node, NodeId, Timestamp};

use super::{ClusterArchive, ClusterDirectory, ClusterIndex, ClusterShards};
use crate::late::OwnShards;

const CLUSTER: ClusterId = ClusterId::from_bytes([0xc1; 16]);
const OWN: NodeId = NodeId::from_bytes([0xa1; 16]);
const OTHER: NodeId = NodeId::from_bytes([0xa2; 16]);

fn disk_of(node: NodeId) -> DiskId {
    DiskId::from_bytes(node.to_bytes())
}

fn secret() -> ClusterSecret {
    ClusterSecret::new("a secret that is long enough for a test").expect("long enough")
}

/// The shard stores of a node with one disk.
async fn stores(node: NodeId) -> Arc<OwnShards> {
    let (disk, id) = (FaultyDisk::new(1), disk_of(node));
    format(&disk, DiskIdentity { cluster: CLUSTER, node, disk: id }, &SystemEntropy).expect("formatted");
    let shards = LocalShards::new(StoreEnvironment {
        workers: Workers::new("shards", 2),
        pool: BufferPool::new(16 << 20),
        settings: ShardSettings::default(),
    });
    shards.add_disk(Arc::new(disk)).await.expect("opened");
    shards.set_slots(id, claims()).await.expect("claimed");
    let own = OwnShards::default();
    own.open(Arc::new(shards));
    Arc::new(own)
}

fn layout() -> Layout {
    let rows = [(OWN, "nobody:1"), (OTHER, "other:9002")];
    let disk = |node| Disk {
        id: disk_of(node),
        node,
        path: String::new(),
        mount_point: false,
        capacity_bytes: 1,
        state: DiskState::Up,
    };
    let node = |(id, address): (NodeId, &str)| Node { id, address: address.to_owned(), rack: None, zone: None };
    Layout { nodes: rows.map(node).to_vec(), disks: rows.map(|(node, _)| disk(node)).to_vec(), ..Layout::default() }
}

/// A node of two: its own stores, and the way to the other.
struct World {
    _layout: watch::Sender<Arc<Layout>>,
    directory: Arc<ClusterDirectory>,
    client: RpcClient,
    own: Arc<OwnShards>,
}

impl World {
    async fn new(index: Option<Arc<dyn IndexService>>) -> Self {
        let network = MemoryNetwork::new(1);
        let others = stores(OTHER).await;
        let services = Services { shards: Some(others.clone()), archive: Some(others), index, ..Services::default() };
        let identity = NodeIdentity { node: OTHER, cluster: CLUSTER.into(), secret: secret() };
        let (pool, budget) = (BufferPool::new(16 << 20), MemoryBudget::new(64 << 20));
        let (gateways, entropy) = (Arc::new(NoGateways::default()), Arc::new(SystemEntropy));
        let server = RpcServer::new(identity, services, gateways, entropy, pool, budget, RpcSettings::default());
        let listener = network.host("other").listen("other:9002").await.expect("it can listen");
        tokio::spawn(async move { server.serve(&*listener).await });
        let client = RpcClient::new(
            Arc::new(network.host("own")),
            Arc::new(SystemEntropy),
            CLUSTER.into(),
            Identity::Node { node: OWN, secret: secret() },
            BufferPool::new(16 << 20),
            RpcSettings::default(),
        );
        let (sender, layout) = watch::channel(Arc::new(layout()));
        let directory = Arc::new(ClusterDirectory::new(Some(OWN)));
        directory.follow(layout);
        Self { _layout: sender, directory, client, own: stores(OWN).await }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_and_archive_reach_the_disks_of_both_nodes() {
    let World { _layout, directory, client, own } = World::new(None).await;
    let shards = ClusterShards::new(Some(own.clone()), RemoteShards::new(client.clone(), directory.clone()));
    let archive = ClusterArchive::new(own, RemoteArchive::new(client, directory));
    for node in [OWN, OTHER] {
        shard_service_contract(&shards, disk_of(node)).await;
        archive_service_contract(&archive, disk_of(node)).await;
    }
}

/// An index that another node leads.
struct Follower {
    leader: Option<NodeId>,
}

#[async_trait]
impl IndexService for Follower {
    async fn propose(&self, _: Command) -> Result<Answer, IndexError> {
        Err(IndexError::NotLeader { leader: self.leader })
    }

    async fn query(&self, _: Query) -> Result<QueryAnswer, IndexError> {
        Err(IndexError::NotLeader { leader: self.leader })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_is_asked_wherever_it_is_led() {
    let clock = || Arc::new(ManualClock::new(Timestamp::from_seconds(1_700_000_000)));
    let led = || Arc::new(LocalIndex::in_memory(clock()).expect("opened"));
    for leader in [Some(OTHER), None] {
        let world = World::new(Some(led())).await;
        let remote = RemoteIndex::new(world.client.clone(), world.directory.clone());
        let index = ClusterIndex::new(Some(Arc::new(Follower { leader })), remote, world.directory.clone());
        index_contract(&index).await;
    }
    // Led here, nobody else is asked.
    let world = World::new(None).await;
    let remote = RemoteIndex::new(world.client.clone(), world.directory.clone());
    index_contract(&ClusterIndex::new(Some(led()), remote, world.directory)).await;
}

#[tokio::test(start_paused = true)]
async fn where_each_node_says_that_the_other_leads_nobody_asks_for_ever() {
    let world = World::new(Some(Arc::new(Follower { leader: Some(OWN) }))).await;
    let remote = RemoteIndex::new(world.client.clone(), world.directory.clone());
    let follower = Arc::new(Follower { leader: Some(OTHER) });
    let index = ClusterIndex::new(Some(follower), remote, world.directory.clone());
    let asked = tokio::time::timeout(Duration::from_secs(60), index.query(Query::Cluster)).await;
    let refused = asked.expect("it gives up");
    assert!(matches!(refused, Err(IndexError::Unavailable { .. } | IndexError::NotLeader { .. })), "{refused:?}");
}

/// An index that was led by a node which is behind a partition by now, until this one is elected.
struct Elected {
    since: tokio::time::Instant,
    led: LocalIndex,
}

impl Elected {
    const AFTER: Duration = Duration::from_millis(2500);

    fn leads(&self) -> Result<(), IndexError> {
        if self.since.elapsed() < Self::AFTER { Err(IndexError::NotLeader { leader: Some(OTHER) }) } else { Ok(()) }
    }
}

#[async_trait]
impl IndexService for Elected {
    async fn propose(&self, command: Command) -> Result<Answer, IndexError> {
        self.leads()?;
        self.led.propose(command).await
    }

    async fn query(&self, query: Query) -> Result<QueryAnswer, IndexError> {
        self.leads()?;
        self.led.query(query).await
    }
}

/// Takes all questions and answers none.
struct Silent;

#[async_trait]
impl IndexService for Silent {
    async fn propose(&self, _: Command) -> Result<Answer, IndexError> {
        std::future::pending().await
    }

    async fn query(&self, _: Query) -> Result<QueryAnswer, IndexError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_has_gone_silent_is_not_waited_for_once_there_is_another() {
    let world = World::new(Some(Arc::new(Silent))).await;
    let remote = RemoteIndex::new(world.client.clone(), world.directory.clone());
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_700_000_000)));
    let since = tokio::time::Instant::now();
    let own = Elected { since, led: LocalIndex::in_memory(clock).expect("opened") };
    let index = ClusterIndex::new(Some(Arc::new(own)), remote, world.directory.clone());
    index.query(Query::Cluster).await.expect("answered");
    assert!(since.elapsed() < Elected::AFTER * 2, "{:?}", since.elapsed());
}
