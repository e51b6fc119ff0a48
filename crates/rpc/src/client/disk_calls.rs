//! Asking whichever node has a disk.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use types::DiskId;

use super::{CallError, Directory, Peer, RpcClient, Stale};
use crate::encoding::Service;
use crate::handshake::Lane;
use crate::wire::Reply;

/// Asks whichever node has a disk, by a directory.
///
/// Nothing is repeated that may have been done, but that a node says that it doesn't have the disk, or that another
/// node answers: then the directory is asked again, once.
pub(super) struct DiskCalls {
    pub(super) client: RpcClient,
    pub(super) directory: Arc<dyn Directory>,
}

/// What is asked, and how.
pub(super) struct DiskCall {
    pub(super) disk: DiskId,
    pub(super) service: Service,
    pub(super) lane: Lane,
    pub(super) payload: Vec<u8>,
    pub(super) body: Vec<Bytes>,
    pub(super) timeout: Duration,
}

/// Why there is no answer to go by.
#[derive(Debug, Clone)]
pub(super) enum NoAnswer {
    /// The node doesn't have the disk, or nobody is known to.
    NotThere,
    /// Another node answers at its address.
    WrongNode,
    /// It was not reached, or what it said makes no sense.
    Unreachable(String),
}

impl NoAnswer {
    /// What is to be said of a disk that can't be reached.
    pub(super) fn reason(self) -> String {
        match self {
            Self::NotThere => "its node is not known".to_owned(),
            Self::WrongNode => "another node answers at its node's address".to_owned(),
            Self::Unreachable(reason) => reason,
        }
    }
}

impl DiskCalls {
    /// Asks; `read` makes an answer of a reply.
    pub(super) async fn ask<A>(
        &self,
        call: &DiskCall,
        read: impl Fn(Reply) -> Result<A, NoAnswer> + Send,
    ) -> Result<A, NoAnswer> {
        let peer = self.directory.disk(call.disk).ok_or(NoAnswer::NotThere)?;
        let first = match self.reply_of(&peer, call).await.and_then(&read) {
            Ok(answer) => return Ok(answer),
            Err(first) => first,
        };
        let stale = match &first {
            NoAnswer::NotThere => Stale::Disk { disk: call.disk, not_at: peer.node },
            NoAnswer::WrongNode => Stale::Address { node: peer.node },
            NoAnswer::Unreachable(_) => return Err(first),
        };
        self.directory.refresh(stale).await;
        match self.directory.disk(call.disk) {
            Some(other) if other != peer => self.reply_of(&other, call).await.and_then(read),
            _ => Err(first),
        }
    }

    async fn reply_of(&self, peer: &Peer, call: &DiskCall) -> Result<Reply, NoAnswer> {
        let DiskCall { service, lane, payload, body, timeout, .. } = call;
        let reply = self.client.call(peer, *lane, *service, payload, body.clone(), *timeout).await;
        reply.map_err(|error| match error {
            CallError::WrongNode => NoAnswer::WrongNode,
            error => NoAnswer::Unreachable(error.to_string()),
        })
    }
}
