//! What openraft is told about us: ids, entries, answers.
//!
//! Nothing outside this crate sees openraft's types; the bytes that stand for them on disk are ours (`encoding`).

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use index::Answer;
use openraft::alias::{EntryOf, LogIdOf, StoredMembershipOf, VoteOf};
use openraft::impls::{BoxedErrorSource, InlineBatch, leader_id_std};
use openraft::raft::responder::Responder;
use openraft::vote::RaftLeaderId;
use openraft::{EntryPayload, OptionalSend, RaftTypeConfig};
use parking_lot::Mutex;
use types::{NodeId, VoterId};

/// The set of types that openraft is built over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TypeConfig {}

impl RaftTypeConfig for TypeConfig {
    type D = Proposed;
    type R = Answers;
    type NodeId = Voter;
    type Node = Member;
    type Term = u64;
    type LeaderId = leader_id_std::LeaderId<u64, Voter>;
    type Vote = openraft::Vote<Self::LeaderId>;
    type Payload = EntryPayload<Proposed, Voter, Member>;
    type Entry = openraft::Entry<<Self::LeaderId as RaftLeaderId>::Committed, Self::Payload>;
    type AsyncRuntime = crate::runtime::Runtime;
    type Responder<T>
        = Callback<T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = BoxedErrorSource;
}

/// A position in a group's log: term and index.
pub(crate) type LogId = LogIdOf<TypeConfig>;
/// A log entry.
pub(crate) type Entry = EntryOf<TypeConfig>;
/// A vote.
pub(crate) type Vote = VoteOf<TypeConfig>;
/// The voters of a group.
pub(crate) type Membership = openraft::Membership<Voter, Member>;
/// The voters of a group, and the entry that made them so.
pub(crate) type StoredMembership = StoredMembershipOf<TypeConfig>;

/// A log id of its parts.
pub(crate) fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(openraft::vote::leader_id_std::CommittedLeaderId::new(term), index)
}

/// The term of the leader that proposed the entry.
pub(crate) fn term_of(id: &LogId) -> u64 {
    id.committed_leader_id().term
}

/// A voter's id as openraft wants it: with a default.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Voter(pub(crate) VoterId);

impl Default for Voter {
    fn default() -> Self {
        Self(VoterId::from_bytes([0; 16]))
    }
}

impl From<u64> for Voter {
    /// For openraft's own test suite, which numbers its nodes.
    fn from(number: u64) -> Self {
        Self(VoterId::from_bytes(u128::from(number).to_be_bytes()))
    }
}

impl fmt::Display for Voter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Voter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a voter runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    /// The node; its address is looked up in the layout.
    pub(crate) node: NodeId,
}

impl Default for Member {
    fn default() -> Self {
        Self { node: NodeId::from_bytes([0; 16]) }
    }
}

/// One proposal of many commands: its bytes for the log and, where it was made in this process, what they say.
///
/// The decoded form is taken by the first that applies it; whoever comes later decodes the bytes.
#[derive(Clone)]
pub(crate) struct Proposed {
    bytes: Bytes,
    decoded: Arc<Mutex<Option<index::Proposal>>>,
}

impl Proposed {
    /// A proposal made here.
    pub(crate) fn new(proposal: index::Proposal) -> Self {
        Self { bytes: proposal.encode().into(), decoded: Arc::new(Mutex::new(Some(proposal))) }
    }

    /// A proposal as it came out of the log.
    pub(crate) fn from_bytes(bytes: Bytes) -> Self {
        Self { bytes, decoded: Arc::default() }
    }

    /// What the log keeps.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What the bytes say.
    ///
    /// # Errors
    /// [`index::DecodeError`]: written by a newer release, or no proposal.
    pub(crate) fn take(&self) -> Result<index::Proposal, index::DecodeError> {
        match self.decoded.lock().take() {
            Some(proposal) => Ok(proposal),
            None => index::Proposal::decode(&self.bytes),
        }
    }
}

impl fmt::Debug for Proposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proposed({} bytes)", self.bytes.len())
    }
}

impl fmt::Display for Proposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl PartialEq for Proposed {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

/// What `apply` answered to the commands of one proposal, in order.
#[derive(Debug, Default)]
pub(crate) struct Answers(pub(crate) Vec<Answer>);

/// Hands a result to whoever waits for it, on the thread that has it.
pub(crate) struct Callback<T>(Box<dyn FnOnce(T) + Send>);

impl<T> Callback<T> {
    /// Calls `with` once.
    pub(crate) fn new(with: impl FnOnce(T) + Send + 'static) -> Self {
        Self(Box::new(with))
    }
}

impl<T: OptionalSend + 'static> Responder<TypeConfig, T> for Callback<T> {
    fn on_complete(self, result: T) {
        (self.0)(result);
    }
}
