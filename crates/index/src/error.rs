//! Why the database fails.

use crate::keys::KeyError;
use crate::level::NewerLevel;
use crate::rows::RowError;

/// Why the index database did not do it. After any of these, [`crate::IndexDatabase`] takes nothing more: what SQLite
/// holds is the state before the failed call, and the way on is to open it, or a copy of it, anew and replay the log.
#[derive(Debug, thiserror::Error)]
pub enum IndexDatabaseError {
    /// Written by a newer release: upgrade, nothing else helps.
    #[error("the index database has format {found}; this release reads up to {known}")]
    NewerFormat {
        /// The database's.
        found: u32,
        /// The newest that this release knows.
        known: u32,
    },
    /// Nothing of its cluster may be applied or guessed here.
    #[error(transparent)]
    NewerLevel(#[from] NewerLevel),
    /// The disk has no room. What was committed stays readable.
    #[error("the index database's disk is full")]
    DiskFull(#[source] rusqlite::Error),
    /// The disk, or SQLite on it, failed.
    #[error("the index database failed")]
    Io(#[source] rusqlite::Error),
    /// The file holds what it must not: open a copy and replay.
    #[error("the index database is damaged: {reason}")]
    Damaged {
        /// What was found.
        reason: String,
    },
    /// Another range that is here has some of a range's places. The database is as good as it was.
    #[error("range {with} has places of range {range} here: it has yet to apply the split between them")]
    Overlap {
        /// The range that was to come.
        range: types::RangeId,
        /// The range that is here.
        with: types::RangeId,
    },
    /// It could not be opened or copied.
    #[error(transparent)]
    Database(#[from] sqlite_vfs::DatabaseError),
    /// An earlier call failed.
    #[error("the index database has failed before and takes nothing more until it is opened anew")]
    Failed,
}

impl From<rusqlite::Error> for IndexDatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase};
        match error.sqlite_error_code() {
            Some(DiskFull) => Self::DiskFull(error),
            Some(DatabaseCorrupt | NotADatabase) => Self::Damaged { reason: error.to_string() },
            None => Self::Damaged { reason: error.to_string() },
            Some(_) => Self::Io(error),
        }
    }
}

impl From<RowError> for IndexDatabaseError {
    fn from(error: RowError) -> Self {
        Self::Damaged { reason: error.to_string() }
    }
}

impl From<KeyError> for IndexDatabaseError {
    fn from(error: KeyError) -> Self {
        Self::Damaged { reason: error.to_string() }
    }
}
