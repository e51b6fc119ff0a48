//! Connections to all nodes, opened when they are needed and used by all calls.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use platform::{BufferPool, Entropy, Network};
use tokio::time::{Instant, timeout_at};
use types::{NodeId, RangeId, VoterId};

use super::counts::{CallCounts, ServiceCalls};
use super::link::Link;
use super::{CallError, Peer};
use crate::RpcSettings;
use crate::cluster_cell::ClusterCell;
use crate::encoding::{RaftAnswer, RaftRequest, Service};
use crate::handshake::{self, ClientHello, HandshakeError, Lane, Role};
use crate::secret::{ClusterSecret, GatewayCredential};
use crate::server::RaftError;
use crate::wire::Reply;

/// Who the client is, and what it proves it with.
#[derive(Debug, Clone)]
pub enum Identity {
    /// A node.
    Node {
        /// Its id.
        node: NodeId,
        /// The cluster's secret.
        secret: ClusterSecret,
    },
    /// A gateway.
    Gateway(GatewayCredential),
}

/// Connections to all nodes, opened when they are needed and used by all calls. Clones share them.
#[derive(Clone)]
pub struct RpcClient {
    shared: Arc<Shared>,
}

struct Shared {
    network: Arc<dyn Network>,
    entropy: Arc<dyn Entropy>,
    cluster: ClusterCell,
    identity: Identity,
    pool: BufferPool,
    settings: RpcSettings,
    nodes: Mutex<HashMap<NodeId, Arc<Node>>>,
    /// Whether whoever was asked last to be let in did not.
    is_refused: AtomicBool,
    counts: CallCounts,
}

/// All connections to one node at one address.
struct Node {
    peer: Peer,
    small: Slot,
    bulk: Vec<Slot>,
    raft: Slot,
    join: Slot,
    next_bulk: AtomicUsize,
}

/// The place of one connection.
#[derive(Default)]
struct Slot {
    link: Mutex<Option<Arc<Link>>>,
    /// One opens, the others wait; when and why the last one failed.
    opening: tokio::sync::Mutex<Option<(Instant, CallError)>>,
}

/// Why a Raft message was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RaftCallError {
    /// No answer came.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The peer's answer.
    #[error(transparent)]
    Raft(#[from] RaftError),
}

impl RpcClient {
    /// A client that has no connections yet. Bodies that it gets lie in buffers of `pool`; their memory is reserved by
    /// whoever asks for them.
    pub fn new(
        network: Arc<dyn Network>,
        entropy: Arc<dyn Entropy>,
        cluster: ClusterCell,
        identity: Identity,
        pool: BufferPool,
        settings: RpcSettings,
    ) -> Self {
        let nodes = Mutex::default();
        let shared = Shared {
            network,
            entropy,
            cluster,
            identity,
            pool,
            settings,
            nodes,
            is_refused: AtomicBool::new(false),
            counts: CallCounts::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// How long things may take.
    pub fn settings(&self) -> &RpcSettings {
        &self.shared.settings
    }

    /// Sends a Raft message to a voter on a node and waits for the answer. Messages of one lane are begun by the peer
    /// in the order in which they were sent.
    ///
    /// # Errors
    /// [`RaftCallError`].
    pub async fn raft(
        &self,
        peer: &Peer,
        lane: Lane,
        range: RangeId,
        voter: VoterId,
        message: &[u8],
        timeout: Duration,
    ) -> Result<Bytes, RaftCallError> {
        let payload = RaftRequest { range, voter }.encode_with(message);
        let reply = self.call(peer, lane, Service::Raft, &payload, Vec::new(), timeout).await?;
        let unreadable = |error: crate::encoding::DecodeError| CallError::Lost { reason: error.to_string() };
        match RaftAnswer::decode(&reply.payload).map_err(unreadable)? {
            (RaftAnswer::Answered, answer) => Ok(answer),
            (RaftAnswer::Failed(error), _) => Err(error.into()),
        }
    }

    /// Says something to whoever listens at `address` and knows the same secret, of whatever cluster it is, over a
    /// connection of its own; returns who that is, and the answer. It may be this process itself.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn join(&self, address: &str, message: &[u8], timeout: Duration) -> Result<(NodeId, Bytes), CallError> {
        let deadline = Instant::now() + timeout;
        let patience = deadline.min(Instant::now() + self.shared.settings.connect_timeout);
        let not_sent = |reason: String| CallError::NotSent { reason: format!("{address}: {reason}") };
        let opened = timeout_at(patience, self.open(address, None, Lane::Join)).await;
        let opened = opened.map_err(|_elapsed| not_sent("no connection in time".to_owned()))?;
        let (link, node) = opened.map_err(|error| not_sent(error.to_string()))?;
        let reply = link.call(Service::Join, message, Vec::new(), deadline).await?;
        Ok((node, reply.payload))
    }

    /// As [`Self::join`], to a node that is known, over a connection that is kept for the next time.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn tell(&self, peer: &Peer, message: &[u8], timeout: Duration) -> Result<Bytes, CallError> {
        let reply = self.call(peer, Lane::Join, Service::Join, message, Vec::new(), timeout).await?;
        Ok(reply.payload)
    }

