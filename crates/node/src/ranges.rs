//! Ranges that have grown are split by whoever leads them, and what a split has made is told to the system range.
//!
//! The truth about which places a range has is its own rows; the map in the system range is where those look who were
//! never told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use consensus::ReplicatedIndex;
use index::{Answer, Command, CommandBody, IndexError, IndexService, Query, QueryAnswer, SPLITS_LEVEL};
use parking_lot::Mutex;
use platform::Clock;
use telemetry::with_causes;
use tokio::sync::watch;
use types::{HomeKey, RangeDescriptor, RangeId, RangeMap, RequestNumber};

use crate::layout::LayoutKeeper;

/// How often it looks.
const PERIOD: Duration = Duration::from_secs(2);
/// How old what was counted for others to see may be.
const COUNTED_AGE: Duration = Duration::from_secs(5);

/// What ranges are split with.
pub struct Ranges {
    own: Arc<ReplicatedIndex>,
    /// The ranges wherever they are led.
    index: Arc<dyn IndexService>,
    layout: Arc<LayoutKeeper>,
    /// A range that has so many bytes is split.
    bytes_max: u64,
    clock: Arc<dyn Clock>,
    known: Sizes,
    /// The map, as it surely is.
    noted: Mutex<RangeMap>,
}

/// What is known of how large ranges are.
#[derive(Debug, Default)]
struct Sizes {
    /// What ranges that were read through were found to have, against what their counters promised.
    corrections: Mutex<BTreeMap<RangeId, f64>>,
    /// Ranges that are too large, and have but one key.
    whole: Mutex<BTreeMap<RangeId, u64>>,
    /// What was counted last, and when.
    counted: tokio::sync::Mutex<Option<(Duration, BTreeMap<RangeId, u64>)>>,
}

/// Why a range is not split.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// Not now, or not so.
    #[error("{0}")]
    Refused(String),
    /// The index gave no answer.
    #[error(transparent)]
    Index(#[from] IndexError),
}

impl Ranges {
    /// Of a node that has `own`; a range with `bytes_max` bytes of rows is split. `index` has all ranges, wherever they
    /// are led.
    pub fn new(
        own: Arc<ReplicatedIndex>,
        index: Arc<dyn IndexService>,
        layout: Arc<LayoutKeeper>,
        bytes_max: u64,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { own, index, layout, bytes_max, clock, known: Sizes::default(), noted: Mutex::default() }
    }

