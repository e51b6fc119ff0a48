//! How the index of a node begins: what its disks have is found, the threads and groups are started, and failures are
//! passed on from then on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use index::{IndexError, Router, SYSTEM_RANGE};
use parking_lot::Mutex;
use platform::threads::{self, JoinHandle, run_blocking};
use telemetry::with_causes;
use tokio::sync::{mpsc, watch};
use types::{DiskId, NodeId, RangeId, VoterId};

use super::{RANGES, ReplicatedIndex};
use crate::error::ConsensusError;
use crate::failure::Failure;
use crate::groups::{GroupStarter, Groups};
use crate::handler::VoterHandler;
use crate::log::SharedLog;
use crate::machine::{
    Applier, ApplierParts, Born, DatabaseDesk, DatabaseKeeper, DatabasePlaces, DurableMarks, KeeperParts, KnownRanges,
    LogHolds, Mark, OpenedDatabase, Progress, ReaderPool, RecentVersions, UpkeepStatus, Work, work_queue,
};
use crate::network::Peers;
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
        let groups: Arc<Groups> = Arc::default();
        let (stop, stopped) = watch::channel(false);
        let starter = GroupStarter {
            voter: log.voter(),
            node: settings.node,
            log: log.clone(),
            work: machine.work.downgrade(),
            durable: machine.durable.clone(),
            progress: machine.progress.clone(),
            known: machine.known.clone(),
            readers: machine.readers.clone(),
            clock: settings.clock.clone(),
            peers: Peers {
                range: SYSTEM_RANGE,
                transport: settings.peers.clone(),
                source,
                known: machine.known.clone(),
            },
            groups: groups.clone(),
            leaders: watch::Sender::new(RANGES.map(|range| (range, None)).into()),
            failure: failure.clone(),
            stopped: stopped.clone(),
        };
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
        let leaders = starter.leaders.clone();
        start_groups(&starter, settings.founding, &machine.marks).await?;
        let keeper = tokio::spawn(DatabaseKeeper::new(kept, copies).run(stopped.clone()));
        let receiver = SnapshotReceiver::new(places.clone(), machine.desk.clone(), machine.known.clone());
        let (hosting, hosted) = mpsc::unbounded_channel();
        tokio::spawn(starter.run(machine.born, hosted));
        let opened = Self {
            handler: Arc::new(VoterHandler::new(log.voter(), groups.clone(), receiver, failure.clone(), hosting)),
            groups,
            known: machine.known,
            router: Router::default(),
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
            leaders,
            has_peers: settings.peers.is_some(),
            heard_level: AtomicU32::new(0),
        };
        opened.begin(stopped).await?;
        Ok(opened)
    }

    /// Has failures passed on; without peers, waits until commands and queries work.
    async fn begin(&self, stopped: watch::Receiver<bool>) -> Result<(), ConsensusError> {
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

    /// Founds the first groups with these voters, each on its node; this node's must be one of them. To be called on one
    /// node; where the groups were founded before, nothing changes.
    ///
    /// # Errors
    /// [`ConsensusError::Group`].
    pub async fn found(&self, voters: &BTreeMap<VoterId, NodeId>) -> Result<(), ConsensusError> {
        for range in RANGES.into_iter().filter_map(|range| self.groups.get(range)) {
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
        for range in self.groups.all() {
            tokio::select! {
                biased;
                recovered = range.group.recovered(patience) => recovered.map_err(|error| cause(&self.failure, error))?,
                reason = self.failure.reported() => return Err(ConsensusError::Database { reason }),
            }
        }
        Ok(())
    }

    /// Once nothing works any more, everybody is told at once.
    fn watch_for_failure(&self, mut stopped: watch::Receiver<bool>) {
        let failure = self.failure.clone();
        let readers = self.readers.clone();
        let (groups, has_peers) = (self.groups.clone(), self.has_peers);
        tokio::spawn(async move {
            let reason = tokio::select! {
                biased;
                _ = stopped.changed() => return,
                reason = failure.reported() => reason,
            };
            // With peers, others lead now; none of what is refused here was proposed.
            let error =
                if has_peers { IndexError::NotLeader { leader: None } } else { IndexError::Unavailable { reason } };
            let standing = groups.close();
            for range in &standing {
                range.proposer.close(&error);
                range.barrier.close(&error);
            }
            // Others are to lead, who can do what a leader must.
            for range in standing.iter().filter(|_| has_peers) {
                range.group.shutdown().await;
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
        let places = Arc::new(DatabasePlaces::new(log.voter(), disks, index));
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
    known: Arc<KnownRanges>,
    born: mpsc::UnboundedReceiver<Born>,
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
        let (births, born) = mpsc::unbounded_channel();
        let known = Arc::new(KnownRanges::new(births));
        let (work, queued) = work_queue();
        let recent = Arc::new(RecentVersions::new(settings.recent_versions_bytes, &*settings.entropy));
        let readers = Arc::new(ReaderPool::start(progress.clone(), known.clone(), recent.clone(), &work)?);
        let desk = Arc::new(DatabaseDesk::default());
        desk.has_rows.store(true, Ordering::SeqCst);
        let marks = opened.marks.clone();
        let parts = ApplierParts {
            log: log.clone(),
            places: places.clone(),
            progress: progress.clone(),
            known: known.clone(),
            readers: readers.clone(),
            recent,
            desk: desk.clone(),
            failure: failure.clone(),
            checkpoint_bytes: settings.upkeep.checkpoint_bytes,
        };
        let (applier, durable_marks) = run_blocking(move || start_applier(parts, queued, opened)).await?;
        let durable = Arc::new(DurableMarks::default());
        durable.set(durable_marks);
        Ok(Self { progress, known, born, readers, desk, durable, work, marks, applier })
    }
}

/// Why a group did not come up: what ended the index, if anything did.
fn cause(failure: &Failure, error: ConsensusError) -> ConsensusError {
    failure.reason().map_or(error, |reason| ConsensusError::Database { reason })
}

/// Starts the groups of the first ranges, and of those that the database has.
async fn start_groups(
    starter: &GroupStarter,
    founding: Founding,
    marks: &BTreeMap<RangeId, Mark>,
) -> Result<(), ConsensusError> {
    let ranges: BTreeSet<RangeId> = RANGES.into_iter().chain(marks.keys().copied()).collect();
    let start = |range: RangeId| {
        // A range that a split made was founded by it.
        let founding = if RANGES.contains(&range) { founding } else { Founding::Wait };
        starter.start(range, marks.get(&range).cloned().unwrap_or_default(), founding)
    };
    let started = futures::future::try_join_all(ranges.into_iter().map(start)).await;
    for group in started.map_err(|error| cause(&starter.failure, error))? {
        starter.take_in(group).await;
    }
    Ok(())
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
