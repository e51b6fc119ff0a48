//! What other nodes may say to the voters of this one.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rpc::server::{RaftError, RaftHandler};
use tokio::sync::{mpsc, oneshot};
use types::{NodeId, RangeDescriptor, RangeId, VoterId};

use crate::failure::Failure;
use crate::group::RaftGroup;
use crate::groups::{Groups, Hosting};
use crate::messages::{Reply, Request};
use crate::snapshots::SnapshotReceiver;

/// Hands messages to the groups, and rows to disk.
pub(crate) struct VoterHandler {
    voter: VoterId,
    groups: Arc<Groups>,
    receiver: SnapshotReceiver,
    hosting: mpsc::UnboundedSender<Hosting>,
    /// Held while a range's rows are looked at and installed: two that have the same places must not both be let in.
    installing: tokio::sync::Mutex<()>,
    failure: Failure,
}

impl VoterHandler {
    pub(crate) fn new(
        voter: VoterId,
        groups: Arc<Groups>,
        receiver: SnapshotReceiver,
        failure: Failure,
        hosting: mpsc::UnboundedSender<Hosting>,
    ) -> Self {
        Self { voter, groups, receiver, failure, hosting, installing: tokio::sync::Mutex::default() }
    }

    async fn reply(&self, range: RangeId, group: &RaftGroup, request: Request) -> Result<Reply, String> {
        match request {
            Request::Piece(piece) => self.receiver.take_in(range, piece).await.map(|()| Reply::Piece),
            Request::Install(end) => {
                let _one_at_a_time = self.installing.lock().await;
                let rows = self.receiver.finish(range, &end).await?;
                group.install(end.vote, rows).await.map(Reply::Install)
            }
            // It is here.
            Request::Host(_) => Ok(Reply::Host(true)),
            other => group.reply(other).await,
        }
    }

    async fn host(&self, descriptor: RangeDescriptor) -> Result<Bytes, RaftError> {
        let (begun, answered) = oneshot::channel();
        let asked = self.hosting.send(Hosting { descriptor, begun });
        asked.map_err(|_| RaftError::NotHere)?;
        let is_there = answered.await.map_err(|_| RaftError::NotHere)?;
        Ok(Reply::Host(is_there).encode())
    }
}

#[async_trait]
impl RaftHandler for VoterHandler {
    async fn handle(&self, from: NodeId, range: RangeId, voter: VoterId, message: Bytes) -> Result<Bytes, RaftError> {
        // A voter that has ended does not come back under this id.
        if voter != self.voter || self.failure.is_reported() {
            return Err(RaftError::NotHere);
        }
        let failed = |reason: String| RaftError::Failed { reason };
        let request = || Request::decode(&message).map_err(|error| failed(error.to_string()));
        let Some(standing) = self.groups.get(range) else {
            return match request() {
                Ok(Request::Host(descriptor)) if descriptor.id == range => self.host(descriptor).await,
                _ => Err(RaftError::NotHere),
            };
        };
        let request = request()?;
        drop(message);
        let reply = self.reply(range, &standing.group, request).await.map_err(|reason| {
            tracing::debug!(%from, %range, reason, "a voter gave no answer");
            failed(reason)
        })?;
        Ok(reply.encode())
    }
}
