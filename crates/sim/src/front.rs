//! Machines without disks: the gateways that clients use, and the one on which duties run.

use std::sync::Arc;
use std::time::Duration;

use index::IndexService;
use node::parts::{ClusterShards, LayoutKeeper};
use objects::data::{DataPath, DataPathSeams, DataPathSettings, RepairQueue};
use objects::{DiscardQueue, Objects};
use platform::{Entropy, Stage, Workers};
use rpc::client::RemoteShards;
use shards::ShardService;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::clock::SimClock;
use crate::gate::{Gate, GatedIndex, GatedShards};
use crate::machine::{Machine, Site, host_name, profile};
use crate::role::start_objects;

/// How often the cluster is asked while it does not answer.
const PERIOD: Duration = Duration::from_millis(200);
/// After how long without a renewal a ticket is over.
pub(crate) const TICKET_IDLE_MAX: Duration = Duration::from_secs(30 * 60);
/// Reports of bad shards, and runs that were given up, that may wait.
const QUEUE_ENTRIES: usize = 4096;

/// A gateway.
pub(crate) struct Front {
    pub(crate) number: usize,
    pub(crate) objects: Objects,
    pub(crate) index: Arc<dyn IndexService>,
    pub(crate) shards: Arc<dyn ShardService>,
    pub(crate) layout: Arc<LayoutKeeper>,
    pub(crate) gate: Gate,
    pub(crate) clock: SimClock,
    machine: Machine,
    tasks: Vec<AbortHandle>,
    stop: watch::Sender<bool>,
}

impl Front {
    /// Starts a gateway; returns once the cluster answers.
    pub(crate) async fn start(site: &Site, number: usize) -> Self {
        Stage::on_node(number as u64 + 1, start(site, number)).await
    }

    /// Whether it was killed.
    pub(crate) fn is_dead(&self) -> bool {
        *self.stop.borrow()
    }

    /// Kills it: what it was doing has no outcome.
    pub(crate) fn kill(&self, site: &Site) {
        self.machine.plug.pull();
        site.network.kill(&host_name(self.number));
        self.stop.send_replace(true);
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

async fn start(site: &Site, number: usize) -> Front {
    let clock = SimClock::new(site.start);
    let machine = Machine::new(site, number, clock.clone());
    let gate = Gate::new(site.entropy.number());
    let index: Arc<dyn IndexService> = Arc::new(GatedIndex { gate: gate.clone(), index: machine.cluster_index(None) });
    let remote = RemoteShards::new(machine.client.clone(), machine.directory.clone());
    let shards: Arc<dyn ShardService> =
        Arc::new(GatedShards { gate: gate.clone(), shards: Arc::new(ClusterShards::new(None, remote)) });
    let layout = loop {
        match LayoutKeeper::open(index.clone(), None, profile(), Vec::new()).await {
            Ok(layout) => break Arc::new(layout),
            Err(_) => tokio::time::sleep(PERIOD).await,
        }
    };
    machine.directory.follow(layout.watch());
    let (repairs, mut bad_shards) = RepairQueue::new(QUEUE_ENTRIES);
    let (discards, given_up) = DiscardQueue::new(QUEUE_ENTRIES);
    let seams = DataPathSeams {
        shards: shards.clone(),
        buffers: machine.pool.clone(),
        budget: machine.budget.clone(),
        workers: Workers::new("coding", 1),
        entropy: machine.entropy.clone(),
        layout: layout.watch(),
        planner: layout.clone(),
        repairs: Arc::new(repairs),
        discards: Arc::new(discards),
    };
    let data = DataPath::new(DataPathSettings::default(), seams);
    let objects = start_objects(&machine, &index, &data, given_up).await;
    let (stop, stopped) = watch::channel(false);
    let following = tokio::spawn(layout.clone().follow(stopped));
    // Scrub finds them too.
    let discarding = tokio::spawn(async move { while bad_shards.recv().await.is_some() {} });
    let tasks = vec![following.abort_handle(), discarding.abort_handle()];
    Front { number, objects, index, shards, layout, gate, clock, machine, tasks, stop }
}
