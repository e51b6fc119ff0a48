//! The whole cluster: nodes, gateways, and the machine on which the duties run that look after what all share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use consensus::ReplicatedIndex;
use index::command::FormCluster;
use index::{Command, CommandBody, FEATURE_LEVEL, FIRST_DATA_RANGE, IndexService};
use objects::Objects;
use tokio::sync::watch;
use tokio::time::Instant;
use types::{
    AccessKeyId, AccountId, CanonicalId, Credential, Layout, LayoutEpoch, NodeId, Owner, RangeId, RequestNumber,
    SecretKey, VoterId,
};
use upkeep::tickets::Tickets;
use upkeep::{Duty, Step};

use crate::front::{Front, TICKET_IDLE_MAX};
use crate::invariants::Replica;
use crate::machine::{CLUSTER, Site, address, disk_id, disk_row, node_id, profile};
use crate::storage::StorageNode;

/// Nodes of the cluster; one more than there are voters.
pub(crate) const NODES: usize = 4;
/// Voters of each range.
pub(crate) const VOTERS: usize = 3;
/// So many nodes vote in all ranges at least: a change of voters may have come to one of the first two alone, and the others
/// have the voters of the first data range in the end.
const VOTE_IN_ALL_MIN: usize = 2 * VOTERS - NODES;
/// Gateways.
pub(crate) const GATEWAYS: usize = 2;
/// How long the cluster may take to form.
const FORMING_PATIENCE: Duration = Duration::from_secs(60);
/// How long a gateway may take to find the cluster; after that there is one less until the next one is replaced.
const GATEWAY_PATIENCE: Duration = Duration::from_secs(30);
/// How long a change of voters may take.
const CHANGE_PATIENCE: Duration = Duration::from_secs(10);
/// How often something is looked at that is waited for.
const PERIOD: Duration = Duration::from_millis(100);
/// Steps that a sweep for orphans may take.
const SWEEP_STEPS_MAX: usize = 200;

/// The cluster.
pub(crate) struct Cluster {
    pub(crate) site: Site,
    pub(crate) nodes: Vec<StorageNode>,
    pub(crate) fronts: Vec<Front>,
    /// The gateways that clients find.
    pub(crate) gateways: watch::Sender<Vec<Objects>>,
    /// Nodes that did not start again, and why.
    pub(crate) lost_nodes: Vec<String>,
    /// The machine from which the cluster is administered.
    pub(crate) operator: Front,
    sweep: Tickets,
}

impl Cluster {
    /// Forms a cluster and starts its gateways.
    pub(crate) async fn form(seed: u64) -> Self {
        let site = Site::new(seed, NODES);
        let mut nodes = Vec::new();
        for number in 0..NODES {
            let mut node = StorageNode::new(&site, number, seed.wrapping_mul(31) ^ number as u64);
            node.start(&site).await.expect("a new node starts");
            nodes.push(node);
        }
        let voters = nodes[..VOTERS].iter().filter_map(voter_of).collect();
        let first = nodes[0].running.as_ref().expect("it was started").index.clone();
        first.found(&voters).await.expect("founded");
        write_first_rows(&nodes).await;
        let operator = Front::start(&site, NODES + GATEWAYS).await;
        let mut fronts = Vec::new();
        for gateway in 0..GATEWAYS {
            fronts.push(Front::start(&site, NODES + gateway).await);
        }
        let (index, shards) = (operator.index.clone(), operator.shards.clone());
        let sweep = Tickets::new(index, shards, operator.layout.watch(), TICKET_IDLE_MAX);
        let (gateways, lost_nodes) = (watch::Sender::new(Vec::new()), Vec::new());
        let cluster = Self { site, nodes, fronts, gateways, lost_nodes, operator, sweep };
        cluster.show_gateways();
        cluster
    }

