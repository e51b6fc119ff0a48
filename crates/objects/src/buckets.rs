//! From a bucket's name to its number, its row and the row's epoch.
//!
//! What was found is kept for a second. That is safe because bucket numbers are never reused: a read under an old number
//! finds no row, a write under an old epoch is refused, and both then ask anew.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use index::command::{BucketAt, BucketRecord, BucketRecordState, BucketRow};
use index::{Query, QueryAnswer};
use parking_lot::RwLock;
use platform::Clock;
use types::{BucketId, BucketName, Namespace};

use crate::commit::{Committer, unexpected};
use crate::{Bucket, ObjectsError};

/// How long a name is taken to mean the same bucket without asking.
const KEPT: Duration = Duration::from_secs(1);
/// Names that are kept at most.
const NAMES_MAX: usize = 10_000;
/// How often a bucket is looked for that changes while it is being looked for.
const ATTEMPTS: usize = 3;

/// A bucket as it was found.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    pub(crate) bucket: Arc<Bucket>,
    pub(crate) row: BucketRow,
}

impl Resolved {
    /// The bucket as a command names it.
    pub(crate) fn at(&self) -> BucketAt {
        BucketAt { id: self.row.id, epoch: self.row.epoch }
    }
}

/// What names were found to mean.
pub(crate) struct Buckets {
    clock: Arc<dyn Clock>,
    known: RwLock<HashMap<BucketName, Known>>,
}

struct Known {
    resolved: Resolved,
    /// On the monotonic clock.
    asked: Duration,
}

impl Buckets {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, known: RwLock::default() }
    }

    /// The bucket of this name, at most [`KEPT`] old.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`].
    pub(crate) async fn resolve(&self, index: &Committer, name: &BucketName) -> Result<Resolved, ObjectsError> {
        let now = self.clock.monotonic();
        if let Some(known) = self.known.read().get(name)
            && now.saturating_sub(known.asked) < KEPT
        {
            return Ok(known.resolved.clone());
        }
        self.resolve_anew(index, name).await
    }

    /// The bucket of this name as it is now.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`].
    pub(crate) async fn resolve_anew(&self, index: &Committer, name: &BucketName) -> Result<Resolved, ObjectsError> {
        let no_such_bucket = || ObjectsError::NoSuchBucket { bucket: name.clone() };
        for _ in 0..ATTEMPTS {
            // Before the question: what is kept must not look younger than it is.
            let asked = self.clock.monotonic();
            let found = record_of(index, name).await?.filter(is_visible);
            let Some(record) = found else {
                self.forget(name);
                return Err(no_such_bucket());
            };
            // Without a row, the bucket was deleted between the two questions; it may have been made again since.
            if let Some(row) = row_of(index, record.id).await? {
                let resolved = Resolved { bucket: Arc::new(Bucket::from(record)), row };
                self.keep(name, Known { resolved: resolved.clone(), asked });
                return Ok(resolved);
            }
        }
        self.forget(name);
        Err(no_such_bucket())
    }

    /// Takes note of a row that came with an answer.
    pub(crate) fn learn(&self, name: &BucketName, row: &BucketRow) {
        let is_news = |known: &Known| {
            let kept = &known.resolved.row;
            kept.id == row.id && (kept.epoch < row.epoch || kept.state != row.state)
        };
        if self.known.read().get(name).is_some_and(is_news)
            && let Some(known) = self.known.write().get_mut(name)
            && known.resolved.row.id == row.id
            && known.resolved.row.epoch <= row.epoch
        {
            known.resolved.row = row.clone();
        }
    }

    /// Asks anew the next time.
    pub(crate) fn forget(&self, name: &BucketName) {
        self.known.write().remove(name);
    }

    fn keep(&self, name: &BucketName, known: Known) {
        let mut all = self.known.write();
        if all.len() >= NAMES_MAX {
            all.retain(|_, other| known.asked.saturating_sub(other.asked) < KEPT);
        }
        if all.len() < NAMES_MAX {
            all.insert(name.clone(), known);
        }
    }
}

/// The record of a name, in any state.
pub(crate) async fn record_of(index: &Committer, name: &BucketName) -> Result<Option<BucketRecord>, ObjectsError> {
    let query = Query::BucketByName { namespace: Namespace::default(), name: name.clone() };
    match index.ask(query).await? {
        QueryAnswer::BucketRecord(record) => Ok(record.map(|record| *record)),
        other => Err(unexpected("a bucket's name", &other)),
    }
}

/// A bucket's row.
pub(crate) async fn row_of(index: &Committer, id: BucketId) -> Result<Option<BucketRow>, ObjectsError> {
    match index.ask(Query::BucketRow(id)).await? {
        QueryAnswer::BucketRow(row) => Ok(row),
        other => Err(unexpected("a bucket's number", &other)),
    }
}

/// Whether clients see a bucket whose row stands. One that is being deleted is still there: its deletion may be undone,
/// and once it was answered the row is gone.
pub(crate) fn is_visible(record: &BucketRecord) -> bool {
    match record.state {
        BucketRecordState::Live | BucketRecordState::Deleting { .. } => true,
        BucketRecordState::Creating { .. } => false,
    }
}

impl From<BucketRecord> for Bucket {
    fn from(record: BucketRecord) -> Self {
        let BucketRecord { id, name, owner, region, created, namespace: _, state: _ } = record;
        Self { id, name, owner, region, created }
    }
}
