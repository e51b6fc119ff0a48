//! The index of this node, replicated: groups, log, database and readers put together. How it begins is `opening`'s.

mod opening;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use index::{
    Answer, Command, CommandBody, FIRST_DATA_RANGE, IndexError, IndexService, Query, QueryAnswer, Refusal, SYSTEM_RANGE,
};
use parking_lot::Mutex;
use platform::Disk;
use platform::threads::{JoinHandle, run_blocking};
use rpc::server::RaftHandler;
use telemetry::with_causes;
use tokio::sync::{mpsc, oneshot, watch};
use types::{DiskId, NodeId, RangeId, VoterId};

use crate::barrier::ReadBarrier;
use crate::failure::Failure;
use crate::group::{Group, RaftGroup, RangeStatus};
use crate::handler::VoterHandler;
use crate::log::{LogStatus, SharedLog};
use crate::machine::{
    DatabaseDesk, DatabasePlaces, KeeperRequest, LogHolds, Progress, ReadJob, ReaderPool, UpkeepStatus, Work, mark_of,
};
use crate::proposer::Proposer;
use crate::restore::LoggedProposals;

/// The ranges of a node, until ranges split.
pub(crate) const RANGES: [RangeId; 2] = [SYSTEM_RANGE, FIRST_DATA_RANGE];
/// How long a command may take, where it takes a majority of several voters.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// How long a shutdown waits for the proposals under way.
const DRAIN_PATIENCE: Duration = Duration::from_secs(10);

/// What a range's commands and queries go through.
struct Range {
    group: RaftGroup,
    proposer: Proposer,
    barrier: ReadBarrier,
}

/// The replicated index, as this node has it.
pub struct ReplicatedIndex {
    log: SharedLog,
    places: Arc<DatabasePlaces>,
    ranges: BTreeMap<RangeId, Range>,
    readers: Arc<ReaderPool>,
    progress: Arc<Progress>,
    desk: Arc<DatabaseDesk>,
    upkeep: Arc<Mutex<UpkeepStatus>>,
    keeper_requests: mpsc::UnboundedSender<KeeperRequest>,
    holds: Arc<LogHolds>,
    failure: Failure,
    work: mpsc::Sender<Work>,
    stop: watch::Sender<bool>,
    keeper: Mutex<Option<tokio::task::JoinHandle<()>>>,
    applier: Mutex<Option<JoinHandle>>,
    handler: Arc<VoterHandler>,
    leaders: watch::Sender<BTreeMap<RangeId, Option<NodeId>>>,
    has_peers: bool,
}

/// A replicated index at one moment.
#[derive(Debug, Clone, Default)]
pub struct ReplicatedIndexStatus {
    /// Whether this node leads all its ranges.
    pub leads: bool,
    /// For each range, its group as this node sees it.
    pub ranges: BTreeMap<RangeId, RangeStatus>,
    /// For each range, the index after the last entry that readers see.
    pub applied: BTreeMap<RangeId, u64>,
    /// The log.
    pub log: LogStatus,
    /// The disk that the database lies on.
    pub database_disk: Option<DiskId>,
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Checkpoints and copies.
    pub upkeep: UpkeepStatus,
    /// Whether commands that add data are refused, because disks are full.
    pub low_space: bool,
    /// Why nothing works any more, if so. Without peers, the process must be started anew; with them, the voters of this
    /// node have ended, and others lead.
    pub failed: Option<String>,
}

impl ReplicatedIndex {
    /// Takes the messages of other nodes' voters.
    pub fn raft_handler(&self) -> Arc<dyn RaftHandler> {
        self.handler.clone()
    }

    /// Who leads each range, as far as is known here, now and whenever it changes.
    pub fn leaders(&self) -> watch::Receiver<BTreeMap<RangeId, Option<NodeId>>> {
        self.leaders.subscribe()
    }

    /// Whether this node leads a range, as far as it knows: another may by now.
    pub fn leads(&self, range: RangeId) -> bool {
        self.ranges.get(&range).is_some_and(|range| range.group.leads())
    }

    /// The voter that this node is in all groups.
    pub fn voter(&self) -> VoterId {
        self.log.voter()
    }

    /// Has a disk considered for log mirrors and copies of the database.
    pub async fn add_disk(&self, id: DiskId, disk: Arc<dyn Disk>) {
        self.places.add_disk(id, disk.clone());
        self.log.add_disk(id, disk);
    }

    /// A disk is down: its log mirror is struck and built elsewhere, and the database, if it lies there, goes on from a
    /// copy.
    pub async fn disk_failed(&self, id: DiskId) {
        self.places.remove_disk(id);
        self.log.remove_disk(id, "the disk is down");
        // It finds that the database's disk is gone.
        self.desk.wake.notify_one();
    }

