//! A group's way to its voters on other nodes, as openraft wants it.
//!
//! On a node without peers every call fails: a group of one voter calls nobody, and where a call is made all the same, by
//! a membership that names another voter, a granted vote that nobody gave would elect two leaders.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use futures::stream::{BoxStream, StreamExt};
use futures::{FutureExt, Stream};
use index::FIRST_DATA_RANGE;
use openraft::alias::{SnapshotOf, VoteOf};
use openraft::entry::RaftEntry;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use parking_lot::Mutex;
use tokio::time::Instant;
use types::{NodeId, RangeDescriptor, RangeId, VoterId};

use crate::machine::{KnownRanges, SnapshotBody};
use crate::messages::{Reply, Request, SnapshotEnd};
use crate::peers::{RaftMessage, RaftTransport, TransportError};
use crate::raft_types::{Member, TypeConfig, Voter};
use crate::snapshots::{OutgoingRows, SnapshotSource};

/// How long an answer to entries is waited for: disks stall for hundreds of milliseconds at times.
const APPEND_PATIENCE: Duration = Duration::from_secs(2);
/// Requests for entries that may be unanswered at once.
const APPENDS_UNDER_WAY_MAX: usize = 16;
/// How long the answer to a piece of a snapshot is waited for.
const PIECE_PATIENCE: Duration = Duration::from_secs(10);
/// How often a range is offered to a node that does not have it.
const OFFER_PAUSE: Duration = Duration::from_millis(500);
/// How long a snapshot may take to be installed.
const INSTALL_PATIENCE: Duration = Duration::from_secs(600);

/// Makes a group's connections.
#[derive(Clone)]
pub(crate) struct Peers {
    pub(crate) range: RangeId,
    pub(crate) transport: Option<Arc<dyn RaftTransport>>,
    pub(crate) source: SnapshotSource,
    pub(crate) known: Arc<KnownRanges>,
}

impl RaftNetworkFactory<TypeConfig> for Peers {
    type Network = PeerVoter;

    async fn new_client(&mut self, target: Voter, member: &Member) -> PeerVoter {
        PeerVoter { peers: self.clone(), target, node: member.node, offered: Arc::default() }
    }
}

/// The way to one voter.
pub(crate) struct PeerVoter {
    peers: Peers,
    target: Voter,
    node: NodeId,
    /// When the range was last offered to the node, which did not have it.
    offered: Arc<Mutex<Option<Instant>>>,
}

/// What a call came to that has no answer.
enum NoReply {
    Unreachable(String),
    Failed(String),
}

impl PeerVoter {
    fn ask(
        &self,
        request: &Request,
        timeout: Duration,
    ) -> impl Future<Output = Result<Reply, NoReply>> + Send + 'static + use<> {
        let is_bulk = matches!(request, Request::Piece(_));
        let (range, voter, bytes) = (self.peers.range, self.target.0, request.encode());
        let message = RaftMessage { range, voter, bytes, is_bulk, timeout };
        let (transport, node) = (self.peers.transport.clone(), self.node);
        let (known, offered) = (self.peers.known.clone(), self.offered.clone());
        async move {
            let Some(transport) = transport else {
                return Err(NoReply::Unreachable(format!("this node has no peers, and voter {voter} is not here")));
            };
            match transport.send(node, message).await {
                Ok(reply) => Reply::decode(&reply).map_err(|error| NoReply::Failed(error.to_string())),
                Err(error @ TransportError::Unreachable { .. }) => {
                    offer(&*transport, node, voter, known.get(range), &offered).await;
                    Err(NoReply::Unreachable(error.to_string()))
                }
                Err(error @ TransportError::NoAnswer { .. }) => Err(NoReply::Failed(error.to_string())),
            }
        }
    }

    fn ask_to_append(
        &self,
        request: AppendEntriesRequest<TypeConfig>,
    ) -> impl Future<Output = Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>>> + Send + 'static + use<>
    {
        let asked = self.ask(&Request::Append(request), APPEND_PATIENCE);
        async move {
            match asked.await? {
                Reply::Append(reply) => Ok(reply),
                _ => Err(misanswered().into()),
            }
        }
    }

    async fn send_rows(
        &self,
        vote: VoteOf<TypeConfig>,
        rows: &OutgoingRows,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let unreadable = |reason: String| StreamingError::Unreachable(Unreachable::from_string(reason));
        let mut hasher = blake3::Hasher::new();
        let mut sent = 0;
        while let Some(piece) = rows.piece(sent).await.map_err(unreadable)? {
            hasher.update(&piece.bytes);
            sent += piece.bytes.len() as u64;
            match self.ask(&Request::Piece(piece), PIECE_PATIENCE).await? {
                Reply::Piece => {}
                _ => return Err(misanswered().into()),
            }
        }
        let end = SnapshotEnd { vote, id: rows.id(), bytes: sent, hash: *hasher.finalize().as_bytes() };
        match self.ask(&Request::Install(end), INSTALL_PATIENCE).await? {
            Reply::Install(response) => Ok(response),
            _ => Err(misanswered().into()),
        }
    }
}

