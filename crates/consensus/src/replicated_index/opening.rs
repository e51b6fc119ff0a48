//! How the index of a node begins: what its disks have is found, the threads and groups are started, and failures are
//! passed on from then on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use index::IndexError;
use parking_lot::Mutex;
use platform::threads::{self, JoinHandle, run_blocking};
use telemetry::with_causes;
use tokio::sync::{mpsc, watch};
use types::{DiskId, NodeId, RangeId, VoterId};

use super::{RANGES, Range, ReplicatedIndex};
use crate::barrier::ReadBarrier;
use crate::error::ConsensusError;
use crate::failure::Failure;
use crate::group::{Group, GroupParts, RaftGroup};
use crate::handler::VoterHandler;
use crate::log::{GroupLogStore, SharedLog};
use crate::machine::{
    Applier, ApplierParts, DatabaseDesk, DatabaseKeeper, DatabasePlaces, DurableMarks, KeeperParts, LogHolds, Mark,
    OpenedDatabase, Progress, ReaderPool, RecentVersions, StateMachine, UpkeepStatus, Work, work_queue,
};
use crate::network::Peers;
use crate::proposer::Proposer;
use crate::settings::{ConsensusSettings, Founding};
use crate::snapshots::{SnapshotReceiver, SnapshotSource};

/// How long a start without peers waits until its groups have applied what was committed.
const RECOVERY_PATIENCE: Duration = Duration::from_secs(60);

impl ReplicatedIndex {
    /// Opens the index of these disks, or makes a blank one where there is none; returns once commands and queries
    /// work, or, on a node with peers, at once: see [`ReplicatedIndex::ready`]. Must be called within a tokio runtime that
    /// drives timers.
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn open(settings: ConsensusSettings) -> Result<Self, ConsensusError> {
        Self::open_as(settings, None).await
    }

    /// As [`Self::open`]; with `new_voter`, under a new log that supersedes what there is.
    pub(crate) async fn open_as(
        settings: ConsensusSettings,
        new_voter: Option<VoterId>,
    ) -> Result<Self, ConsensusError> {
        let failure = Failure::new();
        let Found { log, places, opened, copies } = find(&settings, failure.clone(), new_voter).await?;
        let machine = Machine::start(&settings, &log, &places, opened, &failure).await?;
        let (keeper_requests, requests) = mpsc::unbounded_channel();
        let source = SnapshotSource {
            keeper: keeper_requests.clone(),
            places: places.clone(),
            desk: machine.desk.clone(),
            entropy: settings.entropy.clone(),
        };
        let groups = start_groups(&settings, &log, &machine, &source).await?;
        let status = Arc::new(Mutex::new(UpkeepStatus::default()));
        let holds = Arc::new(LogHolds::default());
        let kept = KeeperParts {
            log: log.clone(),
            places: places.clone(),
            progress: machine.progress.clone(),
            durable: machine.durable,
            desk: machine.desk.clone(),
            groups: groups.clone(),
            upkeep: settings.upkeep,
            clock: settings.clock.clone(),
            work: machine.work.downgrade(),
            requests,
            holds: holds.clone(),
            status: status.clone(),
        };
        let (stop, stopped) = watch::channel(false);
        let keeper = tokio::spawn(DatabaseKeeper::new(kept, copies).run(stopped.clone()));
        let receiver = SnapshotReceiver::new(places.clone(), machine.desk.clone());
        let by_range = groups.iter().map(|group| (group.range(), group.clone())).collect();
        let start = |group: RaftGroup| {
            let shared: Arc<dyn Group> = Arc::new(group.clone());
            let proposer = Proposer::start(shared.clone(), settings.clock.clone());
            (group.range(), Range { group, proposer, barrier: ReadBarrier::start(shared, machine.readers.clone()) })
        };
        let opened = Self {
            ranges: groups.into_iter().map(start).collect(),
            handler: Arc::new(VoterHandler::new(log.voter(), by_range, receiver, failure.clone())),
            log,
            places,
            readers: machine.readers,
            progress: machine.progress,
            desk: machine.desk,
            upkeep: status,
            keeper_requests,
            holds,
            failure,
            work: machine.work,
            stop,
            keeper: Mutex::new(Some(keeper)),
            applier: Mutex::new(Some(machine.applier)),
            leaders: watch::Sender::new(RANGES.map(|range| (range, None)).into()),
            has_peers: settings.peers.is_some(),
        };
        opened.begin(stopped).await?;
        Ok(opened)
    }

