//! A node among others, up to where it sees its cluster: its RPC port, its disks, its index.

use std::sync::Arc;

use async_trait::async_trait;
use consensus::{ReplicatedIndex, RpcTransport};
use index::IndexService;
use platform::{Network, TcpNetwork};
use rpc::client::{Identity, RemoteArchive, RemoteIndex, RemoteShards, RpcClient};
use rpc::server::{NodeIdentity, RpcServer, Services};
use rpc::{ClusterCell, RpcSettings};
use telemetry::{Metrics, with_causes};
use tokio::task::JoinHandle;
use types::{ClusterId, Credential, Node, NodeId};

use crate::care::DiskCare;
use crate::cluster::{ClusterArchive, ClusterDirectory, ClusterIndex, ClusterShards, FollowedGateways};
use crate::credential;
use crate::disks::{self, Looked};
use crate::forming::{Greeting, Prepared, Stage};
use crate::gathering::{Gathering, Greeter, Preparer};
use crate::late::{OwnIndex, OwnShards, OwnVoters};
use crate::server::{Opened, Reach, StartError, World, open_stores};
use crate::settings::{ClusterSettings, ServerSettings};
use crate::timed_index::TimedIndex;
use crate::voting::Voting;
use crate::watch::{Lookout, LookoutParts, Reporter, WatchSettings};

/// What a process of a cluster has beside what a lone one has.
pub(crate) struct Membership {
    /// This node's row in the layout.
    pub(crate) node: Node,
    pub(crate) settings: ClusterSettings,
    pub(crate) client: RpcClient,
    pub(crate) directory: Arc<ClusterDirectory>,
    pub(crate) own_shards: Arc<OwnShards>,
    pub(crate) greeter: Arc<Greeter>,
    pub(crate) gateways: Arc<FollowedGateways>,
    pub(crate) server: Arc<RpcServer>,
    pub(crate) serving: JoinHandle<()>,
}

impl Membership {
    /// Has this node hear others from now on; it says how it is itself once it runs.
    pub(crate) fn lookout(
        &self,
        index: &Arc<ReplicatedIndex>,
        care: &Arc<DiskCare>,
        reporter: Arc<dyn Reporter>,
    ) -> Arc<Lookout> {
        let ClusterSettings { down_after, out_after, .. } = self.settings;
        let lookout = Lookout::new(LookoutParts {
            cluster: care.cluster,
            node: self.node.id,
            settings: WatchSettings { down_after, out_after },
            clock: care.clock.clone(),
            client: self.client.clone(),
            directory: self.directory.clone(),
            index: index.clone(),
            layout: care.layout.clone(),
            data: care.data.clone(),
            reporter,
        });
        self.greeter.watch(lookout.clone());
        lookout
    }

    /// What moves votes as nodes come and go.
    pub(crate) fn voting(&self, lookout: Arc<Lookout>, index: &Arc<ReplicatedIndex>, care: &Arc<DiskCare>) -> Voting {
        Voting {
            node: self.node.id,
            index: index.clone(),
            layout: care.layout.clone(),
            lookout,
            clock: care.clock.clone(),
            voters: self.settings.voters,
        }
    }
}

/// A node that sees its cluster.
pub(crate) struct Joined {
    pub(crate) opened: Opened,
    pub(crate) index: Arc<ReplicatedIndex>,
    pub(crate) reach: Reach,
    pub(crate) archive: Arc<ClusterArchive>,
    pub(crate) membership: Membership,
}

/// Opens the RPC port, finds the cluster and opens disks and index as a part of it. Returns once the cluster's rows are
/// seen, however long that takes.
///
/// # Errors
/// [`StartError`]; nothing is left running.
pub(crate) async fn join(
    settings: ServerSettings,
    cluster: ClusterSettings,
    world: World,
    metrics: Metrics,
) -> Result<Joined, StartError> {
    let looked = Looked::at(&settings.directories)?;
    let (cell, node) = match looked.identity() {
        Some((cluster, node)) => (ClusterCell::from(cluster), node),
        None => (ClusterCell::default(), NodeId::from_bytes(world.entropy.id())),
    };
    let network = TcpNetwork;
    let listening = |source| StartError::Rpc { address: cluster.rpc_listen.to_string(), source };
    let listener = network.listen(&cluster.rpc_listen.to_string()).await.map_err(listening)?;
    let identity = Identity::Node { node, secret: cluster.secret.clone() };
    let rpc_settings = RpcSettings::default();
    let (entropy, buffers) = (world.entropy.clone(), world.buffers.clone());
    let client =
        RpcClient::new(Arc::new(network), entropy.clone(), cell.clone(), identity, buffers.clone(), rpc_settings);
    let directory = Arc::new(ClusterDirectory::new(Some(node)));
    let own = Own::default();
    let gateways = Arc::new(FollowedGateways::new());
    let stage = match cell.get() {
        Some(cluster) => Stage::Prepared { cluster, is_founded: false },
        None => Stage::Blank,
    };
    let (rack, zone) = (cluster.rack.clone(), cluster.zone.clone());
    let row = Node { id: node, address: cluster.rpc_address.clone(), rack, zone };
    let mut named = cluster.named.clone();
    named.sort_unstable();
    named.dedup();
    let (greeter, wishes) = Greeter::new(Greeting { node: row, stage, named, profile: None, nodes: Vec::new() });
    let services = Services {
        shards: Some(own.shards.clone()),
        archive: Some(own.shards.clone()),
        index: Some(own.index.clone()),
        raft: Some(own.voters.clone()),
        join: Some(greeter.clone()),
    };
    let identity = NodeIdentity { node, cluster: cell.clone(), secret: cluster.secret.clone() };
    let budget = world.budget.clone();
    let server = RpcServer::new(identity, services, gateways.clone(), entropy.clone(), buffers, budget, rpc_settings);
    let server = Arc::new(server);
    let serving = Aborted(Some(tokio::spawn({
        let server = server.clone();
        async move { server.serve(&*listener).await }
    })));
    let remote_index = RemoteIndex::new(client.clone(), directory.clone());
    let own_index: Arc<dyn IndexService> = own.index.clone();
    let reach = Reach {
        index: Arc::new(ClusterIndex::new(Some(own_index), remote_index, directory.clone())),
        shards: Arc::new(ClusterShards::new(
            Some(own.shards.clone()),
            RemoteShards::new(client.clone(), directory.clone()),
        )),
    };
    let remote_archive = RemoteArchive::new(client.clone(), directory.clone());
    let archive = Arc::new(ClusterArchive::new(own.shards.clone(), remote_archive));
    let given = settings.root.clone().map(|(access, secret)| credential::root_credential(access, secret));
    let root = given.unwrap_or_else(|| credential::generate(&*entropy));
    let profile = settings.wanted();
    let mut preparer = NodePreparer {
        looked: Some(looked),
        node,
        settings,
        world,
        metrics,
        cell: cell.clone(),
        own: own.clone(),
        greeter: greeter.clone(),
        client: client.clone(),
        directory: directory.clone(),
        root,
        ready: None,
    };
    if let Some(cluster) = cell.get() {
        preparer.prepare(cluster).await.map_err(StartError::NoDisk)?;
    }
    let gathering = Gathering {
        greeter: greeter.clone(),
        wishes,
        client: client.clone(),
        directory: directory.clone(),
        index: reach.index.clone(),
        entropy,
        is_forced: cluster.is_forced,
        voters: cluster.voters,
        profile,
        preparer: &mut preparer,
    };
    gathering.run().await?;
    let (opened, index) = preparer.ready.take().expect("a member's disks and index are open");
    let node = greeter.own().node;
    let settings = cluster;
    let membership = Membership {
        node,
        settings,
        client,
        directory,
        own_shards: own.shards,
        greeter,
        gateways,
        server,
        serving: serving.kept(),
    };
    Ok(Joined { opened, index, reach, archive, membership })
}

