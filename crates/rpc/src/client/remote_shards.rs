//! The shard stores of other nodes.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use shards::{ShardAddress, ShardBody, ShardError, ShardHeader, ShardService, StoredShard};
use types::{DiskId, PlacementGroupId, RunId, SlotEpoch, SlotIndex};

use super::disk_calls::{DiskCall, DiskCalls, NoAnswer};
use super::{Directory, RpcClient};
use crate::RpcSettings;
use crate::encoding::{Service, ShardAnswer, ShardRequest, encode};
use crate::handshake::Lane;
use crate::wire::Reply;

/// Bodies above this do not go with small messages.
const SMALL_LANE_BYTES_MAX: u64 = 16 << 10;

/// The shard stores of all nodes that the directory knows.
///
/// Nothing is repeated that may have been done, but that a node says that it doesn't have the disk: then the directory
/// is asked again, once.
pub struct RemoteShards {
    calls: DiskCalls,
}

impl RemoteShards {
    /// Goes by this directory.
    pub fn new(client: RpcClient, directory: Arc<dyn Directory>) -> Self {
        Self { calls: DiskCalls { client, directory } }
    }

    fn settings(&self) -> &RpcSettings {
        self.calls.client.settings()
    }

    async fn ask(
        &self,
        disk: DiskId,
        request: ShardRequest,
        body: Vec<Bytes>,
        timeout: Duration,
    ) -> Result<(ShardAnswer, Vec<Bytes>), ShardError> {
        let lane = lane_of(&request, &body);
        let call = DiskCall { disk, service: Service::Shards, lane, payload: encode(&request), body, timeout };
        let read = |Reply { payload, body }| match ShardAnswer::decode(&payload) {
            Ok(ShardAnswer::Failed(ShardError::UnknownDisk { disk: unknown })) if unknown == disk => {
                Err(NoAnswer::NotThere)
            }
            Ok(answer) => Ok((answer, body)),
            Err(error) => Err(NoAnswer::Unreachable(error.to_string())),
        };
        match self.calls.ask(&call, read).await {
            Ok((ShardAnswer::Failed(error), _)) => Err(error),
            Ok(answer) => Ok(answer),
            Err(NoAnswer::NotThere) => Err(ShardError::UnknownDisk { disk }),
            Err(none) => Err(ShardError::Unreachable { disk, reason: none.reason() }),
        }
    }
}

fn lane_of(request: &ShardRequest, body: &[Bytes]) -> Lane {
    let bytes = match request {
        ShardRequest::Append { .. } => body.iter().map(|piece| piece.len() as u64).sum(),
        ShardRequest::Read { start, end, .. } => end.saturating_sub(*start),
        // A page of some thousand lines.
        ShardRequest::List { .. } => u64::MAX,
        ShardRequest::Header { .. } | ShardRequest::Free { .. } | ShardRequest::Seal { .. } => 0,
    };
    if bytes <= SMALL_LANE_BYTES_MAX { Lane::Small } else { Lane::Bulk }
}

/// An answer of a kind that the question doesn't have: the peer is not what it should be.
fn misanswered(disk: DiskId) -> ShardError {
    ShardError::Unreachable { disk, reason: "the node answered another question".to_owned() }
}

#[async_trait]
impl ShardService for RemoteShards {
    async fn append(&self, disk: DiskId, header: ShardHeader, body: ShardBody) -> Result<(), ShardError> {
        let request = ShardRequest::Append { disk, header: Box::new(header) };
        match self.ask(disk, request, body, self.settings().append_timeout).await? {
            (ShardAnswer::Done, _) => Ok(()),
            _ => Err(misanswered(disk)),
        }
    }

    async fn read(&self, disk: DiskId, address: ShardAddress, range: Range<u64>) -> Result<ShardBody, ShardError> {
        let request = ShardRequest::Read { disk, address, start: range.start, end: range.end };
        match self.ask(disk, request, Vec::new(), self.settings().read_timeout).await? {
            (ShardAnswer::Bytes, body)
                if body.iter().map(|piece| piece.len() as u64).sum::<u64>()
                    == range.end.saturating_sub(range.start) =>
            {
                Ok(body)
            }
            _ => Err(misanswered(disk)),
        }
    }

    async fn header(&self, disk: DiskId, address: ShardAddress) -> Result<ShardHeader, ShardError> {
        let request = ShardRequest::Header { disk, address };
        match self.ask(disk, request, Vec::new(), self.settings().read_timeout).await? {
            (ShardAnswer::Header(header), _) if header.address == address => Ok(*header),
            _ => Err(misanswered(disk)),
        }
    }

    async fn free(&self, disk: DiskId, group: PlacementGroupId, runs: Vec<RunId>) -> Result<(), ShardError> {
        let request = ShardRequest::Free { disk, group, runs };
        match self.ask(disk, request, Vec::new(), self.settings().append_timeout).await? {
            (ShardAnswer::Done, _) => Ok(()),
            _ => Err(misanswered(disk)),
        }
    }

    async fn seal(
        &self,
        disk: DiskId,
        group: PlacementGroupId,
        slot: SlotIndex,
        epoch: SlotEpoch,
    ) -> Result<(), ShardError> {
        let request = ShardRequest::Seal { disk, group, slot, epoch };
        match self.ask(disk, request, Vec::new(), self.settings().append_timeout).await? {
            (ShardAnswer::Done, _) => Ok(()),
            _ => Err(misanswered(disk)),
        }
    }

    async fn list(
        &self,
        disk: DiskId,
        after: Option<ShardAddress>,
        limit: usize,
    ) -> Result<Vec<StoredShard>, ShardError> {
        let request = ShardRequest::List { disk, after, limit: limit as u64 };
        match self.ask(disk, request, Vec::new(), self.settings().read_timeout).await? {
            (ShardAnswer::Listed(shards), _) => Ok(shards),
            _ => Err(misanswered(disk)),
        }
    }
}