    /// Whether the last node that was to let this client in refused its credential: then trying again is of no use.
    pub fn is_refused(&self) -> bool {
        self.shared.is_refused.load(Ordering::Relaxed)
    }

    /// What became of all calls to nodes that are known, by service.
    pub fn calls(&self) -> Vec<ServiceCalls> {
        self.shared.counts.now()
    }

    /// Closes the connections to a node, as when it has left the cluster.
    pub fn forget(&self, node: NodeId) {
        self.shared.nodes.lock().remove(&node);
    }

    /// Sends a request and waits for its answer, `timeout` long at most, all told.
    pub(crate) async fn call(
        &self,
        peer: &Peer,
        lane: Lane,
        service: Service,
        payload: &[u8],
        body: Vec<Bytes>,
        timeout: Duration,
    ) -> Result<Reply, CallError> {
        let begun = Instant::now();
        let deadline = begun + timeout;
        let node = self.node(peer);
        let outcome = match self.link(&node, node.slot(lane), lane, deadline).await {
            Ok(link) => link.call(service, payload, body, deadline).await,
            Err(error) => Err(error),
        };
        self.shared.counts.count(service, &outcome, begun.elapsed());
        outcome
    }

    fn node(&self, peer: &Peer) -> Arc<Node> {
        let mut nodes = self.shared.nodes.lock();
        match nodes.get(&peer.node) {
            Some(node) if node.peer == *peer => Arc::clone(node),
            _ => {
                let node = Arc::new(Node::new(peer.clone(), self.shared.settings.bulk_connections));
                nodes.insert(peer.node, Arc::clone(&node));
                node
            }
        }
    }

    async fn link(&self, node: &Node, slot: &Slot, lane: Lane, deadline: Instant) -> Result<Arc<Link>, CallError> {
        if let Some(link) = slot.usable() {
            return Ok(link);
        }
        let late = |_elapsed| CallError::NotSent { reason: "no connection in time".to_owned() };
        let mut failed = timeout_at(deadline, slot.opening.lock()).await.map_err(late)?;
        if let Some(link) = slot.usable() {
            return Ok(link);
        }
        if let Some((when, error)) = &*failed
            && when.elapsed() < self.shared.settings.reconnect_pause
        {
            return Err(error.clone());
        }
        let patience = deadline.min(Instant::now() + self.shared.settings.connect_timeout);
        let opened = timeout_at(patience, self.open(&node.peer.address, Some(node.peer.node), lane))
            .await
            .map_err(late)
            .and_then(|opened| {
                opened.map_err(|error| match error {
                    HandshakeError::WrongNode { .. } => CallError::WrongNode,
                    error => CallError::NotSent { reason: format!("{}: {error}", node.peer.address) },
                })
            });
        match opened {
            Ok((link, _wanted)) => {
                *failed = None;
                *slot.link.lock() = Some(Arc::clone(&link));
                Ok(link)
            }
            Err(error) => {
                *failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn open(
        &self,
        address: &str,
        wanted: Option<NodeId>,
        lane: Lane,
    ) -> Result<(Arc<Link>, NodeId), HandshakeError> {
        let shared = &self.shared;
        let broken = |error: std::io::Error| HandshakeError::Connection { reason: error.to_string() };
        let connection = shared.network.connect(address).await.map_err(broken)?;
        let (role, key) = match &shared.identity {
            Identity::Node { node, secret } => (Role::Node(*node), *secret.key()),
            Identity::Gateway(credential) => (Role::Gateway(credential.id), credential.key.handshake_key()),
        };
        let mut nonce = [0; 32];
        shared.entropy.fill(&mut nonce);
        let hello = ClientHello::new(shared.cluster.get(), role, wanted, lane, nonce);
        let outcome = handshake::request(connection, hello, &key).await;
        match &outcome {
            Ok(_) => shared.is_refused.store(false, Ordering::Relaxed),
            Err(HandshakeError::Refused) => shared.is_refused.store(true, Ordering::Relaxed),
            Err(_) => {}
        }
        let (established, node) = outcome?;
        Ok((Link::start(established, shared.pool.clone(), shared.settings), node))
    }
}

impl fmt::Debug for RpcClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcClient").field("identity", &self.shared.identity).finish_non_exhaustive()
    }
}

impl Node {
    fn new(peer: Peer, bulk_connections: usize) -> Self {
        let bulk = (0..bulk_connections.max(1)).map(|_| Slot::default()).collect();
        let slot = Slot::default;
        Self { peer, small: slot(), bulk, raft: slot(), join: slot(), next_bulk: AtomicUsize::new(0) }
    }

    fn slot(&self, lane: Lane) -> &Slot {
        match lane {
            Lane::Small => &self.small,
            Lane::Join => &self.join,
            Lane::Bulk => &self.bulk[self.next_bulk.fetch_add(1, Ordering::Relaxed) % self.bulk.len()],
            Lane::Raft => &self.raft,
        }
    }
}

impl Slot {
    fn usable(&self) -> Option<Arc<Link>> {
        self.link.lock().as_ref().filter(|link| link.is_usable()).cloned()
    }
}
