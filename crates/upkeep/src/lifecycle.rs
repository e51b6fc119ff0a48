//! Lifecycle: versions, markers and uploads go, and versions are moved, when rules say so.
//!
//! Nothing is scanned to find what is due. A range notes, in the transaction of the change itself, when a key of a bucket
//! with rules is to be looked at next; this duty, on the node that leads the range, takes the notes whose time has come,
//! looks at the key, and proposes in commands of a bounded size what is to be done and when it is to be looked at again
//! (docs/decisions/0014-lifecycle.md). Rules that are new to a range begin a pass over the bucket's keys, which goes on
//! where it was broken off. While nothing is due, a step reads one note a range.

mod judge;
mod pieces;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use index::command::{BucketAt, Expire, ExpireKey, Expired, FollowLifecycle, FollowedLifecycle, LifecyclePass};
use index::query::DueRow;
use index::routing::{query_within, within};
use index::{Answer, Command, CommandBody, IndexError, IndexService, Query, QueryAnswer, Refusal};
use objects::Objects;
use objects::data::DataPath;
use platform::{Clock, Entropy};
use s3_wire::lifecycle::Day;
use tokio::sync::Mutex;
use tokio::time::Instant;
use types::{
    BucketId, CommitStamp, ObjectKey, RangeDescriptor, RangeId, RequestNumber, SplitEpoch, StorageClass, Timestamp,
    VersionId,
};

use crate::duty::{Duty, DutyError, Step};
use crate::pace::Pace;
use crate::progress::{Progress, add};

use judge::Looker;
use pieces::pieces;
use rules::{BucketRules, RulesRead};

/// Keys that a step looks at in a range.
const KEYS_MAX: usize = 64;
/// Keys that are looked at at once.
const KEYS_AT_ONCE: usize = 8;
/// Versions of a key that are read at once.
const VERSIONS_MAX: usize = 500;
/// Actions on one key in one command; the rest is done at the next look.
const ACTIONS_MAX: usize = 1000;
/// How often is looked at least, where nothing is due before.
const PERIOD_MAX: Duration = Duration::from_secs(60);
const PERIOD_MIN: Duration = Duration::from_millis(500);
/// Buckets whose rules are remembered.
const RULES_MAX: usize = 1000;

/// The data ranges that this node leads now, as far as it knows.
pub type LedRanges = Arc<dyn Fn() -> Vec<RangeDescriptor> + Send + Sync>;

/// What the duty works with.
pub struct LifecycleServices {
    /// The index.
    pub index: Arc<dyn IndexService>,
    /// Moves versions to other storage classes, and knows how fast it may go.
    pub store: Arc<dyn LifecycleStore>,
    /// What was done.
    pub progress: Progress,
    /// What is due by now. It is checked again by the range's own time.
    pub clock: Arc<dyn Clock>,
    /// Randomness of markers' ids.
    pub entropy: Arc<dyn Entropy>,
    /// Which ranges are this node's to look after.
    pub led: LedRanges,
    /// How long a day is.
    pub day: Day,
}

/// What lifecycle does with bytes.
#[async_trait]
pub trait LifecycleStore: Send + Sync {
    /// Writes all parts of a version as another storage class wants them; `false`: not all could be. It is not said yet to be
    /// of that class.
    ///
    /// # Errors
    /// [`DutyError`]; it is tried again later.
    async fn move_version(
        &self,
        bucket: BucketId,
        key: &ObjectKey,
        version: VersionId,
        class: &StorageClass,
    ) -> Result<bool, DutyError>;

    /// Leaves clients, where there are any, as much time as was taken.
    async fn rest(&self, took: Duration);
}

/// Moves versions by writing them anew.
pub struct Restriping {
    /// Writes parts anew.
    pub objects: Objects,
    /// Knows whether clients are there.
    pub data: DataPath,
    /// How fast it may go beside them.
    pub pace: Pace,
}

#[async_trait]
impl LifecycleStore for Restriping {
    async fn move_version(
        &self,
        bucket: BucketId,
        key: &ObjectKey,
        version: VersionId,
        class: &StorageClass,
    ) -> Result<bool, DutyError> {
        let moved = self.objects.move_version(bucket, key, version, class).await;
        moved.map_err(|error| DutyError::Other(error.to_string()))
    }

