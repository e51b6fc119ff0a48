//! The seam to those who run voters.

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use types::{NodeId, RangeId, VoterId};

/// Why a Raft message was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum RaftError {
    /// This node doesn't run that voter.
    #[error("the voter is not here")]
    NotHere,
    /// It runs it, and has no answer.
    #[error("the voter gave no answer: {reason}")]
    Failed {
        /// What happened.
        reason: String,
    },
}

/// Takes Raft messages for the voters of this node.
#[async_trait]
pub trait RaftHandler: Send + Sync {
    /// Answers a message from a node for a voter of a range. Messages of one connection come in the order in which
    /// they were sent: each is polled once before the next is looked at, and must not block.
    ///
    /// # Errors
    /// [`RaftError`], which the sender gets.
    async fn handle(&self, from: NodeId, range: RangeId, voter: VoterId, message: Bytes) -> Result<Bytes, RaftError>;
}