/// A task that ends with whoever holds it.
struct Aborted(Option<JoinHandle<()>>);

impl Aborted {
    fn kept(mut self) -> JoinHandle<()> {
        self.0.take().expect("it is taken once")
    }
}

impl Drop for Aborted {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// What this node offers others.
#[derive(Clone, Default)]
struct Own {
    shards: Arc<OwnShards>,
    index: Arc<OwnIndex>,
    voters: Arc<OwnVoters>,
}

/// Opens disks and index for a cluster.
struct NodePreparer {
    looked: Option<Looked>,
    node: NodeId,
    settings: ServerSettings,
    world: World,
    metrics: Metrics,
    cell: ClusterCell,
    own: Own,
    greeter: Arc<Greeter>,
    client: RpcClient,
    directory: Arc<ClusterDirectory>,
    root: Credential,
    ready: Option<(Opened, Arc<ReplicatedIndex>)>,
}

impl NodePreparer {
    async fn open(&mut self, cluster: ClusterId) -> Result<(), StartError> {
        // What can fail before a disk is made a part of the cluster leaves it as it is, to be tried again.
        let looked = match self.looked.take() {
            Some(looked) => looked,
            None => Looked::at(&self.settings.directories)?,
        };
        let directories = Arc::new(looked.open(cluster, self.node, &*self.world.entropy)?);
        self.cell.set(cluster);
        let shards = open_stores(&directories, &self.settings, &self.world).await?;
        let opened = Opened {
            settings: self.settings.clone(),
            world: self.world.clone(),
            metrics: self.metrics.clone(),
            directories,
            shards: shards.clone(),
        };
        let directory = self.directory.clone();
        let transport = RpcTransport::new(self.client.clone(), move |node| directory.peer(node));
        let consensus = crate::index::cluster_consensus_settings(&opened, Arc::new(transport));
        let index = match ReplicatedIndex::open(consensus.clone()).await {
            // The other nodes have what is lost here; a voter without its log could vote twice, so another takes its place.
            Err(error) if error.is_index_lost() => {
                tracing::error!(error = %with_causes(&error), "this node's index is lost; it begins as a new voter");
                ReplicatedIndex::open_as_new_voter(consensus).await?
            }
            opened => opened?,
        };
        let index = Arc::new(index);
        self.own.shards.open(shards);
        self.own.index.open(Arc::new(TimedIndex::new(index.clone(), self.world.clock.clone())));
        self.own.voters.open(index.raft_handler());
        self.ready = Some((opened, index));
        Ok(())
    }
}

#[async_trait]
impl Preparer for NodePreparer {
    async fn prepare(&mut self, cluster: ClusterId) -> Result<(), String> {
        match self.cell.get() {
            Some(own) if own != cluster => return Err(format!("the disks belong to cluster {own}, not {cluster}")),
            _ if self.ready.is_some() => return Ok(()),
            _ => {}
        }
        self.open(cluster).await.map_err(|error| with_causes(&error))
    }

    fn prepared(&self) -> Option<Prepared> {
        let (opened, index) = self.ready.as_ref()?;
        let rows = opened.directories.known.iter().filter_map(|known| disks::layout_row(known, self.node).ok());
        Some(Prepared { node: self.greeter.own().node, voter: index.voter(), disks: rows.collect() })
    }

    fn index(&self) -> Option<Arc<ReplicatedIndex>> {
        self.ready.as_ref().map(|(_, index)| index.clone())
    }

    fn root(&self) -> Credential {
        self.root.clone()
    }
}
