//! The power goes at any step, and what was acknowledged is there.
//!
//! A random load runs on a faulty disk in memory, whose power is cut at some step; what was not synced by then is kept,
//! lost or torn by the dice. The disk is opened again and compared with a model of what was acknowledged, then the
//! load goes on. SQLite's files lie on the same disk.

mod support;

use platform::FaultyDisk;
use support::{Model, Random, faulty_disk, open, tiny_settings};

/// Rounds of actions between two cuts, at most.
const ROUNDS: u64 = 40;

/// Runs a load until the power goes; returns the disk as it is found then.
async fn run_until_power_off(disk: &FaultyDisk, model: &mut Model, random: &mut Random, context: &str) -> FaultyDisk {
    let step = disk.counts().steps + 1 + random.below(600);
    if let Ok((shards, id)) = open(disk, tiny_settings()).await {
        model.check(&shards, id, context).await;
        disk.power_off_at(step);
        for _ in 0..ROUNDS {
            let actions = model.choose(random);
            model.act(&shards, id, actions).await;
            if random.below(8) == 0 {
                shards.settle(id).await.expect("known");
            }
            if !disk.is_powered() {
                break;
            }
        }
        shards.close().await;
    } else {
        panic!("{context}: a disk with power must open");
    }
    disk.crash()
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_shards_survive_a_power_loss_at_any_step() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let mut disk = faulty_disk(seed);
        let mut model = Model::default();
        for crash in 0..6 {
            let context = format!("seed {seed}, after crash {crash}");
            disk = run_until_power_off(&disk, &mut model, &mut random, &context).await;
        }
        let (shards, id) = open(&disk, tiny_settings()).await.expect("opened");
        model.check(&shards, id, &format!("seed {seed}, at the end")).await;
    }
}
