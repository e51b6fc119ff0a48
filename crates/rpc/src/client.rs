//! Asking other nodes: connections to them, and the shard stores and the index behind them.

mod counts;
mod directory;
mod disk_calls;
mod link;
mod pool;
mod remote_archive;
mod remote_index;
mod remote_shards;

use crate::encoding::CallRefusal;

pub use counts::ServiceCalls;
pub use directory::{Directory, Peer, Stale};
pub use pool::{Identity, RaftCallError, RpcClient};
pub use remote_archive::RemoteArchive;
pub use remote_index::RemoteIndex;
pub use remote_shards::RemoteShards;

/// Why a call was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It was not sent: certainly without effect.
    #[error("not sent: {reason}")]
    NotSent {
        /// What happened.
        reason: String,
    },
    /// It was sent, or may have been, and no answer came: it may have taken effect.
    #[error("no answer: {reason}")]
    Lost {
        /// What happened.
        reason: String,
    },
    /// The peer did not do it.
    #[error("refused: {0}")]
    Refused(#[from] CallRefusal),
    /// Another node answers at the peer's address; nothing was sent.
    #[error("the peer is elsewhere")]
    WrongNode,
}
