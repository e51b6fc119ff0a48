//! Several nodes in one process, each with a disk that can lose what was not synced, and wires between them that can be
//! cut: what groups of several voters promise.

mod changes;
mod losses;
mod over_rpc;
mod snapshots;
mod speed;
mod splits;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use bytes::Bytes;
use index::{IndexError, SYSTEM_RANGE};
use parking_lot::Mutex;
use platform::FaultyDisk;
use rpc::server::{RaftError, RaftHandler};
use types::{RangeId, VoterId};

use super::*;
use crate::{Founding, RaftMessage, RaftTransport, TransportError};

/// How long a cluster may take to do what it must.
const PATIENCE: Duration = Duration::from_secs(60);

fn node_id(number: usize) -> NodeId {
    NodeId::from_bytes([u8::try_from(number + 1).expect("few nodes"); 16])
}

#[derive(Default)]
struct WiresState {
    handlers: BTreeMap<NodeId, Arc<dyn RaftHandler>>,
    /// From whom to whom nothing gets.
    cut: BTreeSet<(NodeId, NodeId)>,
    /// Messages that got through, by whom they were for.
    messages: BTreeMap<NodeId, u64>,
}

/// The wires between all nodes.
#[derive(Clone, Default)]
struct Wires(Arc<Mutex<WiresState>>);

impl Wires {
    fn of(&self, node: NodeId) -> Arc<dyn RaftTransport> {
        Arc::new(Wire { from: node, wires: self.clone() })
    }

    fn cut_one_way(&self, from: NodeId, to: NodeId) {
        self.0.lock().cut.insert((from, to));
    }

    fn heal(&self) {
        self.0.lock().cut.clear();
    }

    fn gets_through(&self, from: NodeId, to: NodeId) -> bool {
        !self.0.lock().cut.contains(&(from, to))
    }
}

/// One node's end of the wires.
struct Wire {
    from: NodeId,
    wires: Wires,
}

#[async_trait]
impl RaftTransport for Wire {
    async fn send(&self, to: NodeId, message: RaftMessage) -> Result<Bytes, TransportError> {
        let RaftMessage { range, voter, bytes, timeout, .. } = message;
        let no_answer = || TransportError::NoAnswer { reason: "nothing came".to_owned() };
        let exchange = async {
            if !self.wires.gets_through(self.from, to) {
                std::future::pending::<()>().await;
            }
            let handler = {
                let mut state = self.wires.0.lock();
                *state.messages.entry(to).or_default() += 1;
                state.handlers.get(&to).cloned()
            };
            let reason = || "nobody listens".to_owned();
            let handler = handler.ok_or_else(|| TransportError::Unreachable { reason: reason() })?;
            let reply = handler.handle(self.from, range, voter, bytes).await;
            if !self.wires.gets_through(to, self.from) {
                std::future::pending::<()>().await;
            }
            reply.map_err(|error| match error {
                RaftError::NotHere => TransportError::Unreachable { reason: error.to_string() },
                RaftError::Failed { reason } => TransportError::NoAnswer { reason },
            })
        };
        tokio::time::timeout(timeout, exchange).await.unwrap_or_else(|_| Err(no_answer()))
    }
}

/// A node of the cluster.
struct Node {
    id: NodeId,
    disk: FaultyDisk,
    index: Option<Arc<ReplicatedIndex>>,
}

/// Nodes and wires.
struct Cluster {
    wires: Wires,
    nodes: Vec<Node>,
    settings: fn(Disks) -> ConsensusSettings,
}

fn calm(disks: Disks) -> ConsensusSettings {
    settings(disks, 1)
}

fn busy(disks: Disks) -> ConsensusSettings {
    busy_settings(disks, 1)
}

impl Cluster {
    /// Founds a cluster whose nodes are all voters.
    async fn new(count: usize, settings: fn(Disks) -> ConsensusSettings) -> Self {
        let mut cluster = Self { wires: Wires::default(), nodes: Vec::new(), settings };
        for number in 0..count {
            cluster.add(number).await;
        }
        let voters = cluster.voters();
        cluster.index(0).found(&voters).await.expect("founded");
        cluster.leader(FIRST_DATA_RANGE).await;
        cluster.leader(SYSTEM_RANGE).await;
        cluster
    }

