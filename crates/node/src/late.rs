//! What a node offers to others before it has it: the RPC port is open while the node finds its cluster.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use index::{Answer, Command, IndexError, IndexService, Query, QueryAnswer};
use rpc::server::{RaftError, RaftHandler};
use shards::{
    ArchiveError, ArchiveFile, ArchivePage, ArchiveService, ArchiveSet, LocalShards, ShardAddress, ShardBody,
    ShardError, ShardHeader, ShardService, StoredArchive, StoredShard,
};
use types::{DiskId, NodeId, PlacementGroupId, RangeId, RunId, SlotEpoch, SlotIndex, VoterId};

use crate::layout::LayoutKeeper;

/// The disks of this node. One that is named a slot which it does not know looks whether the layout has changed.
#[derive(Default)]
pub struct OwnShards {
    shards: OnceLock<Arc<LocalShards>>,
    layout: OnceLock<Arc<LayoutKeeper>>,
}

impl OwnShards {
    /// The disks are open.
    pub fn open(&self, shards: Arc<LocalShards>) {
        let _only_once = self.shards.set(shards);
    }

    /// The layout is known.
    pub fn follow(&self, layout: Arc<LayoutKeeper>) {
        let _only_once = self.layout.set(layout);
    }

    /// Whether it is a disk of this node.
    pub(crate) fn has(&self, disk: DiskId) -> bool {
        self.shards.get().is_some_and(|shards| shards.disk_states().contains_key(&disk))
    }

    fn of(&self, disk: DiskId) -> Result<&Arc<LocalShards>, ShardError> {
        self.shards.get().ok_or_else(|| ShardError::Unreachable { disk, reason: "the node is starting".to_owned() })
    }
}

#[async_trait]
impl ShardService for OwnShards {
    async fn append(&self, disk: DiskId, header: ShardHeader, body: ShardBody) -> Result<(), ShardError> {
        let shards = self.of(disk)?;
        let outcome = shards.append(disk, header.clone(), body.clone()).await;
        let (Err(ShardError::Stale { owned, named }), Some(layout)) = (&outcome, self.layout.get()) else {
            return outcome;
        };
        // The writer's layout may be newer than this disk's word for it.
        if owned > named || layout.refresh().await.is_err() {
            return outcome;
        }
        shards.append(disk, header, body).await
    }

    async fn read(&self, disk: DiskId, address: ShardAddress, range: Range<u64>) -> Result<ShardBody, ShardError> {
        self.of(disk)?.read(disk, address, range).await
    }

    async fn header(&self, disk: DiskId, address: ShardAddress) -> Result<ShardHeader, ShardError> {
        self.of(disk)?.header(disk, address).await
    }

    async fn free(&self, disk: DiskId, group: PlacementGroupId, runs: Vec<RunId>) -> Result<(), ShardError> {
        self.of(disk)?.free(disk, group, runs).await
    }

    async fn seal(
        &self,
        disk: DiskId,
        group: PlacementGroupId,
        slot: SlotIndex,
        epoch: SlotEpoch,
    ) -> Result<(), ShardError> {
        // From here on the disk's word for its slots is at least as new as the layout that names the heir: no older one
        // opens the slot again.
        let unreachable = |reason: String| ShardError::Unreachable { disk, reason };
        let shards = self.of(disk)?;
        match self.layout.get() {
            Some(layout) => layout.refresh().await.map_err(|error| unreachable(error.to_string()))?,
            None if shards.knows_its_slots(disk) => {}
            None => return Err(unreachable("the node is starting".to_owned())),
        }
        shards.seal(disk, group, slot, epoch).await
    }

    async fn list(
        &self,
        disk: DiskId,
        after: Option<ShardAddress>,
        limit: usize,
    ) -> Result<Vec<StoredShard>, ShardError> {
        self.of(disk)?.list(disk, after, limit).await
    }
}

#[async_trait]
impl ArchiveService for OwnShards {
    async fn append_archive(
        &self,
        disk: DiskId,
        file: ArchiveFile,
        seq: u64,
        payload: Bytes,
    ) -> Result<(), ArchiveError> {
        self.of(disk)?.append_archive(disk, file, seq, payload).await
    }

    async fn read_archive(
        &self,
        disk: DiskId,
        file: ArchiveFile,
        position: u64,
        bytes_max: u64,
    ) -> Result<ArchivePage, ArchiveError> {
        self.of(disk)?.read_archive(disk, file, position, bytes_max).await
    }

    async fn archives(&self, disk: DiskId) -> Result<Vec<StoredArchive>, ArchiveError> {
        self.of(disk)?.archives(disk).await
    }

    async fn drop_archive(&self, disk: DiskId, file: ArchiveFile) -> Result<(), ArchiveError> {
        self.of(disk)?.drop_archive(disk, file).await
    }

    async fn note_archive(&self, disk: DiskId, set: ArchiveSet) -> Result<(), ArchiveError> {
        self.of(disk)?.note_archive(disk, set).await
    }

    async fn archive_sets(&self, disk: DiskId) -> Result<Vec<ArchiveSet>, ArchiveError> {
        self.of(disk)?.archive_sets(disk).await
    }
}

/// The ranges of this node.
#[derive(Default)]
pub(crate) struct OwnIndex(OnceLock<Arc<dyn IndexService>>);

impl OwnIndex {
    /// It is open.
    pub(crate) fn open(&self, index: Arc<dyn IndexService>) {
        let _only_once = self.0.set(index);
    }
}

#[async_trait]
impl IndexService for OwnIndex {
    async fn propose(&self, command: Command) -> Result<Answer, IndexError> {
        match self.0.get() {
            Some(index) => index.propose(command).await,
            None => Err(IndexError::NotLeader { leader: None }),
        }
    }

    async fn query(&self, query: Query) -> Result<QueryAnswer, IndexError> {
        match self.0.get() {
            Some(index) => index.query(query).await,
            None => Err(IndexError::NotLeader { leader: None }),
        }
    }

    async fn propose_to(&self, range: RangeId, command: Command) -> Result<Answer, IndexError> {
        match self.0.get() {
            Some(index) => index.propose_to(range, command).await,
            None => Err(IndexError::NotLeader { leader: None }),
        }
    }

    async fn query_at(&self, range: RangeId, query: Query) -> Result<QueryAnswer, IndexError> {
        match self.0.get() {
            Some(index) => index.query_at(range, query).await,
            None => Err(IndexError::NotLeader { leader: None }),
        }
    }
}

/// The voters of this node.
#[derive(Default)]
pub(crate) struct OwnVoters(OnceLock<Arc<dyn RaftHandler>>);

impl OwnVoters {
    /// They are open.
    pub(crate) fn open(&self, voters: Arc<dyn RaftHandler>) {
        let _only_once = self.0.set(voters);
    }
}

#[async_trait]
impl RaftHandler for OwnVoters {
    async fn handle(&self, from: NodeId, range: RangeId, voter: VoterId, message: Bytes) -> Result<Bytes, RaftError> {
        match self.0.get() {
            Some(voters) => voters.handle(from, range, voter, message).await,
            None => Err(RaftError::NotHere),
        }
    }
}
