//! Repair: rebuilds shards that reads or scrub found bad, and all shards of a disk that was replaced.
//!
//! What to rebuild for a replaced disk is read off the other disks: every run that has a shard there has one in each
//! slot of its group. Whether a run still lives is asked of the index before anything is rebuilt.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use index::{IndexService, Query, QueryAnswer};
use objects::data::{BadShard, DataPath, ReadError, RebuildError, ShardToRebuild};
use parking_lot::Mutex;
use shards::{LocalShards, ShardAddress, ShardError, ShardHeader, ShardService};
use tokio::sync::{Mutex as AsyncMutex, mpsc, watch};
use types::{DiskId, DiskState, HomeKey, Layout, Run, RunForm, RunId};

use crate::duty::{Duty, DutyError, Step};
use crate::progress::{Progress, add};

/// The superblock's note of a disk that took another's place and is not whole yet.
pub const REBUILDING_NOTE: &str = "rebuilding";

/// Shards that a step of rebuilding a disk looks at.
const SHARDS_MAX: usize = 64;
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
        let up = self.services.layout.borrow().disk(bad.disk).is_some_and(|disk| disk.state == DiskState::Up);
        if up {
            let BadShard { run, home, address, .. } = bad;
            self.services.repair(&ShardToRebuild { run, home, stripe: address.stripe, shard: address.shard }).await?;
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
    pass: AsyncMutex<Option<Pass>>,
}

/// A pass over the shards of one disk, looking for siblings that are missing.
struct Pass {
    steps: usize,
    disks: Vec<DiskId>,
    targets: Vec<DiskId>,
    after: Option<ShardAddress>,
    seen: BTreeSet<(RunId, u32)>,
}

impl RebuildDisks {
    /// Looks for disks that bear [`REBUILDING_NOTE`] at the start, and whenever `replaced` changes.
    pub fn new(services: RepairServices, disks: Arc<LocalShards>, replaced: watch::Receiver<u64>) -> Self {
        Self { services, disks, replaced: AsyncMutex::new(replaced), pass: AsyncMutex::new(None) }
    }

    /// A pass over all disks where one is to be rebuilt.
    fn first(&self) -> Pass {
        let states = self.disks.disk_states();
        let up: Vec<DiskId> = states.iter().filter(|(_, health)| !health.is_down()).map(|(disk, _)| *disk).collect();
        let rebuilding = |disk: &&DiskId| {
            self.disks.superblock(**disk).is_ok_and(|superblock| superblock.notes.contains_key(REBUILDING_NOTE))
        };
        let targets: Vec<DiskId> = up.iter().filter(rebuilding).copied().collect();
        *self.services.progress.rebuilding.lock() = targets.iter().map(|disk| (*disk, 0.0)).collect();
        let sources = if targets.is_empty() { Vec::new() } else { up };
        Pass { steps: sources.len(), disks: sources, targets, after: None, seen: BTreeSet::new() }
    }

    /// Notes on the disks that were rebuilt that they are whole.
    async fn finish(&self, pass: &Pass) {
        for disk in &pass.targets {
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

    /// Has the missing siblings of one shard made again.
    async fn complete(&self, disk: DiskId, address: ShardAddress) -> Result<(), DutyError> {
        let Ok(header) = self.services.shards.header(disk, address).await else { return Ok(()) };
        let Some(run) = run_of(&header, &self.services.layout.borrow()) else { return Ok(()) };
        let layout = self.services.layout.borrow().clone();
        let Some(group) = layout.group(run.group) else { return Ok(()) };
        let width = u8::try_from(run.profile.width()).expect("a profile's shards are counted in 8 bits");
        for shard in (0..width).filter(|shard| *shard != address.shard) {
            let Some(slot) = group.slots.get(usize::from(run.slot_of(shard).0)) else { continue };
            if layout.disk(slot.disk).is_none_or(|row| row.state != DiskState::Up) {
                continue;
            }
            let sibling = ShardAddress { shard, ..address };
            if let Err(ShardError::Missing { .. }) = self.services.shards.header(slot.disk, sibling).await {
                let home = header.home.clone();
                let wanted = ShardToRebuild { run: run.clone(), home, stripe: address.stripe, shard };
                self.services.repair(&wanted).await?;
            }
        }
        Ok(())
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
        let mut kept = self.pass.lock().await;
        let mut pass = kept.take().unwrap_or_else(|| self.first());
        let Some(disk) = pass.disks.last().copied() else { return Ok(Step::Idle(PERIOD)) };
        let listed = match self.services.shards.list(disk, pass.after, SHARDS_MAX).await {
            Ok(listed) => listed,
            Err(ShardError::DiskDown { .. } | ShardError::UnknownDisk { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        match listed.last() {
            Some(last) => pass.after = Some(last.address),
            None => {
                pass.disks.pop();
                pass.after = None;
            }
        }
        for shard in listed {
            if pass.seen.insert((shard.address.run, shard.address.stripe)) {
                self.complete(disk, shard.address).await?;
            }
        }
        if pass.disks.is_empty() {
            self.finish(&pass).await;
            return Ok(Step::Idle(PERIOD));
        }
        let share = 1.0 - pass.disks.len() as f64 / pass.steps as f64;
        self.services.progress.rebuilding.lock().iter_mut().for_each(|(_, done)| *done = share);
        *kept = Some(pass);
        Ok(Step::Again)
    }

    async fn wake(&self) {
        if self.replaced.lock().await.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
