//! The groups of this node: those that it began with, and those that splits, or leaders elsewhere, make it begin later.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use index::FIRST_DATA_RANGE;
use parking_lot::Mutex;
use platform::Clock;
use tokio::sync::{mpsc, oneshot, watch};
use types::{NodeId, RangeDescriptor, RangeId, VoterId};

use crate::barrier::ReadBarrier;
use crate::error::ConsensusError;
use crate::failure::Failure;
use crate::group::{Group, GroupParts, RaftGroup};
use crate::log::{GroupLogStore, SharedLog};
use crate::machine::{Born, DurableMarks, KnownRanges, Mark, Progress, ReaderPool, StateMachine, Work};
use crate::network::Peers;
use crate::proposer::Proposer;
use crate::settings::Founding;

/// How long the leader of a range that was split tries to lead the new one.
const CAMPAIGN: Duration = Duration::from_secs(3);
/// How often it tries: others have the new range once they have applied the split.
const CAMPAIGN_PAUSE: Duration = Duration::from_millis(100);
/// How long a group may take to be there that a split has made.
const START_PATIENCE: Duration = Duration::from_secs(5);
/// How long the only voter of a group may take to lead it.
const ALONE_PATIENCE: Duration = Duration::from_secs(10);

/// What a range's commands and queries go through.
pub(crate) struct Range {
    pub(crate) group: RaftGroup,
    pub(crate) proposer: Proposer,
    pub(crate) barrier: ReadBarrier,
}

#[derive(Default)]
struct Standing {
    ranges: BTreeMap<RangeId, Arc<Range>>,
    /// No more are taken in.
    is_closed: bool,
}

/// The groups that run on this node.
#[derive(Default)]
pub(crate) struct Groups {
    standing: Mutex<Standing>,
    /// Counts the groups that came.
    came: watch::Sender<u64>,
}

impl Groups {
    /// A group, if it runs here.
    pub(crate) fn get(&self, range: RangeId) -> Option<Arc<Range>> {
        self.standing.lock().ranges.get(&range).cloned()
    }

    /// All groups, in order of range.
    pub(crate) fn all(&self) -> Vec<Arc<Range>> {
        self.standing.lock().ranges.values().cloned().collect()
    }

    /// A group that runs here, or will in a moment.
    pub(crate) async fn get_soon(&self, range: RangeId) -> Option<Arc<Range>> {
        let mut came = self.came.subscribe();
        let found = async {
            loop {
                if let Some(found) = self.get(range) {
                    return Some(found);
                }
                came.changed().await.ok()?;
            }
        };
        tokio::time::timeout(START_PATIENCE, found).await.ok().flatten()
    }

    /// Takes a group in; gives it back where the index is ending.
    fn insert(&self, range: Range) -> Result<Arc<Range>, Range> {
        let range = {
            let mut standing = self.standing.lock();
            if standing.is_closed {
                return Err(range);
            }
            let range = Arc::new(range);
            standing.ranges.insert(range.group.range(), range.clone());
            range
        };
        self.came.send_modify(|count| *count += 1);
        Ok(range)
    }

    /// Takes no more groups in; returns those that there are.
    pub(crate) fn close(&self) -> Vec<Arc<Range>> {
        self.standing.lock().is_closed = true;
        self.all()
    }
}

/// Another node asks for a range to be begun here, blank, by its own leader.
pub(crate) struct Hosting {
    pub(crate) descriptor: RangeDescriptor,
    pub(crate) begun: oneshot::Sender<bool>,
}

/// What groups are started with.
pub(crate) struct GroupStarter {
    pub(crate) voter: VoterId,
    pub(crate) node: NodeId,
    pub(crate) log: SharedLog,
    pub(crate) work: mpsc::WeakSender<Work>,
    pub(crate) durable: Arc<DurableMarks>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) known: Arc<KnownRanges>,
    pub(crate) readers: Arc<ReaderPool>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) peers: Peers,
    pub(crate) groups: Arc<Groups>,
    pub(crate) leaders: watch::Sender<BTreeMap<RangeId, Option<NodeId>>>,
    pub(crate) failure: Failure,
    pub(crate) stopped: watch::Receiver<bool>,
}

impl GroupStarter {
    /// Starts a range's group where it left off at `found`.
    ///
    /// # Errors
    /// [`ConsensusError::Group`].
    pub(crate) async fn start(
        &self,
        range: RangeId,
        found: Mark,
        founding: Founding,
    ) -> Result<RaftGroup, ConsensusError> {
        let ended = || ConsensusError::Group { range, reason: "the index is ending".to_owned() };
        let work = self.work.upgrade().ok_or_else(ended)?;
        self.progress.begin(range);
        if let Some(applied) = found.applied.filter(|_| self.log.last_log_id(range).is_none()) {
            // Its log begins there. Said before anybody asks for the vote, which is of that term at least.
            let purged = self.log.purge(range, applied);
            purged.map_err(|error| ConsensusError::Group { range, reason: error.to_string() })?;
        }
        RaftGroup::start(GroupParts {
            voter: self.voter,
            node: self.node,
            store: GroupLogStore::new(self.log.clone(), range),
            machine: StateMachine::new(range, self.log.clone(), work, found, self.durable.clone()),
            durable: self.durable.clone(),
            progress: self.progress.clone(),
            peers: Peers { range, ..self.peers.clone() },
            founding,
        })
        .await
    }

