//! A storage node of the real code, on disks that forget what was not synced.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use archive::ArchiveStatus;
use consensus::{ConsensusSettings, DatabaseUpkeep, Founding, LogSettings, ReplicatedIndex, RpcTransport};
use index::IndexSettings;
use node::parts::{OwnShards, Ranges, SuperblockRegistry};
use platform::{Disk, FaultyDisk, Network, SeededEntropy, Stage, Workers};
use rpc::RpcSettings;
use rpc::server::{NoGateways, NodeIdentity, RpcServer, Services};
use shards::superblock::{DiskIdentity, format};
use shards::{LocalShards, ShardSettings, StoreEnvironment};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use types::DiskId;

use crate::clock::SimClock;
use crate::machine::{CLUSTER, Machine, Site, address, disk_id, host_name, node_id, secret};
use crate::role::{self, Role};

/// How long the background work of a node may take to end when it is stopped in order.
const ENDING_PATIENCE: Duration = Duration::from_secs(5);

/// A node: its disks and clock stay, its processes come and go.
pub(crate) struct StorageNode {
    pub(crate) number: usize,
    pub(crate) disks: Vec<NodeDisk>,
    pub(crate) clock: SimClock,
    pub(crate) running: Option<Running>,
    seed: u64,
}

/// A disk of a node.
#[derive(Clone)]
pub(crate) struct NodeDisk {
    pub(crate) id: DiskId,
    pub(crate) disk: FaultyDisk,
}

/// A node's process.
pub(crate) struct Running {
    pub(crate) index: Arc<ReplicatedIndex>,
    pub(crate) shards: Arc<LocalShards>,
    /// How the archive is, once it is kept.
    pub(crate) archive: Arc<OnceLock<ArchiveStatus>>,
    /// What splits ranges, once the node knows the cluster.
    pub(crate) ranges: Arc<OnceLock<Arc<Ranges>>>,
    /// Counts wishes for a pass of scrub.
    pub(crate) scrub_wanted: watch::Sender<u64>,
    machine: Machine,
    serving: AbortHandle,
    role: tokio::task::JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Running {
    /// Whether a disk or its index has failed for good.
    pub(crate) fn has_failed(&self) -> bool {
        self.index.status().failed.is_some() || self.shards.disk_states().values().any(shards::DiskHealth::is_down)
    }
}

impl StorageNode {
    /// A node with a formatted disk, that is not running.
    pub(crate) fn new(site: &Site, number: usize, seed: u64) -> Self {
        let mut node = Self { number, disks: Vec::new(), clock: SimClock::new(site.start), running: None, seed };
        node.plug_disk_in();
        node
    }

    /// Formats one more disk, and starts to serve it where the node runs; who has been told that it is to be used is
    /// another matter.
    pub(crate) fn plug_disk_in(&mut self) -> NodeDisk {
        let at = self.disks.len();
        let seed = self.seed.wrapping_add(at as u64 * 7_919);
        let (id, disk) = (disk_id(self.number, at), FaultyDisk::new(seed));
        let identity = DiskIdentity { cluster: CLUSTER, node: node_id(self.number), disk: id };
        format(&disk, identity, &SeededEntropy::new(seed)).expect("a new disk takes its superblock");
        let disk = NodeDisk { id, disk };
        self.disks.push(disk.clone());
        disk
    }

    /// Starts its process, which serves before it knows whether the cluster answers.
    ///
    /// # Errors
    /// What of the disks could not be opened: it may fail again meanwhile.
    pub(crate) async fn start(&mut self, site: &Site) -> Result<(), String> {
        let started = Stage::on_node(self.number as u64 + 1, start(site, self.number, &self.disks, &self.clock)).await;
        self.running = Some(started?);
        Ok(())
    }

    /// Finds its disks as a power loss leaves them.
    pub(crate) fn crash_disks(&mut self) {
        for disk in &mut self.disks {
            disk.disk = disk.disk.crash();
        }
    }

    /// Takes its power: what was not synced is gone, and what still runs of it reaches neither disk nor network.
    pub(crate) fn power_off(&mut self, site: &Site) {
        let Some(running) = self.running.take() else { return };
        running.machine.plug.pull();
        site.network.kill(&host_name(self.number));
        self.crash_disks();
        running.serving.abort();
        running.role.abort();
        running.stop.send_replace(true);
        // Its threads end by themselves, without anybody to notice.
        tokio::spawn(async move {
            running.index.shutdown().await;
            running.shards.close().await;
        });
    }

