//! The background duties of a server, put together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use index::{IndexService, SYSTEM_RANGE};
use objects::Objects;
use objects::data::{BadShard, DataPath, RepairQueue};
use platform::{Clock, Entropy};
use s3_wire::lifecycle::Day;
use shards::{LocalShards, ShardService};
use tokio::sync::{mpsc, watch};
use types::{NodeId, RangeId};
use upkeep::buckets::UnfinishedBuckets;
use upkeep::collect::Collect;
use upkeep::heirs::Heirs;
use upkeep::lifecycle::{LedRanges, Lifecycle, LifecycleServices, Restriping};
use upkeep::moves::{Moves, MovesServices};
use upkeep::pace::Pace;
use upkeep::progress::Progress;
use upkeep::rebalance::Rebalance;
use upkeep::rebuild::RebuildDisks;
use upkeep::repair::{Repair, RepairServices};
use upkeep::restripe::Restripe;
use upkeep::restripe_all::{RestripeAll, RestripeAllServices};
use upkeep::scrub::{Scrub, ScrubServices};
use upkeep::tickets::Tickets;
use upkeep::{Duty, DutyError, Step};

use crate::changes::NodeChanges;
use crate::layout::LayoutKeeper;
use crate::leftovers::Leftovers;

/// What the duties work with.
pub struct DutyServices {
    /// When garbage was freed, and a pass of scrub ended.
    pub clock: Arc<dyn Clock>,
    /// This node.
    pub node: NodeId,
    /// The index of the whole cluster.
    pub index: Arc<dyn IndexService>,
    /// The disks of the whole cluster.
    pub all_shards: Arc<dyn ShardService>,
    /// The disks of this process.
    pub shards: Arc<LocalShards>,
    /// The data path.
    pub data: DataPath,
    /// S3's operations.
    pub objects: Objects,
    /// The layout.
    pub layout: Arc<LayoutKeeper>,
    /// How duties change it.
    pub changes: Arc<NodeChanges>,
    /// Where scrub reports to.
    pub repairs: RepairQueue,
    /// What was reported.
    pub bad_shards: mpsc::Receiver<BadShard>,
    /// Counts disks that took another's place.
    pub replaced: watch::Receiver<u64>,
    /// Counts the wishes for a scrub pass.
    pub scrub_wanted: watch::Receiver<u64>,
    /// Whether all that is stored is to be written anew in its wanted profile.
    pub restripe_wanted: Arc<watch::Sender<bool>>,
    /// Randomness of delete markers' ids.
    pub entropy: Arc<dyn Entropy>,
    /// The data ranges that this node leads.
    pub led: LedRanges,
}

/// What the duties go by.
#[derive(Debug, Clone, Copy)]
pub struct DutySettings {
    /// After how long without renewal a ticket is over.
    pub ticket_idle_max: Duration,
    /// How long freed runs wait for readers under way.
    pub garbage_grace: Duration,
    /// How long a pass of scrub takes.
    pub scrub_period: Duration,
    /// How long a day of lifecycle rules is.
    pub lifecycle_day: Duration,
}

/// Duties that look after what all nodes share, as one node of many does them: while it leads the system range.
pub fn shared_out(duties: Vec<Arc<dyn Duty>>, node: NodeId, leaders: &watch::Receiver<Leaders>) -> Vec<Arc<dyn Duty>> {
    let share = |duty: Arc<dyn Duty>| -> Arc<dyn Duty> {
        // Each node looks after its own disks, after what its own readers found, and after what it was asked for.
        match duty.name() {
            "repair" | "rebuild" | "scrub" | "moves" | "leftovers" | "restripe-all" => duty,
            // Each looks after the ranges that it leads.
            "lifecycle" => duty,
            _ => Arc::new(WhileLeading { duty, node, leaders: leaders.clone() }),
        }
    };
    duties.into_iter().map(share).collect()
}

/// The node that leads each range, as far as is known.
type Leaders = BTreeMap<RangeId, Option<NodeId>>;

