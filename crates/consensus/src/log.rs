//! The node-wide log: one append-only sequence of records for all groups, mirrored over some of the node's disks.
//!
//! One writer takes what all groups have queued, writes it as one batch to every mirror, syncs, and only then answers:
//! group commit. An append counts when every live mirror has synced it; a mirror that fails is struck in the
//! registry, on the survivors, before the next answer, so that it is never read again; then another is built on a live
//! disk while appends go on. What a group's entries mean is not known here, only their ids.
//!
//! `record` is the bytes, `scan` what a start makes of them, `recovery` how mirrors are made equal, `mirror` one
//! disk's copy, `writer` the thread that appends, `keeper` the one that prepares, builds and removes segments,
//! `groups` what is kept in memory, `store` what openraft sees.

mod groups;
mod keeper;
mod mirror;
#[cfg(test)]
mod openraft_suite;
pub(crate) mod record;
mod recovery;
mod registry;
mod scan;
mod shared;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;

use types::{DiskId, VoterId};

pub(crate) use mirror::voter_directory;
pub use registry::{MirrorRegistry, MirrorSet};
pub(crate) use shared::SharedLog;
pub(crate) use store::GroupLogStore;

use crate::encoding::MalformedError;

/// A node's disks, as consensus uses them.
pub type Disks = Vec<(DiskId, Arc<dyn platform::Disk>)>;

/// How the log is kept.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// How many disks have a copy, where there are so many.
    pub mirrors: usize,
    /// Bytes of the first segment after a start, and of one for which nothing was prepared; small, so that a start is
    /// quick.
    pub first_segment_bytes: u64,
    /// Bytes of the others.
    pub segment_bytes: u64,
    /// Bytes of entries that each group keeps in memory.
    pub cache_bytes: usize,
    /// Below so many free bytes on a mirror's disk, commands that add data are refused, so that deletes still work.
    pub free_bytes_min: u64,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            mirrors: 1,
            first_segment_bytes: 4 << 20,
            segment_bytes: 64 << 20,
            cache_bytes: 4 << 20,
            free_bytes_min: 128 << 20,
        }
    }
}

/// Why the log can't be opened, read or appended to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// No disk was given.
    #[error("the log needs a disk")]
    NoDisk,
    /// The log exists, but none of the disks that have all of it is here. Starting without it could answer wrongly.
    #[error("the log of voter {voter} lies on {}, and none of these disks can be read here: {reason}", list(.disks))]
    NoMirror {
        /// Whose log it is.
        voter: VoterId,
        /// The mirror set.
        disks: Vec<DiskId>,
        /// What is wrong with each.
        reason: String,
    },
    /// Records that had been synced are wrong on every mirror. A human must look.
    #[error("the log is damaged: {reason}")]
    Damaged {
        /// What was found.
        reason: String,
    },
    /// No superblock can be read.
    #[error("the mirror set can't be read from the superblocks: {reason}")]
    Registry {
        /// What the registry said.
        reason: String,
    },
    /// Every mirror failed. The log takes nothing more until the process is started anew.
    #[error("every log mirror has failed: {reason}")]
    Failed {
        /// What happened to the last one.
        reason: String,
    },
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
}

impl From<MalformedError> for LogError {
    fn from(error: MalformedError) -> Self {
        Self::Damaged { reason: error.to_string() }
    }
}

impl From<LogError> for std::io::Error {
    fn from(error: LogError) -> Self {
        Self::other(error)
    }
}

fn list(disks: &[DiskId]) -> String {
    disks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The log at one moment.
#[derive(Debug, Clone, Default)]
pub struct LogStatus {
    /// The disks that have all of it.
    pub mirrors: Vec<DiskId>,
    /// The generation of the mirror set.
    pub generation: u64,
    /// The disk on which another mirror is being built.
    pub building: Option<DiskId>,
    /// Bytes of all live segments of one mirror.
    pub bytes: u64,
    /// Bytes that have been appended since the start, padding included.
    pub appended_bytes: u64,
    /// Whether space is short, so that commands that add data are refused.
    pub low_space: bool,
    /// Why it takes nothing more.
    pub failed: Option<String>,
}