    /// Takes a group in: from now on it is asked, and watched.
    pub(crate) async fn take_in(&self, group: RaftGroup) {
        let shared: Arc<dyn Group> = Arc::new(group.clone());
        let proposer = Proposer::start(shared.clone(), self.clock.clone());
        let barrier = ReadBarrier::start(shared, self.readers.clone());
        match self.groups.insert(Range { group, proposer, barrier }) {
            Ok(range) => {
                let (group, leaders) = (range.group.clone(), self.leaders.clone());
                tokio::spawn(watch_leader(group, leaders, self.failure.clone(), self.stopped.clone()));
                tokio::spawn(report_end(range.group.clone(), self.failure.clone(), self.stopped.clone()));
            }
            Err(range) => range.group.shutdown().await,
        }
    }

    /// Starts the groups that come up, until the index stops.
    pub(crate) async fn run(
        self,
        mut born: mpsc::UnboundedReceiver<Born>,
        mut hosted: mpsc::UnboundedReceiver<Hosting>,
    ) {
        let mut stopped = self.stopped.clone();
        loop {
            tokio::select! {
                biased;
                _ = stopped.changed() => return,
                Some(born) = born.recv() => self.begin(born).await,
                Some(hosting) = hosted.recv() => self.host(hosting).await,
            }
        }
    }

    /// Starts the group of a range that a split has made. Its log begins with the entry of the split, and its members
    /// are those of the parent then.
    async fn begin(&self, born: Born) {
        let Born { range, parent, mark } = born;
        if self.groups.get(range).is_some() {
            return;
        }
        // Nothing before that entry is in its log: there is nothing to keep for a checkpoint.
        if self.durable.get(range).is_none() {
            self.durable.set_one(range, mark.clone());
        }
        let group = match self.start(range, mark, Founding::Wait).await {
            Ok(group) => group,
            Err(error) => return self.failure.report(error.to_string()),
        };
        tracing::info!(%range, %parent, "a range was made by a split");
        let leads_parent = self.groups.get(parent).is_some_and(|parent| parent.group.leads());
        if group.is_alone() {
            if let Err(error) = group.recovered(Some(ALONE_PATIENCE)).await {
                tracing::warn!(%range, %error, "a range that was made by a split is not led yet");
            }
        } else if leads_parent {
            tokio::spawn(campaign(group.clone()));
        }
        self.take_in(group).await;
    }

    /// Starts a range that this node is to learn from its leader, unless it has some of its places by another range: then
    /// it is behind that one's split, which is how it gets the new range. Nor while it has nothing of the first data range:
    /// that one's log may yet be replayed here from its beginning, when it had all places.
    async fn host(&self, hosting: Hosting) {
        let Hosting { descriptor, begun } = hosting;
        let range = descriptor.id;
        let has_first = self.known.get(FIRST_DATA_RANGE).is_some();
        let may_begin = has_first && self.groups.get(range).is_none() && self.known.may_begin_blank(&descriptor);
        if may_begin {
            match self.start(range, Mark::default(), Founding::Wait).await {
                Ok(group) => self.take_in(group).await,
                Err(error) => tracing::warn!(%range, %error, "a range was not begun here"),
            }
        }
        // Whoever asked may have gone.
        let _ = begun.send(self.groups.get(range).is_some());
    }
}

/// Wins the first election of a group, before others find that it has no leader.
async fn campaign(group: RaftGroup) {
    let end = tokio::time::Instant::now() + CAMPAIGN;
    while tokio::time::Instant::now() < end && group.leader().is_none() {
        group.campaign().await;
        tokio::time::sleep(CAMPAIGN_PAUSE).await;
    }
}

async fn watch_leader(
    group: RaftGroup,
    leaders: watch::Sender<BTreeMap<RangeId, Option<NodeId>>>,
    failure: Failure,
    mut stopped: watch::Receiver<bool>,
) {
    let mut known = None;
    let note = |known| {
        leaders.send_if_modified(|leaders| leaders.insert(group.range(), known) != Some(known));
    };
    loop {
        note(known);
        tokio::select! {
            biased;
            _ = stopped.changed() => return,
            // From here on nothing is heard of leaders: who led last must not be taken for who leads.
            _ = failure.reported() => return note(None),
            leader = group.other_leader(known) => known = leader,
        }
    }
}

/// Reports a group that ends before it is stopped.
async fn report_end(group: RaftGroup, failure: Failure, mut stopped: watch::Receiver<bool>) {
    tokio::select! {
        biased;
        _ = stopped.changed() => {}
        reason = group.ended() => failure.report(format!("the group of range {} has ended: {reason}", group.range())),
    }
}
