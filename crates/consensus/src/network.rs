//! The network of a node that has no peers: every call says so.
//!
//! A group of one voter calls nobody. Where a call is made all the same, by a membership that names another voter, it
//! must fail: a granted vote that nobody gave would elect two leaders.

use std::future::Future;
use std::io;

use openraft::alias::{SnapshotOf, VoteOf};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};

use crate::machine::CheckpointMark;
use crate::raft_types::{Member, TypeConfig, Voter};

/// Makes connections that fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoPeers;

impl RaftNetworkFactory<TypeConfig> for NoPeers {
    type Network = NoPeer;

    async fn new_client(&mut self, target: Voter, _node: &Member) -> NoPeer {
        NoPeer { target }
    }
}

/// A connection to a voter that can't be reached.
#[derive(Debug)]
pub(crate) struct NoPeer {
    target: Voter,
}

impl NoPeer {
    fn unreachable(&self) -> Unreachable<TypeConfig> {
        let reason = format!("this node has no peers, and voter {} is not here", self.target);
        Unreachable::new(&io::Error::new(io::ErrorKind::NotConnected, reason))
    }
}

impl RaftNetworkV2<TypeConfig> for NoPeer {
    type SnapshotData = CheckpointMark;

    async fn append_entries(
        &mut self,
        _request: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn vote(
        &mut self,
        _request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    // openraft's own grants, unless overridden.
    async fn pre_vote(
        &mut self,
        _request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn full_snapshot(
        &mut self,
        _vote: VoteOf<TypeConfig>,
        _snapshot: SnapshotOf<TypeConfig, CheckpointMark>,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        Err(StreamingError::Unreachable(self.unreachable()))
    }

    async fn transfer_leader(
        &mut self,
        _request: TransferLeaderRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }
}
