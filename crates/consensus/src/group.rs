//! One Raft group: the few things that the rest of the crate asks of it, and openraft behind them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use index::IndexError;
use openraft::alias::{SnapshotMetaOf, SnapshotOf};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, ForwardToLeader, InitializeError, LinearizableReadError, RaftError};
use openraft::raft::{ClientWriteResult, SnapshotResponse};
use openraft::type_config::alias::WatchReceiverOf;
use openraft::{ChangeMembers, Config, Raft, RaftMetrics, ReadPolicy, ServerState, SnapshotPolicy};
use types::{NodeId, RangeId, VoterId};

use crate::error::ConsensusError;
use crate::log::GroupLogStore;
use crate::machine::{DurableMarks, Progress, ReceivedRows, SnapshotBody, StateMachine};
use crate::messages::{Reply, Request};
use crate::network::Peers;
use crate::raft_types::{Answers, Callback, LogId, Member, Proposed, TypeConfig, Vote, Voter};
use crate::settings::Founding;

/// How long a new voter may take to get the log, or the rows.
const LEARNING_PATIENCE: Duration = Duration::from_secs(600);
/// How long the voter that leadership is handed to may take to lead.
const HAND_OVER_PATIENCE: Duration = Duration::from_millis(700);
/// How long openraft may take to note a checkpoint.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(10);

/// Called with the answers to a proposal's commands, or with why there are none.
pub(crate) type Answered = Box<dyn FnOnce(Result<Answers, IndexError>) + Send>;

/// A group of voters that agree on a log of proposals.
#[async_trait]
pub(crate) trait Group: Send + Sync {
    /// Puts a proposal into the log. `answered` is called once, after it was applied here; where it is dropped instead,
    /// the outcome is unknown.
    async fn propose(&self, proposal: Proposed, answered: Answered);

    /// Makes sure that this node still leads, and returns the index that must be applied before a query may be
    /// answered that was asked before this call.
    ///
    /// # Errors
    /// [`IndexError::NotLeader`]; [`IndexError::Unavailable`]: a majority does not answer.
    async fn read_barrier(&self) -> Result<u64, IndexError>;

    /// Whether this node leads, is the only voter, and has passed a barrier since it leads. Then nobody else can lead, and
    /// what was answered was applied here first, so that queries need no barrier. It becomes false before another voter
    /// can win an election: that takes this one's word for the change of members first.
    fn leads_alone(&self) -> bool;

    /// Changes the voters to `voters`, each with the node that it runs on; returns once the change is committed. New ones
    /// have all of the log before they count.
    ///
    /// # Errors
    /// [`IndexError`]. What was begun may go on by itself, or be gone on with by the same call.
    async fn change_members(&self, voters: BTreeMap<VoterId, NodeId>) -> Result<(), IndexError>;

    /// Hands leadership to another voter.
    ///
    /// # Errors
    /// [`IndexError::Unavailable`].
    async fn transfer(&self, to: VoterId) -> Result<(), IndexError>;

    /// Has the group note the last completed checkpoint; it may then be purged up to it.
    ///
    /// # Errors
    /// [`IndexError::Unavailable`]: it was not noted in time.
    async fn snapshot(&self) -> Result<(), IndexError>;
}

/// A range's group as this node sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeStatus {
    /// Whether this node leads it.
    pub leads: bool,
    /// The leader's node, as far as is known.
    pub leader: Option<NodeId>,
    /// The term of the last vote.
    pub term: u64,
    /// Who decides, and where they run.
    pub voters: BTreeMap<VoterId, NodeId>,
    /// Who gets the log and does not decide.
    pub learners: BTreeMap<VoterId, NodeId>,
    /// The index after the last entry of the log here.
    pub log_end: u64,
    /// The index after the last entry that is known to be committed.
    pub committed: u64,
    /// The index after the last entry that readers here see.
    pub applied: u64,
    /// On the leader, the index after the last entry that each voter and learner is known to have.
    pub matched: BTreeMap<VoterId, u64>,
}

/// What openraft says of itself, as of its last turn.
type Metrics = WatchReceiverOf<TypeConfig, RaftMetrics<TypeConfig>>;

