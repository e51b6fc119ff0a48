//! Repair: rebuilds shards that reads or scrub found bad, and all shards of a disk that was replaced.
//!
//! What to rebuild for a replaced disk is read off the other disks of each of its groups (`fill`). Whether a run still lives
//! is asked of the index before anything is rebuilt.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use index::{IndexService, Query, QueryAnswer};
use objects::data::{BadShard, DataPath, ReadError, RebuildError, ShardToRebuild};
use parking_lot::Mutex;
use shards::{LocalShards, ShardError, ShardHeader, ShardService};
use tokio::sync::{Mutex as AsyncMutex, mpsc, watch};
use tokio::time::Instant;
use types::{DiskId, HomeKey, Layout, Run, RunForm, RunId};

use crate::duty::{Duty, DutyError, Step};
use crate::fill::{Findings, Pass, SlotToFill};
use crate::pace::Pace;
use crate::progress::{Progress, add};

/// The superblock's note of a disk that took another's place and is not whole yet.
pub const REBUILDING_NOTE: &str = "rebuilding";

/// How soon a disk that could not be rebuilt is tried again.
const RETRY: Duration = Duration::from_secs(10);
/// How long repair sleeps when it is not woken.
const PERIOD: Duration = Duration::from_secs(3600);

/// What repair works with.
#[derive(Clone)]
pub struct RepairServices {
    /// The index.
    pub index: Arc<dyn IndexService>,
    /// The disks.
    pub shards: Arc<dyn ShardService>,
    /// The data path.
    pub data: DataPath,
    /// The layout.
    pub layout: watch::Receiver<Arc<Layout>>,
    /// What was done.
    pub progress: Progress,
    /// How fast it may go.
    pub pace: Pace,
}

impl RepairServices {
    /// Rebuilds one shard if its run lives.
    async fn repair(&self, wanted: &ShardToRebuild) -> Result<(), DutyError> {
        if !run_lives(&*self.index, &wanted.home, wanted.run.id).await? {
            return Ok(());
        }
        match self.data.repair_shard(wanted).await {
            Ok(()) => {
                let bytes = wanted.run.shard_len_of(wanted.stripe) as u64;
                add(&self.progress.repaired_shards, 1);
                add(&self.progress.repaired_bytes, bytes);
                metrics::counter!(telemetry::metric::REPAIRED_SHARDS).increment(1);
                metrics::counter!(telemetry::metric::REPAIRED_BYTES).increment(bytes);
                Ok(())
            }
            // Freed meanwhile, or the disk went away: there is nothing to do, or another disk will be rebuilt.
            Err(RebuildError::Read(ReadError::Gone) | RebuildError::NoSlot) => Ok(()),
            Err(RebuildError::Append(
                ShardError::DiskDown { .. } | ShardError::UnknownDisk { .. } | ShardError::Unreachable { .. },
            )) => Ok(()),
            Err(RebuildError::Read(ReadError::Unreadable { reason })) => {
                add(&self.progress.lost_shards, 1);
                metrics::counter!(telemetry::metric::LOST_SHARDS).increment(1);
                tracing::error!(run = %wanted.run.id, stripe = wanted.stripe, %reason, "a shard cannot be rebuilt");
                Ok(())
            }
            Err(error) => Err(DutyError::Other(error.to_string())),
        }
    }
}

/// Rebuilds shards that were reported bad.
pub struct Repair {
    services: RepairServices,
    reports: AsyncMutex<mpsc::Receiver<BadShard>>,
    pending: Mutex<Option<BadShard>>,
}

impl Repair {
    /// Takes reports from `reports`.
    pub fn new(services: RepairServices, reports: mpsc::Receiver<BadShard>) -> Self {
        Self { services, reports: AsyncMutex::new(reports), pending: Mutex::new(None) }
    }
}

#[async_trait]
impl Duty for Repair {
    fn name(&self) -> &'static str {
        "repair"
    }

    async fn step(&self) -> Result<Step, DutyError> {
        let pending = self.pending.lock().take();
        let bad = match pending {
            Some(bad) => bad,
            None => match self.reports.lock().await.try_recv() {
                Ok(bad) => bad,
                Err(_) => return Ok(Step::Idle(PERIOD)),
            },
        };
        if self.services.layout.borrow().disk_state(bad.disk).is_read() {
            let BadShard { run, home, address, .. } = bad;
            let begun = Instant::now();
            self.services.repair(&ShardToRebuild { run, home, stripe: address.stripe, shard: address.shard }).await?;
            self.services.pace.rest(&self.services.data, begun.elapsed()).await;
        }
        Ok(Step::Again)
    }

    async fn wake(&self) {
        let next = self.reports.lock().await.recv().await;
        if next.is_none() {
            std::future::pending::<()>().await;
        }
        *self.pending.lock() = next;
    }
}

/// Rebuilds what disks that were replaced should have.
pub struct RebuildDisks {
    services: RepairServices,
    disks: Arc<LocalShards>,
    replaced: AsyncMutex<watch::Receiver<u64>>,
    round: AsyncMutex<Option<Round>>,
}

/// All slots of the disks that are to be rebuilt, one after the other.
struct Round {
    targets: Vec<DiskId>,
    slots: Vec<SlotToFill>,
    all_slots: usize,
    pass: Option<Pass>,
    /// Disks that could not be heard, or did not take all: they are looked at again.
    unfinished: BTreeSet<DiskId>,
}

impl RebuildDisks {
    /// Looks for disks that bear [`REBUILDING_NOTE`] at the start, and whenever `replaced` changes.
    pub fn new(services: RepairServices, disks: Arc<LocalShards>, replaced: watch::Receiver<u64>) -> Self {
        Self { services, disks, replaced: AsyncMutex::new(replaced), round: AsyncMutex::new(None) }
    }