    async fn rest(&self, took: Duration) {
        self.pace.rest(&self.data, took).await;
    }
}

/// The duty.
pub struct Lifecycle {
    services: LifecycleServices,
    state: Mutex<State>,
}

/// What is remembered between steps; all of it can be read again.
#[derive(Default)]
struct State {
    /// When any rules were changed last.
    known: Option<CommitStamp>,
    /// The buckets that have rules, and when any of their documents was changed last.
    buckets: BTreeMap<BucketId, CommitStamp>,
    rules: BTreeMap<BucketId, Arc<BucketRules>>,
    ranges: BTreeMap<RangeId, RangeState>,
}

/// What is remembered of a range.
struct RangeState {
    epoch: SplitEpoch,
    /// Buckets of which a pass over all keys is under way, and where it is.
    passes: BTreeMap<BucketId, FollowedLifecycle>,
}

/// What a range came to in a step.
enum Turn {
    More,
    /// Nothing is due; the next is then, if any is.
    Idle(Option<Timestamp>),
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycle").field("day", &self.services.day).finish_non_exhaustive()
    }
}

impl Lifecycle {
    /// Goes by what the ranges note.
    pub fn new(services: LifecycleServices) -> Self {
        Self { services, state: Mutex::default() }
    }

    fn period(&self) -> Duration {
        (Duration::from_micros(self.services.day.us()) / 20).clamp(PERIOD_MIN, PERIOD_MAX)
    }

    async fn ask_range(&self, range: &RangeDescriptor, query: Query) -> Result<QueryAnswer, IndexError> {
        self.services.index.query_at(range.id, query_within(range, query)).await
    }

    async fn propose_to(&self, range: &RangeDescriptor, body: CommandBody) -> Result<Answer, IndexError> {
        let command = Command { request: None, answered: RequestNumber(0), body };
        self.services.index.propose_to(range.id, within(range, &command)).await
    }

    /// Learns which buckets have rules, where that has changed: then each range is looked at anew.
    async fn learn_buckets(&self, state: &mut State) -> Result<(), DutyError> {
        match self.services.index.query(Query::LifecycleBuckets { known: state.known }).await? {
            QueryAnswer::LifecycleBuckets { changed, buckets } => {
                if let Some(buckets) = buckets {
                    state.buckets = buckets.into_iter().collect();
                    state.rules.clear();
                    state.ranges.clear();
                    state.known = Some(changed);
                }
                Ok(())
            }
            _ => Err(misunderstood()),
        }
    }

    /// The bucket's rules; `None` where it has none now, or its row is not there.
    async fn rules(&self, state: &mut State, bucket: BucketId) -> Result<Option<Arc<BucketRules>>, DutyError> {
        if let Some(known) = state.rules.get(&bucket) {
            return Ok(Some(known.clone()));
        }
        let LifecycleServices { index, clock, day, .. } = &self.services;
        let read = match rules::read(&**index, bucket, clock.now(), *day).await? {
            RulesRead::Rules(read) => Arc::new(*read),
            RulesRead::Nothing => return Ok(None),
        };
        if state.rules.len() >= RULES_MAX {
            state.rules.clear();
        }
        state.rules.insert(bucket, read.clone());
        Ok(Some(read))
    }

    /// Has a range follow exactly the buckets that have rules, by those rules.
    async fn sync(&self, state: &mut State, range: &RangeDescriptor) -> Result<(), DutyError> {
        let followed: BTreeMap<_, _> = match self.ask_range(range, Query::Followed).await? {
            QueryAnswer::Followed(followed) => followed.into_iter().collect(),
            _ => return Err(misunderstood()),
        };
        let is_here = |bucket: BucketId| range.interval.overlaps(&index::routing::interval_of(bucket));
        let wanted: Vec<_> = state.buckets.keys().copied().filter(|bucket| is_here(*bucket)).collect();
        let mut passes = BTreeMap::new();
        let mut gone: BTreeSet<_> = followed.keys().copied().collect();
        for bucket in wanted {
            let Some(rules) = self.rules(state, bucket).await? else { continue };
            gone.remove(&bucket);
            let standing = followed.get(&bucket).filter(|row| row.times.fingerprint == rules.times.fingerprint);
            let row = match standing {
                Some(row) => row.clone(),
                None => {
                    let times = Some(rules.times.clone());
                    self.follow(state, range, rules.at, times).await?;
                    FollowedLifecycle { times: rules.times.clone(), pass: Some(Vec::new()) }
                }
            };
            if row.pass.is_some() {
                passes.insert(bucket, row);
            }
        }
        for bucket in gone {
            if let Some(at) = rules::bucket_at(&*self.services.index, bucket).await? {
                self.follow(state, range, at, None).await?;
            }
        }
        state.ranges.insert(range.id, RangeState { epoch: range.epoch, passes });
        Ok(())
    }

