//! A node and those who call it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use index::{LocalIndex, Query, QueryAnswer};
use parking_lot::Mutex;
use platform::{
    BufferPool, FaultyDisk, ManualClock, MemoryBudget, MemoryNetwork, Network, SystemEntropy, TcpNetwork, Workers,
};
use rpc::client::{Directory, Identity, Peer, RemoteArchive, RemoteIndex, RemoteShards, RpcClient, Stale};
use rpc::server::{GatewayRegistry, NoGateways, NodeIdentity, RaftError, RaftHandler, RpcServer, Services};
use rpc::{ClusterSecret, GatewayKey, RpcSettings};
use shards::superblock::{DiskIdentity, format};
use shards::{
    LocalShards, ShardAddress, ShardBody, ShardError, ShardHeader, ShardService, ShardSettings, StoreEnvironment,
    StoredShard, contract,
};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use types::{
    ClusterId, DiskId, GatewayId, NodeId, PlacementGroupId, RangeId, RunId, SlotEpoch, SlotIndex, Timestamp, VoterId,
};

pub(crate) const CLUSTER: ClusterId = ClusterId::from_bytes([0xc1; 16]);
pub(crate) const NODE: NodeId = NodeId::from_bytes([0xa1; 16]);
pub(crate) const CALLER: NodeId = NodeId::from_bytes([0xa2; 16]);
pub(crate) const DISK: DiskId = DiskId::from_bytes([0xd1; 16]);
/// A disk that the directory takes for the node's.
pub(crate) const OTHER_DISK: DiskId = DiskId::from_bytes([0xee; 16]);
pub(crate) const SECRET: &str = "a secret that is long enough for a test";

pub(crate) fn secret() -> ClusterSecret {
    ClusterSecret::new(SECRET).expect("long enough")
}

pub(crate) fn identity() -> NodeIdentity {
    NodeIdentity { node: NODE, cluster: CLUSTER.into(), secret: secret() }
}

pub(crate) fn as_node(secret: ClusterSecret) -> Identity {
    Identity::Node { node: CALLER, secret }
}

/// Shard stores over one formatted disk in memory, with the slots of the contract.
pub(crate) async fn local_shards() -> Arc<LocalShards> {
    let disk = FaultyDisk::new(1);
    format(&disk, DiskIdentity { cluster: CLUSTER, node: NODE, disk: DISK }, &SystemEntropy).expect("formatted");
    let environment = StoreEnvironment {
        workers: Workers::new("shards", 2),
        pool: BufferPool::new(16 << 20),
        settings: ShardSettings::default(),
    };
    let shards = LocalShards::new(environment);
    shards.add_disk(Arc::new(disk)).await.expect("opened");
    shards.set_slots(DISK, contract::claims()).await.expect("claimed");
    Arc::new(shards)
}

pub(crate) fn local_index() -> Arc<LocalIndex> {
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_700_000_000)));
    Arc::new(LocalIndex::in_memory(clock).expect("opened"))
}

/// A server that runs, and its address. It is gone when this is dropped.
pub(crate) struct Running {
    pub(crate) server: Arc<RpcServer>,
    pub(crate) address: String,
    pub(crate) budget: MemoryBudget,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    /// Waits until the server has ended.
    pub(crate) async fn ended(mut self) {
        (&mut self.task).await.expect("it ends in order");
    }
}

/// How a server is made.
pub(crate) struct Setup {
    pub(crate) identity: NodeIdentity,
    pub(crate) services: Services,
    pub(crate) gateways: Arc<dyn GatewayRegistry>,
    pub(crate) budget_bytes: u64,
    pub(crate) settings: RpcSettings,
}

impl Setup {
    pub(crate) fn of(services: Services) -> Self {
        Self {
            identity: identity(),
            services,
            gateways: Arc::new(NoGateways::default()),
            budget_bytes: 64 << 20,
            settings: RpcSettings::default(),
        }
    }

