//! Where it stands which disks have the whole log.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};
use types::{DiskId, VoterId};

/// The disks that have all of the log, at one generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorSet {
    /// Whose log it is. A log that is begun anew gets a new voter, for the old one might have voted.
    pub voter: VoterId,
    /// Rises with every change; of several sets that are found, the highest counts.
    pub generation: u64,
    /// The disks.
    pub disks: Vec<DiskId>,
}

/// The mirror set in the disks' superblocks.
///
/// All calls block, and are made from threads that may.
pub trait MirrorRegistry: Send + Sync + fmt::Debug {
    /// What each readable superblock says; `None` for one that has no set yet.
    ///
    /// # Errors
    /// Only when nothing can be said at all; a superblock that can't be read is left out.
    fn read(&self) -> io::Result<Vec<(DiskId, Option<MirrorSet>)>>;

    /// Writes the set into one disk's superblock and syncs it.
    ///
    /// # Errors
    /// The disk does not have it; a mirror whose superblock can't be written does not count.
    fn write(&self, disk: DiskId, set: &MirrorSet) -> io::Result<()>;
}

/// The set that counts.
pub(super) fn newest(found: Vec<(DiskId, Option<MirrorSet>)>) -> Option<MirrorSet> {
    found.into_iter().filter_map(|(_, set)| set).max_by_key(|set| set.generation)
}
