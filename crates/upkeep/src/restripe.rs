//! Re-striping: parts that were written while disks were missing are written anew under their wanted profile, once the
//! live disks hold it. The index queues them in the commit that made them visible.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use index::query::DegradedRow;
use index::{IndexService, Query, QueryAnswer};
use objects::{Aim, Objects, Restriped};
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, watch};
use types::Layout;

use crate::duty::{Duty, DutyError, Step};
use crate::progress::{Progress, add};

/// Rows that a step looks at.
const ROWS_MAX: usize = 16;
/// How often the queue is looked at when nothing else wakes the duty.
const PERIOD: Duration = Duration::from_secs(30);

/// The duty.
pub struct Restripe {
    index: Arc<dyn IndexService>,
    objects: Objects,
    progress: Progress,
    layout: AsyncMutex<watch::Receiver<Arc<Layout>>>,
    /// The row after which the pass over the queue goes on.
    after: Mutex<Option<Vec<u8>>>,
}

impl Restripe {
    /// Re-stripes what `index` has queued, at once when the layout changes.
    pub fn new(
        index: Arc<dyn IndexService>,
        objects: Objects,
        layout: watch::Receiver<Arc<Layout>>,
        progress: Progress,
    ) -> Self {
        Self { index, objects, progress, layout: AsyncMutex::new(layout), after: Mutex::default() }
    }

    async fn queued(&self, after: Option<Vec<u8>>) -> Result<Vec<DegradedRow>, DutyError> {
        match self.index.query(Query::Degraded { after, limit: ROWS_MAX }).await? {
            QueryAnswer::Degraded(rows) => Ok(rows),
            _ => Err(DutyError::Other("a query for degraded parts was answered with something else".to_owned())),
        }
    }

    /// Re-stripes one part. One that fails waits for the next pass, and holds up no other.
    async fn restripe(&self, row: &DegradedRow) {
        match self.objects.restripe_part(row, Aim::AtLeast).await {
            Ok(Restriped::Whole) => {
                add(&self.progress.restriped_parts, 1);
                metrics::counter!(telemetry::metric::RESTRIPED_PARTS).increment(1);
            }
            Ok(Restriped::Changed | Restriped::Wider | Restriped::NotYet) => {}
            Err(error) => {
                tracing::warn!(bucket = %row.bucket, key = %row.key, %error, "a degraded part was not written anew");
            }
        }
    }
}

#[async_trait]
impl Duty for Restripe {
    fn name(&self) -> &'static str {
        "restripe"
    }

    async fn step(&self) -> Result<Step, DutyError> {
        let after = self.after.lock().take();
        let rows = self.queued(after).await?;
        for row in &rows {
            self.restripe(row).await;
        }
        match rows.last() {
            Some(last) if rows.len() == ROWS_MAX => {
                *self.after.lock() = Some(last.row.clone());
                Ok(Step::Again)
            }
            _ => Ok(Step::Idle(PERIOD)),
        }
    }

    async fn wake(&self) {
        if self.layout.lock().await.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
