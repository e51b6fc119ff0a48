//! A node finds its cluster: it asks the nodes that were named to it until it has joined a cluster or founded one.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use consensus::ReplicatedIndex;
use futures::future::join_all;
use index::query::ClusterView;
use index::{Command, CommandBody, FIRST_FEATURE_LEVEL, IndexService, NewerLevel, Query, QueryAnswer};
use objects::data::GroupPlanner;
use parking_lot::Mutex;
use platform::Entropy;
use rpc::Caller;
use rpc::client::{Peer, RpcClient};
use rpc::server::JoinHandler;
use telemetry::with_causes;
use tokio::sync::{mpsc, oneshot};
use types::{ClusterId, Credential, Layout, NodeId, Profile, RequestNumber, VoterId};

use crate::cluster::ClusterDirectory;
use crate::forming::{Decision, Greeting, JoinReply, JoinRequest, Prepared, Stage, decide};
use crate::layout::LayoutKeeper;
use crate::voters::{Candidate, Standing, spread, voters_wanted};
use crate::watch::Lookout;

/// How often the others are asked.
const PERIOD: Duration = Duration::from_millis(500);
/// How long one may take to say who it is.
const GREETING_PATIENCE: Duration = Duration::from_secs(2);
/// How long one may take to format its disks and open its index.
const PREPARING_PATIENCE: Duration = Duration::from_secs(60);
/// How long the index may take to answer.
const INDEX_PATIENCE: Duration = Duration::from_secs(3);

/// Answers other nodes that ask who this one is.
pub(crate) struct Greeter {
    own: Mutex<Greeting>,
    wishes: mpsc::Sender<Wish>,
    layout: OnceLock<Arc<LayoutKeeper>>,
    lookout: OnceLock<Arc<Lookout>>,
}

/// Another node wants this one to become a part of a new cluster.
pub(crate) struct Wish {
    cluster: ClusterId,
    reply: oneshot::Sender<JoinReply>,
}

impl Greeter {
    /// Says `own` of itself; wishes come out at the other end.
    pub(crate) fn new(own: Greeting) -> (Arc<Self>, mpsc::Receiver<Wish>) {
        let (wishes, wished) = mpsc::channel(4);
        (Arc::new(Self { own: Mutex::new(own), wishes, layout: OnceLock::new(), lookout: OnceLock::new() }), wished)
    }

    /// What it says.
    pub(crate) fn own(&self) -> Greeting {
        let own = self.own.lock().clone();
        match self.layout.get() {
            Some(layout) => Greeting { nodes: layout.current().nodes.clone(), profile: Some(layout.wanted()), ..own },
            None => own,
        }
    }

    /// The node serves: gateways may ask for groups, and which profile is wanted.
    pub(crate) fn serve(&self, layout: Arc<LayoutKeeper>) {
        let _only_once = self.layout.set(layout);
    }

    /// The node hears others from now on, and says how they are.
    pub(crate) fn watch(&self, lookout: Arc<Lookout>) {
        let _only_once = self.lookout.set(lookout);
    }

    fn set_stage(&self, stage: Stage) {
        self.own.lock().stage = stage;
    }

    fn set_address(&self, address: &str) {
        address.clone_into(&mut self.own.lock().node.address);
    }

    async fn answer(&self, request: JoinRequest) -> JoinReply {
        match request {
            JoinRequest::Greet => JoinReply::Greeting(self.own()),
            JoinRequest::Prepare { cluster } => {
                let (reply, replied) = oneshot::channel();
                let refused = || JoinReply::Refused("the node has found its cluster".to_owned());
                match self.wishes.send(Wish { cluster, reply }).await {
                    Ok(()) => replied.await.unwrap_or_else(|_| refused()),
                    Err(_) => refused(),
                }
            }
            JoinRequest::MakeGroups { profile, avoid } => match self.layout.get() {
                Some(layout) => match layout.make_groups(profile, &avoid).await {
                    Ok(()) => JoinReply::GroupsMade,
                    Err(error) => JoinReply::Refused(error.to_string()),
                },
                None => JoinReply::Refused("the node does not serve yet".to_owned()),
            },
            JoinRequest::Heartbeat(heartbeat) => match self.lookout.get() {
                Some(lookout) => lookout.hear(heartbeat),
                None => JoinReply::NotWatching { leader: None },
            },
            JoinRequest::ShowNodes => match self.lookout.get() {
                Some(lookout) => lookout.show(),
                None => JoinReply::NotWatching { leader: None },
            },
        }
    }
}

