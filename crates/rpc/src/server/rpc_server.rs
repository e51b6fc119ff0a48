//! Takes connections and serves them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use index::IndexService;
use platform::net::{Connection as NetConnection, Listener};
use platform::{BufferPool, Entropy, MemoryBudget};
use shards::{ArchiveService, ShardService};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use types::{GatewayId, NodeId};

use super::dispatch::Dispatch;
use super::serving::{Running, Serving};
use super::{GatewayRegistry, JoinHandler, RaftHandler};
use crate::RpcSettings;
use crate::cluster_cell::ClusterCell;
use crate::connection::Connection;
use crate::encoding::FrameHead;
use crate::handshake::{self, Admitted, Caller, HandshakeError, InFlightMax, KeyOf, Lane, Role, ServerSelf};
use crate::secret::{ClusterSecret, GatewayKey};
use crate::wire::BodyMemory;

/// Strangers that are being heard at a time; more wait.
const HANDSHAKES_MAX: usize = 256;
/// How long the listener rests after it failed, as when there are no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who a server is.
#[derive(Debug, Clone)]
pub struct NodeIdentity {
    /// Its id; a caller that wants another one is turned away.
    pub node: NodeId,
    /// Its cluster, once it has one.
    pub cluster: ClusterCell,
    /// The cluster's secret.
    pub secret: ClusterSecret,
}

/// What a node has to offer; callers are told where something isn't there.
#[derive(Clone, Default)]
pub struct Services {
    /// The disks of this node.
    pub shards: Option<Arc<dyn ShardService>>,
    /// The archive files on them.
    pub archive: Option<Arc<dyn ArchiveService>>,
    /// The ranges of this node.
    pub index: Option<Arc<dyn IndexService>>,
    /// The voters of this node.
    pub raft: Option<Arc<dyn RaftHandler>>,
    /// Whoever answers nodes and gateways that look for their cluster.
    pub join: Option<Arc<dyn JoinHandler>>,
}

/// Serves a node's services to other nodes and to gateways.
pub struct RpcServer {
    core: Arc<Core>,
    closing: watch::Sender<bool>,
}

struct Core {
    identity: NodeIdentity,
    gateways: Arc<dyn GatewayRegistry>,
    entropy: Arc<dyn Entropy>,
    dispatch: Arc<Dispatch>,
    pool: BufferPool,
    budget: MemoryBudget,
    settings: RpcSettings,
}

impl RpcServer {
    /// A server that takes no connections yet. The bodies of shards that come in and go out take their memory from
    /// `budget`, and lie in buffers of `pool`.
    pub fn new(
        identity: NodeIdentity,
        services: Services,
        gateways: Arc<dyn GatewayRegistry>,
        entropy: Arc<dyn Entropy>,
        pool: BufferPool,
        budget: MemoryBudget,
        settings: RpcSettings,
    ) -> Self {
        let upkeep_budget = budget.for_upkeep();
        let dispatch = Dispatch { services, budget: budget.clone(), upkeep_budget, patience: settings.memory_patience };
        let dispatch = Arc::new(dispatch);
        let core = Core { identity, gateways, entropy, dispatch, pool, budget, settings };
        Self { core: Arc::new(core), closing: watch::Sender::new(false) }
    }

