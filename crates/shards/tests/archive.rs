//! The archive files of a disk: what was acknowledged is there after a power loss at any step, damage is told from the
//! end, and nothing is acknowledged into a file that was deleted.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use platform::{Disk, FaultyDisk};
use shards::contract::{archive_payload, archive_service_contract, read_archive};
use shards::{ArchiveError, ArchiveFile, ArchiveService, LocalShards};
use support::{Random, faulty_disk, open, open_any, tiny_settings};
use types::{DiskId, RangeId};

const FILE: ArchiveFile = ArchiveFile { range: RangeId(1), generation: 3 };

fn path_of(file: ArchiveFile) -> PathBuf {
    Path::new("archive").join(format!("{:016x}-{:016x}.archive", file.range.0, file.generation))
}

async fn append(shards: &LocalShards, disk: DiskId, seq: u64, bytes: usize) -> Result<(), ArchiveError> {
    shards.append_archive(disk, FILE, seq, archive_payload(FILE, seq, bytes)).await
}

/// A file of three records on a disk.
async fn with_three_records(disk: &FaultyDisk) -> (LocalShards, DiskId) {
    let (shards, id) = open(disk, tiny_settings()).await.expect("opened");
    for seq in 0..3 {
        append(&shards, id, seq, 10_000).await.expect("appended");
    }
    (shards, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_of_the_archive_is_kept() {
    let (shards, id) = open(&faulty_disk(1), tiny_settings()).await.expect("opened");
    archive_service_contract(&shards, id).await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let real = platform::RealDisk::open(directory.path()).expect("opened");
    shards::superblock::format(&real, support::identity(1), &platform::SystemEntropy).expect("formatted");
    let (shards, id) = open_any(Arc::new(real), tiny_settings()).await.expect("opened");
    archive_service_contract(&shards, id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_archive_survives_a_power_loss_at_any_step() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let mut disk = faulty_disk(seed);
        // How long each acknowledged record is, and the one that was tried last.
        let (mut lengths, mut tried) = (Vec::new(), None);
        for crash in 0..6 {
            let context = format!("seed {seed}, after crash {crash}");
            let (shards, id) = open(&disk, tiny_settings()).await.unwrap_or_else(|error| panic!("{context}: {error}"));
            let read = match read_archive(&shards, id, FILE, 1 + random.below(9000)).await {
                Err(ArchiveError::Lost { .. }) => Vec::new(),
                read => read.unwrap_or_else(|error| panic!("{context}: {error}")),
            };
            let mut whole = read.into_iter().map_while(|record| Some((record.seq, record.payload?)));
            for (seq, bytes) in (0..).zip(&lengths) {
                let expected = (seq, archive_payload(FILE, seq, *bytes));
                assert!(whole.next() == Some(expected), "{context}: record {seq} was acknowledged and is not there");
            }
            // The one that was under way is there whole or not at all.
            if let Some((seq, payload)) = whole.next() {
                let bytes = tried.expect("nothing is there that was not written");
                assert!(payload == archive_payload(FILE, seq, bytes), "{context}: record {seq} is torn");
                lengths.push(bytes);
            }
            assert!(whole.next().is_none(), "{context}");
            tried = None;
            disk.power_off_at(disk.counts().steps + 1 + random.below(40));
            while disk.is_powered() {
                let bytes = 1 + random.below(20_000) as usize;
                if append(&shards, id, lengths.len() as u64, bytes).await.is_ok() {
                    lengths.push(bytes);
                } else {
                    tried = Some(bytes);
                    break;
                }
            }
            shards.close().await;
            disk = disk.crash();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_told_and_what_follows_it_is_read() {
    let disk = faulty_disk(1);
    let (shards, id) = with_three_records(&disk).await;
    disk.flip_bit(path_of(FILE), 64 + 10_064 + 64 + 5000).expect("flipped");
    let read = read_archive(&shards, id, FILE, 1).await.expect("read");
    let whole: Vec<_> = read.iter().map(|record| (record.seq, record.payload.is_some())).collect();
    assert_eq!(whole, [(0, true), (1, false), (2, true)]);
    // Behind a damaged head no record can be found.
    disk.flip_bit(path_of(FILE), 64 + 10_064 + 8).expect("flipped");
    assert_eq!(read_archive(&shards, id, FILE, 1).await.expect("read").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_into_a_deleted_archive_file() {
    let disk = faulty_disk(1);
    let (shards, id) = with_three_records(&disk).await;
    disk.remove(&path_of(FILE)).expect("removed");
    let appended = append(&shards, id, 3, 100).await;
    assert!(matches!(appended, Err(ArchiveError::Lost { file, .. }) if file == FILE), "{appended:?}");
    assert!(!shards.disk_states()[&id].is_down(), "the disk itself is as it was");
    disk.delete_directory();
    let other = ArchiveFile { generation: 4, ..FILE };
    let appended = shards.append_archive(id, other, 0, archive_payload(other, 0, 10)).await;
    assert!(matches!(appended, Err(ArchiveError::DiskDown { .. })), "{appended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_takes_no_archive_and_what_it_has_stays() {
    let disk = faulty_disk(1);
    let (shards, id) = with_three_records(&disk).await;
    let space = disk.space().expect("known");
    disk.set_capacity(space.total_bytes - space.free_bytes + 5000);
    let appended = append(&shards, id, 3, 10_000).await;
    assert!(matches!(appended, Err(ArchiveError::DiskFull { .. })), "{appended:?}");
    disk.set_capacity(space.total_bytes);
    append(&shards, id, 3, 10_000).await.expect("there is room again");
    assert_eq!(read_archive(&shards, id, FILE, u64::MAX).await.expect("read").len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_on_after_a_restart_where_it_ended() {
    let disk = faulty_disk(1);
    let (shards, id) = with_three_records(&disk).await;
    shards.close().await;
    let (shards, id_again) = open(&disk, tiny_settings()).await.expect("opened");
    assert_eq!(id, id_again);
    assert_eq!(shards.archives(id).await.expect("listed")[0].records, 3);
    append(&shards, id, 2, 10_000).await.expect("a repeat of the last one");
    append(&shards, id, 3, 10).await.expect("the next one");
    assert_eq!(read_archive(&shards, id, FILE, u64::MAX).await.expect("read").len(), 4);
}
