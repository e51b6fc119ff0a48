//! Lifecycle on several nodes: whoever leads a range does what is due, also when the one that did is gone in the midst
//! of it, and when the range is split.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::splits::split;
use crate::lifecycle::{expires, keys, set};
use crate::processes::{Cluster, Launch, arguments, free_addresses};

const OBJECTS: u64 = 400;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_goes_and_nothing_else_while_nodes_die_and_a_range_is_split() {
    let addresses = free_addresses(3);
    let launch = |at: usize, disks: &[std::path::PathBuf]| {
        let mut arguments = arguments(&addresses, at, disks);
        arguments.extend(["--lifecycle-day", "3s"].map(str::to_owned));
        Launch::of(arguments, None)
    };
    let mut cluster = Cluster::of_launches(addresses.clone(), launch, 1);
    cluster.nodes[0].at_level(3);
    let client = cluster.nodes[0].client();
    client.create_bucket().bucket("bucket").send().await.expect("created");
    let mut stays = BTreeSet::new();
    set(&client, "bucket", vec![expires("goes/")]).await;
    for number in 0..OBJECTS {
        let key = format!("{}/{number}", ["goes", "stays"][usize::from(number % 2 == 1)]);
        client.put_object().bucket("bucket").key(&key).body(b"x".to_vec().into()).send().await.expect("PUT");
        stays.extend((number % 2 == 1).then_some(key));
        if number == OBJECTS / 2 {
            split(&cluster.nodes[0], 1, "bucket/goes/3");
        }
    }
    let begun = Instant::now();
    // Each node once, whichever leads: with it goes what it was about to do.
    for lost in 0..3 {
        cluster.nodes[lost].kill();
        let client = cluster.nodes[(lost + 1) % 3].client();
        let until = Instant::now() + Duration::from_secs(4);
        while Instant::now() < until {
            if let Ok(left) = tokio::time::timeout(Duration::from_secs(20), keys(&client, "bucket")).await {
                let missing: Vec<_> = stays.difference(&left).collect();
                assert!(missing.is_empty(), "these are gone, and should not: {missing:?}");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        cluster.nodes[lost].restart();
    }
    let client = cluster.nodes[2].client();
    loop {
        let left = keys(&client, "bucket").await;
        assert!(stays.is_subset(&left), "what should stay is gone");
        if left == stays {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{:?}", left.difference(&stays).collect::<Vec<_>>());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
