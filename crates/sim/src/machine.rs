//! What every machine of the simulated cluster has: a name, a clock, a way to the network.

use std::sync::Arc;

use index::IndexService;
use node::parts::ClusterDirectory;
use platform::{BufferPool, Clock, Entropy, MemoryBudget, MemoryNetwork, SeededEntropy};
use rpc::client::{Identity, Peer, RemoteIndex, RpcClient};
use rpc::{ClusterSecret, RpcSettings};
use tokio::time::Instant;
use types::{ClusterId, Disk, DiskId, DiskState, Integrity, NodeId, Profile};

use crate::clock::SimClock;
use crate::plug::Plug;

/// The cluster's id.
pub(crate) const CLUSTER: ClusterId = ClusterId::from_bytes([0xc1; 16]);
/// Bytes that recycled buffers may hold.
const POOL_BYTES: u64 = 4 << 20;
/// Bytes that the transfers of a machine may hold.
const BUDGET_BYTES: u64 = 64 << 20;

/// What objects are stored under: four nodes, of which any may be away.
pub(crate) fn profile() -> Profile {
    Profile::new(2, 1, 64 << 10, Integrity::Xxh3).expect("a valid profile")
}

/// The id of a machine.
pub(crate) fn node_id(number: usize) -> NodeId {
    NodeId::from_bytes([u8::try_from(number + 1).expect("few machines"); 16])
}

/// The id of a node's disk, the first of which is number 0.
pub(crate) fn disk_id(number: usize, at: usize) -> DiskId {
    DiskId::from_bytes([u8::try_from(16 * at + number + 1).expect("few nodes and disks"); 16])
}

/// What the layout says of a node's disk.
pub(crate) fn disk_row(number: usize, id: DiskId) -> Disk {
    let (node, path) = (node_id(number), String::new());
    Disk { id, node, path, mount_point: false, capacity_bytes: 1 << 40, state: DiskState::Up }
}

/// A machine's name on the network.
pub(crate) fn host_name(number: usize) -> String {
    format!("host-{number}")
}

pub(crate) fn address(number: usize) -> String {
    format!("{}:9002", host_name(number))
}

pub(crate) fn secret() -> ClusterSecret {
    ClusterSecret::new("a secret that is long enough for a simulation").expect("long enough")
}

/// What all machines share.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) network: MemoryNetwork,
    pub(crate) entropy: Arc<SeededEntropy>,
    pub(crate) start: Instant,
    /// How many of the machines are nodes; they have the lowest numbers.
    pub(crate) nodes: usize,
}

impl Site {
    pub(crate) fn new(seed: u64, nodes: usize) -> Self {
        let entropy = Arc::new(SeededEntropy::new(seed ^ 0x5eed));
        Self { network: MemoryNetwork::new(seed), entropy, start: Instant::now(), nodes }
    }
}

/// One life of a machine.
#[derive(Clone)]
pub(crate) struct Machine {
    pub(crate) number: usize,
    pub(crate) plug: Plug,
    pub(crate) clock: SimClock,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) pool: BufferPool,
    pub(crate) budget: MemoryBudget,
    pub(crate) directory: Arc<ClusterDirectory>,
    pub(crate) client: RpcClient,
}

impl Machine {
    /// Starts the machine of this number.
    pub(crate) fn new(site: &Site, number: usize, clock: SimClock) -> Self {
        let plug = Plug::new(site.network.host(&host_name(number)));
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(site.entropy.number()));
        let pool = BufferPool::new(POOL_BYTES);
        let identity = Identity::Node { node: node_id(number), secret: secret() };
        let network = Arc::new(plug.clone());
        let client =
            RpcClient::new(network, entropy.clone(), CLUSTER.into(), identity, pool.clone(), RpcSettings::default());
        let directory = Arc::new(ClusterDirectory::new((number < site.nodes).then(|| node_id(number))));
        for node in (0..site.nodes).filter(|node| *node != number) {
            directory.add(Peer { node: node_id(node), address: address(node) });
        }
        Self { number, plug, clock, entropy, pool, budget: MemoryBudget::new(BUDGET_BYTES), directory, client }
    }

    /// The clock that its programs see.
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.clock.clone())
    }

    /// The index of the cluster, by way of the network where `own` does not lead.
    pub(crate) fn cluster_index(&self, own: Option<Arc<dyn IndexService>>) -> Arc<dyn IndexService> {
        let remote = RemoteIndex::new(self.client.clone(), self.directory.clone());
        Arc::new(node::parts::ClusterIndex::new(own, remote, self.directory.clone()))
    }
}