    async fn follow(
        &self,
        state: &mut State,
        range: &RangeDescriptor,
        bucket: BucketAt,
        rules: Option<index::command::LifecycleTimes>,
    ) -> Result<(), DutyError> {
        let follow = CommandBody::FollowLifecycle(Box::new(FollowLifecycle { bucket, rules }));
        match self.propose_to(range, follow).await? {
            Answer::Done => Ok(()),
            Answer::Refused(Refusal::StaleBucket { .. }) => {
                state.rules.remove(&bucket.id);
                Err(DutyError::Other(format!("bucket {} is being changed", bucket.id)))
            }
            other => Err(DutyError::Other(format!("a range does not follow bucket {}: {other:?}", bucket.id))),
        }
    }

    /// Does a little for one range.
    async fn look_after(&self, state: &mut State, range: &RangeDescriptor, now: Timestamp) -> Result<Turn, DutyError> {
        if state.ranges.get(&range.id).is_none_or(|known| known.epoch != range.epoch) {
            if state.buckets.is_empty() && state.known == Some(CommitStamp(0)) {
                return Ok(Turn::Idle(None));
            }
            self.sync(state, range).await?;
        }
        let passing = state.ranges.get(&range.id).and_then(|known| known.passes.first_key_value());
        let mut has_passed = false;
        if let Some((bucket, row)) = passing.map(|(bucket, row)| (*bucket, row.clone())) {
            has_passed = self.pass_on(state, range, bucket, row, now).await?;
        }
        // What is due does not wait for the end of a long pass.
        let turn = self.take_due(state, range, now).await?;
        Ok(if has_passed { Turn::More } else { turn })
    }

    /// Goes on with a pass over the keys of a bucket. `false`: not now.
    async fn pass_on(
        &self,
        state: &mut State,
        range: &RangeDescriptor,
        bucket: BucketId,
        row: FollowedLifecycle,
        now: Timestamp,
    ) -> Result<bool, DutyError> {
        let Some(rules) = self.rules(state, bucket).await? else {
            state.ranges.remove(&range.id);
            return Ok(false);
        };
        let query = Query::Places { bucket, after: row.pass.clone().unwrap_or_default(), limit: KEYS_MAX };
        let keys = match self.ask_range(range, query).await? {
            QueryAnswer::Places(keys) => keys,
            _ => return Err(misunderstood()),
        };
        let after = keys.last().filter(|_| keys.len() == KEYS_MAX).map(|key| index::place(bucket, key));
        let noted = keys.into_iter().map(|key| (key, None)).collect();
        let keys = self.look_at(&rules, noted, now).await?;
        let pass = LifecyclePass { fingerprint: rules.times.fingerprint, after: after.clone() };
        let is_done = self.expire(state, range, rules.at, keys, Some(pass)).await?;
        if let Some(known) = state.ranges.get_mut(&range.id).filter(|_| is_done) {
            match after {
                Some(after) => known.passes.insert(bucket, FollowedLifecycle { pass: Some(after), ..row }),
                None => known.passes.remove(&bucket),
            };
        }
        Ok(is_done)
    }