    /// Has failures and leaders passed on; without peers, waits until commands and queries work.
    async fn begin(&self, stopped: watch::Receiver<bool>) -> Result<(), ConsensusError> {
        self.watch_leaders(&stopped);
        self.watch_for_failure(stopped);
        if self.has_peers { Ok(()) } else { self.recovered(Some(RECOVERY_PATIENCE)).await }
    }

    /// Opens the index under a new voter, blank and with a log of its own: for a node with peers that has lost what it had
    /// of the index. The voter that it was must never be heard of again, for it may have voted; whoever leads makes the
    /// new one a member, and gives it the rows.
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn open_as_new_voter(settings: ConsensusSettings) -> Result<Self, ConsensusError> {
        let voter = VoterId::from_bytes(settings.entropy.id());
        Self::open_as(ConsensusSettings { founding: Founding::Wait, ..settings }, Some(voter)).await
    }

    /// Founds both groups with these voters, each on its node; this node's must be one of them. To be called on one node;
    /// where the groups were founded before, nothing changes.
    ///
    /// # Errors
    /// [`ConsensusError::Group`].
    pub async fn found(&self, voters: &BTreeMap<VoterId, NodeId>) -> Result<(), ConsensusError> {
        for range in self.ranges.values() {
            range.group.found(voters).await?;
        }
        Ok(())
    }

    /// Waits until this node has applied again all that it may have applied before it was opened: for ever, where its
    /// groups have no leader.
    ///
    /// # Errors
    /// [`ConsensusError`]: the index has ended.
    pub async fn ready(&self) -> Result<(), ConsensusError> {
        self.recovered(None).await
    }

    /// Waits until reads can't see less than they did before the start.
    async fn recovered(&self, patience: Option<Duration>) -> Result<(), ConsensusError> {
        for range in self.ranges.values() {
            tokio::select! {
                biased;
                recovered = range.group.recovered(patience) => recovered?,
                reason = self.failure.reported() => return Err(ConsensusError::Database { reason }),
            }
        }
        Ok(())
    }

    fn watch_leaders(&self, stopped: &watch::Receiver<bool>) {
        for (id, range) in &self.ranges {
            let (id, group, leaders) = (*id, range.group.clone(), self.leaders.clone());
            let (mut stopped, failure) = (stopped.clone(), self.failure.clone());
            tokio::spawn(async move {
                let mut known = None;
                loop {
                    let has_ended = tokio::select! {
                        biased;
                        _ = stopped.changed() => return,
                        // From here on nothing is heard of leaders: who led last must not be taken for who leads.
                        _ = failure.reported() => true,
                        leader = group.other_leader(known) => {
                            known = leader;
                            false
                        }
                    };
                    let now = known.filter(|_| !has_ended);
                    leaders.send_modify(|leaders| {
                        leaders.insert(id, now);
                    });
                    if has_ended {
                        return;
                    }
                }
            });
        }
    }

    /// Once nothing works any more, everybody is told at once.
    fn watch_for_failure(&self, mut stopped: watch::Receiver<bool>) {
        let (failure, has_peers) = (self.failure.clone(), self.has_peers);
        let readers = self.readers.clone();
        let groups = self.ranges.values().map(|range| range.group.clone()).filter(|_| self.has_peers);
        let groups: Vec<RaftGroup> = groups.collect();
        let ends: Vec<(Proposer, ReadBarrier)> =
            self.ranges.values().map(|range| (range.proposer.clone(), range.barrier.clone())).collect();
        for range in self.ranges.values() {
            tokio::spawn(report_end(range.group.clone(), failure.clone(), stopped.clone()));
        }
        tokio::spawn(async move {
            let reason = tokio::select! {
                biased;
                _ = stopped.changed() => return,
                reason = failure.reported() => reason,
            };
            // With peers, others lead now; none of what is refused here was proposed.
            let error =
                if has_peers { IndexError::NotLeader { leader: None } } else { IndexError::Unavailable { reason } };
            for (proposer, barrier) in &ends {
                proposer.close(&error);
                barrier.close(&error);
            }
            // Others are to lead, who can do what a leader must.
            for group in &groups {
                group.shutdown().await;
            }
            run_blocking(move || readers.close(&error)).await;
        });
    }
}

/// What the disks have.
struct Found {
    log: SharedLog,
    places: Arc<DatabasePlaces>,
    opened: OpenedDatabase,
    copies: BTreeMap<DiskId, BTreeMap<RangeId, Mark>>,
}

