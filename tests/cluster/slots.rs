//! Slots that move while the cluster serves: disks and nodes are drained, given up and taken out, and nothing is lost.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::splits::split;
use super::until;
use super::watch::{Watched, states, votes};
use crate::loss::delete;
use crate::processes::{Launch, Member, assert_all, put_all};
use crate::server::{ACCESS_KEY, SECRET_KEY};

/// What a verb says that is refused.
fn refused(member: &Member, verb: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    command.arg("admin").args(verb).args(["--admin-url", &member.admin]);
    command.env("CAIRN_ROOT_ACCESS_KEY", ACCESS_KEY).env("CAIRN_ROOT_SECRET_KEY", SECRET_KEY);
    let output = command.output().expect("the verb runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{verb:?} is refused: {}", String::from_utf8_lossy(&output.stdout));
    told
}

/// The disks of a node, or of all, by a member's status.
fn disks(member: &Member, node: Option<&str>) -> Vec<String> {
    let status = member.admin(&["status"]);
    let all = status["disks"].as_array().expect("disks").clone();
    let own = all.iter().filter(|disk| node.is_none_or(|node| disk["node"] == node));
    own.map(|disk| disk["id"].as_str().expect("an id").to_owned()).collect()
}

/// Slots that have an heir, and those that want one.
pub fn moving(member: &Member) -> u64 {
    let moves = member.admin(&["moves"]);
    moves["slots"].as_u64().expect("slots") + moves["homeless_slots"].as_u64().expect("slots")
}

fn state(member: &Member, disk: &str) -> Value {
    let status = member.admin(&["status"]);
    let all = status["disks"].as_array().expect("disks").clone();
    all.into_iter().find(|row| row["id"] == disk).map(|row| row["state"].clone()).unwrap_or_default()
}

/// One server: what lies on a disk moves to the others, and the disk is taken out. Then there is no disk to spare.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_of_one_server_is_drained_and_taken_out() {
    let directory = TempDir::new().expect("a temporary directory");
    let path = |disk: usize| directory.path().join(format!("d{disk}")).display().to_string();
    let arguments = |disks: &[usize]| {
        let options = ["server", "--profile", "2+1"].map(str::to_owned);
        options.into_iter().chain(disks.iter().map(|disk| path(*disk))).collect::<Vec<_>>()
    };
    let mut server = Launch::of(arguments(&[1, 2, 3, 4]), None).start().ready();
    let client = server.client();
    client.create_bucket().bucket("drained").send().await.expect("created");
    let mut objects = put_all(&client, "drained", "before").await;
    let status = server.admin(&["status"]);
    let all = status["disks"].as_array().expect("disks").clone();
    let leaving = all.iter().find(|disk| disk["path"] == path(2)).expect("it is listed")["id"].as_str().expect("an id");
    assert!(refused(&server, &["disk", "remove", leaving]).contains("drain it first"));
    let plan = server.admin(&["disk", "drain", leaving, "--dry-run"]);
    assert!(plan["slots"].as_u64() > Some(0) && plan["dry_run"] == true, "{plan}");
    assert_eq!((state(&server, leaving), moving(&server)), (Value::from("up"), 0), "nothing was changed");
    let drained = server.admin(&["disk", "drain", leaving]);
    assert_eq!(drained["slots"], plan["slots"]);
    objects.extend(put_all(&client, "drained", "meanwhile").await);
    assert_all(&client, "drained", &objects).await;
    server.restart();
    let client = server.client();
    assert_all(&client, "drained", &objects).await;
    until("all slots have new owners", || moving(&server) == 0);
    assert_eq!(state(&server, leaving), "draining");
    server.admin(&["disk", "remove", leaving]);
    assert_eq!(disks(&server, None).len(), 3);
    assert_all(&client, "drained", &objects).await;
    let told = refused(&server, &["disk", "drain", &disks(&server, None)[0]]);
    assert!(told.contains("could not be held"), "{told}");
    delete(path(2).as_ref());
    server.launch.arguments = arguments(&[1, 3, 4]);
    server.restart();
    let client = server.client();
    assert_all(&client, "drained", &objects).await;
    objects.extend(put_all(&client, "drained", "after").await);
    // 2+1: any one may be lost.
    delete(path(3).as_ref());
    assert_all(&client, "drained", &objects).await;
}

