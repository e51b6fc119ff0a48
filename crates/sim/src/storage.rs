//! A storage node of the real code, on a disk that forgets what was not synced.

use std::sync::Arc;
use std::time::Duration;

use consensus::{ConsensusSettings, DatabaseUpkeep, Founding, LogSettings, ReplicatedIndex, RpcTransport};
use index::{IndexService, IndexSettings};
use node::parts::{LayoutKeeper, OwnShards, SuperblockRegistry};
use platform::{Disk, FaultyDisk, Network, SeededEntropy, Stage, Workers};
use rpc::RpcSettings;
use rpc::server::{NoGateways, NodeIdentity, RpcServer, Services};
use shards::superblock::{DiskIdentity, format};
use shards::{LocalShards, ShardSettings, StoreEnvironment};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::clock::SimClock;
use crate::machine::{CLUSTER, Machine, Site, address, disk_id, host_name, node_id, profile, secret};

/// How often a node that has just started looks whether the cluster answers.
const LAYOUT_PERIOD: Duration = Duration::from_millis(200);

/// A node: its disk and clock stay, its processes come and go.
pub(crate) struct StorageNode {
    pub(crate) number: usize,
    pub(crate) disk: FaultyDisk,
    pub(crate) clock: SimClock,
    pub(crate) running: Option<Running>,
}

/// A node's process.
pub(crate) struct Running {
    pub(crate) index: Arc<ReplicatedIndex>,
    shards: Arc<LocalShards>,
    machine: Machine,
    tasks: Vec<AbortHandle>,
    stop: watch::Sender<bool>,
}

impl Running {
    /// Whether its disk or its index has failed for good.
    pub(crate) fn has_failed(&self) -> bool {
        self.index.status().failed.is_some() || self.shards.disk_states().values().any(shards::DiskHealth::is_down)
    }
}

impl StorageNode {
    /// A node with a formatted disk, that is not running.
    pub(crate) fn new(site: &Site, number: usize, seed: u64) -> Self {
        let disk = FaultyDisk::new(seed);
        let identity = DiskIdentity { cluster: CLUSTER, node: node_id(number), disk: disk_id(number) };
        format(&disk, identity, &SeededEntropy::new(seed)).expect("a new disk takes its superblock");
        Self { number, disk, clock: SimClock::new(site.start), running: None }
    }

    /// Starts its process, which serves before it knows whether the cluster answers.
    ///
    /// # Errors
    /// What of the disk could not be opened: it may fail again meanwhile.
    pub(crate) async fn start(&mut self, site: &Site) -> Result<(), String> {
        let started = Stage::on_node(self.number as u64 + 1, start(site, self.number, &self.disk, &self.clock)).await;
        self.running = Some(started?);
        Ok(())
    }

    /// Takes its power: what was not synced is gone, and what still runs of it reaches neither disk nor network.
    pub(crate) fn power_off(&mut self, site: &Site) {
        let Some(running) = self.running.take() else { return };
        running.machine.plug.pull();
        site.network.kill(&host_name(self.number));
        self.disk = self.disk.crash();
        running.tasks.iter().for_each(AbortHandle::abort);
        running.stop.send_replace(true);
        // Its threads end by themselves, without anybody to notice.
        tokio::spawn(async move {
            running.index.shutdown().await;
            running.shards.close().await;
        });
    }

    /// Stops its process as an operator would.
    pub(crate) async fn shut_down(&mut self, site: &Site) {
        let Some(running) = self.running.take() else { return };
        running.stop.send_replace(true);
        running.index.shutdown().await;
        running.machine.plug.pull();
        site.network.kill(&host_name(self.number));
        running.tasks.iter().for_each(AbortHandle::abort);
        running.shards.close().await;
    }
}

async fn start(site: &Site, number: usize, disk: &FaultyDisk, clock: &SimClock) -> Result<Running, String> {
    let machine = Machine::new(site, number, clock.clone());
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let shards = Arc::new(LocalShards::new(StoreEnvironment {
        workers: Workers::new("shards", 1),
        pool: machine.pool.clone(),
        settings: shard_settings(),
    }));
    shards.add_disk(disk.clone()).await.map_err(|error| format!("the shards of node {number}: {error}"))?;
    let index = ReplicatedIndex::open(consensus_settings(&machine, disk, &shards)).await;
    let index = match index {
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
    let serving = tokio::spawn(async move { server.serve(&*listener).await });
    let following = tokio::spawn(follow_layout(machine.clone(), index.clone(), shards.clone(), own, stopped));
    Ok(Running { index, shards, machine, tasks: vec![serving.abort_handle(), following.abort_handle()], stop })
}

/// Finds the layout, as soon as somebody has it, and goes by it.
async fn follow_layout(
    machine: Machine,
    index: Arc<ReplicatedIndex>,
    shards: Arc<LocalShards>,
    own: Arc<OwnShards>,
    stopped: watch::Receiver<bool>,
) {
    let cluster = machine.cluster_index(Some(index as Arc<dyn IndexService>));
    loop {
        let opened = LayoutKeeper::open(cluster.clone(), Some(shards.clone()), profile(), Vec::new()).await;
        if let Ok(layout) = opened {
            let layout = Arc::new(layout);
            machine.directory.follow(layout.watch());
            own.follow(layout.clone());
            return layout.follow(stopped).await;
        }
        tokio::time::sleep(LAYOUT_PERIOD).await;
    }
}

fn consensus_settings(machine: &Machine, disk: Arc<dyn Disk>, shards: &Arc<LocalShards>) -> ConsensusSettings {
    let directory = machine.directory.clone();
    ConsensusSettings {
        disks: vec![(disk_id(machine.number), disk)],
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
