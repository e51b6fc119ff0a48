//! Slots that move while the cluster is written to, and while a node is killed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::watch;

use super::load::Load;
use super::{all_vote, has_index, is_whole, setting};
use crate::cluster::slots::moving;
use crate::cluster::watch::votes;
use crate::processes::{Cluster, Launch, Member, free_addresses};

const NODES: usize = 5;
const DISKS: usize = 2;
/// Disks of the node that joins.
const MORE_DISKS: usize = 4;
const BUCKET: &str = "on-the-move";
const WRITERS: u64 = 3;
/// The node that is asked how things are; it is never lost.
const ASKED: usize = 0;
/// How many entries a node that votes may be behind while the load goes on.
const LAG_MAX: u64 = 1000;
/// How long slots may take to move in a debug build, beside the load.
const PATIENCE: Duration = Duration::from_secs(300);

fn launch(at: usize, addresses: &[String], disks: &[PathBuf]) -> Launch {
    hurried(Launch::node(disks, addresses, &addresses[at]))
}

/// Has silent nodes be down, and the right to write of whoever was killed end, sooner than usual.
fn hurried(mut launch: Launch) -> Launch {
    let settings = [("CAIRN_NODE_DOWN", "3s"), ("CAIRN_TICKET_IDLE", "6s")];
    launch.environment.extend(settings.map(|(name, value)| (name.to_owned(), value.to_owned())));
    launch
}

fn directories(home: &Path, count: usize) -> Vec<PathBuf> {
    (1..=count).map(|disk| home.join(format!("d{disk}"))).collect()
}

/// The disks that a node has in the layout, by its own status.
fn own_disks(member: &Member) -> Vec<Value> {
    let status = member.admin(&["status"]);
    let disks = status["disks"].as_array().expect("disks").iter();
    disks.filter(|disk| disk["node"] == status["node"]).cloned().collect()
}