    /// Takes the notes whose time has come.
    async fn take_due(&self, state: &mut State, range: &RangeDescriptor, now: Timestamp) -> Result<Turn, DutyError> {
        let first = self.due(range, 1).await?;
        match first.first() {
            None => return Ok(Turn::Idle(None)),
            Some(first) if first.at > now => return Ok(Turn::Idle(Some(first.at))),
            Some(_) => {}
        }
        let mut rows = self.due(range, KEYS_MAX).await?;
        rows.retain(|row| row.at <= now);
        let mut dropped = Vec::new();
        let mut of_buckets: BTreeMap<BucketId, BTreeMap<ObjectKey, Timestamp>> = BTreeMap::new();
        for row in rows {
            let is_here = range.interval.contains(&index::place(row.bucket, &row.key));
            // The second note of a key in a batch waits for the next: its first look may make it needless.
            if !is_here || !state.buckets.contains_key(&row.bucket) {
                dropped.push(row.row);
            } else {
                of_buckets.entry(row.bucket).or_default().entry(row.key).or_insert(row.at);
            }
        }
        // Where a bucket is fenced, say, nothing can be done now, and what can be done comes first.
        let mut is_done = !dropped.is_empty();
        for (bucket, keys) in of_buckets {
            let Some(rules) = self.rules(state, bucket).await? else {
                self.forget(state, range, bucket).await?;
                continue;
            };
            let noted = keys.into_iter().map(|(key, at)| (key, Some(at))).collect();
            let keys = self.look_at(&rules, noted, now).await?;
            is_done |= self.expire(state, range, rules.at, keys, None).await?;
        }
        if !dropped.is_empty() {
            self.propose_to(range, CommandBody::DropDue { rows: dropped }).await?;
        }
        Ok(if is_done { Turn::More } else { Turn::Idle(None) })
    }

    /// A bucket's rules were removed, or it was, since who has rules was learnt. It is followed no more, so that the same
    /// rules, should they be set again, begin with a pass, and its notes go when they come up next.
    async fn forget(&self, state: &mut State, range: &RangeDescriptor, bucket: BucketId) -> Result<(), DutyError> {
        if let Some(at) = rules::bucket_at(&*self.services.index, bucket).await? {
            self.follow(state, range, at, None).await?;
        }
        state.buckets.remove(&bucket);
        // Asked anew, and all ranges with it.
        state.known = None;
        Ok(())
    }

    async fn due(&self, range: &RangeDescriptor, limit: usize) -> Result<Vec<DueRow>, DutyError> {
        match self.ask_range(range, Query::Due { after: None, limit }).await? {
            QueryAnswer::Due(rows) => Ok(rows),
            _ => Err(misunderstood()),
        }
    }

    /// What is to be done with keys, and when they are to be looked at again. Versions are moved on the way.
    async fn look_at(
        &self,
        rules: &BucketRules,
        keys: Vec<(ObjectKey, Option<Timestamp>)>,
        now: Timestamp,
    ) -> Result<Vec<ExpireKey>, DutyError> {
        let looks = futures::stream::iter(keys).map(|(key, noted)| self.look_at_key(rules, key, noted, now));
        let looks: Vec<_> = looks.buffered(KEYS_AT_ONCE).collect().await;
        looks.into_iter().collect()
    }