    /// Adds a node whose voter is of no group yet.
    async fn add(&mut self, number: usize) {
        let node = Node { id: node_id(number), disk: FaultyDisk::new(number as u64), index: None };
        self.nodes.push(node);
        self.start(number).await;
    }

    fn settings_of(&self, number: usize) -> ConsensusSettings {
        let node = &self.nodes[number];
        let disks: Disks = vec![(disk_id(number), Arc::new(node.disk.clone()) as Arc<dyn Disk>)];
        let settings = (self.settings)(disks);
        ConsensusSettings { node: node.id, peers: Some(self.wires.of(node.id)), founding: Founding::Wait, ..settings }
    }

    async fn start(&mut self, number: usize) {
        let index = ReplicatedIndex::open(self.settings_of(number)).await.expect("opened");
        self.take(number, index);
    }

    fn take(&mut self, number: usize, index: ReplicatedIndex) {
        let node = &mut self.nodes[number];
        self.wires.0.lock().handlers.insert(node.id, index.raft_handler());
        node.index = Some(Arc::new(index));
    }

    /// Takes a node's power: what was not synced is gone, and what still runs reaches no disk. It can be started again.
    fn power_off(&mut self, number: usize) -> Option<Arc<ReplicatedIndex>> {
        let node = &mut self.nodes[number];
        self.wires.0.lock().handlers.remove(&node.id);
        node.disk = node.disk.crash();
        node.index.take()
    }

    fn index(&self, number: usize) -> &Arc<ReplicatedIndex> {
        self.nodes[number].index.as_ref().expect("the node runs")
    }

    fn voters(&self) -> BTreeMap<VoterId, NodeId> {
        self.nodes.iter().filter_map(|node| Some((node.index.as_ref()?.voter(), node.id))).collect()
    }

    fn running(&self) -> impl Iterator<Item = (usize, &Arc<ReplicatedIndex>)> {
        self.nodes.iter().enumerate().filter_map(|(number, node)| Some((number, node.index.as_ref()?)))
    }

    /// Cuts nodes off from the others, both ways.
    fn isolate(&self, numbers: &[usize]) {
        for number in numbers {
            for other in (0..self.nodes.len()).filter(|other| !numbers.contains(other)) {
                self.wires.cut_one_way(node_id(*number), node_id(other));
                self.wires.cut_one_way(node_id(other), node_id(*number));
            }
        }
    }

    /// Waits for a leader that a majority of those that run agrees on, and that answers; its number.
    async fn leader(&self, range: RangeId) -> usize {
        self.leader_other_than(range, &[]).await
    }

