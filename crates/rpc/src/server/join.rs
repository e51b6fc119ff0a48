//! The seam to whoever forms clusters and lets nodes join them.

use async_trait::async_trait;
use bytes::Bytes;

use crate::handshake::Caller;

/// Answers those that look for their cluster: nodes that know its secret, and gateways with a credential.
#[async_trait]
pub trait JoinHandler: Send + Sync {
    /// Answers a message. Neither end need be of a cluster yet, nor of the same.
    async fn handle(&self, from: Caller, message: Bytes) -> Bytes;
}