async fn find(
    settings: &ConsensusSettings,
    failure: Failure,
    new_voter: Option<VoterId>,
) -> Result<Found, ConsensusError> {
    let ConsensusSettings { disks, registry, entropy, log, index, .. } = settings.clone();
    let has_peers = settings.peers.is_some();
    run_blocking(move || {
        let log = SharedLog::open(disks.clone(), registry, log, entropy, failure, new_voter)?;
        let places = Arc::new(DatabasePlaces::new(log.voter(), disks, index, RANGES.to_vec()));
        let opened = places.open_newest(&log, &[])?;
        // Alone, what was lost may be all that there is.
        if has_peers {
            places.remove_superseded();
        }
        let copies = places.copies(opened.disk);
        let next = |mark: &Mark| mark.applied.map_or(0, |applied| applied.index + 1);
        places.remove_rows(&opened.marks.iter().map(|(range, mark)| (*range, next(mark))).collect(), true);
        Ok(Found { log, places, opened, copies })
    })
    .await
}

/// The state machine's threads, and what they share with others.
struct Machine {
    progress: Arc<Progress>,
    readers: Arc<ReaderPool>,
    desk: Arc<DatabaseDesk>,
    durable: Arc<DurableMarks>,
    work: mpsc::Sender<Work>,
    /// What the database had when it was found.
    marks: BTreeMap<RangeId, Mark>,
    applier: JoinHandle,
}

impl Machine {
    async fn start(
        settings: &ConsensusSettings,
        log: &SharedLog,
        places: &Arc<DatabasePlaces>,
        opened: OpenedDatabase,
        failure: &Failure,
    ) -> Result<Self, ConsensusError> {
        let progress = Arc::new(Progress::new(RANGES));
        let (work, queued) = work_queue();
        let recent = Arc::new(RecentVersions::new(settings.recent_versions_bytes, &*settings.entropy));
        let readers = Arc::new(ReaderPool::start(progress.clone(), recent.clone(), &work)?);
        let desk = Arc::new(DatabaseDesk::default());
        desk.has_rows.store(true, Ordering::SeqCst);
        let marks = opened.marks.clone();
        let parts = ApplierParts {
            log: log.clone(),
            places: places.clone(),
            progress: progress.clone(),
            readers: readers.clone(),
            recent,
            desk: desk.clone(),
            failure: failure.clone(),
            checkpoint_bytes: settings.upkeep.checkpoint_bytes,
        };
        let (applier, durable_marks) = run_blocking(move || start_applier(parts, queued, opened)).await?;
        let durable = Arc::new(DurableMarks::default());
        durable.set(durable_marks);
        Ok(Self { progress, readers, desk, durable, work, marks, applier })
    }
}

async fn start_groups(
    settings: &ConsensusSettings,
    log: &SharedLog,
    machine: &Machine,
    source: &SnapshotSource,
) -> Result<Vec<RaftGroup>, ConsensusError> {
    let start = |range: RangeId| {
        let found = machine.marks.get(&range).cloned().unwrap_or_default();
        RaftGroup::start(GroupParts {
            voter: log.voter(),
            node: settings.node,
            store: GroupLogStore::new(log.clone(), range),
            machine: StateMachine::new(range, log.clone(), machine.work.clone(), found, machine.durable.clone()),
            durable: machine.durable.clone(),
            progress: machine.progress.clone(),
            peers: Peers { range, transport: settings.peers.clone(), source: source.clone() },
            founding: settings.founding,
        })
    };
    futures::future::try_join_all(RANGES.map(start)).await
}

/// Reports a group that ends before it is stopped.
async fn report_end(group: RaftGroup, failure: Failure, mut stopped: watch::Receiver<bool>) {
    tokio::select! {
        biased;
        _ = stopped.changed() => {}
        reason = group.ended() => failure.report(format!("the group of range {} has ended: {reason}", group.range())),
    }
}

/// Starts the thread that applies, on a database that is durable as it is found; returns how far that is.
fn start_applier(
    parts: ApplierParts,
    queued: mpsc::Receiver<Work>,
    mut opened: OpenedDatabase,
) -> Result<(JoinHandle, BTreeMap<RangeId, Mark>), ConsensusError> {
    // What was applied before a crash may be in the page cache alone.
    let failed = |error: index::IndexDatabaseError| ConsensusError::Database { reason: with_causes(&error) };
    let durable =
        if opened.database.checkpoint().map_err(failed)?.complete { opened.marks.clone() } else { BTreeMap::new() };
    let applier = Applier::new(parts, queued, opened).map_err(failed)?;
    let thread = threads::spawn("index-apply", move || applier.run())?;
    Ok((thread, durable))
}
