//! Five nodes and their gateways are rolled, one process after the other and under load, from a build of one feature
//! level to a build of the next, which knows one command more.
//!
//! This suite is then of the newer build; `CAIRN_OLDER_BUILD` names the binary of the other (`tests/upgrade` makes both).
//! Nothing that was acknowledged may be lost, no client may see an error that its SDK's own retries don't hide, and the
//! new command is refused until the last node knows the level. After that the older build serves nothing of the cluster.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::body::body;
use crate::faults::load::Load;
use crate::processes::{Cluster, Launch, Member, free_addresses};

const NODES: usize = 5;
const DISKS: usize = 2;
const WRITERS: u64 = 3;
/// The level of a release, and of a build of the next one.
const OLDER: u64 = 3;
const NEWER: u64 = OLDER + 1;
/// What the older build must say, whatever it is started as.
const REFUSAL: &str = "the cluster's feature level is 4, and this release reads up to 3: start the release that the";
/// How long anything may take that the cluster does by itself.
const PATIENCE: Duration = Duration::from_secs(60);

fn older_build() -> PathBuf {
    std::env::var("CAIRN_OLDER_BUILD").expect("tests/upgrade names the older build").into()
}

/// What a node of the older build is started with.
fn node(addresses: &[String], rpc: &str, disks: &[PathBuf]) -> Launch {
    let mut arguments = vec!["node".to_owned()];
    arguments.extend(disks.iter().map(|disk| disk.display().to_string()));
    let join = addresses.join(",");
    arguments.extend(["--join", &join, "--rpc-listen", rpc, "--rpc-address", rpc].map(str::to_owned));
    Launch { binary: older_build(), ..Launch::of(arguments, None) }
}

/// Ends a process in order and starts it again with this suite's build.
fn roll(member: &mut Member) {
    member.terminate();
    member.launch.binary = newer_build();
    member.restart();
}

