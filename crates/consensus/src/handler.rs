//! What other nodes may say to the voters of this one.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use rpc::server::{RaftError, RaftHandler};
use types::{NodeId, RangeId, VoterId};

use crate::failure::Failure;
use crate::group::RaftGroup;
use crate::messages::{Reply, Request};
use crate::snapshots::SnapshotReceiver;

/// Hands messages to the groups, and rows to disk.
pub(crate) struct VoterHandler {
    voter: VoterId,
    groups: BTreeMap<RangeId, RaftGroup>,
    receiver: SnapshotReceiver,
    failure: Failure,
}

impl VoterHandler {
    pub(crate) fn new(
        voter: VoterId,
        groups: BTreeMap<RangeId, RaftGroup>,
        receiver: SnapshotReceiver,
        failure: Failure,
    ) -> Self {
        Self { voter, groups, receiver, failure }
    }

    async fn reply(&self, range: RangeId, group: &RaftGroup, request: Request) -> Result<Reply, String> {
        match request {
            Request::Piece(piece) => self.receiver.take_in(range, piece).await.map(|()| Reply::Piece),
            Request::Install(end) => {
                let rows = self.receiver.finish(range, &end).await?;
                group.install(end.vote, rows).await.map(Reply::Install)
            }
            other => group.reply(other).await,
        }
    }
}

#[async_trait]
impl RaftHandler for VoterHandler {
    async fn handle(&self, from: NodeId, range: RangeId, voter: VoterId, message: Bytes) -> Result<Bytes, RaftError> {
        // A voter that has ended does not come back under this id.
        let is_here = voter == self.voter && !self.failure.is_reported();
        let group = self.groups.get(&range).filter(|_| is_here).ok_or(RaftError::NotHere)?;
        let failed = |reason: String| RaftError::Failed { reason };
        let request = Request::decode(&message).map_err(|error| failed(error.to_string()))?;
        drop(message);
        let reply = self.reply(range, group, request).await.map_err(|reason| {
            tracing::debug!(%from, %range, reason, "a voter gave no answer");
            failed(reason)
        })?;
        Ok(reply.encode())
    }
}
