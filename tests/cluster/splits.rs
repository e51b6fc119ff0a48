//! Ranges that split under load: clients see nothing of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};

use super::until;
use crate::processes::{Cluster, Member, Starting};

/// The data ranges, by a node's word.
fn ranges(member: &Member) -> Vec<u64> {
    let listed = member.admin(&["range", "list"]);
    let ids = listed.as_array().expect("ranges").iter().filter_map(|range| range["id"].as_u64());
    ids.filter(|id| *id != 0).collect()
}

/// Splits a range that the member has, once all nodes know how.
pub(super) fn split(member: &Member, range: u64, at: &str) {
    until("all nodes read ranges that were split", || {
        member.admin(&["status"])["feature_level"]["level"].as_u64() >= Some(2)
    });
    let before = ranges(member).len();
    member.admin(&["range", "split", &range.to_string(), "--at", at]);
    until("the new range is known", || ranges(member).len() > before);
}

/// All keys and common prefixes of a bucket, in pages, each of which must go on where the last one ended.
async fn listed(client: &Client, bucket: &str, delimiter: Option<&str>, page: i32) -> Vec<String> {
    let (mut all, mut token) = (Vec::new(), None);
    loop {
        let request = client.list_objects_v2().bucket(bucket).max_keys(page).set_continuation_token(token);
        let answer = request.set_delimiter(delimiter.map(str::to_owned)).send().await.expect("listed");
        let mut entries: Vec<String> = answer.contents().iter().filter_map(|object| object.key.clone()).collect();
        entries.extend(answer.common_prefixes().iter().filter_map(|common| common.prefix.clone()));
        assert!(entries.len() <= usize::try_from(page).expect("few"));
        entries.sort();
        all.extend(entries);
        match answer.next_continuation_token {
            Some(next) => token = Some(next),
            None => return all,
        }
    }
}

fn key(writer: u64, number: u64) -> String {
    // Into all ranges, and into directories that lie over the cuts.
    format!("{}/{writer}-{number}", char::from(b'a' + u8::try_from(number * 7 % 26).expect("a letter")))
}

/// Clients at work, no request of which may fail.
struct Load {
    stop: Arc<AtomicBool>,
    /// Objects that were written and read back.
    written: Arc<AtomicU64>,
    writers: Vec<tokio::task::JoinHandle<BTreeSet<String>>>,
}

impl Load {
    /// Has each client write, read back and delete.
    fn start(clients: impl IntoIterator<Item = Client>) -> Self {
        let mut load = Self { stop: Arc::default(), written: Arc::default(), writers: Vec::new() };
        for (number, client) in (0..).zip(clients) {
            load.writers.push(tokio::spawn(write(client, number, load.stop.clone(), load.written.clone())));
        }
        load
    }