    /// A round over the slots of all disks that are to be rebuilt.
    fn first(&self) -> Round {
        let states = self.disks.disk_states();
        let up = states.iter().filter(|(_, health)| !health.is_down()).map(|(disk, _)| *disk);
        let rebuilding = |disk: &DiskId| {
            self.disks.superblock(*disk).is_ok_and(|superblock| superblock.notes.contains_key(REBUILDING_NOTE))
        };
        let targets: Vec<DiskId> = up.filter(rebuilding).collect();
        *self.services.progress.rebuilding.lock() = targets.iter().map(|disk| (*disk, 0.0)).collect();
        let layout = self.services.layout.borrow().clone();
        // What has an heir is brought there.
        let own = layout.slots().filter(|(_, _, slot)| slot.heir.is_none() && targets.contains(&slot.disk));
        let slots: Vec<SlotToFill> = own
            .map(|(group, index, slot)| SlotToFill { group: group.id, index, disk: slot.disk, owner: slot.disk })
            .collect();
        Round { targets, all_slots: slots.len(), slots, pass: None, unfinished: BTreeSet::new() }
    }

    /// Takes the round a little further; `false` once it is over.
    async fn go_on(&self, round: &mut Round) -> Result<bool, DutyError> {
        let mut pass = match round.pass.take() {
            Some(pass) => pass,
            None => match round.slots.pop() {
                Some(slot) => Pass::begin(&self.services, slot).await?,
                None => return Ok(false),
            },
        };
        let disk = pass.slot.disk;
        let before = pass.found.clone();
        let outcome = pass.step(&self.services).await;
        self.count(&before, &pass.found);
        match outcome {
            Ok(true) => round.pass = Some(pass),
            Ok(false) => {
                let layout = self.services.layout.borrow().clone();
                if pass.found.unheard.iter().any(|other| layout.disk_state(*other).is_read()) {
                    round.unfinished.insert(disk);
                } else {
                    // What only a disk lacks that was not heard may be there, and is looked for again.
                    add(&self.services.progress.lost_shards, pass.found.lacking);
                    metrics::counter!(telemetry::metric::LOST_SHARDS).increment(pass.found.lacking);
                }
            }
            Err(error) => {
                // It failed again, most likely, or is full; the index may not answer.
                tracing::warn!(%disk, %error, "a slot of a disk that is rebuilt was not filled");
                round.unfinished.insert(disk);
            }
        }
        Ok(true)
    }

    fn count(&self, before: &Findings, now: &Findings) {
        let (shards, bytes) = (now.brought - before.brought, now.bytes - before.bytes);
        add(&self.services.progress.repaired_shards, shards);
        metrics::counter!(telemetry::metric::REPAIRED_SHARDS).increment(shards);
        add(&self.services.progress.repaired_bytes, bytes);
        metrics::counter!(telemetry::metric::REPAIRED_BYTES).increment(bytes);
    }

    /// Notes on the disks that were rebuilt that they are whole.
    async fn finish(&self, round: &Round) {
        for disk in round.targets.iter().filter(|disk| !round.unfinished.contains(disk)) {
            let forget = |superblock: &mut shards::Superblock| {
                superblock.notes.remove(REBUILDING_NOTE);
            };
            match self.disks.update_superblock(*disk, forget).await {
                Ok(_) => tracing::info!(%disk, "a disk is rebuilt"),
                // It failed meanwhile; what replaces it begins anew.
                Err(error) => tracing::warn!(%disk, %error, "a disk that was rebuilt cannot be marked"),
            }
        }
        self.services.progress.rebuilding.lock().clear();
    }
}

/// Whether the index names a run.
pub(crate) async fn run_lives(index: &dyn IndexService, home: &HomeKey, run: RunId) -> Result<bool, DutyError> {
    let query = Query::RunLives { bucket: home.bucket, key: home.key.clone(), run };
    match index.query(query).await? {
        QueryAnswer::RunLives(lives) => Ok(lives),
        _ => Err(DutyError::Other("whether a run lives was answered with something else".to_owned())),
    }
}

/// What a shard's header says of its run, for rebuilding this one stripe.
pub(crate) fn run_of(header: &ShardHeader, layout: &Layout) -> Option<Run> {
    layout.group(header.address.group)?;
    let stripes = header.address.stripe + 1;
    Some(Run {
        id: header.address.run,
        home: Some(header.home.clone()),
        group: header.address.group,
        profile: header.profile,
        code: header.code,
        form: match header.form {
            RunForm::Striped => RunForm::Striped,
            copies @ RunForm::Copies { .. } => copies,
        },
        stripe_bytes: header.stripe_bytes,
        stripes,
        last_stripe_bytes: header.plain_bytes,
    })
}

#[async_trait]
impl Duty for RebuildDisks {
    fn name(&self) -> &'static str {
        "rebuild"
    }

    async fn step(&self) -> Result<Step, DutyError> {
        let mut kept = self.round.lock().await;
        let mut round = kept.take().unwrap_or_else(|| self.first());
        if round.targets.is_empty() {
            return Ok(Step::Idle(PERIOD));
        }
        if !self.go_on(&mut round).await? {
            self.finish(&round).await;
            return Ok(Step::Idle(if round.unfinished.is_empty() { PERIOD } else { RETRY }));
        }
        let share = 1.0 - round.slots.len() as f64 / round.all_slots.max(1) as f64;
        self.services.progress.rebuilding.lock().iter_mut().for_each(|(_, done)| *done = share);
        *kept = Some(round);
        Ok(Step::Again)
    }

    async fn wake(&self) {
        if self.replaced.lock().await.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