    pub(crate) async fn run(self, network: &dyn Network, address: &str) -> Running {
        let listener = network.listen(address).await.expect("it can listen");
        let address = listener.local_address().expect("it listens somewhere");
        let budget = MemoryBudget::new(self.budget_bytes);
        let server = Arc::new(RpcServer::new(
            self.identity,
            self.services,
            self.gateways,
            Arc::new(SystemEntropy),
            BufferPool::new(16 << 20),
            budget.clone(),
            self.settings,
        ));
        let serving = Arc::clone(&server);
        let task = tokio::spawn(async move { serving.serve(&*listener).await });
        Running { server, address, budget, task }
    }
}

pub(crate) fn client(network: Arc<dyn Network>, identity: Identity, settings: RpcSettings) -> RpcClient {
    RpcClient::new(network, Arc::new(SystemEntropy), CLUSTER.into(), identity, BufferPool::new(16 << 20), settings)
}

/// A directory that says what it was told.
#[derive(Default)]
pub(crate) struct Told {
    state: Mutex<ToldState>,
    pub(crate) refreshes: Mutex<Vec<Stale>>,
}

#[derive(Default)]
struct ToldState {
    disks: HashMap<DiskId, Peer>,
    leader: Option<Peer>,
    /// What becomes true once somebody asks again.
    next: Option<Peer>,
}

impl Told {
    pub(crate) fn all_at(node: NodeId, address: &str) -> Arc<Self> {
        let peer = Peer { node, address: address.to_owned() };
        let told = Self::default();
        *told.state.lock() = ToldState {
            disks: [(DISK, peer.clone()), (OTHER_DISK, peer.clone())].into(),
            leader: Some(peer),
            next: None,
        };
        Arc::new(told)
    }

    pub(crate) fn will_say(&self, node: NodeId, address: &str) {
        self.state.lock().next = Some(Peer { node, address: address.to_owned() });
    }
}

#[async_trait]
impl Directory for Told {
    fn disk(&self, disk: DiskId) -> Option<Peer> {
        self.state.lock().disks.get(&disk).cloned()
    }

    fn leader(&self, _range: RangeId) -> Option<Peer> {
        self.state.lock().leader.clone()
    }

    async fn refresh(&self, stale: Stale) {
        self.refreshes.lock().push(stale);
        let mut state = self.state.lock();
        if let Some(next) = state.next.take() {
            state.disks.insert(DISK, next.clone());
            state.leader = Some(next);
        }
    }
}

/// A node on a network in memory, and a client of it on another host.
pub(crate) struct World {
    pub(crate) network: MemoryNetwork,
    pub(crate) running: Running,
    pub(crate) client: RpcClient,
    pub(crate) shards: RemoteShards,
    pub(crate) archive: RemoteArchive,
    pub(crate) index: RemoteIndex,
}

impl World {
    pub(crate) async fn new(services: Services) -> Self {
        Self::with(Setup::of(services), 1).await
    }

    pub(crate) async fn with(setup: Setup, seed: u64) -> Self {
        let network = MemoryNetwork::new(seed);
        let settings = setup.settings;
        let running = setup.run(&network.host("node"), "node:9002").await;
        let client = client(Arc::new(network.host("caller")), as_node(secret()), settings);
        let directory = Told::all_at(NODE, &running.address);
        let shards = RemoteShards::new(client.clone(), Arc::clone(&directory) as Arc<dyn Directory>);
        let archive = RemoteArchive::new(client.clone(), Arc::clone(&directory) as Arc<dyn Directory>);
        let index = RemoteIndex::new(client.clone(), directory);
        Self { network, running, client, shards, archive, index }
    }

    pub(crate) fn peer(&self) -> Peer {
        Peer { node: NODE, address: self.running.address.clone() }
    }
}

/// The same over TCP on the loopback interface.
pub(crate) async fn over_tcp(services: Services) -> (Running, RemoteShards, RemoteIndex) {
    let network = Arc::new(TcpNetwork);
    let running = Setup::of(services).run(&*network, "127.0.0.1:0").await;
    let client = client(network, as_node(secret()), RpcSettings::default());
    let directory = Told::all_at(NODE, &running.address);
    let shards = RemoteShards::new(client.clone(), Arc::clone(&directory) as Arc<dyn Directory>);
    (running, shards, RemoteIndex::new(client, directory))
}