/// How often a node that does not lead looks whether it does.
const FOLLOWER_PERIOD: Duration = Duration::from_secs(2);

/// A duty that one node does for all.
struct WhileLeading {
    duty: Arc<dyn Duty>,
    node: NodeId,
    leaders: watch::Receiver<Leaders>,
}

#[async_trait]
impl Duty for WhileLeading {
    fn name(&self) -> &'static str {
        self.duty.name()
    }

    async fn step(&self) -> Result<Step, DutyError> {
        let leads = self.leaders.borrow().get(&SYSTEM_RANGE) == Some(&Some(self.node));
        if leads { self.duty.step().await } else { Ok(Step::Idle(FOLLOWER_PERIOD)) }
    }

    async fn wake(&self) {
        self.duty.wake().await;
    }
}

/// The duties of a server, and what they count.
pub fn assemble(settings: DutySettings, services: DutyServices) -> (Vec<Arc<dyn Duty>>, Progress) {
    let DutyServices { clock, node, index, all_shards, shards, data, objects, layout: keeper, .. } = services;
    let DutyServices { changes, repairs, bad_shards, replaced, scrub_wanted, restripe_wanted, .. } = services;
    let DutyServices { entropy, led, .. } = services;
    let progress = Progress::default();
    let layout = keeper.watch();
    let repair = RepairServices {
        index: index.clone(),
        shards: all_shards.clone(),
        data,
        layout: layout.clone(),
        progress: progress.clone(),
        pace: Pace::default(),
    };
    let scrub = ScrubServices {
        index: index.clone(),
        shards: shards.clone(),
        all_shards: all_shards.clone(),
        layout: layout.clone(),
        repairs: Arc::new(repairs),
        clock: clock.clone(),
        progress: progress.clone(),
        wanted: scrub_wanted,
    };
    let restripe_all = RestripeAllServices {
        index: index.clone(),
        objects: objects.clone(),
        data: repair.data.clone(),
        pace: repair.pace.clone(),
        progress: progress.clone(),
        standard: keeper.watch_wanted(),
        wanted: restripe_wanted,
    };
    let lifecycle = LifecycleServices {
        index: index.clone(),
        store: Arc::new(Restriping { objects: objects.clone(), data: repair.data.clone(), pace: repair.pace.clone() }),
        progress: progress.clone(),
        clock: clock.clone(),
        entropy,
        led,
        day: Day::of_us(u64::try_from(settings.lifecycle_day.as_micros()).unwrap_or(u64::MAX)),
    };
    let moves = MovesServices {
        repair: repair.clone(),
        disks: shards.clone(),
        changes: changes.clone(),
        node,
        ticket_idle_max: settings.ticket_idle_max,
    };
    let rebuilding = moves.clone();
    let duties: Vec<Arc<dyn Duty>> = vec![
        Arc::new(Heirs::new(changes.clone(), layout.clone())),
        Arc::new(Rebalance::new(index.clone(), changes.clone(), layout.clone())),
        Arc::new(Moves::new(moves)),
        Arc::new(Leftovers::new(shards.clone(), keeper)),
        Arc::new(Collect::new(
            index.clone(),
            all_shards.clone(),
            changes.clone(),
            layout.clone(),
            clock,
            settings.garbage_grace,
        )),
        Arc::new(Repair::new(repair.clone(), bad_shards)),
        Arc::new(RebuildDisks::new(rebuilding, replaced)),
        Arc::new(Scrub::new(scrub, settings.scrub_period)),
        Arc::new(Restripe::new(index.clone(), objects.clone(), layout.clone(), progress.clone())),
        Arc::new(RestripeAll::new(restripe_all)),
        Arc::new(Lifecycle::new(lifecycle)),
        Arc::new(Tickets::new(index, all_shards, layout, settings.ticket_idle_max)),
        Arc::new(UnfinishedBuckets::new(objects)),
    ];
    (duties, progress)
}