    /// Replaces a gateway by a new one, as an orchestrator does with one that died.
    pub(crate) async fn replace_gateway(&mut self, gateway: usize) {
        self.fronts[gateway].kill(&self.site);
        // Until the cluster answers it, clients find the others.
        self.show_gateways();
        let started = tokio::time::timeout(GATEWAY_PATIENCE, Front::start(&self.site, NODES + gateway)).await;
        if let Ok(front) = started {
            self.fronts[gateway] = front;
            self.show_gateways();
        }
    }

    /// Shows clients the gateways that live; where none does, those that answer nothing.
    fn show_gateways(&self) {
        let is_any_alive = self.fronts.iter().any(|front| !front.is_dead());
        let shown = self.fronts.iter().filter(|front| !is_any_alive || !front.is_dead());
        self.gateways.send_replace(shown.map(|front| front.objects.clone()).collect());
    }

    /// The numbers of the nodes whose processes run.
    pub(crate) fn running(&self) -> Vec<usize> {
        self.nodes.iter().filter(|node| node.running.is_some()).map(|node| node.number).collect()
    }

    /// The node that says that it leads a range, the newest by its word.
    pub(crate) fn leader(&self, range: RangeId) -> Option<(usize, Arc<ReplicatedIndex>)> {
        let running = self.nodes.iter().filter_map(|node| Some((node.number, node.running.as_ref()?.index.clone())));
        let leading = running.filter(|(_, index)| index.leads(range));
        leading.max_by_key(|(_, index)| index.status().ranges[&range].term)
    }

    /// The highest term of any range: how often leaders were elected, about.
    pub(crate) fn terms(&self) -> u64 {
        let of_node = |node: &StorageNode| {
            let status = node.running.as_ref()?.index.status();
            status.ranges.values().map(|range| range.term).max()
        };
        self.nodes.iter().filter_map(of_node).max().unwrap_or(0)
    }

    /// All ranges that any node has.
    pub(crate) fn ranges(&self) -> Vec<RangeId> {
        let running = self.nodes.iter().filter_map(|node| node.running.as_ref());
        let all: BTreeSet<RangeId> = running.flat_map(|running| running.index.ranges()).collect();
        all.into_iter().collect()
    }

    /// Makes the voters of all ranges these nodes; what fails may happen all the same.
    pub(crate) async fn change_voters(&self, nodes: &[usize]) {
        let voters: BTreeMap<VoterId, NodeId> = nodes.iter().filter_map(|node| voter_of(&self.nodes[*node])).collect();
        if voters.len() < VOTERS {
            return;
        }
        for range in self.ranges() {
            if let Some((_, index)) = self.leader(range) {
                let changing = index.change_members(range, voters.clone());
                let changed = tokio::time::timeout(CHANGE_PATIENCE, changing).await;
                // Others go only where the first one is (`node` keeps to that).
                if range == FIRST_DATA_RANGE && !matches!(changed, Ok(Ok(()))) {
                    return;
                }
            }
        }
    }