/// A disk that answers when it is told to, and counts.
#[derive(Default)]
pub(crate) struct SlowShards {
    pub(crate) begun: AtomicUsize,
    pub(crate) given_up: AtomicUsize,
    pub(crate) changed: Notify,
    pub(crate) open: watch::Sender<bool>,
    pub(crate) held: Mutex<Vec<Bytes>>,
}

struct GivenUp<'a>(Option<&'a SlowShards>);

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        if let Some(shards) = self.0 {
            shards.given_up.fetch_add(1, Ordering::SeqCst);
            shards.changed.notify_waiters();
        }
    }
}

impl SlowShards {
    async fn wait(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
        let mut given_up = GivenUp(Some(self));
        let _ = self.open.subscribe().wait_for(|open| *open).await;
        given_up.0 = None;
    }

    /// Waits until so many calls have begun.
    pub(crate) async fn until_begun(&self, calls: usize) {
        self.until(|| self.begun.load(Ordering::SeqCst) >= calls).await;
    }

    /// Waits until a condition on the counts holds, at most a generous while.
    pub(crate) async fn until(&self, holds: impl Fn() -> bool) {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if holds() {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it comes to that");
    }
}

#[async_trait]
impl ShardService for SlowShards {
    async fn append(&self, _: DiskId, _: ShardHeader, body: ShardBody) -> Result<(), ShardError> {
        self.held.lock().extend(body);
        self.wait().await;
        Ok(())
    }

    async fn read(&self, _: DiskId, _: ShardAddress, range: Range<u64>) -> Result<ShardBody, ShardError> {
        self.wait().await;
        Ok(vec![Bytes::from(vec![7; (range.end - range.start) as usize])])
    }

    async fn header(&self, disk: DiskId, _: ShardAddress) -> Result<ShardHeader, ShardError> {
        Err(ShardError::DiskFull { disk })
    }

    async fn free(&self, _: DiskId, _: PlacementGroupId, _: Vec<RunId>) -> Result<(), ShardError> {
        Ok(())
    }

    async fn seal(&self, _: DiskId, _: PlacementGroupId, _: SlotIndex, _: SlotEpoch) -> Result<(), ShardError> {
        Ok(())
    }

    async fn list(&self, _: DiskId, _: Option<ShardAddress>, _: usize) -> Result<Vec<StoredShard>, ShardError> {
        Ok(Vec::new())
    }
}

/// Gateways that can be revoked.
#[derive(Default)]
pub(crate) struct Gateways {
    keys: Mutex<HashMap<GatewayId, GatewayKey>>,
    changes: watch::Sender<u64>,
}

impl Gateways {
    pub(crate) fn set(&self, gateway: GatewayId, key: Option<GatewayKey>) {
        match key {
            Some(key) => self.keys.lock().insert(gateway, key),
            None => self.keys.lock().remove(&gateway),
        };
        self.changes.send_modify(|changes| *changes += 1);
    }
}

impl GatewayRegistry for Gateways {
    fn key(&self, gateway: GatewayId) -> Option<GatewayKey> {
        self.keys.lock().get(&gateway).cloned()
    }

    fn is_revoked(&self, gateway: GatewayId) -> bool {
        !self.keys.lock().contains_key(&gateway)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// A voter that sends back what it got, in the order in which it began.
#[derive(Default)]
pub(crate) struct Echo {
    pub(crate) seen: Mutex<Vec<Bytes>>,
}

#[async_trait]
impl RaftHandler for Echo {
    async fn handle(&self, from: NodeId, range: RangeId, voter: VoterId, message: Bytes) -> Result<Bytes, RaftError> {
        self.seen.lock().push(message.clone());
        tokio::task::yield_now().await;
        if range != RangeId(1) {
            return Err(RaftError::NotHere);
        }
        let mut answer = from.to_bytes().to_vec();
        answer.extend_from_slice(&voter.to_bytes());
        answer.extend_from_slice(&message);
        Ok(answer.into())
    }
}

/// Asks something small, and that it was answered.
pub(crate) async fn ask(index: &dyn index::IndexService) -> Result<QueryAnswer, index::IndexError> {
    index.query(Query::BucketCount).await
}
