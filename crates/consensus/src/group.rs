//! One Raft group: the few things that the rest of the crate asks of it, and openraft behind them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use index::IndexError;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, LinearizableReadError, RaftError};
use openraft::raft::ClientWriteResult;
use openraft::type_config::alias::WatchReceiverOf;
use openraft::{ChangeMembers, Config, Raft, RaftMetrics, ReadPolicy, SnapshotPolicy};
use types::{NodeId, RangeId, VoterId};

use crate::error::ConsensusError;
use crate::log::GroupLogStore;
use crate::machine::{DurableMarks, StateMachine};
use crate::network::NoPeers;
use crate::raft_types::{Answers, Callback, Member, Proposed, TypeConfig, Voter};

/// How long a start waits until its groups have a leader and have applied what was committed.
const RECOVERY_PATIENCE: Duration = Duration::from_secs(60);
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
    /// [`IndexError::Unavailable`]: another node leads, or a majority does not answer.
    async fn read_barrier(&self) -> Result<u64, IndexError>;

    /// Whether this node leads and is the only voter. Then nobody else can lead, and what was answered was applied here
    /// first, so that queries need no barrier. It becomes false before another voter can win an election: that takes
    /// this one's word for the change of members first.
    fn leads_alone(&self) -> bool;

    /// Changes the voters to `voters`, each with the node that it runs on; returns once the change is committed.
    ///
    /// # Errors
    /// [`IndexError`].
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
}

impl RaftGroup {
    /// Starts the group's voter here. A group that has no member yet is formed of this one alone.
    pub(crate) async fn start(
        range: RangeId,
        voter: VoterId,
        node: NodeId,
        store: GroupLogStore,
        machine: StateMachine,
        durable: Arc<DurableMarks>,
    ) -> Result<Self, ConsensusError> {
        let failed = |reason: String| ConsensusError::Group { range, reason };
        let voter = Voter(voter);
        let raft = Raft::new(voter, config(), NoPeers, store, machine).await;
        let raft = raft.map_err(|error| failed(error.to_string()))?;
        if !raft.is_initialized().await.map_err(|error| failed(error.to_string()))? {
            let members = BTreeMap::from([(voter, Member { node })]);
            raft.initialize(members).await.map_err(|error| failed(error.to_string()))?;
        } else if raft.voter_ids().eq([voter]) {
            // Nobody else can lead, so there is nothing to wait for.
            raft.trigger().elect(false).await.map_err(|error| failed(error.to_string()))?;
        }
        let metrics = raft.metrics();
        Ok(Self { range, voter, raft, metrics, durable })
    }

    /// Waits until all that this node may have applied before the start is applied again; returns the index of the last
    /// such entry. Before that, a read could see less than one before the start did.
    pub(crate) async fn recovered(&self) -> Result<u64, ConsensusError> {
        let recovered = self.raft.wait_for_recovery(Some(RECOVERY_PATIENCE)).await;
        let metrics = recovered.map_err(|error| self.failed(&error))?;
        Ok(metrics.last_applied.map_or(0, |applied| applied.index))
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
        match self.raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
            Ok(linearizer) => Ok(linearizer.read_log_id().index()),
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward))) => {
                Err(self.unavailable(&forward))
            }
            Err(error) => Err(self.unavailable(&error)),
        }
    }

    fn leads_alone(&self) -> bool {
        let metrics = self.metrics.borrow_watched();
        metrics.running_state.is_ok()
            && metrics.current_leader == Some(self.voter)
            && metrics.membership_config.membership().voter_ids().eq([self.voter])
    }

    async fn change_members(&self, voters: BTreeMap<VoterId, NodeId>) -> Result<(), IndexError> {
        let nodes = voters.iter().map(|(voter, node)| (Voter(*voter), Member { node: *node })).collect();
        let ids: BTreeSet<Voter> = voters.keys().copied().map(Voter).collect();
        // As learners first, so that a new voter has the log before it counts.
        let added = self.raft.change_membership(ChangeMembers::AddNodes(nodes), true).await;
        added.map_err(|error| self.unavailable(&error))?;
        let changed = self.raft.change_membership(ChangeMembers::ReplaceAllVoters(ids), false).await;
        changed.map(drop).map_err(|error| IndexError::Unknown { reason: error.to_string() })
    }

    async fn transfer(&self, to: VoterId) -> Result<(), IndexError> {
        if to == self.voter.0 && self.leads() {
            return Ok(());
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
    result.map(|response| response.data).map_err(|error| {
        let reason = format!("range {range}: {error}");
        match error {
            // Refused before it came into the log.
            ClientWriteError::ForwardToLeader(_) | ClientWriteError::ChangeMembershipError(_) => {
                IndexError::Unavailable { reason }
            }
            // Another leader may have committed it.
            _ => IndexError::Unknown { reason },
        }
    })
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
