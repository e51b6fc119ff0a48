//! Nodes and gateways as processes of their own: what one of them takes, all of them have.

mod watch;

use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;

use crate::processes::{Cluster, Member, Starting, assert_all, put_all};

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
    assert_all(&second.client(), "through", &objects).await;
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
