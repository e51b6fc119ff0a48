//! Scrub: reads and verifies every shard in turn, paced so that a pass takes the period that is set, and reports what is
//! wrong to repair.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use index::IndexService;
use objects::data::{BadShard, RepairSink};
use platform::Clock;
use shards::{LocalShards, ShardAddress, ShardHeader, ShardService};
use tokio::sync::{Mutex, watch};
use types::{DiskId, Layout};

use crate::duty::{Duty, DutyError, Step};
use crate::progress::{Progress, add, read};
use crate::repair::{run_lives, run_of};

/// Shards that a step verifies.
const SHARDS_MAX: usize = 16;
/// The longest pause between two steps of a pass.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The duty.
pub struct Scrub {
    index: Arc<dyn IndexService>,
    shards: Arc<LocalShards>,
    all_shards: Arc<dyn ShardService>,
    layout: watch::Receiver<Arc<Layout>>,
    repairs: Arc<dyn RepairSink>,
    clock: Arc<dyn Clock>,
    progress: Progress,
    period: Duration,
    wanted: Mutex<watch::Receiver<u64>>,
    pass: Mutex<Pass>,
}

/// Where a pass is.
#[derive(Default)]
struct Pass {
    disks: Vec<DiskId>,
    after: Option<ShardAddress>,
    /// Asked for by command: no pauses.
    at_once: bool,
}

/// What scrub works with.
pub struct ScrubServices {
    /// The index.
    pub index: Arc<dyn IndexService>,
    /// The disks of this process.
    pub shards: Arc<LocalShards>,
    /// The disks of the whole cluster: what a damaged shard is of, the others of its stripe say.
    pub all_shards: Arc<dyn ShardService>,
    /// The layout.
    pub layout: watch::Receiver<Arc<Layout>>,
    /// Where bad shards go.
    pub repairs: Arc<dyn RepairSink>,
    /// When a pass ended.
    pub clock: Arc<dyn Clock>,
    /// What was done.
    pub progress: Progress,
    /// Counts the wishes for a pass now.
    pub wanted: watch::Receiver<u64>,
}

impl Scrub {
    /// A pass takes `period`.
    pub fn new(services: ScrubServices, period: Duration) -> Self {
        let ScrubServices { index, shards, all_shards, layout, repairs, clock, progress, wanted } = services;
        let (wanted, pass) = (Mutex::new(wanted), Mutex::new(Pass::default()));
        Self { index, shards, all_shards, layout, repairs, clock, progress, period, wanted, pass }
    }

    async fn begin(&self, pass: &mut Pass) {
        pass.disks =
            self.shards.disk_states().iter().filter(|(_, health)| !health.is_down()).map(|(id, _)| *id).collect();
        pass.after = None;
        let mut shards = 0;
        for disk in &pass.disks {
            shards += self.shards.usage(*disk).await.map_or(0, |usage| usage.shards);
        }
        self.progress.shards_to_scrub.store(shards, Ordering::Relaxed);
        for counter in [&self.progress.scrubbed_shards, &self.progress.scrubbed_bytes, &self.progress.damaged_shards] {
            counter.store(0, Ordering::Relaxed);
        }
        self.progress.scrubbing.store(true, Ordering::Relaxed);
    }

    /// Reports a bad shard, unless its run waits for the collector anyway.
    async fn report(&self, disk: DiskId, address: ShardAddress) -> Result<(), DutyError> {
        let sibling = self.header_of_sibling(address).await;
        if let Some(header) = &sibling
            && !run_lives(&*self.index, &header.home, address.run).await?
        {
            return Ok(());
        }
        add(&self.progress.damaged_shards, 1);
        metrics::counter!(telemetry::metric::DAMAGED_SHARDS, "cause" => "scrub").increment(1);
        tracing::warn!(%disk, ?address, "scrub found a damaged shard");
        let layout = self.layout.borrow().clone();
        if let Some(header) = sibling
            && let Some(run) = run_of(&header, &layout)
        {
            self.repairs.report(BadShard { run, home: header.home, address, disk });
        }
        Ok(())
    }

    /// The header of any other shard of the stripe: the bad one's own may be what is bad.
    async fn header_of_sibling(&self, address: ShardAddress) -> Option<ShardHeader> {
        let layout = self.layout.borrow().clone();
        let group = layout.group(address.group)?;
        let shards = 0..u8::try_from(group.slots.len()).expect("slots are counted in 8 bits");
        for shard in shards.filter(|shard| *shard != address.shard) {
            for disk in group.slots.iter().flat_map(types::Slot::disks) {
                if let Ok(header) = self.all_shards.header(disk, ShardAddress { shard, ..address }).await {
                    return Some(header);
                }
            }
        }
        None
    }

    /// How long to wait after a step, so that the pass takes its period.
    fn pause(&self) -> Duration {
        let steps = (read(&self.progress.shards_to_scrub) / SHARDS_MAX as u64).max(1);
        (self.period / u32::try_from(steps).unwrap_or(u32::MAX)).min(PAUSE_MAX)
    }
}

#[async_trait]
impl Duty for Scrub {
    fn name(&self) -> &'static str {
        "scrub"
    }

    async fn step(&self) -> Result<Step, DutyError> {
        let mut pass = self.pass.lock().await;
        if pass.disks.is_empty() {
            self.begin(&mut pass).await;
        }
        let Some(disk) = pass.disks.last().copied() else { return Ok(Step::Idle(self.period)) };
        let verified = self.shards.verify_next(disk, pass.after, SHARDS_MAX).await.unwrap_or_default();
        match verified.last() {
            Some(last) => pass.after = Some(last.address),
            None => {
                pass.disks.pop();
                pass.after = None;
            }
        }
        for shard in &verified {
            add(&self.progress.scrubbed_shards, 1);
            add(&self.progress.scrubbed_bytes, shard.bytes);
            metrics::counter!(telemetry::metric::SCRUBBED_SHARDS).increment(1);
            metrics::counter!(telemetry::metric::SCRUBBED_BYTES).increment(shard.bytes);
            if !shard.intact {
                self.report(disk, shard.address).await?;
            }
        }
        if pass.disks.is_empty() {
            let empty = read(&self.progress.scrubbed_shards) == 0;
            // A pass that nobody asked for over a store that holds nothing has shown nothing.
            if pass.at_once || !empty {
                self.progress.last_pass_ended.store(self.clock.now().seconds(), Ordering::Relaxed);
            }
            pass.at_once = false;
            self.progress.scrubbing.store(false, Ordering::Relaxed);
            return Ok(Step::Idle(if empty { self.period } else { self.pause() }));
        }
        Ok(if pass.at_once || verified.is_empty() { Step::Again } else { Step::Idle(self.pause()) })
    }

    async fn wake(&self) {
        if self.wanted.lock().await.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        *self.pass.lock().await = Pass { at_once: true, ..Pass::default() };
    }
}
