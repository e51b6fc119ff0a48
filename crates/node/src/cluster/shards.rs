//! The disks of all nodes: those of this one in this process, the others over the network.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use rpc::client::RemoteShards;
use shards::{ShardAddress, ShardBody, ShardError, ShardHeader, ShardService, StoredShard};
use types::{DiskId, PlacementGroupId, RunId, SlotEpoch, SlotIndex};

use crate::late::OwnShards;

/// The shard stores of the whole cluster.
pub struct ClusterShards {
    /// A gateway has none.
    own: Option<Arc<OwnShards>>,
    remote: RemoteShards,
}

impl ClusterShards {
    /// Goes to `own` for its disks, and over the network for all others.
    pub fn new(own: Option<Arc<OwnShards>>, remote: RemoteShards) -> Self {
        Self { own, remote }
    }

    fn of(&self, disk: DiskId) -> &dyn ShardService {
        match &self.own {
            Some(own) if own.has(disk) => &**own,
            _ => &self.remote,
        }
    }
}

#[async_trait]
impl ShardService for ClusterShards {
    async fn append(&self, disk: DiskId, header: ShardHeader, body: ShardBody) -> Result<(), ShardError> {
        self.of(disk).append(disk, header, body).await
    }

    async fn read(&self, disk: DiskId, address: ShardAddress, range: Range<u64>) -> Result<ShardBody, ShardError> {
        self.of(disk).read(disk, address, range).await
    }

    async fn header(&self, disk: DiskId, address: ShardAddress) -> Result<ShardHeader, ShardError> {
        self.of(disk).header(disk, address).await
    }

    async fn free(&self, disk: DiskId, group: PlacementGroupId, runs: Vec<RunId>) -> Result<(), ShardError> {
        self.of(disk).free(disk, group, runs).await
    }

    async fn seal(
        &self,
        disk: DiskId,
        group: PlacementGroupId,
        slot: SlotIndex,
        epoch: SlotEpoch,
    ) -> Result<(), ShardError> {
        self.of(disk).seal(disk, group, slot, epoch).await
    }

    async fn list(
        &self,
        disk: DiskId,
        after: Option<ShardAddress>,
        limit: usize,
    ) -> Result<Vec<StoredShard>, ShardError> {
        self.of(disk).list(disk, after, limit).await
    }
}