/// A group over openraft.
#[derive(Clone)]
pub(crate) struct RaftGroup {
    range: RangeId,
    voter: Voter,
    raft: Raft<TypeConfig, StateMachine>,
    metrics: Metrics,
    durable: Arc<DurableMarks>,
    progress: Arc<Progress>,
    /// The last term in which this voter was the only one, led, and had applied all that was answered before.
    alone_in_term: Arc<AtomicU64>,
}

/// What a group is started with.
pub(crate) struct GroupParts {
    pub(crate) voter: VoterId,
    pub(crate) node: NodeId,
    pub(crate) store: GroupLogStore,
    pub(crate) machine: StateMachine,
    pub(crate) durable: Arc<DurableMarks>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) peers: Peers,
    pub(crate) founding: Founding,
}

impl RaftGroup {
    /// Starts the group's voter here.
    pub(crate) async fn start(parts: GroupParts) -> Result<Self, ConsensusError> {
        let GroupParts { voter, node, store, machine, durable, progress, peers, founding } = parts;
        let range = peers.range;
        let failed = |reason: String| ConsensusError::Group { range, reason };
        let voter = Voter(voter);
        let raft = Raft::new(voter, config(), peers, store, machine).await;
        let raft = raft.map_err(|error| failed(error.to_string()))?;
        if !raft.is_initialized().await.map_err(|error| failed(error.to_string()))? {
            if founding == Founding::Alone {
                let members = BTreeMap::from([(voter, Member { node })]);
                raft.initialize(members).await.map_err(|error| failed(error.to_string()))?;
            }
        } else if raft.voter_ids().eq([voter]) {
            // Nobody else can lead, so there is nothing to wait for.
            raft.trigger().elect(false).await.map_err(|error| failed(error.to_string()))?;
        }
        let metrics = raft.metrics();
        let alone_in_term = Arc::default();
        Ok(Self { range, voter, raft, metrics, durable, progress, alone_in_term })
    }