/// A node is drained and taken out with its votes; then another one is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_drained_and_taken_out_and_another_may_be_lost() {
    let mut cluster = Watched::of(4, 2, "10m");
    let leaving = cluster.leader(0);
    let (stays, lost) = ((leaving + 1) % 4, (leaving + 2) % 4);
    let id = cluster.id(leaving);
    let client = cluster.nodes[stays].as_ref().expect("it runs").client();
    client.create_bucket().bucket("drained").send().await.expect("created");
    let mut objects = put_all(&client, "drained", "before").await;
    let member = || cluster.nodes[stays].as_ref().expect("it runs");
    // The votes on what a split has made move too.
    let having = (0..4).find(|at| *at != leaving && votes(member(), &cluster.id(*at)) == 2).expect("a voter");
    split(cluster.nodes[having].as_ref().expect("it runs"), 1, "drained/before/300000");
    assert!(refused(member(), &["node", "remove", &id]).contains("votes"));
    let plan = member().admin(&["node", "drain", &id, "--dry-run"]);
    assert!(plan["slots"].as_u64() > Some(0), "{plan}");
    member().admin(&["node", "drain", &id]);
    let told = refused(member(), &["node", "remove", &id]);
    assert!(told.contains("votes") || told.contains("slots"), "it is not empty yet: {told}");
    objects.extend(put_all(&client, "drained", "meanwhile").await);
    cluster.until("all has moved, and the votes too", |member| moving(member) == 0 && votes(member, &id) == 0);
    member().admin(&["node", "remove", &id]);
    cluster.kill(leaving);
    let member = cluster.nodes[stays].as_ref().expect("it runs");
    assert_eq!(disks(member, None).len(), 6);
    assert_all(&client, "drained", &objects).await;
    // 2+2 on three nodes: one node, with two disks, may be lost.
    cluster.kill(lost);
    assert_all(&client, "drained", &objects).await;
}

/// A node is lost for good: what it had is made again on the others, so that another one may be lost.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_node_had_is_made_again_elsewhere() {
    let mut cluster = Watched::of(4, 2, "6s");
    let leader = cluster.leader(0);
    let (lost, second, stays) = ((leader + 1) % 4, (leader + 2) % 4, leader);
    let id = cluster.id(lost);
    let client = cluster.nodes[stays].as_ref().expect("it runs").client();
    client.create_bucket().bucket("lost").send().await.expect("created");
    let mut objects = put_all(&client, "lost", "before").await;
    cluster.kill(lost);
    cluster.until("it is given up", |member| states(&member.admin(&["status"]), &id).0 == "out");
    objects.extend(put_all(&client, "lost", "meanwhile").await);
    cluster.until("all it had has new owners, its votes too", |member| moving(member) == 0 && votes(member, &id) == 0);
    assert_all(&client, "lost", &objects).await;
    // It comes back, and is in service again with empty disks.
    cluster.restart(lost);
    cluster.until("its disks are up", |member| {
        let (node, disks) = states(&member.admin(&["status"]), &id);
        node == "up" && disks.len() == 2 && disks.iter().all(|disk| disk == "up")
    });
    objects.extend(put_all(&client, "lost", "after").await);
    assert_all(&cluster.nodes[lost].as_ref().expect("it runs").client(), "lost", &objects).await;
    cluster.kill(second);
    assert_all(&client, "lost", &objects).await;
}

/// A bigger node joins: new objects go there at once, and rebalancing brings it its share of what there was.
#[tokio::test(flavor = "multi_thread")]
async fn a_bigger_node_gets_its_share() {
    let mut cluster = Watched::of(3, 1, "10m");
    let client = cluster.nodes[0].as_ref().expect("it runs").client();
    client.create_bucket().bucket("grown").send().await.expect("created");
    let mut objects = put_all(&client, "grown", "before").await;
    for more in 0..3 {
        objects.extend(put_all(&client, "grown", &format!("more {more}")).await);
    }
    cluster.join(2, "10m");
    let new = cluster.id(3);
    cluster.until("the new one is up", |member| states(&member.admin(&["status"]), &new).1 == ["up", "up"]);
    let member = cluster.nodes[0].as_ref().expect("it runs");
    let told = refused(member, &["rebalance", "pause"]);
    assert!(told.contains("start it"), "{told}");
    until("there is something to move", || {
        let plan = member.admin(&["rebalance", "start", "--dry-run"]);
        plan["slots"].as_u64() > Some(0)
    });
    assert_eq!(member.admin(&["rebalance", "status"])["rebalancing"], "off");
    member.admin(&["rebalance", "start"]);
    member.admin(&["rebalance", "pause"]);
    assert_eq!(member.admin(&["moves"])["rebalancing"], "paused");
    until("what was begun is finished", || member.admin(&["moves"])["slots"] == 0);
    member.admin(&["rebalance", "resume"]);
    objects.extend(put_all(&client, "grown", "meanwhile").await);
    cluster.until("it is done", |member| member.admin(&["moves"])["rebalancing"] == "off" && moving(member) == 0);
    let status = cluster.nodes[3].as_ref().expect("it runs").admin(&["status"]);
    let of = |own: bool| -> u64 {
        let disks = status["disks"].as_array().expect("disks").iter();
        disks.filter(|disk| (disk["node"] == new) == own).filter_map(|disk| disk["shard_bytes"].as_u64()).sum()
    };
    let share = of(true) as f64 / (of(true) + of(false)) as f64;
    assert!(share > 0.2, "two of five disks of one size, at most a third: {share}: {status:#}");
    assert_all(&client, "grown", &objects).await;
    assert_all(&cluster.nodes[3].as_ref().expect("it runs").client(), "grown", &objects).await;
}
