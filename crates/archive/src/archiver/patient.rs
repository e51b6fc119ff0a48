//! Disks that may hang, asked so that nobody waits for one of them for ever.
//!
//! The archive of all ranges waits for its slowest disk, and the log waits for the archive: a disk that doesn't answer
//! must count as one that failed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use shards::{ArchiveError, ArchiveFile, ArchivePage, ArchiveService, ArchiveSet, StoredArchive};
use tokio::time::timeout;
use types::DiskId;

/// A disk that takes longer has failed: as long as a log mirror is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// The same disks; one that doesn't answer within 15 s is [`ArchiveError::DiskDown`], whatever comes of the call.
pub(super) struct Patient(pub(super) Arc<dyn ArchiveService>);

async fn patiently<T>(
    disk: DiskId,
    asked: impl Future<Output = Result<T, ArchiveError>> + Send,
) -> Result<T, ArchiveError> {
    let reason = || format!("no answer within {} s", PATIENCE.as_secs());
    timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(ArchiveError::DiskDown { disk, reason: reason() }))
}

#[async_trait]
impl ArchiveService for Patient {
    async fn append_archive(
        &self,
        disk: DiskId,
        file: ArchiveFile,
        seq: u64,
        payload: Bytes,
    ) -> Result<(), ArchiveError> {
        patiently(disk, self.0.append_archive(disk, file, seq, payload)).await
    }

    async fn read_archive(
        &self,
        disk: DiskId,
        file: ArchiveFile,
        position: u64,
        bytes_max: u64,
    ) -> Result<ArchivePage, ArchiveError> {
        patiently(disk, self.0.read_archive(disk, file, position, bytes_max)).await
    }

    async fn archives(&self, disk: DiskId) -> Result<Vec<StoredArchive>, ArchiveError> {
        patiently(disk, self.0.archives(disk)).await
    }

    async fn drop_archive(&self, disk: DiskId, file: ArchiveFile) -> Result<(), ArchiveError> {
        patiently(disk, self.0.drop_archive(disk, file)).await
    }

    async fn note_archive(&self, disk: DiskId, set: ArchiveSet) -> Result<(), ArchiveError> {
        patiently(disk, self.0.note_archive(disk, set)).await
    }

    async fn archive_sets(&self, disk: DiskId) -> Result<Vec<ArchiveSet>, ArchiveError> {
        patiently(disk, self.0.archive_sets(disk)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers nothing.
    struct Hanging;

    #[async_trait]
    impl ArchiveService for Hanging {
        async fn append_archive(&self, _: DiskId, _: ArchiveFile, _: u64, _: Bytes) -> Result<(), ArchiveError> {
            std::future::pending().await
        }

        async fn read_archive(&self, _: DiskId, _: ArchiveFile, _: u64, _: u64) -> Result<ArchivePage, ArchiveError> {
            std::future::pending().await
        }

        async fn archives(&self, _: DiskId) -> Result<Vec<StoredArchive>, ArchiveError> {
            std::future::pending().await
        }

        async fn drop_archive(&self, _: DiskId, _: ArchiveFile) -> Result<(), ArchiveError> {
            std::future::pending().await
        }

        async fn note_archive(&self, _: DiskId, _: ArchiveSet) -> Result<(), ArchiveError> {
            std::future::pending().await
        }

        async fn archive_sets(&self, _: DiskId) -> Result<Vec<ArchiveSet>, ArchiveError> {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_hangs_counts_as_one_that_failed() {
        let disks = Patient(Arc::new(Hanging));
        let disk = DiskId::from_bytes([1; 16]);
        let file = ArchiveFile { range: types::RangeId(1), generation: 2 };
        let set = ArchiveSet { file, disks: vec![disk] };
        let outcomes = [
            disks.append_archive(disk, file, 0, Bytes::from_static(b"record")).await,
            disks.read_archive(disk, file, 0, 1).await.map(drop),
            disks.archives(disk).await.map(drop),
            disks.drop_archive(disk, file).await,
            disks.note_archive(disk, set).await,
            disks.archive_sets(disk).await.map(drop),
        ];
        for outcome in outcomes {
            assert!(matches!(outcome, Err(ArchiveError::DiskDown { disk: of, .. }) if of == disk), "{outcome:?}");
        }
    }
}