    /// Waits until so many more objects were written.
    async fn goes_on(&self, objects: u64) {
        let before = self.written.load(Ordering::SeqCst);
        let begun = Instant::now();
        while self.written.load(Ordering::SeqCst) < before + objects {
            assert!(begun.elapsed() < Duration::from_secs(60), "clients go on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The keys that must be there.
    async fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        let mut there = BTreeSet::new();
        for writer in self.writers {
            there.extend(writer.await.expect("no request failed"));
        }
        there.into_iter().collect()
    }
}

async fn write(client: Client, writer: u64, stop: Arc<AtomicBool>, written: Arc<AtomicU64>) -> BTreeSet<String> {
    let mut there = BTreeSet::new();
    let mut number = 0;
    while !stop.load(Ordering::SeqCst) {
        let key = key(writer, number);
        let body = key.clone().into_bytes();
        client.put_object().bucket("load").key(&key).body(body.clone().into()).send().await.expect("PUT");
        let read = client.get_object().bucket("load").key(&key).send().await.expect("GET");
        assert_eq!(read.body.collect().await.expect("read").to_vec(), body);
        if number % 3 == 0 {
            client.delete_object().bucket("load").key(&key).send().await.expect("DELETE");
        } else {
            there.insert(key);
        }
        written.fetch_add(1, Ordering::SeqCst);
        number += 1;
    }
    there
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_split_while_clients_write_list_and_delete_and_a_node_is_killed() {
    let mut cluster = Cluster::of(3, 1);
    let gateway = cluster.gateway();
    gateway.client().create_bucket().bucket("load").send().await.expect("created");
    let load = Load::start([&gateway, &cluster.nodes[0], &gateway, &cluster.nodes[0]].map(Member::client));
    load.goes_on(20).await;
    for (range, at) in [(1, "load/m/"), (1, "load/f/1-5"), (1, "load/c")] {
        split(&cluster.nodes[0], range, at);
        listed(&gateway.client(), "load", Some("/"), 7).await;
        load.goes_on(20).await;
    }
    // In the midst of one more.
    cluster.nodes[2].kill();
    split(&cluster.nodes[1], 1, "load/b");
    load.goes_on(20).await;
    cluster.nodes[2].restart();
    load.goes_on(50).await;
    let expected = load.end().await;
    let prefixes: BTreeSet<String> = expected.iter().map(|key| key[..2].to_owned()).collect();
    for member in cluster.nodes.iter().chain([&gateway]) {
        let client = member.client();
        for page in [3, 100, 1000] {
            assert_eq!(listed(&client, "load", None, page).await, expected, "pages of {page}");
            let rolled_up = listed(&client, "load", Some("/"), page).await;
            assert_eq!(rolled_up, prefixes.iter().cloned().collect::<Vec<_>>(), "each common prefix comes once");
        }
    }
    for key in &expected {
        let read = gateway.client().get_object().bucket("load").key(key).send().await.expect("GET");
        assert_eq!(read.body.collect().await.expect("read").to_vec(), key.as_bytes());
    }
    // All at once, and everything is there again, ranges too.
    cluster.nodes.iter_mut().for_each(Member::kill);
    let starting: Vec<Starting> = cluster.nodes.iter().map(|node| node.launch.clone().start()).collect();
    cluster.nodes = starting.into_iter().map(Starting::ready).collect();
    assert_eq!(listed(&gateway.client(), "load", None, 1000).await, expected);
    until("all ranges are led", || ranges(&cluster.nodes[0]).len() == 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_over_several_ranges_is_versioned_and_deleted_as_one() {
    let cluster = Cluster::of(3, 1);
    let gateway = cluster.gateway();
    let client = gateway.client();
    client.create_bucket().bucket("load").send().await.expect("created");
    for key in ["a", "n", "z"] {
        client.put_object().bucket("load").key(key).body(b"1".to_vec().into()).send().await.expect("PUT");
    }
    split(&cluster.nodes[0], 1, "load/m");
    split(&cluster.nodes[0], 1, "load/g");
    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    client.put_bucket_versioning().bucket("load").versioning_configuration(enabled).send().await.expect("enabled");
    // At once, through whoever: in each range.
    let other = cluster.nodes[1].client();
    for key in ["a", "h", "n", "z"] {
        let put = other.put_object().bucket("load").key(key).body(b"2".to_vec().into()).send().await.expect("PUT");
        assert!(put.version_id().is_some(), "{key} is versioned");
        let deleted = client.delete_object().bucket("load").key(key).send().await.expect("DELETE");
        assert_eq!(deleted.delete_marker(), Some(true), "{key}");
    }
    let versions = client.list_object_versions().bucket("load").max_keys(1000).send().await.expect("listed");
    assert_eq!((versions.versions().len(), versions.delete_markers().len()), (7, 4));
    let refused = client.delete_bucket().bucket("load").send().await.expect_err("it is not empty");
    assert_eq!(refused.as_service_error().and_then(|error| error.meta().code()), Some("BucketNotEmpty"));
    let all = versions.versions().iter().map(|version| (version.key(), version.version_id()));
    let all = all.chain(versions.delete_markers().iter().map(|marker| (marker.key(), marker.version_id())));
    for (key, version) in all {
        let request = client.delete_object().bucket("load").set_key(key.map(str::to_owned));
        request.set_version_id(version.map(str::to_owned)).send().await.expect("removed for good");
    }
    client.delete_bucket().bucket("load").send().await.expect("it is empty, in all its ranges");
    client.create_bucket().bucket("load").send().await.expect("the name is free");
    for key in ["a", "n", "z"] {
        other.put_object().bucket("load").key(key).body(b"3".to_vec().into()).send().await.expect("PUT");
    }
    assert_eq!(listed(&client, "load", None, 2).await, ["a", "n", "z"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_has_grown_is_split_by_itself() {
    let environment = ("CAIRN_RANGE_BYTES_MAX".to_owned(), "1MiB".to_owned());
    let mut cluster = Cluster::of(3, 1);
    for node in &mut cluster.nodes {
        node.launch.environment.push(environment.clone());
        node.restart();
    }
    let client = cluster.nodes[0].client();
    client.create_bucket().bucket("load").send().await.expect("created");
    assert_eq!(ranges(&cluster.nodes[0]), [1]);
    let mut written = Vec::new();
    let begun = Instant::now();
    // Inline, so that the index grows by it.
    while ranges(&cluster.nodes[0]).len() < 3 {
        assert!(begun.elapsed() < Duration::from_secs(120), "{} objects and no split", written.len());
        for _ in 0..50 {
            let key = format!("{:05}", written.len() * 7919 % 100_000);
            client.put_object().bucket("load").key(&key).body(vec![7; 4000].into()).send().await.expect("PUT");
            written.push(key);
        }
    }
    written.sort();
    assert_eq!(listed(&client, "load", None, 1000).await, written);
}
