//! Disks of a cluster that are full.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{shards, until};
use crate::processes::{Cluster, Launch, Member, arguments, free_addresses};

fn has_full_disk(member: &Member) -> bool {
    let status = member.admin(&["status"]);
    status["disks"].as_array().expect("disks").iter().any(|disk| disk["state"] == "full")
}

/// What is deleted is free soon while some disk is full, whichever node has it: the leader, which collects, need not. Were
/// no disk known to be full, it would stay for ten minutes here.
#[tokio::test(flavor = "multi_thread")]
async fn deleted_bytes_are_free_soon_while_a_disk_of_any_node_is_full() {
    let addresses = free_addresses(3);
    let launch = |at: usize, disks: &[PathBuf]| {
        let launch = Launch::of(arguments(&addresses, at, disks), None);
        Launch { environment: vec![("CAIRN_GARBAGE_GRACE".to_owned(), "10m".to_owned())], ..launch }
    };
    let mut cluster = Cluster::of_launches(addresses.clone(), launch, 2);
    let client = cluster.nodes[0].client();
    client.create_bucket().bucket("full").send().await.expect("created");
    let put = async |key: &str, bytes: usize| {
        let put = client.put_object().bucket("full").key(key).body(vec![7; bytes].into());
        put.send().await.expect("PUT");
    };
    // Eight stripes of three shards.
    put("deleted", 16 << 20).await;
    until("all shards are told of", || shards(&cluster.nodes[0]) >= 24);
    // A node that does not lead has no room from now on.
    let leader = cluster.nodes[0].admin(&["range", "list"])[0]["leader"].clone();
    let follows = |at: &usize| cluster.nodes[*at].admin(&["status"])["node"] != leader;
    let without_room = (1..3).find(follows).expect("one of three leads");
    let node = &mut cluster.nodes[without_room];
    node.launch.environment.push(("CAIRN_DISK_RESERVE".to_owned(), "1000TiB".to_owned()));
    node.restart();
    // Writers keep away from a node that starts, for a while.
    let begun = Instant::now();
    while !has_full_disk(&cluster.nodes[0]) {
        assert!(begun.elapsed() < Duration::from_secs(30), "a disk without room is shown as full");
        put("kept", 300_000).await;
    }
    let before = shards(&cluster.nodes[0]);
    client.delete_object().bucket("full").key("deleted").send().await.expect("deleted");
    // Nodes tell of their shards once a second; what they have not told of yet of the other object is less than this.
    until("what was deleted makes room", || shards(&cluster.nodes[0]) + 12 < before);
}
