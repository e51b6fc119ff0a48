//! Why a replicated index can't be opened.

use types::RangeId;

use crate::log::LogError;
use crate::machine::DatabasesError;

/// Why a replicated index can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConsensusError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The database.
    #[error(transparent)]
    Databases(#[from] DatabasesError),
    /// The database was found, but it can't be used.
    #[error("the index database can't be used: {reason}")]
    Database {
        /// What it says.
        reason: String,
    },
    /// A Raft group did not come up.
    #[error("the group of range {range} did not start: {reason}")]
    Group {
        /// Its range.
        range: RangeId,
        /// What openraft says.
        reason: String,
    },
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl ConsensusError {
    /// Whether there was an index, and what is left of it here is not enough to go on: only a rebuild helps, or the disks
    /// that are not here.
    pub fn is_index_lost(&self) -> bool {
        match self {
            Self::Log(LogError::NoMirror { .. } | LogError::Damaged { .. })
            | Self::Databases(DatabasesError::NoneUsable { .. }) => true,
            Self::Log(_)
            | Self::Databases(DatabasesError::Newer { .. })
            | Self::Database { .. }
            | Self::Group { .. }
            | Self::Thread(_) => false,
        }
    }
}
