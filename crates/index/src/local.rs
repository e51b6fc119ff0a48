//! An index in this process without a log: for tests and tools.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use platform::Clock;
use types::RangeId;

use crate::command::{Answer, Command, Refusal};
use crate::entry::{FIRST_DATA_RANGE, RangeEntry, SYSTEM_RANGE};
use crate::query::{Query, QueryAnswer};
use crate::service::{IndexError, IndexService};
use crate::{IndexDatabase, IndexDatabaseError};

/// Applies each command by itself as it comes, to a database in memory or of the caller's.
///
/// For tests and tools only: it has no log and never syncs, so it promises no durability at all, and each call blocks
/// its thread for the time of a transaction.
pub struct LocalIndex {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    database: IndexDatabase,
    entries: u64,
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
        Self { clock, state: Mutex::new(State { database, entries: 0 }) }
    }

    /// As [`IndexDatabase::digest`].
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn digest(&self) -> Result<[u8; 32], IndexDatabaseError> {
        self.state.lock().database.digest()
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
        let range = range_of(&command);
        let mut state = self.state.lock();
        let level = state.database.feature_level();
        if command.body.feature_level() > level {
            return Ok(Answer::Refused(Refusal::FeatureLevel { level }));
        }
        state.entries += 1;
        let applied = state.entries.to_be_bytes().to_vec().into();
        let entry = RangeEntry { range, applied, membership: None, time: self.clock.now(), commands: vec![command] };
        let mut answers = state.database.apply(std::slice::from_ref(&entry)).map_err(|error| told(&error))?;
        let answer = answers.pop().and_then(|mut answers| answers.pop());
        Ok(answer.expect("apply answers each command"))
    }

    async fn query(&self, query: Query) -> Result<QueryAnswer, IndexError> {
        self.state.lock().database.query(&query).map_err(|error| told(&error))
    }
}

fn range_of(command: &Command) -> RangeId {
    if command.body.is_of_system_range() { SYSTEM_RANGE } else { FIRST_DATA_RANGE }
}

fn told(error: &IndexDatabaseError) -> IndexError {
    let reason = error.to_string();
    match error {
        IndexDatabaseError::Damaged { .. } => IndexError::Damaged { reason },
        _ => IndexError::Unavailable { reason },
    }
}
