//! The state machine of all groups: committed entries in, answers out, with SQLite in between.
//!
//! openraft hands over a few entries at a time and waits; a transaction for each would be slow. So `apply` only queues
//! them, and one thread merges what all groups have queued into transactions of up to 2000 commands and answers then.
//! openraft's "applied" therefore runs ahead of SQLite's: whoever reads waits for [`Progress`], never for openraft.
//!
//! openraft's "snapshot" is a completed checkpoint here: what it has made durable is no longer needed of the log. No
//! bytes go with it; what is sent to another voter are the rows of one read transaction, written to a file then
//! (`rows_file`), and put in the place of that voter's own in steps (`install`).

mod applier;
mod databases;
mod install;
mod keeper;
mod known_ranges;
mod progress;
mod readers;
mod recent;
mod rows_file;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use openraft::alias::{SnapshotMetaOf, SnapshotOf};
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use types::RangeId;

#[cfg(test)]
pub(crate) use applier::range_entry;
pub(crate) use applier::{Applier, ApplierParts, DatabaseDesk};
pub use databases::DatabasesError;
pub(crate) use databases::{DatabasePlaces, OpenedDatabase, mark_of};
pub(crate) use install::{InstallError, InstallWork, Installation, ReceivedRows};
pub use keeper::UpkeepStatus;
pub(crate) use keeper::{DatabaseKeeper, KeeperParts, KeeperRequest, LogHolds};
pub(crate) use known_ranges::{Born, KnownRanges};
pub(crate) use progress::Progress;
pub(crate) use readers::{ReadJob, ReaderPool};
pub(crate) use recent::RecentVersions;
pub(crate) use rows_file::{check_rows, places_in, write_rows};

use crate::log::SharedLog;
use crate::raft_types::{Entry, LogId, StoredMembership, TypeConfig};

/// Messages that may wait for the applier; each has at most [`ENTRIES_PER_MESSAGE`] entries.
const QUEUE_MESSAGES: usize = 64;
/// Entries that are handed over at once.
const ENTRIES_PER_MESSAGE: usize = 64;

/// A committed entry and, where this node proposed it, who waits for its answers.
pub(crate) type Committed = (Entry, Option<ApplyResponder<TypeConfig>>);

/// What the applier is given.
pub(crate) enum Work {
    /// Entries of one range, in order.
    Entries(RangeId, Vec<Committed>),
    /// Another voter's rows of a range, which come in the place of those that are here.
    Install(InstallWork),
    /// The database of this epoch can't be used any more.
    DatabaseFailed(u64, String),
    /// The disk of the database of this epoch is to be left; another has a copy, or the log has all from its beginning.
    LeaveDisk(u64),
    /// Nothing more comes.
    End,
}

/// The applier's queue.
pub(crate) fn work_queue() -> (mpsc::Sender<Work>, mpsc::Receiver<Work>) {
    mpsc::channel(QUEUE_MESSAGES)
}

/// How far a range is, and with which members.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mark {
    pub(crate) applied: Option<LogId>,
    pub(crate) membership: StoredMembership,
    /// The entry whose rows are being installed: then there are none to go by.
    pub(crate) installing: Option<LogId>,
}

/// How far each range is durable in the database.
#[derive(Debug, Default)]
pub(crate) struct DurableMarks(Mutex<BTreeMap<RangeId, Mark>>);

impl DurableMarks {
    /// Notes a checkpoint. A range that is not in it keeps what it had: its rows were being replaced.
    pub(crate) fn set(&self, marks: BTreeMap<RangeId, Mark>) {
        self.0.lock().extend(marks);
    }

    pub(crate) fn set_one(&self, range: RangeId, mark: Mark) {
        self.0.lock().insert(range, mark);
    }

    pub(crate) fn get(&self, range: RangeId) -> Option<Mark> {
        self.0.lock().get(&range).cloned()
    }
}

/// One group's end of the state machine.
pub(crate) struct StateMachine {
    range: RangeId,
    log: SharedLog,
    work: mpsc::Sender<Work>,
    /// How far openraft has handed entries over.
    taken: Mark,
    durable: Arc<DurableMarks>,
}

impl StateMachine {
    /// `found` is what the database has of the range.
    pub(crate) fn new(
        range: RangeId,
        log: SharedLog,
        work: mpsc::Sender<Work>,
        found: Mark,
        durable: Arc<DurableMarks>,
    ) -> Self {
        Self { range, log, work, taken: found, durable }
    }
}

/// What goes with a snapshot.
#[derive(Clone)]
pub(crate) enum SnapshotBody {
    /// Nothing: it is a checkpoint here. Who sends it reads the rows then, which are as far as it or further.
    Checkpoint,
    /// The rows of another voter.
    Received(ReceivedRows),
}

type Snapshot = SnapshotOf<TypeConfig, SnapshotBody>;

fn snapshot_of(mark: Mark) -> Snapshot {
    let meta = SnapshotMetaOf::<TypeConfig> { last_log_id: mark.applied, last_membership: mark.membership };
    Snapshot { meta, snapshot: SnapshotBody::Checkpoint }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotBody;
    type SnapshotBuilder = CheckpointBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.taken.applied, self.taken.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        let mut batch = Vec::new();
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            self.taken.applied = Some(entry.log_id);
            if let EntryPayload::Membership(membership) = &entry.payload {
                self.taken.membership = StoredMembership::new(Some(entry.log_id), membership.clone());
            }
            batch.push((entry, responder));
            if batch.len() == ENTRIES_PER_MESSAGE {
                self.hand_over(std::mem::take(&mut batch)).await?;
            }
        }
        if batch.is_empty() { Ok(()) } else { self.hand_over(batch).await }
    }

    async fn get_snapshot_builder(&mut self) -> CheckpointBuilder {
        CheckpointBuilder { range: self.range, durable: self.durable.clone() }
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMetaOf<TypeConfig>,
        snapshot: SnapshotBody,
    ) -> Result<(), io::Error> {
        let SnapshotBody::Received(rows) = snapshot else {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "a checkpoint is where it was made, nowhere else"));
        };
        let gone = || io::Error::other("the thread that applies has ended");
        let (done, installed) = oneshot::channel();
        let mark = rows.mark.clone();
        let work = Work::Install(InstallWork { range: self.range, rows, done });
        self.work.send(work).await.map_err(|_| gone())?;
        installed.await.map_err(|_| gone())?.map_err(io::Error::other)?;
        self.taken = mark.clone();
        self.durable.set_one(self.range, mark);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        Ok(self.durable.get(self.range).map(snapshot_of))
    }
}

impl StateMachine {
    /// Has entries applied, once they are in this node's log for good. They are committed without it where a majority of
    /// others has them; but a database that was ahead of its log after a power loss would be taken for one whose log has
    /// lost what it promised to keep.
    async fn hand_over(&self, entries: Vec<Committed>) -> io::Result<()> {
        if let Some((last, _)) = entries.last() {
            self.log.written(self.range, last.log_id.index).await.map_err(io::Error::other)?;
        }
        let gone = |_| io::Error::other("the thread that applies has ended");
        self.work.send(Work::Entries(self.range, entries)).await.map_err(gone)
    }
}

/// Tells openraft what the last completed checkpoint has made durable.
pub(crate) struct CheckpointBuilder {
    range: RangeId,
    durable: Arc<DurableMarks>,
}

impl RaftSnapshotBuilder<TypeConfig> for CheckpointBuilder {
    type SnapshotData = SnapshotBody;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let mark = self.durable.get(self.range).ok_or_else(|| io::Error::other("no checkpoint has been completed"))?;
        Ok(snapshot_of(mark))
    }
}
