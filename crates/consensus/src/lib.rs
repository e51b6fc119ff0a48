//! openraft around the index: log, state machine, membership.
//!
//! [`ReplicatedIndex`] is the index of a node: it puts commands into the log of their range's Raft group, applies what
//! is committed to the node's one SQLite database, and answers queries linearizably. All groups share one [log](LogStatus),
//! mirrored over some of the node's disks; the database is a cache of it that checkpoints make durable, and copies on
//! the other mirrors' disks make replaceable.
//!
//! A group has one voter or several, each on its node. What they say to each other are bytes here ([`RaftTransport`] takes
//! them there, [`ReplicatedIndex::raft_handler`] answers); a voter that is too far behind gets the rows of another.
//!
//! This crate doesn't know what a command means (`index` does), where mirror sets are written down
//! ([`MirrorRegistry`] is asked), or which nodes there are; openraft shows nowhere outside of it.

mod barrier;
mod encoding;
mod error;
mod failure;
#[cfg(fuzzing)]
pub mod fuzzing;
mod group;
mod groups;
mod handler;
mod log;
mod machine;
mod messages;
mod network;
mod peers;
mod proposer;
mod raft_types;
mod replicated_index;
mod restore;
mod runtime;
mod settings;
mod snapshots;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use encoding::MalformedError;
pub use error::ConsensusError;
pub use group::RangeStatus;
pub use log::{Disks, LogError, LogSettings, LogStatus, MirrorRegistry, MirrorSet};
pub use machine::{DatabasesError, UpkeepStatus};
pub use peers::{RaftMessage, RaftTransport, RpcTransport, TransportError};
pub use replicated_index::{ReplicatedIndex, ReplicatedIndexStatus};
pub use restore::{LoggedProposal, LoggedProposals};
pub use settings::{ConsensusSettings, DatabaseUpkeep, Founding};
