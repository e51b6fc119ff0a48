//! Ways between nodes that are slow, break, or change what goes over them.

use std::time::Duration;

use tokio::sync::watch;

use super::load::Load;
use super::proxy::{Line, Proxy};
use super::{Dice, setting};
use crate::processes::{Cluster, Launch, free_addresses};

const NODES: usize = 3;

/// What goes to a node, from nodes and gateways alike, is delayed, broken off in the midst, or has bits turned over, for
/// some seconds each, in the end on all ways at once: nothing that was acknowledged is lost or changed, and nobody reads
/// anything else.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_over_lines_that_are_slow_break_and_flip_bits() {
    let addresses = free_addresses(NODES);
    let mut proxies = Vec::new();
    for address in &addresses {
        proxies.push(Proxy::to(address.clone()).await);
    }
    let reached: Vec<String> = proxies.iter().map(|proxy| proxy.address().to_owned()).collect();
    let launch = |at: usize, disks: &[std::path::PathBuf]| Launch::node(disks, &reached, &addresses[at]);
    // What waits for processes would hold up the proxies.
    let formed = tokio::task::block_in_place(|| {
        let cluster = Cluster::of_launches(reached.clone(), launch, 2);
        let gateways = [cluster.gateway(), cluster.gateway()];
        (cluster, gateways)
    });
    let (_cluster, gateways) = formed;
    let endpoints: Vec<String> = gateways.iter().map(|gateway| gateway.endpoint.clone()).collect();
    let (_kept, told) = watch::channel(endpoints.clone());
    gateways[0].client().create_bucket().bucket("over-lines").send().await.expect("created");
    let load = Load::start("over-lines", told, 4);
    load.until_it_goes_on("the start").await;
    let seed = setting("CAIRN_FAULT_SEED", 1);
    let mut dice = Dice::new(seed);
    for round in 1..=setting("CAIRN_FAULT_ROUNDS", 6) {
        let line = match round % 3 {
            0 => Line::Slow(Duration::from_millis(dice.below(5..150))),
            1 => Line::Flipping(dice.below(2_000..2_000_000)),
            _ => Line::Breaking(dice.below(10_000..2_000_000)),
        };
        let which: Vec<usize> = if round > 3 { (0..NODES).collect() } else { vec![dice.index(NODES)] };
        println!("seed {seed}, round {round}: {line:?} to {which:?}");
        which.iter().for_each(|at| proxies[*at].set(line));
        tokio::time::sleep(Duration::from_millis(dice.below(2000..5000))).await;
        proxies.iter().for_each(|proxy| proxy.set(Line::Good));
        load.until_it_goes_on(&format!("round {round}, {line:?}")).await;
    }
    load.end().await.assert_all(&endpoints).await;
}