    async fn look_at_key(
        &self,
        rules: &BucketRules,
        key: ObjectKey,
        noted: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<ExpireKey, DutyError> {
        let LifecycleServices { index, entropy, day, .. } = &self.services;
        let mut looker = Looker::new(&rules.rules, *day, now, entropy.number());
        let mut after = None;
        loop {
            let query = Query::KeyFacts { bucket: rules.at.id, key: key.clone(), after, limit: VERSIONS_MAX };
            let facts = match index.query(query).await? {
                QueryAnswer::KeyFacts(facts) => facts,
                _ => return Err(misunderstood()),
            };
            looker.look(key.as_bytes(), &facts, after.is_none());
            after = facts.versions.last().map(|version| version.id.stamp).filter(|_| facts.truncated);
            if after.is_none() {
                break;
            }
            if looker.actions() >= ACTIONS_MAX {
                looker.look_again(now);
                break;
            }
        }
        let (mut found, moves) = looker.finish(key, noted);
        for wanted in moves {
            self.make_move(rules.at.id, wanted, &mut found, now).await?;
        }
        Ok(found)
    }

    /// Writes a version's parts anew as its next class wants them; then it may be said to be of that class.
    async fn make_move(
        &self,
        bucket: BucketId,
        wanted: judge::WantedMove,
        found: &mut ExpireKey,
        now: Timestamp,
    ) -> Result<(), DutyError> {
        let LifecycleServices { store, day, .. } = &self.services;
        let begun = Instant::now();
        let moved = store.move_version(bucket, &found.key, wanted.version, &wanted.class).await;
        store.rest(begun.elapsed()).await;
        let is_moved = moved.unwrap_or_else(|error| {
            tracing::warn!(%bucket, key = %found.key, %error, "a version could not be moved to its storage class");
            false
        });
        if is_moved {
            found.actions.push(wanted.action);
        } else {
            let later = Timestamp(now.0.saturating_add(day.us() / 24));
            found.next = Some(found.next.map_or(later, |next| next.min(later)));
        }
        Ok(())
    }

    /// Proposes what is to be done. `false`: the bucket was changed meanwhile, and not all of it was.
    async fn expire(
        &self,
        state: &mut State,
        range: &RangeDescriptor,
        bucket: BucketAt,
        keys: Vec<ExpireKey>,
        pass: Option<LifecyclePass>,
    ) -> Result<bool, DutyError> {
        let pieces = pieces(keys);
        let last = pieces.len() - 1;
        for (number, keys) in pieces.into_iter().enumerate() {
            let pass = pass.clone().filter(|_| number == last);
            let expire = CommandBody::Expire(Box::new(Expire { bucket, keys, pass }));
            match self.propose_to(range, expire).await? {
                Answer::Expired(done) => self.count(done),
                Answer::Refused(Refusal::StaleBucket { .. }) => {
                    state.rules.remove(&bucket.id);
                    return Ok(false);
                }
                other => return Err(DutyError::Other(format!("what is due was answered with {other:?}"))),
            }
        }
        Ok(true)
    }

    fn count(&self, done: Expired) {
        use telemetry::metric;
        let progress = &self.services.progress;
        for (counter, name, more) in [
            (&progress.expired_objects, metric::LIFECYCLE_EXPIRED_OBJECTS, done.objects),
            (&progress.expired_noncurrent, metric::LIFECYCLE_EXPIRED_NONCURRENT, done.noncurrent),
            (&progress.expired_markers, metric::LIFECYCLE_EXPIRED_MARKERS, done.markers),
            (&progress.aborted_uploads, metric::LIFECYCLE_ABORTED_UPLOADS, done.uploads),
            (&progress.moved_versions, metric::LIFECYCLE_MOVED_VERSIONS, done.moved),
        ] {
            if more > 0 {
                add(counter, more);
                metrics::counter!(name).increment(more);
            }
        }
    }
}

fn misunderstood() -> DutyError {
    DutyError::Other("a question about lifecycle was answered with something else".to_owned())
}

#[async_trait]
impl Duty for Lifecycle {
    fn name(&self) -> &'static str {
        "lifecycle"
    }

    async fn step(&self) -> Result<Step, DutyError> {
        let mut state = self.state.lock().await;
        let period = self.period();
        let led = (self.services.led)();
        state.ranges.retain(|range, _| led.iter().any(|led| led.id == *range));
        if led.is_empty() {
            return Ok(Step::Idle(period));
        }
        self.learn_buckets(&mut state).await?;
        let now = self.services.clock.now();
        let mut next: Option<Timestamp> = None;
        for range in &led {
            let begun = Instant::now();
            match self.look_after(&mut state, range, now).await {
                Ok(Turn::More) => {
                    next = Some(now);
                    self.services.store.rest(begun.elapsed()).await;
                }
                Ok(Turn::Idle(at)) => next = next.into_iter().chain(at).min(),
                // It was split, or another leads it by now.
                Err(DutyError::Index(IndexError::WrongRange { .. } | IndexError::NotLeader { .. })) => {
                    state.ranges.remove(&range.id);
                }
                Err(error) => {
                    state.ranges.remove(&range.id);
                    return Err(error);
                }
            }
        }
        Ok(match next {
            Some(at) if at <= now => Step::Again,
            Some(at) => Step::Idle(Duration::from_micros(at.0 - now.0).clamp(Duration::from_millis(10), period)),
            None => Step::Idle(period),
        })
    }
}
