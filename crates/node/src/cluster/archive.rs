//! The archive files on the disks of all nodes: those of this one in this process, the others over the network.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rpc::client::RemoteArchive;
use shards::{ArchiveError, ArchiveFile, ArchivePage, ArchiveService, ArchiveSet, StoredArchive};
use types::DiskId;

use crate::late::OwnShards;

/// The archive files of the whole cluster.
pub struct ClusterArchive {
    own: Arc<OwnShards>,
    remote: RemoteArchive,
}

impl ClusterArchive {
    /// Goes to `own` for its disks, and over the network for all others.
    pub fn new(own: Arc<OwnShards>, remote: RemoteArchive) -> Self {
        Self { own, remote }
    }

    fn of(&self, disk: DiskId) -> &dyn ArchiveService {
        if self.own.has(disk) { &*self.own } else { &self.remote }
    }
}

#[async_trait]
impl ArchiveService for ClusterArchive {
    async fn append_archive(
        &self,
        disk: DiskId,
        file: ArchiveFile,
        seq: u64,
        payload: Bytes,
    ) -> Result<(), ArchiveError> {
        self.of(disk).append_archive(disk, file, seq, payload).await
    }

    async fn read_archive(
        &self,
        disk: DiskId,
        file: ArchiveFile,
        position: u64,
        bytes_max: u64,
    ) -> Result<ArchivePage, ArchiveError> {
        self.of(disk).read_archive(disk, file, position, bytes_max).await
    }

    async fn archives(&self, disk: DiskId) -> Result<Vec<StoredArchive>, ArchiveError> {
        self.of(disk).archives(disk).await
    }

    async fn drop_archive(&self, disk: DiskId, file: ArchiveFile) -> Result<(), ArchiveError> {
        self.of(disk).drop_archive(disk, file).await
    }

    async fn note_archive(&self, disk: DiskId, set: ArchiveSet) -> Result<(), ArchiveError> {
        self.of(disk).note_archive(disk, set).await
    }

    async fn archive_sets(&self, disk: DiskId) -> Result<Vec<ArchiveSet>, ArchiveError> {
        self.of(disk).archive_sets(disk).await
    }
}
