//! One group's view of the log, as openraft wants it.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds, RangeInclusive};

use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use tokio::sync::oneshot;
use types::RangeId;

use super::{LogError, SharedLog};
use crate::encoding::GroupState;
use crate::raft_types::{Entry, LogId, TypeConfig, Vote, Voter, term_of};

/// Bytes of entries that one read for a follower takes at most, about.
const READ_BYTES_MAX: u64 = 1 << 20;

/// A group's log.
#[derive(Debug, Clone)]
pub(crate) struct GroupLogStore {
    log: SharedLog,
    group: RangeId,
}

/// Reads a group's log.
pub(crate) type GroupLogReader = GroupLogStore;

impl GroupLogStore {
    /// The group's part of the node's log.
    pub(crate) fn new(log: SharedLog, group: RangeId) -> Self {
        Self { log, group }
    }

    /// Waits until what `ask` asks for is durable.
    async fn durably(
        &self,
        ask: impl FnOnce(Box<dyn FnOnce(Result<(), LogError>) + Send>) -> Result<(), LogError>,
    ) -> io::Result<()> {
        let (done, durable) = oneshot::channel();
        ask(Box::new(move |result| {
            // Nobody waits any more where the group was shut down meanwhile.
            let _ = done.send(result);
        }))?;
        durable.await.map_err(|_| LogError::Closed)??;
        Ok(())
    }
}

impl RaftLogReader<TypeConfig> for GroupLogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        Ok(self.log.read(self.group, half_open(&range), u64::MAX)?)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        let GroupState { vote, purged, .. } = self.log.state(self.group);
        // A range that a split made begins in the middle of a term, in which nobody was voted for: a leader of a lower
        // one would add entries that come before the first.
        let begins_in = |purged: LogId| Vote::new(term_of(&purged), Voter::default());
        Ok(vote.or_else(|| purged.map(begins_in)))
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        Ok(self.log.read(self.group, start..end, READ_BYTES_MAX)?)
    }

    // The last id of each leader: openraft's engine and its own implementation say so, the trait's text says the first.
    async fn get_key_log_ids(&mut self, range: RangeInclusive<LogId>) -> Result<Vec<LogId>, io::Error> {
        Ok(self.log.term_ends(self.group, range.start().index..range.end().index.saturating_add(1)))
    }
}

impl RaftLogStorage<TypeConfig> for GroupLogStore {
    type LogReader = GroupLogReader;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let last_purged_log_id = self.log.state(self.group).purged;
        Ok(LogState { last_purged_log_id, last_log_id: self.log.last_log_id(self.group) })
    }

    async fn get_log_reader(&mut self) -> GroupLogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        self.durably(|done| self.log.save_vote(self.group, *vote, done)).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        self.log.set_committed(self.group, committed);
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.log.state(self.group).committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let done = |result: Result<(), LogError>| callback.io_completed(result.map_err(io::Error::from));
        Ok(self.log.append(self.group, entries, done)?)
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        let first_removed = last.map_or(0, |last| last.index + 1);
        self.durably(|done| self.log.truncate(self.group, first_removed, done)).await
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        Ok(self.log.purge(self.group, upto)?)
    }
}

fn half_open(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    start..end.max(start)
}
