//! The seam to other nodes: how a Raft message gets to a voter there, and its answer back.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rpc::Lane;
use rpc::client::{CallError, Peer, RaftCallError, RpcClient};
use rpc::server::RaftError;
use telemetry::with_causes;
use types::{NodeId, RangeId, VoterId};

/// A message to a voter on another node.
#[derive(Debug, Clone)]
pub struct RaftMessage {
    /// The range of the voter's group.
    pub range: RangeId,
    /// The voter.
    pub voter: VoterId,
    /// What is said, with a version.
    pub bytes: Bytes,
    /// Whether it is a part of much: it may wait for others, which may not wait for it.
    pub is_bulk: bool,
    /// How long an answer is waited for.
    pub timeout: Duration,
}

/// Why a message has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The node can't be reached, or has no such voter: trying again at once is of no use.
    #[error("not reached: {reason}")]
    Unreachable {
        /// What happened.
        reason: String,
    },
    /// It may have been received; no answer came, or none that is one.
    #[error("no answer: {reason}")]
    NoAnswer {
        /// What happened.
        reason: String,
    },
}

/// Takes messages to other nodes.
#[async_trait]
pub trait RaftTransport: Send + Sync {
    /// Sends a message and waits for the answer. Those to one voter that are no part of much are handed to it in the
    /// order in which the calls were first polled, where the connection does not break in between.
    ///
    /// # Errors
    /// [`TransportError`].
    async fn send(&self, to: NodeId, message: RaftMessage) -> Result<Bytes, TransportError>;
}

/// Where a node is, as far as is known.
type FindPeer = Box<dyn Fn(NodeId) -> Option<Peer> + Send + Sync>;

/// Sends messages over connections of `rpc`.
pub struct RpcTransport {
    client: RpcClient,
    find: FindPeer,
}

impl RpcTransport {
    /// A transport over a client's connections; `find` says where a node is.
    pub fn new(client: RpcClient, find: impl Fn(NodeId) -> Option<Peer> + Send + Sync + 'static) -> Self {
        Self { client, find: Box::new(find) }
    }
}

impl fmt::Debug for RpcTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcTransport").field("client", &self.client).finish_non_exhaustive()
    }
}

#[async_trait]
impl RaftTransport for RpcTransport {
    async fn send(&self, to: NodeId, message: RaftMessage) -> Result<Bytes, TransportError> {
        let RaftMessage { range, voter, bytes, is_bulk, timeout } = message;
        let Some(peer) = (self.find)(to) else {
            return Err(TransportError::Unreachable { reason: format!("nobody knows where node {to} is") });
        };
        let lane = if is_bulk { Lane::Bulk } else { Lane::Raft };
        let answer = self.client.raft(&peer, lane, range, voter, &bytes, timeout).await;
        answer.map_err(|error| {
            let reason = with_causes(&error);
            match error {
                RaftCallError::Call(CallError::NotSent { .. } | CallError::WrongNode)
                | RaftCallError::Raft(RaftError::NotHere) => TransportError::Unreachable { reason },
                RaftCallError::Call(CallError::Lost { .. } | CallError::Refused(_))
                | RaftCallError::Raft(RaftError::Failed { .. }) => TransportError::NoAnswer { reason },
            }
        })
    }
}