    /// Stops its process as an operator would.
    pub(crate) async fn shut_down(&mut self, site: &Site) {
        let Some(mut running) = self.running.take() else { return };
        running.stop.send_replace(true);
        let ended = tokio::time::timeout(ENDING_PATIENCE, &mut running.role).await.is_ok();
        if !ended {
            tracing::info!(node = self.number, "what a node does in the background did not end in time");
            running.role.abort();
        }
        running.index.shutdown().await;
        running.machine.plug.pull();
        site.network.kill(&host_name(self.number));
        running.serving.abort();
        running.shards.close().await;
    }
}

async fn start(site: &Site, number: usize, disks: &[NodeDisk], clock: &SimClock) -> Result<Running, String> {
    let machine = Machine::new(site, number, clock.clone());
    let shards = Arc::new(LocalShards::new(StoreEnvironment {
        workers: Workers::new("shards", 1),
        pool: machine.pool.clone(),
        settings: shard_settings(),
    }));
    for NodeDisk { id, disk } in disks {
        let opened = shards.add_disk(Arc::new(disk.clone())).await;
        if let Err(error) = opened {
            shards.close().await;
            return Err(format!("the shards on disk {id} of node {number}: {error}"));
        }
    }
    let index = match ReplicatedIndex::open(consensus_settings(&machine, disks, &shards)).await {
        Ok(index) => Arc::new(index),
        Err(error) => {
            shards.close().await;
            return Err(format!("the index of node {number}: {error}"));
        }
    };
    let own = Arc::new(OwnShards::default());
    own.open(shards.clone());
    let services = Services {
        shards: Some(own.clone()),
        archive: Some(own.clone()),
        index: Some(index.clone()),
        raft: Some(index.raft_handler()),
        ..Services::default()
    };
    let identity = NodeIdentity { node: node_id(number), cluster: CLUSTER.into(), secret: secret() };
    let server = RpcServer::new(
        identity,
        services,
        Arc::new(NoGateways::default()),
        machine.entropy.clone(),
        machine.pool.clone(),
        machine.budget.clone(),
        RpcSettings::default(),
    );
    let listener = machine.plug.listen(&address(number)).await.map_err(|error| error.to_string())?;
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(async move { server.serve(&*listener).await }).abort_handle();
    let (archive, ranges, scrub_wanted) = (Arc::default(), Arc::default(), watch::Sender::new(0));
    let role = Role {
        machine: machine.clone(),
        index: index.clone(),
        shards: shards.clone(),
        own,
        archive: Arc::clone(&archive),
        ranges: Arc::clone(&ranges),
        scrub_wanted: scrub_wanted.subscribe(),
    };
    let role = tokio::spawn(Stage::on_node(number as u64 + 1, role::play(role, stopped)));
    Ok(Running { index, shards, archive, ranges, scrub_wanted, machine, serving, role, stop })
}

fn consensus_settings(machine: &Machine, disks: &[NodeDisk], shards: &Arc<LocalShards>) -> ConsensusSettings {
    let directory = machine.directory.clone();
    ConsensusSettings {
        disks: disks.iter().map(|disk| (disk.id, Arc::new(disk.disk.clone()) as Arc<dyn Disk>)).collect(),
        registry: Arc::new(SuperblockRegistry::new(shards.clone())),
        node: node_id(machine.number),
        peers: Some(Arc::new(RpcTransport::new(machine.client.clone(), move |node| directory.peer(node)))),
        founding: Founding::Wait,
        clock: machine.clock(),
        entropy: machine.entropy.clone(),
        // Short, so that segments, checkpoints, purges and snapshots come often.
        log: LogSettings {
            mirrors: 1,
            first_segment_bytes: 64 << 10,
            segment_bytes: 128 << 10,
            cache_bytes: 16 << 10,
            free_bytes_min: 4 << 20,
        },
        index: IndexSettings::default(),
        recent_versions_bytes: 1 << 20,
        upkeep: DatabaseUpkeep {
            checkpoint_bytes: 128 << 10,
            idle: Duration::from_millis(500),
            copy_log_bytes_min: 256 << 10,
            follower_log_bytes_max: 256 << 10,
            shutdown_copy_bytes_max: 0,
        },
    }
}

fn shard_settings() -> ShardSettings {
    ShardSettings {
        small_segment_bytes: 256 << 10,
        large_segment_bytes: 1 << 20,
        large_allocation_bytes: 256 << 10,
        free_bytes_min: 4 << 20,
        recent_entries_max: 16,
        ..ShardSettings::default()
    }
}
