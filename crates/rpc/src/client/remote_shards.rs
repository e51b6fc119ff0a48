//! The shard stores of other nodes.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use shards::{ShardAddress, ShardBody, ShardError, ShardHeader, ShardService, StoredShard};
use types::{DiskId, PlacementGroupId, RunId};

use super::{CallError, Directory, Peer, RpcClient, Stale};
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
    client: RpcClient,
    directory: Arc<dyn Directory>,
}

impl RemoteShards {
    /// Goes by this directory.
    pub fn new(client: RpcClient, directory: Arc<dyn Directory>) -> Self {
        Self { client, directory }
    }

    async fn ask(
        &self,
        disk: DiskId,
        request: ShardRequest,
        body: Vec<Bytes>,
        timeout: Duration,
    ) -> Result<(ShardAnswer, Vec<Bytes>), ShardError> {
        let lane = lane_of(&request, &body);
        let payload = encode(&request);
        let peer = self.directory.disk(disk).ok_or(ShardError::UnknownDisk { disk })?;
        let first = self.ask_at(&peer, disk, lane, &payload, body.clone(), timeout).await;
        let stale = match &first {
            Err(Asked::NotThere) => Stale::Disk { disk, not_at: peer.node },
            Err(Asked::WrongNode) => Stale::Address { node: peer.node },
            _ => return first.map_err(|asked| asked.told(disk)),
        };
        self.directory.refresh(stale).await;
        match self.directory.disk(disk) {
            Some(other) if other != peer => {
                let second = self.ask_at(&other, disk, lane, &payload, body, timeout).await;
                second.map_err(|asked| asked.told(disk))
            }
            _ => first.map_err(|asked| asked.told(disk)),
        }
    }

    async fn ask_at(
        &self,
        peer: &Peer,
        disk: DiskId,
        lane: Lane,
        payload: &[u8],
        body: Vec<Bytes>,
        timeout: Duration,
    ) -> Result<(ShardAnswer, Vec<Bytes>), Asked> {
        let Reply { payload, body } = self.client.call(peer, lane, Service::Shards, payload, body, timeout).await?;
        match ShardAnswer::decode(&payload) {
            Ok(ShardAnswer::Failed(ShardError::UnknownDisk { disk: unknown })) if unknown == disk => {
                Err(Asked::NotThere)
            }
            Ok(ShardAnswer::Failed(error)) => Err(Asked::Failed(error)),
            Ok(answer) => Ok((answer, body)),
            Err(error) => Err(Asked::Unreachable(error.to_string())),
        }
    }
}

/// Why a node gave no answer to go by.
enum Asked {
    NotThere,
    WrongNode,
    Unreachable(String),
    Failed(ShardError),
}

impl Asked {
    fn told(self, disk: DiskId) -> ShardError {
        match self {
            Self::NotThere => ShardError::UnknownDisk { disk },
            Self::WrongNode => {
                ShardError::Unreachable { disk, reason: "another node answers at its node's address".to_owned() }
            }
            Self::Unreachable(reason) => ShardError::Unreachable { disk, reason },
            Self::Failed(error) => error,
        }
    }
}

impl From<CallError> for Asked {
    fn from(error: CallError) -> Self {
        match error {
            CallError::WrongNode => Self::WrongNode,
            error => Self::Unreachable(error.to_string()),
        }
    }
}

fn lane_of(request: &ShardRequest, body: &[Bytes]) -> Lane {
    let bytes = match request {
        ShardRequest::Append { .. } => body.iter().map(|piece| piece.len() as u64).sum(),
        ShardRequest::Read { start, end, .. } => end.saturating_sub(*start),
        // A page of some thousand lines.
        ShardRequest::List { .. } => u64::MAX,
        ShardRequest::Header { .. } | ShardRequest::Free { .. } => 0,
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
        match self.ask(disk, request, body, self.client.settings().append_timeout).await? {
            (ShardAnswer::Done, _) => Ok(()),
            _ => Err(misanswered(disk)),
        }
    }

    async fn read(&self, disk: DiskId, address: ShardAddress, range: Range<u64>) -> Result<ShardBody, ShardError> {
        let request = ShardRequest::Read { disk, address, start: range.start, end: range.end };
        match self.ask(disk, request, Vec::new(), self.client.settings().read_timeout).await? {
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
        match self.ask(disk, request, Vec::new(), self.client.settings().read_timeout).await? {
            (ShardAnswer::Header(header), _) if header.address == address => Ok(*header),
            _ => Err(misanswered(disk)),
        }
    }

    async fn free(&self, disk: DiskId, group: PlacementGroupId, runs: Vec<RunId>) -> Result<(), ShardError> {
        let request = ShardRequest::Free { disk, group, runs };
        match self.ask(disk, request, Vec::new(), self.client.settings().append_timeout).await? {
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
        match self.ask(disk, request, Vec::new(), self.client.settings().read_timeout).await? {
            (ShardAnswer::Listed(shards), _) => Ok(shards),
            _ => Err(misanswered(disk)),
        }
    }
}
