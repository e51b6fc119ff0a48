//! Nodes and gateways as processes of their own: what one of them takes, all of them have.

mod documents;
mod full;
mod identities;
mod lifecycle;
pub mod slots;
mod splits;
pub mod watch;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::operation::RequestId;
use tempfile::TempDir;

use crate::processes::{Cluster, Launch, Member, Starting, arguments, assert_all, free_addresses, put_all};
use crate::server::{ACCESS_KEY, SECRET_KEY, client_at};

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_takes_all_have_and_a_lost_node_takes_nothing_along() {
    let mut cluster = Cluster::of(3, 2);
    let clients: Vec<Client> = cluster.nodes.iter().map(Member::client).collect();
    clients[0].create_bucket().bucket("shared").send().await.expect("created");
    let mut objects = put_all(&clients[0], "shared", "first").await;
    for client in &clients {
        assert_all(client, "shared", &objects).await;
    }
    // Any one of them may go, the leader too.
    for lost in 0..3 {
        cluster.nodes[lost].kill();
        let (a, b) = ((lost + 1) % 3, (lost + 2) % 3);
        let (one, other) = (cluster.nodes[a].client(), cluster.nodes[b].client());
        assert_all(&one, "shared", &objects).await;
        objects.extend(put_all(&other, "shared", &format!("without {lost}")).await);
        assert_all(&one, "shared", &objects).await;
        cluster.nodes[lost].restart();
        assert_all(&cluster.nodes[lost].client(), "shared", &objects).await;
    }
    // All at once.
    cluster.nodes.iter_mut().for_each(Member::kill);
    let starting: Vec<Starting> = cluster.nodes.iter().map(|node| node.launch.clone().start()).collect();
    cluster.nodes = starting.into_iter().map(Starting::ready).collect();
    assert_all(&cluster.nodes[1].client(), "shared", &objects).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_have_the_same_objects_and_a_revoked_one_has_none() {
    let cluster = Cluster::of(3, 1);
    let (first, second) = (cluster.gateway(), cluster.gateway());
    first.client().create_bucket().bucket("through").send().await.expect("created");
    let objects = put_all(&first.client(), "through", "first").await;
    assert_all(&second.client(), "through", &objects).await;
    assert_all(&cluster.nodes[2].client(), "through", &objects).await;
    let own = first.launch.credential.as_ref().expect("a gateway has one").split(':').nth(1).expect("an id").to_owned();
    let listed = cluster.nodes[1].admin(&["gateway", "list"]);
    assert!(listed.to_string().contains(&own), "{listed}");
    cluster.nodes[1].admin(&["gateway", "remove", &own]);
    let begun = Instant::now();
    let once = aws_sdk_s3::Config::builder().retry_config(RetryConfig::disabled());
    while first
        .client()
        .get_object()
        .bucket("through")
        .key(&objects[0].0)
        .customize()
        .config_override(once.clone())
        .send()
        .await
        .is_ok()
    {
        assert!(begun.elapsed() < Duration::from_secs(20), "a revoked gateway is cut off");
    }
    // From then on it does not keep its clients waiting.
    let begun = Instant::now();
    let refused = first.client().list_buckets().customize().config_override(once).send().await;
    assert!(refused.is_err());
    assert!(begun.elapsed() < Duration::from_secs(3), "it took {:?} to be refused", begun.elapsed());
    assert_all(&second.client(), "through", &objects).await;
}

/// All shards, by the word of all nodes; they say it once a second.
fn shards(member: &Member) -> u64 {
    let status = member.admin(&["status"]);
    status["disks"].as_array().expect("disks").iter().filter_map(|disk| disk["shards"].as_u64()).sum()
}

/// Waits, as long as anything may take that processes notice by themselves.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Puts objects until one makes so many shards, by the word of `node`. One makes more where a disk is slow: its stripe goes
/// to other disks as well, and what the slow one has of it counts until it is collected.
async fn until_an_object_makes(wanted: u64, gateway: &Member, node: &Member) {
    let begun = Instant::now();
    for number in 0.. {
        let before = shards(node);
        let body = vec![7; 200_000].into();
        let put = gateway.client().put_object().bucket("wanted").key(format!("{wanted} {number}")).body(body);
        put.send().await.expect("PUT");
        // Nodes say it once a second, each in its turn.
        let (written, mut so_since) = (Instant::now(), None);
        while written.elapsed() < Duration::from_secs(8) {
            let since = *so_since.get_or_insert_with(Instant::now);
            if shards(node) != before + wanted {
                so_since = None;
            } else if since.elapsed() > Duration::from_secs(3) {
                return;
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "no object makes {wanted} shards");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wanted_profile_is_followed_by_all_while_they_serve() {
    let mut cluster = Cluster::of(3, 1);
    let gateway = cluster.gateway();
    gateway.client().create_bucket().bucket("wanted").send().await.expect("created");
    until_an_object_makes(3, &gateway, &cluster.nodes[0]).await;
    let mut too_wide = Command::new(env!("CARGO_BIN_EXE_cairn"));
    too_wide.args(["admin", "profile", "4+2", "--admin-url", &cluster.nodes[0].admin]);
    too_wide.env("CAIRN_ROOT_ACCESS_KEY", ACCESS_KEY).env("CAIRN_ROOT_SECRET_KEY", SECRET_KEY);
    let told = too_wide.output().expect("the verb runs");
    assert!(!told.status.success() && String::from_utf8_lossy(&told.stderr).contains("needs more nodes"), "{told:?}");
    cluster.nodes[0].admin(&["profile", "1+1"]);
    for node in &cluster.nodes {
        until("every node goes by it", || node.admin(&["status"])["profile"] == "1+1");
    }
    // The gateway looks each second.
    until_an_object_makes(2, &gateway, &cluster.nodes[1]).await;
    cluster.nodes[2].restart();
    assert_eq!(cluster.nodes[2].admin(&["status"])["profile"], "1+1", "it outlives a start");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_root_credential_counts_everywhere_soon() {
    let mut cluster = Cluster::of(3, 1);
    let gateway = cluster.gateway();
    let new_secret = "another secret key of the root account";
    cluster.nodes[0].launch.environment.push(("CAIRN_ROOT_SECRET_KEY".to_owned(), new_secret.to_owned()));
    cluster.nodes[0].restart();
    for member in [&gateway, &cluster.nodes[1]] {
        let client = client_at(&member.endpoint, ACCESS_KEY, new_secret);
        let begun = Instant::now();
        while client.list_buckets().send().await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the new one counts at {}", member.endpoint);
        }
        assert!(member.client().list_buckets().send().await.is_err(), "and the old one does not");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_node_joins_its_cluster_and_founds_none() {
    let mut cluster = Cluster::of(3, 2);
    let client = cluster.nodes[0].client();
    client.create_bucket().bucket("kept").send().await.expect("created");
    let objects = put_all(&client, "kept", "before").await;
    cluster.nodes[2].kill();
    std::fs::remove_dir_all(cluster.node_directory(2)).expect("its disks are lost");
    cluster.nodes[2].restart();
    assert_all(&cluster.nodes[2].client(), "kept", &objects).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_ends_in_order_hands_over() {
    let mut cluster = Cluster::of(3, 1);
    let client = cluster.nodes[1].client();
    client.create_bucket().bucket("handed").send().await.expect("created");
    let objects = put_all(&client, "handed", "before").await;
    cluster.nodes[0].terminate();
    assert_all(&client, "handed", &objects).await;
    let more = put_all(&client, "handed", "after").await;
    assert_all(&cluster.nodes[2].client(), "handed", &more).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_end_in_order_one_after_the_other() {
    let mut cluster = Cluster::of(3, 1);
    cluster.nodes[0].client().create_bucket().bucket("ended").send().await.expect("created");
    // The last two have no majority to ask for anything.
    cluster.nodes.iter_mut().for_each(Member::terminate);
}

/// Whoever asks why a request went wrong finds it by its id on each machine that worked for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_named_in_the_log_lines_of_gateway_and_node() {
    let logs = TempDir::new().expect("a temporary directory");
    let logging = |launch: Launch, log: &Path| {
        let to_file = format!("exec \"$@\" 2>{}", log.display());
        let launcher = ["sh", "-c", &to_file, "sh"].map(str::to_owned).to_vec();
        let environment = vec![("CAIRN_LOG".to_owned(), "gateway=debug,rpc=debug".to_owned())];
        Launch { launcher, environment, ..launch }
    };
    let [of_node, of_gateway] = ["node", "gateway"].map(|name| logs.path().join(name));
    let addresses = free_addresses(1);
    let launch = |_, disks: &[PathBuf]| logging(Launch::of(arguments(&addresses, 0, disks), None), &of_node);
    let cluster = Cluster::of_launches(addresses.clone(), launch, 3);
    let gateway = logging(cluster.gateway_launch(), &of_gateway).start().ready();
    let client = gateway.client();
    client.create_bucket().bucket("named").send().await.expect("created");
    // Of the form that a task of its own writes.
    let put = client.put_object().bucket("named").key("long").body(vec![7; 300_000].into()).send().await.expect("put");
    let got = client.get_object().bucket("named").key("long").send().await.expect("got");
    let (put, got) = (put.request_id().expect("an id").to_owned(), got.request_id().expect("an id").to_owned());
    let lines = |log: &Path, id: &str, what: &str| {
        let text = std::fs::read_to_string(log).expect("it is written");
        let is_of_it = |line: &&str| line.contains(&format!("\"request_id\":\"{id}\"")) && line.contains(what);
        text.lines().filter(is_of_it).count()
    };
    let shards = "\"service\":\"Shards\"";
    for id in [&put, &got] {
        until("the gateway tells of it", || lines(&of_gateway, id, "\"message\":\"request\"") == 1);
        assert!(lines(&of_node, id, "\"service\":\"Index\"") >= 1, "{id}");
    }
    assert_eq!(lines(&of_node, &put, shards), 3);
    assert!(lines(&of_node, &got, shards) >= 1);
}