impl RaftNetworkV2<TypeConfig> for PeerVoter {
    type SnapshotData = SnapshotBody;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.ask_to_append(request).await
    }

    // Several at once, in their order: a round trip and a sync for each would be waited for otherwise.
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> futures::future::BoxFuture<'s, Result<Appended<'s>, RPCError<TypeConfig>>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        let this = &*self;
        let answers = input.map(move |request| {
            let previous = request.prev_log_id;
            let last = request.entries.last().map(RaftEntry::log_id).or(previous);
            this.ask_to_append(request).map(move |reply| reply.map(|reply| (reply, previous, last)))
        });
        let answers = answers.buffered(APPENDS_UNDER_WAY_MAX);
        // What was sent behind one that failed is as good as not sent.
        let until_failure = answers.scan(false, |has_failed, answer| {
            if *has_failed {
                return futures::future::ready(None);
            }
            let answer = answer.map(|(reply, previous, last)| {
                let is_partial = matches!(&reply, AppendEntriesResponse::PartialSuccess(upto) if *upto != last);
                (reply.into_stream_result(previous, last), is_partial)
            });
            *has_failed = !matches!(&answer, Ok((Ok(_), false)));
            futures::future::ready(Some(answer.map(|(result, _)| result)))
        });
        futures::future::ready(Ok(until_failure.boxed())).boxed()
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self.ask(&Request::Vote(request), option.hard_ttl()).await? {
            Reply::Vote(reply) => Ok(reply),
            _ => Err(misanswered().into()),
        }
    }

    // openraft's own grants, unless overridden.
    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self.ask(&Request::PreVote(request), option.hard_ttl()).await? {
            Reply::Vote(reply) => Ok(reply),
            _ => Err(misanswered().into()),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<TypeConfig>,
        _checkpoint: SnapshotOf<TypeConfig, SnapshotBody>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let send = async {
            let rows = self.peers.source.rows(self.peers.range).await;
            let rows = rows.map_err(|reason| {
                tracing::warn!(range = %self.peers.range, reason, "the rows of a range could not be read for a voter");
                StreamingError::Unreachable(Unreachable::from_string(reason))
            })?;
            self.send_rows(vote, &rows).await
        };
        match select(pin!(cancel), pin!(send)).await {
            Either::Left((closed, _)) => Err(closed.into()),
            Either::Right((sent, _)) => sent,
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self.ask(&Request::Transfer(request), option.hard_ttl()).await? {
            Reply::Transfer(reply) => Ok(reply),
            _ => Err(misanswered().into()),
        }
    }
}

/// Asks a node to begin a range that a split made, for it may be a voter that does not have it: one that came later, or
/// one that was given its parent's rows after the split.
async fn offer(
    transport: &dyn RaftTransport,
    node: NodeId,
    voter: VoterId,
    range: Option<RangeDescriptor>,
    offered: &Mutex<Option<Instant>>,
) {
    let Some(descriptor) = range.filter(|range| range.id != FIRST_DATA_RANGE) else { return };
    {
        let mut last = offered.lock();
        if last.is_some_and(|last| last.elapsed() < OFFER_PAUSE) {
            return;
        }
        *last = Some(Instant::now());
    }
    let (range, bytes) = (descriptor.id, Request::Host(descriptor).encode());
    let message = RaftMessage { range, voter, bytes, is_bulk: false, timeout: APPEND_PATIENCE };
    // Whether it has it now, the next message shows.
    let _ = transport.send(node, message).await;
}

/// Answers to a stream of entries, in their order.
type Appended<'s> = BoxStream<'s, Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>>;

fn misanswered() -> NoReply {
    NoReply::Failed("the answer is one to something else".to_owned())
}

impl From<NoReply> for RPCError<TypeConfig> {
    fn from(error: NoReply) -> Self {
        match error {
            NoReply::Unreachable(reason) => Self::Unreachable(Unreachable::from_string(reason)),
            NoReply::Failed(reason) => Self::Network(NetworkError::from_string(reason)),
        }
    }
}

impl From<NoReply> for StreamingError<TypeConfig> {
    fn from(error: NoReply) -> Self {
        match error {
            NoReply::Unreachable(reason) => Self::Unreachable(Unreachable::from_string(reason)),
            NoReply::Failed(reason) => Self::Network(NetworkError::from_string(reason)),
        }
    }
}