    async fn leader_other_than(&self, range: RangeId, not: &[usize]) -> usize {
        let search = async {
            loop {
                for (number, index) in self.running().filter(|(number, _)| !not.contains(number)) {
                    let leads = index.status().ranges.get(&range).is_some_and(|status| status.leads);
                    if leads && index.group(range).read_barrier().await.is_ok() {
                        return number;
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, search).await.expect("a leader within a minute")
    }

    /// Puts keys at whoever leads, each until it is acknowledged, as a client does that knows only the nodes.
    async fn put_all(&self, bucket: BucketAt, keys: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut acknowledged = Vec::new();
        let mut at = 0;
        for key in keys {
            let start = tokio::time::Instant::now();
            loop {
                assert!(start.elapsed() < PATIENCE, "{key} was not taken within a minute");
                let (number, index) = self.running().nth(at % self.running().count()).expect("some node runs");
                match index.propose(put(bucket, &key, &[7; 500])).await {
                    Ok(answer) => {
                        assert!(matches!(answer, index::Answer::Put { .. }), "{answer:?}");
                        acknowledged.push(key);
                        break;
                    }
                    Err(IndexError::NotLeader { leader: Some(leader) }) if leader != node_id(number) => {
                        let found = self.running().position(|(number, _)| node_id(number) == leader);
                        at = found.unwrap_or(at + 1);
                    }
                    Err(_) => at += 1,
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        acknowledged
    }

    /// Puts until all that run have purged their logs beyond `end`.
    async fn put_until_purged(&self, bucket: BucketAt, end: u64, prefix: &str) -> Vec<String> {
        let mut acknowledged = Vec::new();
        for round in 0..400 {
            acknowledged.extend(self.put_all(bucket, keys(&format!("{prefix} {round}"), 50)).await);
            if self.running().all(|(_, index)| index.purged(FIRST_DATA_RANGE).is_some_and(|purged| purged > end)) {
                return acknowledged;
            }
        }
        panic!("the logs are never purged");
    }

    async fn make_bucket(&self) -> BucketAt {
        let leader = self.leader(FIRST_DATA_RANGE).await;
        make_bucket(self.index(leader)).await
    }

    /// Checks that all keys are there at the leader, and then that all who run have the same rows.
    async fn assert_all_there_and_equal(&self, bucket: BucketAt, keys: &[String], case: &str) {
        let leader = self.leader(FIRST_DATA_RANGE).await;
        assert_all_there(self.index(leader), bucket, keys, case).await;
        self.assert_equal(case).await;
    }

    async fn assert_equal(&self, case: &str) {
        for range in [SYSTEM_RANGE, FIRST_DATA_RANGE] {
            self.leader(range).await;
        }
        let equal = async {
            loop {
                let mut digests = BTreeSet::new();
                for (_, index) in self.running() {
                    if let Ok(digest) = index.digest().await {
                        digests.insert(digest);
                    }
                }
                if digests.len() == 1 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let states = || self.running().map(|(_, index)| index.status().ranges).collect::<Vec<_>>();
        let waited = tokio::time::timeout(PATIENCE, equal).await;
        assert!(waited.is_ok(), "{case}: replicas differ after a minute: {:?}", states());
    }

    async fn shutdown(&self) {
        for (_, index) in self.running() {
            index.shutdown().await;
        }
    }
}

fn keys(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix} {number}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_voters_keep_the_contract_of_the_index_at_their_leader() {
    let cluster = Cluster::new(3, calm).await;
    // One leader for both ranges, as the contract asks one node.
    let leader = cluster.leader(FIRST_DATA_RANGE).await;
    let voter = cluster.index(leader).voter();
    while cluster.leader(SYSTEM_RANGE).await != leader {
        let other = cluster.leader(SYSTEM_RANGE).await;
        cluster.index(other).transfer(SYSTEM_RANGE, voter).await.expect("transferred");
    }
    index::contract::index_contract(&**cluster.index(leader)).await;
    cluster.assert_equal("after the contract").await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_lead_names_the_leader() {
    let cluster = Cluster::new(3, calm).await;
    let bucket = cluster.make_bucket().await;
    let leader = cluster.leader(FIRST_DATA_RANGE).await;
    let expected = Some(node_id(leader));
    for (number, index) in cluster.running() {
        let mut leaders = index.leaders();
        let known = leaders.wait_for(|leaders| leaders[&FIRST_DATA_RANGE] == expected);
        tokio::time::timeout(PATIENCE, known).await.expect("in time").expect("the index lives");
        if number != leader {
            let not_leader = IndexError::NotLeader { leader: expected };
            assert_eq!(index.propose(put(bucket, "key", b"x")).await, Err(not_leader.clone()));
            assert_eq!(look_up(index, bucket, "key").await, Err(not_leader));
        }
        let status = &index.status().ranges[&FIRST_DATA_RANGE];
        assert_eq!((status.leader, status.leads, status.voters.len()), (expected, number == leader, 3));
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_shuts_down_hands_its_leadership_over_first() {
    let mut cluster = Cluster::new(3, calm).await;
    let bucket = cluster.make_bucket().await;
    let mut acknowledged = cluster.put_all(bucket, keys("before", 20)).await;
    let mut pauses = Vec::new();
    for round in 0..3 {
        let leader = cluster.leader(FIRST_DATA_RANGE).await;
        let index = cluster.nodes[leader].index.take().expect("it runs");
        let stopping = tokio::spawn(async move { index.shutdown().await });
        let start = tokio::time::Instant::now();
        acknowledged.extend(cluster.put_all(bucket, keys(&format!("during {round}"), 1)).await);
        pauses.push(start.elapsed());
        stopping.await.expect("it ends in order");
        cluster.start(leader).await;
        tokio::time::timeout(PATIENCE, cluster.index(leader).ready()).await.expect("in time").expect("ready");
    }
    // An election without it would begin 1.4 s after the last heartbeat; a busy machine may be late once or twice.
    let shortest = pauses.iter().min().expect("three pauses");
    assert!(*shortest < Duration::from_secs(1), "writes resumed after {pauses:?}");
    cluster.assert_all_there_and_equal(bucket, &acknowledged, "after three restarts").await;
    cluster.shutdown().await;
}
