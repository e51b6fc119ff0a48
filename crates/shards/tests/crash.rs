//! The power goes at any step, and what was acknowledged is there.
//!
//! A random load runs on a faulty disk in memory, whose power is cut at some step; what was not synced by then is kept,
//! lost or torn by the dice. The disk is opened again and compared with a model of what was acknowledged, then the
//! load goes on. SQLite's files lie on the same disk.

mod support;

use std::path::Path;

use platform::{Disk, FaultyDisk};
use support::{Model, Random, faulty_disk, open, tiny_settings};

/// Rounds of actions between two cuts, at most.
const ROUNDS: u64 = 40;

/// Runs a load until the power goes; returns the disk as it is found then.
async fn run_until_power_off(disk: &FaultyDisk, model: &mut Model, random: &mut Random, context: &str) -> FaultyDisk {
    let (shards, id) = open(disk, tiny_settings()).await.unwrap_or_else(|error| panic!("{context}: {error}"));
    model.check(&shards, id, context).await;
    disk.power_off_at(disk.counts().steps + 1 + random.below(600));
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
    disk.crash()
}

/// Cuts the power while a disk is being opened, where it comes to that.
async fn cut_while_opening(disk: FaultyDisk, random: &mut Random) -> FaultyDisk {
    disk.power_off_at(1 + random.below(40));
    if let Ok((shards, _)) = open(&disk, tiny_settings()).await {
        shards.close().await;
    }
    disk.crash()
}

fn delete_index(disk: &FaultyDisk) {
    for name in ["shards.db", "shards.db-wal"] {
        if disk.status(Path::new(name)).expect("looked up").is_some() {
            disk.remove(Path::new(name)).expect("removed");
        }
    }
    disk.sync_directory(Path::new("")).expect("synced");
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_shards_survive_a_power_loss_at_any_step() {
    for seed in 0..24 {
        let mut random = Random::new(seed);
        let mut disk = faulty_disk(seed);
        let mut model = Model::default();
        for crash in 0..8 {
            let context = format!("seed {seed}, after crash {crash}");
            disk = run_until_power_off(&disk, &mut model, &mut random, &context).await;
            if random.below(3) == 0 {
                disk = cut_while_opening(disk, &mut random).await;
            }
        }
        let (shards, id) = open(&disk, tiny_settings()).await.expect("opened");
        model.check(&shards, id, &format!("seed {seed}, at the end")).await;
    }
}

/// The same with the index deleted now and then, so that all segments are scanned, and the power cut during the scan
/// too: tombstones that compaction drops too early would bring shards back.
#[tokio::test(flavor = "multi_thread")]
async fn a_scan_of_all_segments_finds_what_was_acknowledged() {
    for seed in 100..124 {
        let mut random = Random::new(seed);
        let mut disk = faulty_disk(seed);
        let mut model = Model::default();
        for crash in 0..6 {
            let context = format!("seed {seed}, after crash {crash}");
            disk = run_until_power_off(&disk, &mut model, &mut random, &context).await;
            delete_index(&disk);
            if random.below(2) == 0 {
                disk = cut_while_opening(disk, &mut random).await;
            }
        }
        let (shards, id) = open(&disk, tiny_settings()).await.expect("opened");
        model.check(&shards, id, &format!("seed {seed}, at the end")).await;
    }
}