fn newer_build() -> PathBuf {
    env!("CARGO_BIN_EXE_cairn").into()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A node's id, by its own word.
fn id_of(node: &Member) -> String {
    node.admin(&["status"])["node"].as_str().expect("an id").to_owned()
}

fn all_are_up(asked: &Member) -> bool {
    let status = asked.admin(&["status"]);
    let nodes = status["nodes"].as_array().expect("nodes");
    status["not_ready"].is_null() && nodes.len() == NODES && nodes.iter().all(|node| node["state"] == "up")
}

/// The nodes that a newer one of them names as those that keep the cluster at the older level.
fn held_back_by(asked: &Member) -> BTreeSet<String> {
    let status = asked.admin(&["status"])["feature_level"].clone();
    assert_eq!((&status["level"], &status["known"]), (&OLDER.into(), &NEWER.into()), "{status}");
    let nodes = status["held_back_by"].as_array().expect("a list").iter();
    nodes.map(|id| id.as_str().expect("an id").to_owned()).collect()
}

/// The cluster's level, by a node's word.
fn level(asked: &Member) -> u64 {
    asked.admin(&["status"])["feature_level"]["level"].as_u64().expect("a level")
}

/// What the newer build's verb says through a node of it: the refusal, or nothing.
fn probe(node: &Member) -> Option<String> {
    let output = node.admin_command(&["probe"]).output().expect("the verb runs");
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Clients as anybody has them, with the retries of their SDK: each error that is left fails the test.
struct Clients {
    stop: watch::Sender<bool>,
    tasks: JoinSet<u64>,
}

impl Clients {
    fn start(bucket: &str, gateways: &[Member]) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for (number, gateway) in (1..).zip(gateways) {
            tasks.spawn(write_and_read(gateway.client(), bucket.to_owned(), number, stopped.clone()));
        }
        Self { stop, tasks }
    }

    async fn end(self) {
        self.stop.send_replace(true);
        let written: u64 = self.tasks.join_all().await.into_iter().sum();
        println!("{written} objects written and read without an error");
        assert!(written > 0, "something was written");
    }
}

async fn write_and_read(client: Client, bucket: String, number: u64, stopped: watch::Receiver<bool>) -> u64 {
    let sizes = [900, 30_000, 400_000];
    let mut written = 0;
    while !*stopped.borrow() {
        let seed = number << 32 | written;
        let bytes = body(sizes[usize::try_from(written).expect("few") % sizes.len()], seed);
        let key = format!("client {number}/{}", written % 50);
        let put = client.put_object().bucket(&bucket).key(&key).body(bytes.clone().into()).send().await;
        put.unwrap_or_else(|error| panic!("PUT {key}: {error:?}"));
        let got = client.get_object().bucket(&bucket).key(&key).send().await;
        let got = got.unwrap_or_else(|error| panic!("GET {key}: {error:?}"));
        assert!(got.body.collect().await.expect("the body").into_bytes() == bytes, "{key}");
        written += 1;
    }
    written
}

/// Rolls the nodes, and has the new command refused by every one that knows it while others don't.
async fn roll_nodes(nodes: &mut [Member], load: &Load) {
    let ids: Vec<String> = nodes.iter().map(id_of).collect();
    for at in 0..nodes.len() {
        roll(&mut nodes[at]);
        load.until_it_goes_on(&format!("node {at} was rolled")).await;
        let rolled = &nodes[at];
        until("all nodes are up", || all_are_up(rolled));
        let left: BTreeSet<String> = ids[at + 1..].iter().cloned().collect();
        if left.is_empty() {
            return;
        }
        until("the rolled node's level is known", || held_back_by(rolled) == left);
        for node in &nodes[..=at] {
            let told = || probe(node).expect("it is refused while a node does not know it");
            until("the rolled node's level is known everywhere", || !told().contains(&ids[at]));
            let told = told();
            assert!(told.contains(&format!("the cluster's feature level is {OLDER}: nodes ")), "{told}");
            assert!(left.iter().all(|id| told.contains(id.as_str())), "{left:?}: {told}");
        }
    }
}

/// The older build, started as anything that it was or could become.
fn assert_outgrown(cluster: &mut Cluster, gateway: &Launch, scratch: &Path) {
    let older = |launch: &Launch| Launch { binary: older_build(), ..launch.clone() };
    let refuses = |launch: Launch, what: &str| {
        let said = launch.start().refused();
        assert!(said.contains(REFUSAL), "{what}: {said}");
    };
    let last = NODES - 1;
    cluster.nodes[last].terminate();
    refuses(older(&cluster.nodes[last].launch), "a node that was of the cluster");
    // It has lost what tells it so, but for the cluster itself.
    let [rpc] = &free_addresses(1)[..] else { panic!("one address") };
    refuses(node(&cluster.addresses, rpc, &[scratch.join("d1")]), "a blank node");
    refuses(older(gateway), "a gateway");
    cluster.nodes[last].restart();
}

#[tokio::test(flavor = "multi_thread")]
async fn five_nodes_are_rolled_to_the_next_feature_level_under_load() {
    let addresses = free_addresses(NODES);
    let launch = |at: usize, disks: &[PathBuf]| node(&addresses, &addresses[at], disks);
    let mut cluster = Cluster::of_launches(addresses.clone(), launch, DISKS);
    let older_gateway = || Launch { binary: older_build(), ..cluster.gateway_launch() }.start().ready();
    let mut gateways = [older_gateway(), older_gateway()];
    let mut forgotten = older_gateway();
    for bucket in ["rolled", "read-back"] {
        gateways[0].client().create_bucket().bucket(bucket).send().await.expect("created");
    }
    let endpoints = |gateways: &[Member]| gateways.iter().map(|gateway| gateway.endpoint.clone()).collect::<Vec<_>>();
    let (sender, told) = watch::channel(endpoints(&gateways));
    let load = Load::start("rolled", told, WRITERS);
    load.until_it_goes_on("the start").await;
    until("the cluster is at the older build's level", || level(&cluster.nodes[0]) == OLDER);
    // Gateways come first: they serve beside older nodes, and none may be left behind.
    for at in 0..gateways.len() {
        sender.send_replace(endpoints(&gateways[1 - at..2 - at]));
        roll(&mut gateways[at]);
        sender.send_replace(endpoints(&gateways));
        load.until_it_goes_on("a gateway was rolled").await;
    }
    let clients = Clients::start("read-back", &gateways);
    roll_nodes(&mut cluster.nodes, &load).await;
    for node in &cluster.nodes {
        until("the level rises", || level(node) == NEWER);
        until("the new command is taken", || probe(node).is_none());
    }
    let said = forgotten.ended();
    assert!(said.contains(REFUSAL), "a gateway that was left behind ends by itself: {said}");
    let scratch = tempfile::TempDir::new().expect("a temporary directory");
    assert_outgrown(&mut cluster, &gateways[0].launch, scratch.path());
    let last = &cluster.nodes[NODES - 1];
    until("all nodes are up", || all_are_up(last));
    assert_eq!(probe(last), None);
    load.until_it_goes_on("the end").await;
    clients.end().await;
    load.end().await.assert_all(&endpoints(&gateways)).await;
}
