//! The background duties of a server, put together.

use std::sync::Arc;

use objects::Objects;
use objects::data::{BadShard, DataPath, RepairQueue};
use platform::Clock;
use shards::LocalShards;
use tokio::sync::mpsc;
use upkeep::Duty;
use upkeep::buckets::UnfinishedBuckets;
use upkeep::collect::Collect;
use upkeep::progress::Progress;
use upkeep::repair::{RebuildDisks, Repair, RepairServices};
use upkeep::restripe::Restripe;
use upkeep::scrub::{Scrub, ScrubServices};
use upkeep::tickets::Tickets;

use crate::care::DiskCare;
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
    pub(crate) repairs: RepairQueue,
    pub(crate) bad_shards: mpsc::Receiver<BadShard>,
}

/// The duties of a server, and what they count.
pub(crate) fn assemble(settings: &ServerSettings, services: DutyServices) -> (Vec<Arc<dyn Duty>>, Progress) {
    let DutyServices { clock, reach, shards, data, objects, care, repairs, bad_shards } = services;
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
    let duties: Vec<Arc<dyn Duty>> = vec![
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
        Arc::new(Tickets::new(index, reach.shards, layout)),
        Arc::new(UnfinishedBuckets::new(objects)),
    ];
    (duties, progress)
}
