//! The background duties of a server, put together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use index::SYSTEM_RANGE;
use objects::Objects;
use objects::data::{BadShard, DataPath, RepairQueue};
use platform::Clock;
use shards::LocalShards;
use tokio::sync::{mpsc, watch};
use types::{NodeId, RangeId};
use upkeep::buckets::UnfinishedBuckets;
use upkeep::collect::Collect;
use upkeep::heirs::Heirs;
use upkeep::moves::{Moves, MovesServices};
use upkeep::progress::Progress;
use upkeep::rebalance::Rebalance;
use upkeep::repair::{RebuildDisks, Repair, RepairServices};
use upkeep::restripe::Restripe;
use upkeep::scrub::{Scrub, ScrubServices};
use upkeep::tickets::Tickets;
use upkeep::{Duty, DutyError, Step};

use crate::care::DiskCare;
use crate::changes::NodeChanges;
use crate::leftovers::Leftovers;
use crate::server::Reach;
use crate::settings::ServerSettings;

/// What the duties work with.
pub(crate) struct DutyServices {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) reach: Reach,
    /// The disks of this process.
    pub(crate) shards: Arc<LocalShards>,
    pub(crate) data: DataPath,
    pub(crate) objects: Objects,
    pub(crate) care: Arc<DiskCare>,
    pub(crate) changes: Arc<NodeChanges>,
    pub(crate) repairs: RepairQueue,
    pub(crate) bad_shards: mpsc::Receiver<BadShard>,
}

/// Duties that look after what all nodes share, as one node of many does them: while it leads the system range.
pub(crate) fn shared_out(
    duties: Vec<Arc<dyn Duty>>,
    node: NodeId,
    leaders: &watch::Receiver<Leaders>,
) -> Vec<Arc<dyn Duty>> {
    let share = |duty: Arc<dyn Duty>| -> Arc<dyn Duty> {
        // Each node looks after its own disks, and after what its own readers found.
        match duty.name() {
            "repair" | "rebuild" | "scrub" | "moves" | "leftovers" => duty,
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
pub(crate) fn assemble(settings: &ServerSettings, services: DutyServices) -> (Vec<Arc<dyn Duty>>, Progress) {
    let DutyServices { clock, reach, shards, data, objects, care, changes, repairs, bad_shards } = services;
    let index = reach.index;
    let progress = Progress::default();
    let layout = care.layout.watch();
    let repair = RepairServices {
        index: index.clone(),
        shards: reach.shards.clone(),
        data,
        layout: layout.clone(),
        progress: progress.clone(),
    };
    let scrub = ScrubServices {
        index: index.clone(),
        shards: shards.clone(),
        layout: layout.clone(),
        repairs: Arc::new(repairs),
        clock: clock.clone(),
        progress: progress.clone(),
        wanted: care.scrub_wanted.subscribe(),
    };
    let moves = MovesServices {
        repair: repair.clone(),
        disks: shards.clone(),
        changes: changes.clone(),
        node: care.node,
        ticket_idle_max: settings.ticket_idle_max,
    };
    let duties: Vec<Arc<dyn Duty>> = vec![
        Arc::new(Heirs::new(changes.clone(), layout.clone())),
        Arc::new(Rebalance::new(index.clone(), changes, layout.clone())),
        Arc::new(Moves::new(moves)),
        Arc::new(Leftovers::new(shards.clone(), care.layout.clone())),
        Arc::new(Collect::new(
            index.clone(),
            reach.shards.clone(),
            shards.watch(),
            layout.clone(),
            clock,
            settings.garbage_grace,
        )),
        Arc::new(Repair::new(repair.clone(), bad_shards)),
        Arc::new(RebuildDisks::new(repair, shards.clone(), care.replaced.subscribe())),
        Arc::new(Scrub::new(scrub, settings.scrub_period)),
        Arc::new(Restripe::new(index.clone(), objects.clone(), layout.clone(), progress.clone())),
        Arc::new(Tickets::new(index, reach.shards, layout, settings.ticket_idle_max)),
        Arc::new(UnfinishedBuckets::new(objects)),
    ];
    (duties, progress)
}