    /// Has the ranges that splits made be where the first data range is, as `node` would in time.
    pub(crate) async fn align_voters(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            let voters = self.leader(FIRST_DATA_RANGE).map(|(_, index)| voters_by(&index, FIRST_DATA_RANGE));
            let mut is_done = voters.is_some();
            for range in self.ranges().into_iter().filter(|range| *range > FIRST_DATA_RANGE) {
                let (Some(voters), Some((_, index))) = (&voters, self.leader(range)) else {
                    is_done = false;
                    continue;
                };
                if voters_by(&index, range) != *voters {
                    is_done = false;
                    let changing = index.change_members(range, voters.clone());
                    let _ = tokio::time::timeout(CHANGE_PATIENCE, changing).await;
                }
            }
            if is_done {
                return;
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// Ends all tickets that were not taken or renewed of late, and collects what was written under them and is of no
    /// object.
    pub(crate) async fn end_idle_tickets(&self, idle: Duration) {
        let idle_us_max = u64::try_from(idle.as_micros()).expect("not that long");
        let body = CommandBody::ExpireTickets { idle_us_max };
        let command = Command { request: None, answered: RequestNumber(0), body };
        let ended = async {
            if self.operator.index.propose(command).await.is_err() {
                return;
            }
            for _ in 0..SWEEP_STEPS_MAX {
                if !matches!(self.sweep.step().await, Ok(Step::Again)) {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(20), ended).await;
    }

    /// What the voters hold, once they all have applied the same; after `patience`, nothing, for then they have not.
    pub(crate) async fn replicas(&self, patience: Duration) -> Vec<Replica> {
        let deadline = Instant::now() + patience;
        loop {
            let replicas = self.look_at_replicas().await;
            let alike = |one: &Replica| one.applied == replicas[0].applied;
            if replicas.len() >= VOTE_IN_ALL_MIN && replicas.iter().all(alike) {
                return replicas;
            }
            if Instant::now() > deadline {
                tracing::error!(?replicas, "the voters have not applied the same");
                return Vec::new();
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// The nodes that vote in all ranges, as they are now.
    async fn look_at_replicas(&self) -> Vec<Replica> {
        let ranges = self.ranges();
        let led = ranges.iter().filter_map(|range| Some(voters_by(&self.leader(*range)?.1, *range)));
        let leaders: Vec<_> = led.collect();
        let mut replicas = Vec::new();
        for node in &self.nodes {
            let votes = |voters: &BTreeMap<VoterId, NodeId>| voters.values().any(|id| *id == node_id(node.number));
            let Some(running) =
                node.running.as_ref().filter(|_| leaders.len() == ranges.len() && leaders.iter().all(votes))
            else {
                continue;
            };
            let applied: Vec<u64> = running.index.status().applied.into_values().collect();
            if let Ok(rows) = running.index.digest().await {
                replicas.push(Replica { node: node.number, applied, rows });
            }
        }
        replicas
    }

    /// Ends everything.
    pub(crate) async fn end(mut self) {
        for front in self.fronts.iter().chain([&self.operator]) {
            front.kill(&self.site);
        }
        for node in &mut self.nodes {
            node.shut_down(&self.site).await;
        }
    }
}

/// The voters of a range by the word of a node that has it.
fn voters_by(index: &ReplicatedIndex, range: RangeId) -> BTreeMap<VoterId, NodeId> {
    index.status().ranges[&range].voters.clone()
}

fn voter_of(node: &StorageNode) -> Option<(VoterId, NodeId)> {
    Some((node.running.as_ref()?.index.voter(), node_id(node.number)))
}

async fn write_first_rows(nodes: &[StorageNode]) {
    let form = FormCluster { cluster: CLUSTER, feature_level: FEATURE_LEVEL, root: root(), layout: layout() };
    let command = Command { request: None, answered: RequestNumber(0), body: CommandBody::Form(Box::new(form)) };
    let formed = async {
        loop {
            for running in nodes.iter().filter_map(|node| node.running.as_ref()) {
                if running.index.propose(command.clone()).await.is_ok() {
                    return;
                }
            }
            tokio::time::sleep(PERIOD).await;
        }
    };
    tokio::time::timeout(FORMING_PATIENCE, formed).await.expect("a whole cluster forms");
}

fn root() -> Credential {
    let owner =
        Owner { account: AccountId::ROOT, canonical_id: CanonicalId("c0ffee".into()), display_name: "root".into() };
    Credential { access_key_id: AccessKeyId("root".into()), secret_key: SecretKey("secret".into()), owner }
}

/// A disk of each node, and the groups that they hold of the wanted profile.
fn layout() -> Layout {
    let node = |number| types::Node { id: node_id(number), address: address(number), rack: None, zone: None };
    let layout = Layout {
        epoch: LayoutEpoch(1),
        nodes: (0..NODES).map(node).collect(),
        disks: (0..NODES).map(|number| disk_row(number, disk_id(number, 0))).collect(),
        groups: Vec::new(),
    };
    let groups = placement::missing_groups(&layout, &[profile()], &[]);
    Layout { groups, ..layout }
}