async fn until(what: &str, asked: &Member, mut is_so: impl FnMut(&Member) -> bool) {
    let begun = Instant::now();
    while !is_so(asked) {
        assert!(begun.elapsed() < PATIENCE, "{what}: {:#}", asked.admin(&["status"]));
        // Each look is a process, beside all those that are tested.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Five nodes and two gateways, which the load goes through.
struct Fleet {
    cluster: Cluster,
    gateways: [Member; 2],
    load: Load,
    // Dropped only with the load.
    _endpoints: watch::Sender<Vec<String>>,
}

impl Fleet {
    async fn under_load(addresses: &[String]) -> Self {
        let founders = addresses[..NODES].to_vec();
        let formed = tokio::task::block_in_place(|| {
            let cluster = Cluster::of_launches(founders.clone(), |at, disks| launch(at, &founders, disks), DISKS);
            let gateways = [(); 2].map(|()| hurried(cluster.gateway_launch()).start().ready());
            (cluster, gateways)
        });
        let (cluster, gateways) = formed;
        let endpoints = gateways.iter().map(|gateway| gateway.endpoint.clone()).collect();
        let (_endpoints, told) = watch::channel(endpoints);
        gateways[0].client().create_bucket().bucket(BUCKET).send().await.expect("created");
        let load = Load::start(BUCKET, told, WRITERS);
        load.until_it_goes_on("the start").await;
        Self { cluster, gateways, load, _endpoints }
    }

    /// Kills a node while slots move, and starts it again.
    async fn lose_meanwhile(&mut self, node: usize) {
        until("slots move", &self.cluster.nodes[ASKED], |member| moving(member) > 0).await;
        self.cluster.nodes[node].kill();
        self.load.until_it_goes_on("a node is killed while slots move").await;
        tokio::task::block_in_place(|| self.cluster.nodes[node].restart());
    }

    /// Drains and takes out the disk that has a node's part of the index: that moves first, and the node votes on.
    async fn drain_a_disk(&mut self, node: usize, killed: usize) {
        let own = own_disks(&self.cluster.nodes[node]);
        let disk = own.iter().find(|disk| has_index(disk)).expect("a node has a log");
        let (disk, path) = (disk["id"].as_str().expect("an id"), disk["path"].as_str().expect("a path"));
        self.cluster.nodes[ASKED].admin(&["disk", "drain", disk]);
        self.lose_meanwhile(killed).await;
        until("the disk is empty", &self.cluster.nodes[ASKED], |member| {
            let status = member.admin(&["status"]);
            let row = status["disks"].as_array().expect("disks").iter().find(|row| row["id"] == disk).cloned();
            moving(member) == 0 && !has_index(&row.expect("it is listed"))
        })
        .await;
        self.load.until_it_goes_on("a disk is drained").await;
        self.cluster.nodes[ASKED].admin(&["disk", "remove", disk]);
        until("all nodes vote, without a start", &self.cluster.nodes[ASKED], |member| {
            all_vote(&member.admin(&["status"]), NODES, LAG_MAX)
        })
        .await;
        // It is taken out of the node's directories, too.
        std::fs::remove_dir_all(path).expect("it is taken out");
        let node = &mut self.cluster.nodes[node];
        node.launch.arguments.retain(|argument| argument != path);
        tokio::task::block_in_place(|| node.restart());
        self.load.until_it_goes_on("a disk is taken out").await;
    }

    /// A node of more disks than the others have.
    async fn join(&mut self, addresses: &[String], killed: usize) {
        let more = directories(&self.cluster.node_directory(NODES), MORE_DISKS);
        let bigger = tokio::task::block_in_place(|| launch(NODES, addresses, &more).start().ready());
        self.cluster.nodes.push(bigger);
        until("its disks are up", &self.cluster.nodes[ASKED], |member| {
            let status = member.admin(&["status"]);
            let disks = status["disks"].as_array().expect("disks");
            // One was taken out.
            disks.iter().filter(|disk| disk["state"] == "up").count() == NODES * DISKS - 1 + MORE_DISKS
        })
        .await;
        self.cluster.nodes[ASKED].admin(&["rebalance", "start"]);
        self.lose_meanwhile(killed).await;
        until("it has its share", &self.cluster.nodes[ASKED], |member| {
            moving(member) == 0 && member.admin(&["moves"])["rebalancing"] == "off"
        })
        .await;
        assert!(own_disks(&self.cluster.nodes[NODES]).iter().all(|disk| disk["shards"].as_u64() > Some(0)));
        self.load.until_it_goes_on("a bigger node has joined").await;
    }

    async fn drain_a_node(&mut self, leaving: usize, killed: usize) {
        let status = self.cluster.nodes[leaving].admin(&["status"]);
        let name = status["node"].as_str().expect("an id");
        self.cluster.nodes[ASKED].admin(&["node", "drain", name]);
        self.lose_meanwhile(killed).await;
        let is_empty = |member: &Member| moving(member) == 0 && votes(member, name) == 0;
        until("it is empty", &self.cluster.nodes[ASKED], is_empty).await;
        self.cluster.nodes[ASKED].admin(&["node", "remove", name]);
        self.cluster.nodes[leaving].kill();
        self.load.until_it_goes_on("a node is taken out").await;
    }

    /// Reads all there is, also with two nodes dead.
    async fn end(mut self, lost: [usize; 2]) {
        let endpoints: Vec<String> = self.gateways.iter().map(|gateway| gateway.endpoint.clone()).collect();
        let ledger = self.load.end().await;
        ledger.assert_all(&endpoints).await;
        until("all is whole, and all vote", &self.cluster.nodes[ASKED], |member| {
            let status = member.admin(&["status"]);
            is_whole(&status) && all_vote(&status, NODES, 0)
        })
        .await;
        lost.into_iter().for_each(|node| self.cluster.nodes[node].kill());
        ledger.assert_all(&endpoints).await;
    }
}

/// A disk is drained and taken out. With more rounds a bigger node joins then and gets its share, and another one is drained
/// and taken out. Each time a node is killed meanwhile, and started again. Writes go on all the time; in the end all is
/// there, also with two nodes dead.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_while_slots_move_and_nodes_are_killed() {
    let addresses = free_addresses(NODES + 1);
    let mut fleet = Fleet::under_load(&addresses).await;
    let (leaving, killed, drained) = (1, 2, 3);
    fleet.drain_a_disk(drained, killed).await;
    if setting("CAIRN_FAULT_ROUNDS", 1) > 1 {
        fleet.join(&addresses, drained).await;
        fleet.drain_a_node(leaving, killed).await;
    }
    fleet.end([killed, NODES - 1]).await;
}