#[async_trait]
impl JoinHandler for Greeter {
    async fn handle(&self, from: Caller, message: Bytes) -> Bytes {
        let reply = match JoinRequest::decode(&message) {
            Some(JoinRequest::Prepare { .. }) if matches!(from, Caller::Gateway(_)) => {
                JoinReply::Refused("a gateway founds no cluster".to_owned())
            }
            Some(JoinRequest::Heartbeat(heartbeat)) if from != Caller::Node(heartbeat.node.id) => {
                JoinReply::Refused("a node speaks for itself alone".to_owned())
            }
            Some(JoinRequest::ShowNodes) if matches!(from, Caller::Gateway(_)) => {
                JoinReply::Refused("a gateway asks nothing of the nodes".to_owned())
            }
            Some(request) => self.answer(request).await,
            None => JoinReply::Refused("another release's words; upgrade the older node first".to_owned()),
        };
        reply.encode().into()
    }
}

/// Makes this node a part of a cluster: formats blank disks, and opens stores and index.
#[async_trait]
pub(crate) trait Preparer: Send {
    /// Afterwards the disks are this cluster's. Repeated for the same cluster, nothing happens.
    ///
    /// # Errors
    /// Why it can't be, in words for the log.
    async fn prepare(&mut self, cluster: ClusterId) -> Result<(), String>;

    /// What it brings into a cluster; `None` before it was prepared.
    fn prepared(&self) -> Option<Prepared>;

    /// The index, once it was prepared.
    fn index(&self) -> Option<Arc<ReplicatedIndex>>;

    /// The root credential that a new cluster begins with.
    fn root(&self) -> Credential;
}

/// A node that looks for its cluster.
pub(crate) struct Gathering<'a> {
    pub(crate) greeter: Arc<Greeter>,
    pub(crate) wishes: mpsc::Receiver<Wish>,
    pub(crate) client: RpcClient,
    pub(crate) directory: Arc<ClusterDirectory>,
    /// All ranges, wherever they are led.
    pub(crate) index: Arc<dyn IndexService>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) is_forced: bool,
    /// How many voters a range has where that is set.
    pub(crate) voters: Option<usize>,
    /// The wanted profile of a cluster that this node founds.
    pub(crate) profile: Profile,
    pub(crate) preparer: &'a mut dyn Preparer,
}