    /// Makes the voters of a range these, each on its node; members that are not among them learn no more.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn change_members(&self, range: RangeId, voters: BTreeMap<VoterId, NodeId>) -> Result<(), IndexError> {
        self.range(range)?.group.change_members(voters).await
    }

    /// Hands the leadership of a range to another voter.
    ///
    /// # Errors
    /// [`IndexError::Unavailable`].
    pub async fn transfer(&self, range: RangeId, to: VoterId) -> Result<(), IndexError> {
        self.range(range)?.group.transfer(to).await
    }

    /// Hands `take` all rows of a range as they are in one read transaction, in stretches of about `bytes_max` for
    /// `index::IndexDatabase::take_rows`; returns the index after the last entry that is in them. `None` when `take`
    /// broke it off. Commands go on meanwhile; `take` may block.
    ///
    /// # Errors
    /// [`IndexError::Unavailable`].
    pub async fn range_rows(
        &self,
        range: RangeId,
        bytes_max: usize,
        mut take: impl FnMut(Vec<u8>) -> ControlFlow<()> + Send + 'static,
    ) -> Result<Option<u64>, IndexError> {
        let unavailable = |reason: String| IndexError::Unavailable { reason };
        let (answer, answered) = oneshot::channel();
        let mut reader = self.ask_keeper(KeeperRequest::Reader(answer), answered).await?;
        let state = run_blocking(move || reader.range_rows(range, bytes_max, &mut take)).await;
        let Some(state) = state.map_err(|error| unavailable(with_causes(&error)))? else { return Ok(None) };
        let mark = mark_of(&state).map_err(|error| unavailable(error.to_string()))?;
        if mark.installing.is_some() {
            return Err(unavailable("the rows are being replaced by those of another voter".to_owned()));
        }
        Ok(Some(mark.applied.map_or(0, |applied| applied.index + 1)))
    }

    /// Makes what was applied durable, copies the database to every disk that should have a copy, and releases the log.
    pub(crate) async fn settle(&self) -> Result<(), IndexError> {
        let (answer, answered) = oneshot::channel();
        self.ask_keeper(KeeperRequest::Settle(answer), answered).await
    }

    async fn ask_keeper<T>(
        &self,
        request: KeeperRequest,
        answered: oneshot::Receiver<Result<T, String>>,
    ) -> Result<T, IndexError> {
        let unavailable = |reason: String| IndexError::Unavailable { reason };
        let ended = || unavailable("the index ended meanwhile".to_owned());
        self.keeper_requests.send(request).map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?.map_err(unavailable)
    }

    /// Keeps a range's log from `first_needed` on, until this is called again; with `None`, for nobody.
    pub fn hold_log(&self, range: RangeId, first_needed: Option<u64>) {
        self.holds.set(range, first_needed);
    }

    /// The ranges that this node has.
    pub fn ranges(&self) -> Vec<RangeId> {
        self.ranges.keys().copied().collect()
    }

    /// The index after the last entry of a range that is applied here.
    pub fn applied(&self, range: RangeId) -> u64 {
        self.progress.next(range)
    }

    /// The applied proposals of a range from `from` on, as many as `bytes_max` allows but at least one entry; `None`
    /// when the log does not go back so far any more. Blocks where entries have to be read from disk.
    ///
    /// # Errors
    /// [`IndexError::Damaged`].
    pub fn proposals(&self, range: RangeId, from: u64, bytes_max: u64) -> Result<Option<LoggedProposals>, IndexError> {
        let end = self.progress.next(range);
        let entries = self.log.read(range, from..end, bytes_max);
        let entries = entries.map_err(|error| IndexError::Damaged { reason: error.to_string() })?;
        Ok(LoggedProposals::of(range, from, end, entries))
    }

    /// The index now.
    pub fn status(&self) -> ReplicatedIndexStatus {
        let database_disk = *self.desk.disk.lock();
        ReplicatedIndexStatus {
            leads: self.ranges.values().all(|range| range.group.leads()),
            applied: self.progress.all(),
            ranges: self.ranges.iter().map(|(id, range)| (*id, range.group.status())).collect(),
            log: self.log.status(),
            database_disk,
            database_bytes: database_disk.map_or(0, |disk| self.places.database_bytes(disk)),
            upkeep: self.upkeep.lock().clone(),
            low_space: self.low_space(),
            failed: self.failure.reason(),
        }
    }

    /// Waits until nothing works any more, and says why. Without peers, the process must then be started anew.
    pub async fn failed(&self) -> String {
        self.failure.reported().await
    }

    /// Hands the ranges that it leads to other voters, takes no more commands and queries, waits for those under way,
    /// checkpoints, and ends all threads.
    pub async fn shutdown(&self) {
        futures::future::join_all(self.ranges.values().map(|range| range.group.hand_over())).await;
        let ended = IndexError::Unavailable { reason: "the index is shutting down".to_owned() };
        for range in self.ranges.values() {
            range.proposer.close(&ended);
            range.barrier.close(&ended);
        }
        let idle = futures::future::join_all(self.ranges.values().map(|range| range.proposer.idle()));
        if tokio::time::timeout(DRAIN_PATIENCE, idle).await.is_err() {
            tracing::warn!("proposals were still under way at the end");
        }
        self.stop.send_replace(true);
        let keeper = self.keeper.lock().take();
        if let Some(keeper) = keeper
            && let Err(error) = keeper.await
        {
            tracing::error!(%error, "the database's keeper ended badly");
        }
        self.failure.close();
        for range in self.ranges.values() {
            range.group.shutdown().await;
        }
        // An applier that has failed takes nothing; then the queue is closed.
        let _ = self.work.send(Work::End).await;
        let (readers, log, applier) = (self.readers.clone(), self.log.clone(), self.applier.lock().take());
        run_blocking(move || {
            readers.close(&ended);
            if let Some(applier) = applier {
                let _ = applier.join();
            }
            log.close();
        })
        .await;
    }

    fn range(&self, id: RangeId) -> Result<&Range, IndexError> {
        self.ranges.get(&id).ok_or_else(|| IndexError::Unavailable { reason: format!("range {id} is not here") })
    }

    /// A range's group, to look at.
    #[cfg(test)]
    pub(crate) fn group(&self, range: RangeId) -> RaftGroup {
        self.ranges[&range].group.clone()
    }

    /// The index up to which a range's log is purged here.
    #[cfg(test)]
    pub(crate) fn purged(&self, range: RangeId) -> Option<u64> {
        self.log.state(range).purged.map(|purged| purged.index)
    }

    /// A hash over all rows, for tests that compare replicas: those that have applied the same have the same.
    ///
    /// # Errors
    /// [`IndexError::Unavailable`].
    pub async fn digest(&self) -> Result<[u8; 32], IndexError> {
        let (answer, answered) = oneshot::channel();
        let mut reader = self.ask_keeper(KeeperRequest::Reader(answer), answered).await?;
        let digest = run_blocking(move || reader.digest()).await;
        digest.map_err(|error| IndexError::Unavailable { reason: with_causes(&error) })
    }

    fn low_space(&self) -> bool {
        let desk = &self.desk;
        self.log.low_space() || desk.is_short.load(Ordering::Relaxed) || desk.is_full.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for ReplicatedIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplicatedIndex").field("voter", &self.log.voter()).finish_non_exhaustive()
    }
}