    /// Founds the group with these voters, where it belongs to none yet.
    pub(crate) async fn found(&self, voters: &BTreeMap<VoterId, NodeId>) -> Result<(), ConsensusError> {
        if self.raft.is_initialized().await.map_err(|error| self.failed(&error))? {
            return Ok(());
        }
        match self.raft.initialize(members_of(voters)).await {
            // Another leader was faster.
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Answers a message from another voter.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn reply(&self, request: Request) -> Result<Reply, String> {
        let told = |error: &dyn ToString| error.to_string();
        match request {
            Request::Append(append) => {
                self.raft.append_entries(append).await.map(Reply::Append).map_err(|error| told(&error))
            }
            Request::Vote(vote) => self.raft.vote(vote).await.map(Reply::Vote).map_err(|error| told(&error)),
            Request::PreVote(vote) => self.raft.pre_vote(vote).await.map(Reply::Vote).map_err(|error| told(&error)),
            Request::Transfer(transfer) => {
                let replied = self.raft.handle_transfer_leader(transfer).await;
                replied.map(Reply::Transfer).map_err(|error| told(&error))
            }
            Request::Piece(_) | Request::Install(_) | Request::Host(_) => Err("this is not for a voter".to_owned()),
        }
    }

    /// Puts another voter's rows in the place of those that are here, where they are further; returns once that is done.
    pub(crate) async fn install(&self, vote: Vote, rows: ReceivedRows) -> Result<SnapshotResponse<TypeConfig>, String> {
        let last_log_id = rows.mark.applied;
        let meta = SnapshotMetaOf::<TypeConfig> { last_log_id, last_membership: rows.mark.membership.clone() };
        let snapshot = SnapshotOf::<TypeConfig, SnapshotBody> { meta, snapshot: SnapshotBody::Received(rows) };
        self.raft.install_full_snapshot(vote, snapshot).await.map_err(|error| error.to_string())
    }

    /// The leader's node, where it is known.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        leader_of(&self.metrics.borrow_watched())
    }

    /// Waits until the leader is another one than `known`, and returns it; for ever once the group has ended.
    pub(crate) async fn other_leader(&self, known: Option<NodeId>) -> Option<NodeId> {
        let mut metrics = self.metrics.clone();
        loop {
            let leader = leader_of(&metrics.borrow_watched());
            if leader != known {
                return leader;
            }
            if metrics.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// The group as this node sees it.
    pub(crate) fn status(&self) -> RangeStatus {
        let metrics = self.metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let voters: BTreeSet<Voter> = membership.voter_ids().collect();
        let (mut of_voters, mut of_learners) = (BTreeMap::new(), BTreeMap::new());
        for (id, member) in membership.nodes() {
            let part = if voters.contains(id) { &mut of_voters } else { &mut of_learners };
            part.insert(id.0, member.node);
        }
        let next = |id: Option<u64>| id.map_or(0, |index| index + 1);
        let matched = metrics.replication.iter().flatten();
        RangeStatus {
            leads: metrics.current_leader == Some(self.voter) && metrics.state == ServerState::Leader,
            leader: leader_of(&metrics),
            term: metrics.current_term,
            voters: of_voters,
            learners: of_learners,
            log_end: next(metrics.last_log_index),
            committed: next(metrics.cluster_committed.map(|id| id.index)),
            applied: self.progress.next(self.range),
            matched: matched.map(|(voter, id)| (voter.0, next(id.map(|id| id.index)))).collect(),
        }
    }

    /// While this node leads, the first index of the log that a follower may still need.
    pub(crate) fn needed_by_followers(&self) -> Option<u64> {
        let metrics = self.metrics.borrow_watched();
        let followers = metrics.replication.iter().flatten().filter(|(voter, _)| **voter != self.voter);
        followers.map(|(_, matched)| matched.map_or(0, |id| id.index + 1)).min()
    }

    /// Hands leadership to the voter that has the most of the log, where this node leads and there is another.
    pub(crate) async fn hand_over(&self) {
        let mut candidates: Vec<(Option<u64>, VoterId)> = {
            let metrics = self.metrics.borrow_watched();
            let matched = |voter: &Voter| metrics.replication.as_ref().and_then(|all| *all.get(voter)?);
            let others = metrics.membership_config.membership().voter_ids().filter(|voter| *voter != self.voter);
            others.map(|voter| (matched(&voter).map(|id| id.index), voter.0)).collect()
        };
        candidates.sort();
        while self.leads()
            && let Some((_, to)) = candidates.pop()
        {
            match tokio::time::timeout(HAND_OVER_PATIENCE, self.transfer(to)).await {
                Ok(Ok(())) => tracing::info!(range = %self.range, %to, "leadership was handed over"),
                Ok(Err(error)) => tracing::warn!(range = %self.range, %to, %error, "leadership was not handed over"),
                Err(_) => tracing::warn!(range = %self.range, %to, "leadership was not handed over in time"),
            }
        }
    }

    /// Waits until all that this node may have applied before the start is applied again, `patience` long at most. Before
    /// that, a read could see less than one before the start did.
    pub(crate) async fn recovered(&self, patience: Option<Duration>) -> Result<(), ConsensusError> {
        let recovered = self.raft.wait_for_recovery(patience).await;
        let metrics = recovered.map_err(|error| self.failed(&error))?;
        self.progress.reached(self.range, metrics.last_applied.map_or(0, |applied| applied.index)).await;
        if self.is_sole_leader(&self.metrics.borrow_watched()) {
            // Past a barrier, queries need none any more.
            let needs = self.read_barrier().await.map_err(|error| self.failed(&error))?;
            self.progress.reached(self.range, needs).await;
            self.read_barrier().await.map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    fn is_sole_leader(&self, metrics: &RaftMetrics<TypeConfig>) -> bool {
        metrics.running_state.is_ok()
            && metrics.current_leader == Some(self.voter)
            && metrics.membership_config.membership().voter_ids().eq([self.voter])
    }

    /// The term in which this node leads as the only voter.
    fn sole_term(&self) -> Option<u64> {
        let metrics = self.metrics.borrow_watched();
        self.is_sole_leader(&metrics).then_some(metrics.current_term)
    }

    /// Whether a member does not vote.
    fn learns(&self, member: Voter) -> bool {
        let metrics = self.metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        membership.get_node(&member).is_some() && !membership.voter_ids().any(|voter| voter == member)
    }

    /// Waits until a change of members that was answered shows in what this group says of itself: whoever applies may be
    /// ahead of that.
    async fn shown(&self, change: LogId) {
        let shows = |metrics: &RaftMetrics<TypeConfig>| *metrics.membership_config.log_id() >= Some(change);
        // An error here is the group's end, which shows elsewhere.
        let _ = self.raft.wait(Some(SNAPSHOT_PATIENCE)).metrics(shows, "the change shows").await;
    }

    /// Whether this node's voter is the only one.
    pub(crate) fn is_alone(&self) -> bool {
        self.metrics.borrow_watched().membership_config.membership().voter_ids().eq([self.voter])
    }

    /// Whether the voters are being changed: there are two sets of them.
    pub(crate) fn is_changing_members(&self) -> bool {
        self.metrics.borrow_watched().membership_config.membership().get_joint_config().len() > 1
    }

    /// Has this node ask for votes, where others would give theirs.
    pub(crate) async fn campaign(&self) {
        // An error here is the group's end, which shows elsewhere.
        let _ = self.raft.trigger().elect(true).await;
    }

    /// Which range it replicates.
    pub(crate) fn range(&self) -> RangeId {
        self.range
    }

    /// Whether this node leads.
    pub(crate) fn leads(&self) -> bool {
        self.raft.is_leader()
    }

    /// Purges the log up to the entry at `upto`, which is durable in the database and in all copies.
    pub(crate) async fn release(&self, upto: u64) {
        if let Err(error) = self.snapshot().await {
            tracing::warn!(range = %self.range, %error, "the log could not be purged");
            return;
        }
        // An error here is the group's end, which shows elsewhere.
        let _ = self.raft.trigger().purge_log(upto).await;
    }

    /// Waits until the group has ended on this node, and says why.
    pub(crate) async fn ended(&self) -> String {
        let mut metrics = self.raft.metrics();
        loop {
            if let Err(fatal) = &metrics.borrow_watched().running_state {
                return fatal.to_string();
            }
            if metrics.changed().await.is_err() {
                return "it panicked".to_owned();
            }
        }
    }

    /// Ends the group on this node.
    pub(crate) async fn shutdown(&self) {
        if let Err(error) = self.raft.shutdown().await {
            tracing::error!(range = %self.range, %error, "a group ended badly");
        }
    }

    fn failed(&self, error: &dyn ToString) -> ConsensusError {
        ConsensusError::Group { range: self.range, reason: error.to_string() }
    }

    fn unavailable(&self, error: &dyn ToString) -> IndexError {
        IndexError::Unavailable { reason: format!("range {}: {}", self.range, error.to_string()) }
    }
}

#[async_trait]
impl Group for RaftGroup {
    async fn propose(&self, proposal: Proposed, answered: Answered) {
        let range = self.range;
        // Called from openraft or from the applier; dropped when either ends first.
        let shared = Arc::new(parking_lot::Mutex::new(Some(answered)));
        let own = shared.clone();
        let answer = move |result: Result<Answers, IndexError>| {
            if let Some(answered) = own.lock().take() {
                answered(result);
            }
        };
        let respond = Callback::new(move |result: ClientWriteResult<TypeConfig>| answer(told(range, result)));
        if let Err(error) = self.raft.client_write_ff(proposal, Some(respond)).await
            && let Some(answered) = shared.lock().take()
        {
            answered(Err(self.unavailable(&error)));
        }
    }

    async fn read_barrier(&self) -> Result<u64, IndexError> {
        let term = self.sole_term();
        match self.raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
            Ok(linearizer) => {
                let needs = linearizer.read_log_id().index();
                if let Some(term) = term
                    && self.sole_term() == Some(term)
                    && self.progress.next(self.range) > needs
                {
                    self.alone_in_term.store(term, Ordering::Release);
                }
                Ok(needs)
            }
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward))) => Err(not_leader(&forward)),
            Err(error) => Err(self.unavailable(&error)),
        }
    }

    fn leads_alone(&self) -> bool {
        let metrics = self.metrics.borrow_watched();
        self.is_sole_leader(&metrics) && self.alone_in_term.load(Ordering::Acquire) == metrics.current_term
    }

    async fn change_members(&self, voters: BTreeMap<VoterId, NodeId>) -> Result<(), IndexError> {
        let unknown = |error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>| match error {
            RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => not_leader(&forward),
            RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => self.unavailable(&error),
            error => IndexError::Unknown { reason: error.to_string() },
        };
        let known: BTreeSet<Voter> = {
            let metrics = self.metrics.borrow_watched();
            metrics.membership_config.membership().nodes().map(|(id, _)| *id).collect()
        };
        for (voter, member) in members_of(&voters).into_iter().filter(|(voter, _)| !known.contains(voter)) {
            // As a learner first: it has the log before it counts.
            let learnt = tokio::time::timeout(LEARNING_PATIENCE, self.raft.add_learner(voter, member, true)).await;
            learnt.map_err(|_| self.unavailable(&format!("voter {voter} does not catch up")))?.map_err(unknown)?;
        }
        let ids: BTreeSet<Voter> = voters.keys().copied().map(Voter).collect();
        let changed = self.raft.change_membership(ChangeMembers::ReplaceAllVoters(ids.clone()), false).await;
        self.shown(changed.map_err(unknown)?.log_id).await;
        // Those that were to vote before something came in between learn no more.
        let others: BTreeSet<Voter> = known.difference(&ids).copied().filter(|other| self.learns(*other)).collect();
        if others.is_empty() {
            return Ok(());
        }
        let changed = self.raft.change_membership(ChangeMembers::RemoveNodes(others), false).await;
        self.shown(changed.map_err(unknown)?.log_id).await;
        Ok(())
    }

    async fn transfer(&self, to: VoterId) -> Result<(), IndexError> {
        if to == self.voter.0 && self.leads() {
            return Ok(());
        }
        if !self.leads() {
            return Err(IndexError::NotLeader { leader: self.leader() });
        }
        self.raft.trigger().transfer_leader(Voter(to)).await.map_err(|error| self.unavailable(&error))?;
        let led = self.raft.wait(Some(SNAPSHOT_PATIENCE)).current_leader(Voter(to), "leadership was handed over").await;
        led.map(drop).map_err(|error| self.unavailable(&error))
    }

    async fn snapshot(&self) -> Result<(), IndexError> {
        let Some(wanted) = self.durable.get(self.range).and_then(|mark| mark.applied) else { return Ok(()) };
        self.raft.trigger().snapshot().await.map_err(|error| self.unavailable(&error))?;
        let is_noted = |metrics: &RaftMetrics<TypeConfig>| metrics.snapshot.is_some_and(|noted| noted >= wanted);
        let noted = self.raft.wait(Some(SNAPSHOT_PATIENCE)).metrics(is_noted, "the checkpoint is noted").await;
        noted.map(drop).map_err(|error| self.unavailable(&error))
    }
}

/// What a proposer is told.
fn told(range: RangeId, result: ClientWriteResult<TypeConfig>) -> Result<Answers, IndexError> {
    result.map(|response| response.data).map_err(|error| match error {
        // Refused before it came into the log.
        ClientWriteError::ForwardToLeader(forward) => not_leader(&forward),
        ClientWriteError::ChangeMembershipError(error) => {
            IndexError::Unavailable { reason: format!("range {range}: {error}") }
        }
        // It was in the log: another leader may have committed it, or yet commit it.
        error => IndexError::Unknown { reason: format!("range {range}: {error}") },
    })
}

fn not_leader(forward: &ForwardToLeader<TypeConfig>) -> IndexError {
    IndexError::NotLeader { leader: forward.leader_node.map(|member| member.node) }
}

fn leader_of(metrics: &RaftMetrics<TypeConfig>) -> Option<NodeId> {
    let leader = metrics.current_leader?;
    Some(metrics.membership_config.membership().get_node(&leader)?.node)
}

fn members_of(voters: &BTreeMap<VoterId, NodeId>) -> BTreeMap<Voter, Member> {
    voters.iter().map(|(voter, node)| (Voter(*voter), Member { node: *node })).collect()
}

/// Timers: a follower campaigns after the lease (the longest election timeout) and a draw, so 1.4 to 1.8 s after the
/// last heartbeat; disks stall for hundreds of milliseconds at times.
fn config() -> Arc<Config> {
    let config = Config {
        cluster_name: "cairn".to_owned(),
        heartbeat_interval: 200,
        election_timeout_min: 500,
        election_timeout_max: 900,
        enable_pre_vote: Some(true),
        // With it, a restarted leader could answer reads older than what it had answered before.
        enable_leader_restore: Some(false),
        // Checkpoints and purges are the keeper's, who knows of the copies.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        ..Config::default()
    };
    Arc::new(config.validate().expect("the timers fit each other"))
}