impl Gathering<'_> {
    /// Returns once this node sees the rows of its cluster.
    ///
    /// # Errors
    /// [`NewerLevel`]: this build must not serve it.
    pub(crate) async fn run(mut self) -> Result<(), NewerLevel> {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut said = String::new();
        loop {
            tokio::select! {
                Some(wish) = self.wishes.recv() => self.fulfil(wish).await,
                _ = ticks.tick() => {
                    let others = self.greet_all().await;
                    // Without an address nobody could reach this node's disks.
                    let is_reachable = !self.greeter.own().node.address.is_empty();
                    if is_reachable && let Some(view) = self.membership().await {
                        NewerLevel::check(view.feature_level)?;
                        self.greeter.set_stage(Stage::Member { cluster: view.cluster });
                        return Ok(());
                    }
                    let decision = match is_reachable {
                        true => decide(&self.greeter.own(), &others, self.is_forced),
                        false => Decision::Wait("no address of --join leads to this node: set --rpc-address".to_owned()),
                    };
                    let waiting = match decision {
                        Decision::Join(cluster) => self.prepare(cluster).await.err(),
                        Decision::Found(cluster) => self.found(cluster, &others).await.err(),
                        Decision::Wait(reason) => Some(reason),
                    };
                    let waiting = waiting.unwrap_or_else(|| "the cluster's index does not answer yet".to_owned());
                    if waiting != said {
                        tracing::info!(reason = %waiting, "waiting for the cluster");
                        said = waiting;
                    }
                }
            }
        }
    }

    /// Asks every named node who it is. The one that is this one tells its own address.
    async fn greet_all(&self) -> Vec<(String, Option<Greeting>)> {
        let own = self.greeter.own();
        let request = JoinRequest::Greet.encode();
        let asked = own.named.iter().map(async |address| {
            let reply = self.ask(address, &request, GREETING_PATIENCE).await;
            (address.clone(), reply)
        });
        let mut others = Vec::new();
        for (address, reply) in join_all(asked).await {
            match reply {
                Ok((node, _)) if node == own.node.id => {
                    if own.node.address.is_empty() {
                        self.greeter.set_address(&address);
                    }
                }
                Ok((node, JoinReply::Greeting(greeting))) if node == greeting.node.id => {
                    self.directory.add(Peer { node, address: address.clone() });
                    others.push((address, Some(greeting)));
                }
                Ok((node, _)) => {
                    tracing::warn!(%node, address, "a node answered a greeting with something else");
                    others.push((address, None));
                }
                Err(reason) => {
                    tracing::debug!(address, reason, "a node does not answer");
                    others.push((address, None));
                }
            }
        }
        others
    }

    async fn ask(&self, address: &str, request: &[u8], patience: Duration) -> Result<(NodeId, JoinReply), String> {
        let asked = self.client.join(address, request, patience).await;
        let (node, bytes) = asked.map_err(|error| error.to_string())?;
        // A node that finds itself in the list has nothing to say to itself.
        if node == self.greeter.own().node.id {
            return Ok((node, JoinReply::Greeting(self.greeter.own())));
        }
        let reply = JoinReply::decode(&bytes).ok_or_else(|| "it is of another release".to_owned())?;
        Ok((node, reply))
    }

    /// The cluster whose rows this node sees, if it has disks of it.
    async fn membership(&self) -> Option<ClusterView> {
        self.preparer.index()?;
        let asked = tokio::time::timeout(INDEX_PATIENCE, self.index.query(Query::Cluster)).await;
        match asked {
            Ok(Ok(QueryAnswer::Cluster(Some(view)))) => Some(*view),
            Ok(Ok(_)) => None,
            Ok(Err(error)) => {
                tracing::debug!(%error, "the cluster's index does not answer");
                None
            }
            Err(_) => None,
        }
    }

    async fn fulfil(&mut self, wish: Wish) {
        let Wish { cluster, reply } = wish;
        let answer = match self.prepare(cluster).await {
            Ok(()) => match self.preparer.prepared() {
                Some(prepared) => JoinReply::Prepared(Box::new(prepared)),
                None => JoinReply::Refused("it was not prepared".to_owned()),
            },
            Err(reason) => JoinReply::Refused(reason),
        };
        // Whoever asked may have given up.
        let _ = reply.send(answer);
    }

    async fn prepare(&mut self, cluster: ClusterId) -> Result<(), String> {
        self.preparer.prepare(cluster).await?;
        self.note_prepared(cluster);
        Ok(())
    }

    fn note_prepared(&self, cluster: ClusterId) {
        let is_founded = self.preparer.index().is_some_and(|index| is_founded(&index));
        self.greeter.set_stage(Stage::Prepared { cluster, is_founded });
    }

    /// Makes all named nodes ready, has their voters form the index's groups, and writes the cluster's first rows.
    /// Wherever it is broken off, it can be begun again.
    async fn found(&mut self, cluster: Option<ClusterId>, others: &[(String, Option<Greeting>)]) -> Result<(), String> {
        let root = self.preparer.root();
        let cluster = cluster.unwrap_or_else(|| ClusterId::from_bytes(self.entropy.id()));
        self.prepare(cluster).await?;
        let own = self.preparer.prepared().ok_or("the own disks are not ready")?;
        let request = JoinRequest::Prepare { cluster }.encode();
        let answering = others.iter().filter(|(_, greeting)| greeting.is_some());
        let asked = answering.map(|(address, _)| self.ask(address, &request, PREPARING_PATIENCE));
        let mut parts = vec![own];
        for reply in join_all(asked).await {
            match reply? {
                (_, JoinReply::Prepared(part)) => parts.push(*part),
                (node, JoinReply::Refused(reason)) => return Err(format!("node {node}: {reason}")),
                (node, _) => {
                    return Err(format!("node {node} misunderstood"));
                }
            }
        }
        let index = self.preparer.index().ok_or("the own index is not open")?;
        if !is_founded(&index) {
            let voters = voters_of(&parts, self.voters);
            tracing::info!(%cluster, nodes = parts.len(), voters = voters.len(), "founding a cluster");
            index.found(&voters).await.map_err(|error| with_causes(&error))?;
        }
        self.note_prepared(cluster);
        let layout = Layout {
            nodes: parts.iter().map(|part| part.node.clone()).collect(),
            disks: parts.iter().flat_map(|part| part.disks.clone()).collect(),
            ..Layout::default()
        };
        // Whatever builds have met: it rises once all nodes were heard.
        let first = index::command::FormCluster { cluster, feature_level: FIRST_FEATURE_LEVEL, root, layout };
        // Once the cluster's rows are there, every node reads the profile.
        self.propose(CommandBody::SetWantedProfile { profile: self.profile, unless_set: true }).await?;
        self.propose(CommandBody::Form(Box::new(first))).await
    }

    async fn propose(&self, body: CommandBody) -> Result<(), String> {
        let command = Command { request: None, answered: RequestNumber(0), body };
        let answered = tokio::time::timeout(PREPARING_PATIENCE, self.index.propose(command)).await;
        let answered = answered.map_err(|_| "the new index does not answer".to_owned())?;
        answered.map(drop).map_err(|error| error.to_string())
    }
}

/// Whether the groups of this node's index have members.
fn is_founded(index: &ReplicatedIndex) -> bool {
    index.status().ranges.values().all(|range| !range.voters.is_empty())
}

/// The voters of a new cluster's ranges.
fn voters_of(parts: &[Prepared], set: Option<usize>) -> BTreeMap<VoterId, NodeId> {
    let candidate = |part: &Prepared| Candidate {
        node: part.node.id,
        voter: Some(part.voter),
        rack: part.node.rack.clone(),
        zone: part.node.zone.clone(),
        standing: Standing::Up,
    };
    let all: Vec<Candidate> = parts.iter().map(candidate).collect();
    let chosen = spread(Vec::new(), &all, voters_wanted(all.len(), set));
    chosen.into_iter().filter_map(|chosen| Some((chosen.voter?, chosen.node))).collect()
}
