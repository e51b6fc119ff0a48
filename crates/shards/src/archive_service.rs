//! The seam between those who keep the index's archive and the disks that it lies on: beside [`crate::ShardService`], and
//! like it in-process today, RPC on a cluster.

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use types::{DiskId, RangeId};

/// The longest payload of one record.
pub const ARCHIVE_PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// Names one file of the archive: the same name on each disk that has a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ArchiveFile {
    /// The range that is archived.
    pub range: RangeId,
    /// Rises with each state that is begun.
    pub generation: u64,
}

/// The generation of a range's archive that counts, and the disks that have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveSet {
    /// Which file.
    pub file: ArchiveFile,
    /// The disks.
    pub disks: Vec<DiskId>,
}

/// An archive file as a disk lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredArchive {
    /// Which one.
    pub file: ArchiveFile,
    /// Whole records in a row from the first on; a last one whose payload is damaged is not counted.
    pub records: u64,
    /// Bytes up to the end of the last of them.
    pub bytes: u64,
    /// The position of the last of them, for [`ArchiveService::read_archive`].
    pub last: u64,
}

/// One record of an archive file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveRecord {
    /// Its number, from 0.
    pub seq: u64,
    /// `None`: its bytes are not those that were written, or can't be read; another disk's may be.
    pub payload: Option<Bytes>,
}

/// A stretch of an archive file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivePage {
    /// Its records in order; none at the end of the file.
    pub records: Vec<ArchiveRecord>,
    /// Where the next stretch begins.
    pub next: u64,
}

/// Why a disk does not take or give archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ArchiveError {
    /// Choose another disk.
    #[error("disk {disk} is full")]
    DiskFull {
        /// The disk.
        disk: DiskId,
    },
    /// The disk failed or is gone.
    #[error("disk {disk} is down: {reason}")]
    DiskDown {
        /// The disk.
        disk: DiskId,
        /// What happened.
        reason: String,
    },
    /// No disk of this id here.
    #[error("disk {disk} is unknown here")]
    UnknownDisk {
        /// The disk.
        disk: DiskId,
    },
    /// The file is gone or can't be read: its copy on this disk counts no more.
    #[error("the archive file {file:?} on disk {disk} is lost: {reason}")]
    Lost {
        /// The disk.
        disk: DiskId,
        /// The file.
        file: ArchiveFile,
        /// What was found.
        reason: String,
    },
    /// The call breaks the contract: a payload of the wrong length, or a record out of order.
    #[error("the call breaks the contract: {reason}")]
    Invalid {
        /// Which rule.
        reason: String,
    },
    /// The disk's node gave no answer in time. A change that was asked for may have been made.
    #[error("disk {disk} is out of reach: {reason}")]
    Unreachable {
        /// The disk.
        disk: DiskId,
        /// What happened.
        reason: String,
    },
}

/// The archive files of all disks that this process reaches.
#[async_trait]
pub trait ArchiveService: Send + Sync {
    /// Appends one record so that it survives power loss once this returns. Record 0 makes the file. Repeating the last
    /// record succeeds without a second copy.
    ///
    /// # Errors
    /// [`ArchiveError`]; after [`ArchiveError::DiskFull`] the file is as it was.
    async fn append_archive(
        &self,
        disk: DiskId,
        file: ArchiveFile,
        seq: u64,
        payload: Bytes,
    ) -> Result<(), ArchiveError>;

    /// Reads records in order from `position` on (0: from the first), at least one and then up to `bytes_max` of
    /// payload; none where the file ends, or where it is so damaged that no further record can be found.
    ///
    /// # Errors
    /// [`ArchiveError::Lost`] when there is no such file; [`ArchiveError::DiskDown`], [`ArchiveError::UnknownDisk`].
    async fn read_archive(
        &self,
        disk: DiskId,
        file: ArchiveFile,
        position: u64,
        bytes_max: u64,
    ) -> Result<ArchivePage, ArchiveError>;

    /// The archive files of a disk that can be read, in order.
    ///
    /// # Errors
    /// [`ArchiveError::DiskDown`], [`ArchiveError::UnknownDisk`].
    async fn archives(&self, disk: DiskId) -> Result<Vec<StoredArchive>, ArchiveError>;

    /// Removes a file; one that isn't there is fine. A crash may bring it back.
    ///
    /// # Errors
    /// [`ArchiveError::DiskDown`], [`ArchiveError::UnknownDisk`].
    async fn drop_archive(&self, disk: DiskId, file: ArchiveFile) -> Result<(), ArchiveError>;

    /// Writes into a disk's superblock where a range's archive lies, durably; every disk may know it, whether it has a
    /// copy or not, so that what is missing can be named.
    ///
    /// # Errors
    /// [`ArchiveError::DiskDown`], [`ArchiveError::UnknownDisk`].
    async fn note_archive(&self, disk: DiskId, set: ArchiveSet) -> Result<(), ArchiveError>;

    /// What a disk's superblock says of archives, one a range.
    ///
    /// # Errors
    /// [`ArchiveError::DiskDown`], [`ArchiveError::UnknownDisk`].
    async fn archive_sets(&self, disk: DiskId) -> Result<Vec<ArchiveSet>, ArchiveError>;
}
