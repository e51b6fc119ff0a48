//! The power goes at any step of log, database, checkpoint, copy or purge: what was acknowledged is there afterwards.
//!
//! All files, SQLite's too, lie on disks that lose what was not synced. Keys are put from several tasks at once until
//! the power goes on every disk at about the same step; then the index is opened on what is left, every acknowledged
//! key is looked up, and more are put, once more until the power goes.

use super::*;
use crate::testing::numbered;
use platform::FaultyDisk;

/// Runs until the power goes at about `step`, twice, and checks what is found.
async fn lose_power_at(mirrors: usize, step: u64) {
    let mut disks: Vec<FaultyDisk> = (0..mirrors as u64).map(|disk| FaultyDisk::new(step * 13 + disk)).collect();
    let mut acknowledged: Vec<String> = Vec::new();
    let mut bucket = None;
    for life in 0..3 {
        let case = format!("{mirrors} mirrors, step {step}, life {life}");
        if life < 2 {
            for (number, disk) in disks.iter().enumerate() {
                // Not all at the very same one, so that a mirror is struck by the others now and then.
                disk.power_off_at(step + (step + number as u64 * 7) % 5);
            }
        }
        match ReplicatedIndex::open(busy_settings(numbered(&disks), mirrors)).await {
            Ok(index) => {
                let index = Arc::new(index);
                if let Some(bucket) = bucket {
                    for key in &acknowledged {
                        match look_up(&index, bucket, key).await {
                            Ok(there) => assert!(there, "{case}: {key} was acknowledged and is gone"),
                            // A checkpoint or a copy of the index itself may have come to the step meanwhile.
                            Err(_) if life < 2 => break,
                            Err(error) => panic!("{case}: {key}: {error}"),
                        }
                    }
                } else if let Ok(index::Answer::BucketRow(_)) = index.propose(bucket_row()).await {
                    bucket = Some(samples::at(7, 1));
                }
                if let Some(bucket) = bucket {
                    let each = if life < 2 { usize::MAX } else { 5 };
                    acknowledged.extend(put_from_many(&index, bucket, &format!("{life}"), 4, each).await);
                }
                index.shutdown().await;
            }
            // The power may have gone while it was opened.
            Err(_) if life < 2 => {}
            Err(error) if acknowledged.is_empty() => panic!("{case}: nothing opens: {error}"),
            Err(error) => {
                panic!("{case}: {} keys were acknowledged and are gone, for nothing opens: {error}", acknowledged.len())
            }
        }
        disks = disks.iter().map(FaultyDisk::crash).collect();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_commands_survive_power_loss_on_one_mirror() {
    for step in (20..700).rev().step_by(9) {
        lose_power_at(1, step).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_commands_survive_power_loss_on_two_mirrors() {
    for step in (20..700).rev().step_by(19) {
        lose_power_at(2, step).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_commands_survive_power_loss_on_three_mirrors() {
    for step in (20..700).rev().step_by(29) {
        lose_power_at(3, step).await;
    }
}