#[async_trait]
impl IndexService for ReplicatedIndex {
    async fn propose(&self, command: Command) -> Result<Answer, IndexError> {
        if self.has_peers && self.failure.is_reported() {
            return Err(IndexError::NotLeader { leader: None });
        }
        if adds_data(&command.body) && self.low_space() {
            return Err(IndexError::Unavailable { reason: "the disks of the index are full".to_owned() });
        }
        let range = if command.body.is_of_system_range() { SYSTEM_RANGE } else { FIRST_DATA_RANGE };
        // A node that lags behind knows of a lower level at most: nothing goes into a log too early.
        let level = self.desk.feature_level();
        if command.body.feature_level() > level {
            let group = &self.range(range)?.group;
            return match group.leads() {
                true => Ok(Answer::Refused(Refusal::FeatureLevel { level })),
                false => Err(IndexError::NotLeader { leader: self.leaders.borrow().get(&range).copied().flatten() }),
            };
        }
        let answered = self.range(range)?.proposer.propose(command);
        if !self.has_peers {
            return answered.await;
        }
        let late = |_elapsed| Err(IndexError::Unknown { reason: "a majority does not answer".to_owned() });
        tokio::time::timeout(ANSWER_PATIENCE, answered).await.unwrap_or_else(late)
    }

    async fn query(&self, query: Query) -> Result<QueryAnswer, IndexError> {
        if self.has_peers && self.failure.is_reported() {
            return Err(IndexError::NotLeader { leader: None });
        }
        let range = range_of(&query);
        let (job, answered) = ReadJob::new(query, range);
        let range = self.range(range)?;
        if range.group.leads_alone() {
            self.readers.push([job]);
        } else {
            range.barrier.push(job);
        }
        let ended = |_| Err(IndexError::Unavailable { reason: "the index ended meanwhile".to_owned() });
        answered.await.unwrap_or_else(ended)
    }
}

fn range_of(query: &Query) -> RangeId {
    if query.is_of_system_range() { SYSTEM_RANGE } else { FIRST_DATA_RANGE }
}

/// Whether a command stores something new; while disks are full, others are taken so that space can be made.
fn adds_data(body: &CommandBody) -> bool {
    matches!(
        body,
        CommandBody::PutObject(_)
            | CommandBody::CreateUpload(_)
            | CommandBody::PutPart(_)
            | CommandBody::CompleteUpload(_)
            | CommandBody::ReserveBucket { .. }
    )
}
