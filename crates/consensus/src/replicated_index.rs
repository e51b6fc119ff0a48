//! The index of this node, replicated: groups, log, database and readers put together. How it begins is `opening`'s.

mod opening;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use index::command::{LockChange, SplitRange};
use index::query::Usage;
use index::service::{answer_of_range, query_answer_of_range};
use index::{
    Answer, Command, CommandBody, FIRST_DATA_RANGE, IndexDatabaseError, IndexError, IndexReader, IndexService, Query,
    QueryAnswer, RangeMeasure, Refusal, Router, SPLITS_LEVEL, SYSTEM_RANGE,
};
use parking_lot::Mutex;
use platform::Disk;
use platform::threads::{JoinHandle, run_blocking};
use rpc::server::RaftHandler;
use telemetry::with_causes;
use tokio::sync::{mpsc, oneshot, watch};
use types::{DiskId, FeatureLevel, HomeKey, NodeId, RangeDescriptor, RangeId, RequestNumber, VoterId};

use crate::failure::Failure;
#[cfg(test)]
use crate::group::RaftGroup;
use crate::group::{Group, RangeStatus};
use crate::groups::{Groups, Range};
use crate::handler::VoterHandler;
use crate::log::{LogStatus, SharedLog};
use crate::machine::{
    DatabaseDesk, DatabasePlaces, KeeperRequest, KnownRanges, LogHolds, Progress, ReadJob, ReaderPool, UpkeepStatus,
    Work, mark_of,
};
use crate::restore::LoggedProposals;

/// The ranges that a cluster begins with.
pub(crate) const RANGES: [RangeId; 2] = [SYSTEM_RANGE, FIRST_DATA_RANGE];
/// How long a command may take, where it takes a majority of several voters.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// How long a shutdown waits for the proposals under way.
const DRAIN_PATIENCE: Duration = Duration::from_secs(10);

/// The replicated index, as this node has it.
pub struct ReplicatedIndex {
    log: SharedLog,
    places: Arc<DatabasePlaces>,
    groups: Arc<Groups>,
    known: Arc<KnownRanges>,
    router: Router,
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
    /// The highest feature level that the cluster is known to have, told by others.
    heard_level: AtomicU32,
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

    /// Takes note of the cluster's feature level: who leads a data range may have no voter of the system range, and so not
    /// have applied what raised it.
    pub fn hear_feature_level(&self, level: FeatureLevel) {
        self.heard_level.fetch_max(level.0, Ordering::Relaxed);
    }

    /// Who leads each range, as far as is known here, now and whenever it changes.
    pub fn leaders(&self) -> watch::Receiver<BTreeMap<RangeId, Option<NodeId>>> {
        self.leaders.subscribe()
    }