    /// Looks every few seconds until `stopped` changes.
    pub async fn run(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = stopped.changed() => return,
                _ = ticks.tick() => {}
            }
            let look = async {
                if let Err(error) = self.note_own().await {
                    tracing::debug!(error = %with_causes(&error), "the map of ranges was not told of this node's");
                }
                if let Err(error) = self.split_where_due().await {
                    tracing::warn!(error = %with_causes(&error), "a range that has grown was not split");
                }
            };
            tokio::select! {
                biased;
                _ = stopped.changed() => return,
                () = look => {}
            }
        }
    }

    /// Splits a range that this node has at a key, or else in its middle.
    ///
    /// # Errors
    /// [`SplitError`].
    pub async fn split(&self, range: RangeId, at: Option<HomeKey>) -> Result<[RangeDescriptor; 2], SplitError> {
        let refused = |reason: String| SplitError::Refused(reason);
        if self.layout.feature_level() < SPLITS_LEVEL {
            return Err(refused("some node is of a release that reads no split ranges: upgrade it first".to_owned()));
        }
        let known = self.own.descriptors().into_iter().find(|known| known.id == range);
        let here = || refused(format!("this node has no range {range}: ask one that does (cairn admin range list)"));
        let known = known.ok_or_else(here)?;
        let at = match at {
            Some(at) => at,
            None => {
                let middle = self.own.measure(range).await?.middle;
                middle.ok_or_else(|| refused(format!("range {range} has fewer than two keys")))?
            }
        };
        if known.interval.split(&index::place(at.bucket, &at.key)).is_none() {
            return Err(refused(format!("range {range} does not have that key, or begins with it")));
        }
        self.own.check_settled(range)?;
        let child = match self.index.propose(plain(CommandBody::AllotRange)).await? {
            Answer::Range(child) => child,
            other => return Err(refused(format!("no id for a range was given: {other:?}"))),
        };
        let command = self.own.split_command(range, child, at).await?;
        match self.index.propose_to(range, command).await? {
            Answer::Split(halves) => {
                tracing::info!(%range, %child, "a range was split");
                Ok(*halves)
            }
            other => Err(refused(format!("range {range} was not split: {other:?}"))),
        }
    }

    /// Tells the system range of the ranges that this node leads, where it knows older ones.
    async fn note_own(&self) -> Result<(), IndexError> {
        let is_news = |noted: &RangeMap, range: &RangeDescriptor| {
            noted.get(range.id).is_none_or(|known| known.epoch < range.epoch)
        };
        let known = self.noted.lock().clone();
        let tells = |range: &RangeDescriptor| range.epoch.0 > 0 && self.own.leads(range.id) && is_news(&known, range);
        let mut own: Vec<RangeDescriptor> = self.own.descriptors().into_iter().filter(tells).collect();
        if own.is_empty() {
            return Ok(());
        }
        let QueryAnswer::Ranges(noted) = self.index.query(Query::Ranges).await? else { return Ok(()) };
        self.noted.lock().learn(noted);
        own.retain(|range| is_news(&self.noted.lock(), range));
        if !own.is_empty() {
            self.index.propose(plain(CommandBody::NoteRanges { ranges: own.clone() })).await?;
            self.noted.lock().learn(own);
        }
        Ok(())
    }

    /// About how many bytes the data ranges of this node have: each bucket's counters are read, once in a while.
    ///
    /// # Errors
    /// [`IndexError::Unavailable`].
    pub(crate) async fn bytes(&self) -> Result<BTreeMap<RangeId, u64>, IndexError> {
        let mut counted = self.known.counted.lock().await;
        let now = self.clock.monotonic();
        if let Some((_, bytes)) = counted.as_ref().filter(|(then, _)| now - *then < COUNTED_AGE) {
            return Ok(bytes.clone());
        }
        let bytes = self.count().await?;
        *counted = Some((now, bytes.clone()));
        Ok(bytes)
    }

    /// The rows of a database are in its ranges by the number that each has, but for what is known to be otherwise.
    async fn count(&self) -> Result<BTreeMap<RangeId, u64>, IndexError> {
        let counts = self.own.row_counts().await?;
        let bytes = self.own.status().database_bytes as f64;
        let all = counts.values().sum::<u64>().max(1) as f64;
        let corrections = self.known.corrections.lock();
        let of_range = |descriptor: RangeDescriptor| {
            let count = counts.get(&descriptor.id).copied().unwrap_or_default() as f64;
            let correction = corrections.get(&descriptor.id).copied().unwrap_or(1.0);
            (descriptor.id, (bytes * count / all * correction) as u64)
        };
        Ok(self.own.descriptors().into_iter().map(of_range).collect())
    }

    /// Splits one range that this node leads and that has grown too large. Counters tell which may have; only those are
    /// read through.
    async fn split_where_due(&self) -> Result<(), SplitError> {
        if self.layout.feature_level() < SPLITS_LEVEL || self.own.status().database_bytes < self.bytes_max {
            return Ok(());
        }
        for (range, promised) in self.count().await? {
            let is_whole = self.known.whole.lock().get(&range).is_some_and(|known| promised < known + known / 2);
            if promised < self.bytes_max || is_whole || !self.own.leads(range) {
                continue;
            }
            self.own.check_settled(range)?;
            let measured = self.own.measure(range).await?;
            {
                let mut corrections = self.known.corrections.lock();
                let before = corrections.get(&range).copied().unwrap_or(1.0);
                corrections.insert(range, before * measured.bytes as f64 / promised as f64);
            }
            if measured.bytes < self.bytes_max {
                continue;
            }
            if measured.middle.is_some() {
                self.split(range, measured.middle).await?;
                return Ok(());
            }
            self.known.whole.lock().insert(range, measured.bytes);
        }
        Ok(())
    }
}

/// A command that needs no name: it is idempotent, or refused where it comes twice.
fn plain(body: CommandBody) -> Command {
    Command { request: None, answered: RequestNumber(0), body }
}
