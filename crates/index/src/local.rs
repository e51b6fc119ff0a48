//! An index in this process without a log: for tests and tools.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use platform::Clock;
use types::{FeatureLevel, HomeKey, RangeDescriptor, RangeId, RangeMap, RequestNumber, Timestamp};

use crate::command::{Answer, Command, CommandBody, Refusal, SplitRange};
use crate::entry::{FIRST_DATA_RANGE, RangeEntry, SYSTEM_RANGE};
use crate::query::{Query, QueryAnswer, Usage};
use crate::routing::Router;
use crate::service::{IndexError, IndexService, answer_of_range, query_answer_of_range};
use crate::{IndexDatabase, IndexDatabaseError, SPLITS_LEVEL, keys};

/// Applies each command by itself as it comes, to a database in memory or of the caller's.
///
/// For tests and tools only: it has no log and never syncs, so it promises no durability at all, and each call blocks
/// its thread for the time of a transaction.
pub struct LocalIndex {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    router: Router,
}

struct State {
    database: IndexDatabase,
    entries: u64,
}

impl State {
    /// Whether a range is here.
    fn check(&self, range: RangeId) -> Result<(), IndexError> {
        let known = self.database.descriptors().map_err(|error| told(&error))?;
        let is_here = range == SYSTEM_RANGE || range == FIRST_DATA_RANGE || known.iter().any(|known| known.id == range);
        if is_here { Ok(()) } else { Err(IndexError::NotLeader { leader: None }) }
    }

    /// The feature level, as far as this range shows it.
    fn level(&self, range: RangeId) -> Result<FeatureLevel, IndexError> {
        let level = self.database.feature_level();
        let known = self.database.descriptors().map_err(|error| told(&error))?;
        let is_split = known.iter().any(|known| known.id == range && known.epoch.0 > 0);
        Ok(if is_split { level.max(SPLITS_LEVEL) } else { level })
    }

    fn apply(&mut self, range: RangeId, time: Timestamp, command: Command) -> Result<Answer, IndexError> {
        self.entries += 1;
        let applied = self.entries.to_be_bytes().to_vec().into();
        let entry = RangeEntry { range, applied, membership: None, time, commands: vec![command] };
        let mut answers = self.database.apply(std::slice::from_ref(&entry)).map_err(|error| told(&error))?;
        let answer = answers.pop().and_then(|mut answers| answers.pop());
        let known = || self.database.descriptors().map_err(|error| told(&error));
        answer_of_range(answer.expect("apply answers each command"), known)
    }
}

impl LocalIndex {
    /// An empty index in memory.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn in_memory(clock: Arc<dyn Clock>) -> Result<Self, IndexDatabaseError> {
        Ok(Self::over(IndexDatabase::in_memory()?, clock))
    }

    /// An index over a database that nothing else writes to.
    pub fn over(database: IndexDatabase, clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::new(State { database, entries: 0 }), router: Router::default() }
    }

    /// As [`IndexDatabase::digest`].
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn digest(&self) -> Result<[u8; 32], IndexDatabaseError> {
        self.state.lock().database.digest()
    }
}

impl LocalIndex {
    /// Splits the range that has a key there, whatever the feature level: the key is the first of the new one.
    ///
    /// # Errors
    /// [`IndexError`]; also where the key is the first that the range can have.
    pub fn split(&self, at: HomeKey) -> Result<[RangeDescriptor; 2], IndexError> {
        let plain = |body| Command { request: None, answered: RequestNumber(0), body };
        let failed = |answer: Answer| IndexError::Unavailable { reason: format!("not split: {answer:?}") };
        let child = match self.state.lock().apply(SYSTEM_RANGE, self.clock.now(), plain(CommandBody::AllotRange))? {
            Answer::Range(child) => child,
            other => return Err(failed(other)),
        };
        let map = RangeMap::of(self.state.lock().database.descriptors().map_err(|error| told(&error))?);
        let place = keys::place(at.bucket, &at.key);
        let whole = RangeDescriptor::whole(FIRST_DATA_RANGE);
        let range = map.of_place(&place).unwrap_or(&whole);
        let split = SplitRange { expected: range.epoch, child, at, moved: Usage::default() };
        let command = plain(CommandBody::SplitRange(Box::new(split)));
        match self.state.lock().apply(range.id, self.clock.now(), command)? {
            Answer::Split(halves) => Ok(*halves),
            other => Err(failed(other)),
        }
    }
}

impl fmt::Debug for LocalIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalIndex").finish_non_exhaustive()
    }
}

#[async_trait]
impl IndexService for LocalIndex {
    async fn propose(&self, command: Command) -> Result<Answer, IndexError> {
        self.router.propose(self, command).await
    }

    async fn query(&self, query: Query) -> Result<QueryAnswer, IndexError> {
        self.router.query(self, query).await
    }

    async fn propose_to(&self, range: RangeId, command: Command) -> Result<Answer, IndexError> {
        let mut state = self.state.lock();
        state.check(range)?;
        let level = state.level(range)?;
        if command.body.feature_level() > level {
            return Ok(Answer::Refused(Refusal::FeatureLevel { level }));
        }
        state.apply(range, self.clock.now(), command)
    }

    async fn query_at(&self, range: RangeId, query: Query) -> Result<QueryAnswer, IndexError> {
        let mut state = self.state.lock();
        state.check(range)?;
        let answer = state.database.query_at(range, &query).map_err(|error| told(&error))?;
        query_answer_of_range(answer, || state.database.descriptors().map_err(|error| told(&error)))
    }
}

fn told(error: &IndexDatabaseError) -> IndexError {
    let reason = error.to_string();
    match error {
        IndexDatabaseError::Damaged { .. } => IndexError::Damaged { reason },
        _ => IndexError::Unavailable { reason },
    }
}
