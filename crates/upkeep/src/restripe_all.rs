//! Re-striping by wish: after the wanted profile was changed, what is stored is written anew under it, version after
//! version. What lies as it should is passed over, so that a pass that was broken off costs little to begin again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use index::query::{DegradedRow, VersionRow};
use index::{IndexService, Query, QueryAnswer};
use objects::data::DataPath;
use objects::{Aim, Objects, Restriped, parts_to_restripe};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;
use types::Profile;

use crate::duty::{Duty, DutyError, Step};
use crate::pace::Pace;
use crate::progress::{Progress, add};

/// Versions that a step looks at.
const VERSIONS_MAX: usize = 16;
/// How often is looked whether a pass is wished for when nothing wakes the duty.
const PERIOD: Duration = Duration::from_secs(3600);

/// What the duty works with.
pub struct RestripeAllServices {
    /// The index.
    pub index: Arc<dyn IndexService>,
    /// Writes parts anew.
    pub objects: Objects,
    /// Knows whether clients are there.
    pub data: DataPath,
    /// How fast it may go beside them.
    pub pace: Pace,
    /// What was done.
    pub progress: Progress,
    /// The profile of objects that name no storage class.
    pub standard: watch::Receiver<Profile>,
    /// Whether a pass is wished for; becomes false at its end.
    pub wanted: Arc<watch::Sender<bool>>,
}

/// The duty.
pub struct RestripeAll {
    services: RestripeAllServices,
    wishes: Mutex<watch::Receiver<bool>>,
    pass: Mutex<Option<Pass>>,
}

/// Where a pass is.
#[derive(Default)]
struct Pass {
    after: Option<Vec<u8>>,
}

impl RestripeAll {
    /// Waits for a wish.
    pub fn new(services: RestripeAllServices) -> Self {
        let wishes = Mutex::new(services.wanted.subscribe());
        Self { services, wishes, pass: Mutex::default() }
    }

    fn is_wanted(&self) -> bool {
        *self.services.wanted.borrow()
    }

    async fn begin(&self) -> Result<Pass, DutyError> {
        let RestripeAllServices { objects, progress, standard, .. } = &self.services;
        // Whoever has just set it asks for this next.
        objects.set_standard(*standard.borrow());
        let totals = match self.services.index.query(Query::Totals).await? {
            QueryAnswer::Totals(totals) => totals,
            _ => return Err(DutyError::Other("a question for sums was misunderstood".to_owned())),
        };
        progress.versions_to_restripe.store(totals.usage.versions, Ordering::Relaxed);
        for counter in [&progress.versions_looked_at, &progress.parts_written_anew, &progress.parts_left] {
            counter.store(0, Ordering::Relaxed);
        }
        Ok(Pass::default())
    }

    async fn versions(&self, after: Option<Vec<u8>>) -> Result<(Vec<VersionRow>, Option<Vec<u8>>), DutyError> {
        match self.services.index.query(Query::VersionRows { after, limit: VERSIONS_MAX }).await? {
            QueryAnswer::VersionRows { rows, next } => Ok((rows, next)),
            _ => Err(DutyError::Other("a query for versions was answered with something else".to_owned())),
        }
    }

    /// Writes one part anew where it has another profile. One that fails holds up no other.
    async fn restripe(&self, part: &DegradedRow) {
        let RestripeAllServices { objects, data, pace, progress, .. } = &self.services;
        let begun = Instant::now();
        match objects.restripe_part(part, Aim::Exactly).await {
            Ok(Restriped::Changed) => return,
            Ok(Restriped::Whole | Restriped::Wider) => {
                add(&progress.parts_written_anew, 1);
                metrics::counter!(telemetry::metric::RESTRIPED_PARTS).increment(1);
            }
            Ok(Restriped::NotYet) => add(&progress.parts_left, 1),
            Err(error) => {
                add(&progress.parts_left, 1);
                tracing::warn!(bucket = %part.bucket, key = %part.key, %error, "a part was not written anew");
            }
        }
        pace.rest(data, begun.elapsed()).await;
    }
}

#[async_trait]
impl Duty for RestripeAll {
    fn name(&self) -> &'static str {
        "restripe-all"
    }

    async fn step(&self) -> Result<Step, DutyError> {
        let mut pass = self.pass.lock().await;
        if !self.is_wanted() {
            *pass = None;
            return Ok(Step::Idle(PERIOD));
        }
        let at = match pass.as_mut() {
            Some(at) => at,
            None => pass.insert(self.begin().await?),
        };
        let (rows, next) = self.versions(at.after.clone()).await?;
        for row in &rows {
            for part in parts_to_restripe(row.bucket, &row.key, &row.version) {
                if !self.is_wanted() {
                    return Ok(Step::Again);
                }
                self.restripe(&part).await;
            }
            add(&self.services.progress.versions_looked_at, 1);
        }
        if next.is_some() {
            at.after = next;
            return Ok(Step::Again);
        }
        *pass = None;
        self.services.wanted.send_replace(false);
        let progress = &self.services.progress;
        let (anew, left) = (&progress.parts_written_anew, &progress.parts_left);
        tracing::info!(?anew, ?left, "what is stored was looked through for other profiles");
        Ok(Step::Idle(PERIOD))
    }

    async fn wake(&self) {
        if self.wishes.lock().await.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