    /// Takes connections until [`RpcServer::close`], then waits for what is under way to be answered. When dropped, all
    /// connections are closed at once.
    pub async fn serve(&self, listener: &dyn Listener) {
        let mut closing = self.closing.subscribe();
        let strangers = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        let mut connections = JoinSet::new();
        loop {
            let accept = async {
                let permit = Arc::clone(&strangers).acquire_owned().await.expect("the semaphore is never closed");
                (listener.accept().await, permit)
            };
            tokio::select! {
                biased;
                () = is_closing(&mut closing) => break,
                Some(_ended) = connections.join_next() => {}
                (accepted, permit) = accept => match accepted {
                    Ok((connection, peer)) => {
                        let (core, closing) = (Arc::clone(&self.core), self.closing.subscribe());
                        connections.spawn(async move {
                            let admitted = core.admit(connection).await;
                            drop(permit);
                            match admitted {
                                Ok(admitted) => core.run(admitted, closing, &peer).await,
                                // The address was another node's before; whoever calls asks where that one is now, many
                                // times a second while it is nowhere.
                                Err(error @ HandshakeError::WrongNode { .. }) => {
                                    tracing::debug!(%peer, %error, "a connection was turned away");
                                }
                                Err(error) => tracing::info!(%peer, %error, "a connection was turned away"),
                            }
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be taken");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        while connections.join_next().await.is_some() {}
    }

    /// Takes no more connections and no more requests; those under way are answered.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }
}

/// Returns once the server is told to close, or is gone.
async fn is_closing(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

impl Core {
    async fn admit(&self, connection: Box<dyn NetConnection>) -> Result<Admitted, HandshakeError> {
        let mut nonce = [0; 32];
        self.entropy.fill(&mut nonce);
        let key_of: Box<KeyOf<'_>> = Box::new(|role| {
            Box::pin(async move {
                match role {
                    Role::Node(_) => Some(*self.identity.secret.key()),
                    Role::Gateway(gateway) => self.key_of_gateway(gateway).await.map(|key| key.handshake_key()),
                }
            })
        });
        let server = ServerSelf {
            cluster: self.identity.cluster.get(),
            node: self.identity.node,
            in_flight_max: InFlightMax {
                small: self.settings.small_in_flight_max,
                bulk: self.settings.bulk_in_flight_max,
            },
            nonce,
            key_of,
        };
        let answer = handshake::answer(connection, server);
        let late = |_elapsed| HandshakeError::Connection { reason: "the handshake took too long".to_owned() };
        tokio::time::timeout(self.settings.connect_timeout, answer).await.map_err(late)?
    }

    /// The key of a gateway's credential; one that is not known is waited for, as it may just have been added.
    async fn key_of_gateway(&self, gateway: GatewayId) -> Option<GatewayKey> {
        let mut changes = self.gateways.changes();
        let known = async {
            loop {
                if let Some(key) = self.gateways.key(gateway) {
                    return Some(key);
                }
                if self.gateways.is_revoked(gateway) {
                    return None;
                }
                changes.changed().await.ok()?;
            }
        };
        tokio::time::timeout(self.settings.credential_patience, known).await.unwrap_or_default()
    }

    async fn run(&self, admitted: Admitted, mut closing: watch::Receiver<bool>, peer: &str) {
        let Admitted { established, caller, key } = admitted;
        let (in_flight_max, lane) = (established.in_flight_max as usize, established.lane);
        let budget = Some(self.budget.clone());
        let memory = BodyMemory { pool: self.pool.clone(), budget, patience: self.settings.memory_patience };
        let connection = Connection::new(established, memory, &self.settings);
        let (outbox, running) = (connection.outbox(), Arc::new(Running::default()));
        let serving = Serving {
            dispatch: Arc::clone(&self.dispatch),
            caller,
            joins: lane == Lane::Join,
            outbox: Arc::clone(&outbox),
            running: Arc::clone(&running),
            in_flight_max,
        };
        let drained = async {
            is_closing(&mut closing).await;
            outbox.push(&FrameHead::Closing, &[], Vec::new());
            running.idle().await;
        };
        let reason = tokio::select! {
            biased;
            reason = connection.run(serving, self.settings) => reason,
            () = self.revoked(caller, key) => "the gateway's credential was revoked".to_owned(),
            () = drained => "the server is closing".to_owned(),
        };
        // The writer still sends what waits, where nothing is wrong.
        outbox.finish(&reason);
        tracing::debug!(%peer, ?caller, %reason, "a connection ended");
    }

    /// Returns when a gateway's credential is no longer what it was; for a node, never.
    async fn revoked(&self, caller: Caller, key: [u8; 32]) {
        let Caller::Gateway(gateway) = caller else { return std::future::pending().await };
        let mut changes = self.gateways.changes();
        while self.gateways.key(gateway).is_some_and(|known| known.handshake_key() == key) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

impl fmt::Debug for RpcServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcServer").field("identity", &self.core.identity).finish_non_exhaustive()
    }
}
