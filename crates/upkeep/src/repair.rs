//! Repair: rebuilds shards that reads or scrub found bad. Whether a run still lives is asked of the index first.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use index::{IndexService, Query, QueryAnswer};
use objects::data::{BadShard, DataPath, ReadError, RebuildError, ShardToRebuild};
use parking_lot::Mutex;
use shards::{ShardError, ShardHeader, ShardService};
use tokio::sync::{Mutex as AsyncMutex, mpsc, watch};
use tokio::time::Instant;
use types::{HomeKey, Layout, Run, RunForm, RunId};

use crate::duty::{Duty, DutyError, Step};
use crate::pace::Pace;
use crate::progress::{Progress, add};

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
