//! What a replicated index is opened with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use index::IndexSettings;
use platform::{Clock, Entropy};
use types::NodeId;

use crate::log::{Disks, LogSettings, MirrorRegistry};
use crate::peers::RaftTransport;

/// Where a node's index lies, and how it is kept.
#[derive(Clone)]
pub struct ConsensusSettings {
    /// All disks of the node that work. Log mirrors, the database and its copies lie on some of them.
    pub disks: Disks,
    /// Which of them have the whole log.
    pub registry: Arc<dyn MirrorRegistry>,
    /// The node that this is; a label of the voter.
    pub node: NodeId,
    /// The way to the other nodes; `None`: there are none, and the process has to be started anew once the index can't go
    /// on. With it, opening does not wait for a leader.
    pub peers: Option<Arc<dyn RaftTransport>>,
    /// What becomes of a blank log.
    pub founding: Founding,
    /// The clock that commands are stamped with.
    pub clock: Arc<dyn Clock>,
    /// Where ids come from.
    pub entropy: Arc<dyn Entropy>,
    /// The log.
    pub log: LogSettings,
    /// The database.
    pub index: IndexSettings,
    /// Bytes of versions that are kept in memory after they were looked up, so that looking them up again is cheap.
    pub recent_versions_bytes: usize,
    /// When the database is checkpointed and copied.
    pub upkeep: DatabaseUpkeep,
}

impl fmt::Debug for ConsensusSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsensusSettings").field("node", &self.node).field("log", &self.log).finish_non_exhaustive()
    }
}

/// What becomes of a log that belongs to no group yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Founding {
    /// Its voter founds the groups by itself, as their only one.
    Alone,
    /// Its voter waits until it is told: by [`crate::ReplicatedIndex::found`] here or on another node, or by being made a
    /// member.
    Wait,
}

/// When the database is checkpointed and copied.
#[derive(Debug, Clone)]
pub struct DatabaseUpkeep {
    /// Bytes of SQLite's WAL after which it is checkpointed.
    pub checkpoint_bytes: u64,
    /// Without a command for so long, what was applied is checkpointed too.
    pub idle: Duration,
    /// The database is copied to the other mirrors' disks when so much log was written since the last copy, or as much
    /// as the database is large, if that is more.
    pub copy_log_bytes_min: u64,
    /// While the whole log is no longer than this, a leader keeps of it what its followers have not; beyond that, they get
    /// the rows instead.
    pub follower_log_bytes_max: u64,
    /// A database up to this size is also copied at a clean shutdown.
    pub shutdown_copy_bytes_max: u64,
}

impl Default for DatabaseUpkeep {
    fn default() -> Self {
        Self {
            checkpoint_bytes: 16 << 20,
            idle: Duration::from_secs(5),
            copy_log_bytes_min: 256 << 20,
            follower_log_bytes_max: 512 << 20,
            shutdown_copy_bytes_max: 32 << 20,
        }
    }
}