    /// Whether this node leads a range, as far as it knows: another may by now.
    pub fn leads(&self, range: RangeId) -> bool {
        self.groups.get(range).is_some_and(|range| range.group.leads())
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

    /// Disks that work and are to be left, all of them: what lies there of log and database moves to other disks of this
    /// node while commands go on, as far as there are some. Nothing is lost meanwhile, so the voter stays who it is.
    pub fn leave_disks(&self, disks: BTreeSet<DiskId>) {
        self.log.set_leaving(disks);
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
        self.groups.all().iter().map(|range| range.group.range()).collect()
    }

    /// Which places the data ranges of this node have, as far as splits are applied here.
    pub fn descriptors(&self) -> Vec<RangeDescriptor> {
        self.known.all()
    }

    /// Reads through a range: how much it has, and where its middle is. Commands go on meanwhile.
    ///
    /// # Errors
    /// [`IndexError::Unavailable`].
    pub async fn measure(&self, range: RangeId) -> Result<RangeMeasure, IndexError> {
        self.read_apart(move |reader| reader.measure(range)).await
    }

    /// What the part of a range from a key on has of the key's bucket.
    async fn usage_from(&self, range: RangeId, at: HomeKey) -> Result<Usage, IndexError> {
        self.read_apart(move |reader| reader.usage_from(range, &at)).await
    }

    /// About how many rows each range has, by its counters.
    ///
    /// # Errors
    /// [`IndexError::Unavailable`].
    pub async fn row_counts(&self) -> Result<BTreeMap<RangeId, u64>, IndexError> {
        self.read_apart(IndexReader::row_counts).await
    }

    /// Says whether a range may be split now: not while its voters are being changed.
    ///
    /// # Errors
    /// [`IndexError::Unavailable`].
    pub fn check_settled(&self, range: RangeId) -> Result<(), IndexError> {
        if self.range(range)?.group.is_changing_members() {
            let reason = format!("the voters of range {range} are being changed: try again");
            return Err(IndexError::Unavailable { reason });
        }
        Ok(())
    }

    /// Splits a range that this node leads: the key is the first of the new one, whose id is `child`
    /// ([`CommandBody::AllotRange`]). Answers with both.
    ///
    /// # Errors
    /// [`IndexError`]; [`IndexError::WrongRange`] where the range does not have the key, or begins with it.
    pub async fn split(&self, range: RangeId, child: RangeId, at: HomeKey) -> Result<[RangeDescriptor; 2], IndexError> {
        let command = self.split_command(range, child, at).await?;
        match self.propose_to(range, command).await? {
            Answer::Split(halves) => Ok(*halves),
            other => Err(IndexError::Unavailable { reason: format!("range {range} was not split: {other:?}") }),
        }
    }

    /// What splits a range that is here, whoever leads it: as [`ReplicatedIndex::split`] proposes it.
    ///
    /// # Errors
    /// [`IndexError::Unavailable`]; also while the range's voters change.
    pub async fn split_command(&self, range: RangeId, child: RangeId, at: HomeKey) -> Result<Command, IndexError> {
        let gone = || IndexError::Unavailable { reason: format!("range {range} is not here") };
        let expected = self.known.get(range).ok_or_else(gone)?.epoch;
        self.check_settled(range)?;
        let moved = self.usage_from(range, at.clone()).await?;
        let body = CommandBody::SplitRange(Box::new(SplitRange { expected, child, at, moved }));
        Ok(Command { request: None, answered: RequestNumber(0), body })
    }

    /// Reads with a connection of its own, beside the threads that answer queries.
    async fn read_apart<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut IndexReader) -> Result<T, IndexDatabaseError> + Send + 'static,
    ) -> Result<T, IndexError> {
        let (answer, answered) = oneshot::channel();
        let mut reader = self.ask_keeper(KeeperRequest::Reader(answer), answered).await?;
        let read = run_blocking(move || read(&mut reader)).await;
        read.map_err(|error| IndexError::Unavailable { reason: with_causes(&error) })
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
            leads: self.groups.all().iter().all(|range| range.group.leads()),
            applied: self.progress.all(),
            ranges: self.groups.all().iter().map(|range| (range.group.range(), range.group.status())).collect(),
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
        let ranges = self.groups.close();
        futures::future::join_all(ranges.iter().map(|range| range.group.hand_over())).await;
        let ended = IndexError::Unavailable { reason: "the index is shutting down".to_owned() };
        for range in &ranges {
            range.proposer.close(&ended);
            range.barrier.close(&ended);
        }
        let idle = futures::future::join_all(ranges.iter().map(|range| range.proposer.idle()));
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
        for range in &ranges {
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

    fn range(&self, id: RangeId) -> Result<Arc<Range>, IndexError> {
        self.groups.get(id).ok_or_else(|| IndexError::Unavailable { reason: format!("range {id} is not here") })
    }

    /// A range that runs here, or that a split which is applied here has made.
    async fn range_to_ask(&self, id: RangeId) -> Result<Arc<Range>, IndexError> {
        if let Some(range) = self.groups.get(id) {
            return Ok(range);
        }
        let elsewhere = || IndexError::NotLeader { leader: None };
        self.known.get(id).ok_or_else(elsewhere)?;
        self.groups.get_soon(id).await.ok_or_else(elsewhere)
    }

    /// A range's group, to look at.
    #[cfg(test)]
    pub(crate) fn group(&self, range: RangeId) -> RaftGroup {
        self.groups.get(range).expect("it is here").group.clone()
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
        self.read_apart(IndexReader::digest).await
    }

    /// The cluster's level, as far as this node, or what was applied of this range, shows it.
    fn feature_level(&self, range: RangeId) -> FeatureLevel {
        let heard = FeatureLevel(self.heard_level.load(Ordering::Relaxed));
        let level = self.desk.feature_level().max(heard);
        let is_split = self.known.get(range).is_some_and(|range| range.epoch.0 > 0);
        if is_split { level.max(SPLITS_LEVEL) } else { level }
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
        self.router.propose(self, command).await
    }

    async fn query(&self, query: Query) -> Result<QueryAnswer, IndexError> {
        self.router.query(self, query).await
    }

    async fn propose_to(&self, range: RangeId, command: Command) -> Result<Answer, IndexError> {
        if self.has_peers && self.failure.is_reported() {
            return Err(IndexError::NotLeader { leader: None });
        }
        if adds_data(command.body.bare()) && self.low_space() {
            return Err(IndexError::Unavailable { reason: "the disks of the index are full".to_owned() });
        }
        let standing = self.range_to_ask(range).await?;
        // A node that lags behind knows of a lower level at most: nothing goes into a log too early.
        let level = self.feature_level(range);
        if command.body.feature_level() > level {
            return match standing.group.leads() {
                true => Ok(Answer::Refused(Refusal::FeatureLevel { level })),
                false => Err(IndexError::NotLeader { leader: self.leaders.borrow().get(&range).copied().flatten() }),
            };
        }
        let answered = standing.proposer.propose(command);
        let answer = if self.has_peers {
            let late = |_elapsed| Err(IndexError::Unknown { reason: "a majority does not answer".to_owned() });
            tokio::time::timeout(ANSWER_PATIENCE, answered).await.unwrap_or_else(late)?
        } else {
            answered.await?
        };
        answer_of_range(answer, || Ok(self.known.all()))
    }

    async fn query_at(&self, range: RangeId, query: Query) -> Result<QueryAnswer, IndexError> {
        if self.has_peers && self.failure.is_reported() {
            return Err(IndexError::NotLeader { leader: None });
        }
        let (job, answered) = ReadJob::new(query, range);
        let range = self.range_to_ask(range).await?;
        if range.group.leads_alone() {
            self.readers.push([job]);
        } else {
            range.barrier.push(job);
        }
        let ended = |_| Err(IndexError::Unavailable { reason: "the index ended meanwhile".to_owned() });
        query_answer_of_range(answered.await.unwrap_or_else(ended)?, || Ok(self.known.all()))
    }
}

/// Whether a command that sets what can also be removed does not remove it.
fn sets_something(body: &CommandBody) -> bool {
    match body {
        CommandBody::SetBucketDocument(set) => set.document.is_some(),
        CommandBody::SetObjectTags(set) => !set.tags.is_empty(),
        CommandBody::SetObjectLock(set) => match set.change {
            LockChange::Retention { retention, .. } => retention.is_some(),
            LockChange::LegalHold(hold) => hold.is_on(),
        },
        CommandBody::ChangeIdentity(change) => change.adds(),
        _ => false,
    }
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
    ) || sets_something(body)
}
