//! Disks that fail, fill up, lose their directory or turn bits over while they serve.

mod support;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use platform::faulty::{Fault, FaultKind, Operation};
use platform::{Disk, DiskFile, FaultyDisk, OpenOptions};
use shards::contract::{self, address, assert_holds, body, header, shard_service_contract};
use shards::{DiskHealth, LocalShards, ShardError, ShardService, ShardSettings, SlotClaim, SuperblockError};
use support::{faulty_disk, list_all, open, tiny_settings};
use types::{DiskId, Integrity, PlacementGroupId, SlotEpoch};

async fn append(shards: &LocalShards, disk: DiskId, run: u64, bytes: usize) -> Result<(), ShardError> {
    let address = address(1, run, 0);
    shards.append(disk, header(address, Integrity::Xxh3), body(&address, bytes)).await
}

async fn free(shards: &LocalShards, disk: DiskId, runs: impl IntoIterator<Item = u64>) -> Result<(), ShardError> {
    let runs = runs.into_iter().map(|run| address(1, run, 0).run).collect();
    shards.free(disk, PlacementGroupId(1), runs).await
}

/// The segment files of a kind, in order of number.
fn segments(disk: &FaultyDisk, kind: &str) -> Vec<String> {
    let mut names = disk.list(Path::new("segments")).expect("listed");
    names.retain(|name| name.ends_with(kind));
    names.sort_unstable();
    names.into_iter().map(|name| format!("segments/{name}")).collect()
}

fn content(disk: &FaultyDisk, path: &str) -> Vec<u8> {
    let file: Arc<dyn DiskFile> = disk.open(Path::new(path), OpenOptions::EXISTING).expect("opened");
    let mut bytes = vec![0; file.status().expect("known").bytes as usize];
    file.read_at(&mut bytes, 0).expect("read");
    bytes
}

/// Where some bytes lie in some segment.
fn find(disk: &FaultyDisk, kind: &str, needle: &[u8]) -> (String, u64) {
    for path in segments(disk, kind) {
        if let Some(at) = memchr::memmem::find(&content(disk, &path), needle) {
            return (path, at as u64);
        }
    }
    panic!("the bytes are in no segment");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_disk_without_faults_holds_the_contract() {
    let disk = faulty_disk(1);
    for settings in [ShardSettings::default(), tiny_settings()] {
        let (shards, id) = open(&disk, settings).await.unwrap();
        shards.set_slots(id, contract::claims()).await.unwrap();
        shard_service_contract(&shards, id).await;
        let runs: Vec<_> = list_all(&shards, id).await.into_iter().map(|(address, _)| address).collect();
        for address in runs {
            shards.free(id, address.group, vec![address.run]).await.unwrap();
        }
        shards.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_or_write_takes_the_disk_down_at_once_and_is_never_tried_again() {
    for (operation, kind) in [
        (Operation::Sync, FaultKind::InputOutput),
        (Operation::Sync, FaultKind::StorageFull),
        (Operation::Write, FaultKind::InputOutput),
    ] {
        for bytes in [3000, 100_000] {
            let disk = faulty_disk(2);
            let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
            let mut watch = shards.watch();
            append(&shards, id, 1, bytes).await.unwrap();
            shards.settle(id).await.unwrap();
            disk.inject(Fault::once(operation).with(kind));
            let failed = append(&shards, id, 2, bytes).await;
            assert!(matches!(failed, Err(ShardError::DiskDown { disk, .. }) if disk == id), "{failed:?}");
            let states = watch.wait_for(|states| states[&id].is_down()).await.unwrap().clone();
            assert!(states[&id].is_down());
            let before = disk.counts();
            for refused in [append(&shards, id, 3, bytes).await, free(&shards, id, [1]).await] {
                assert!(matches!(refused, Err(ShardError::DiskDown { .. })), "{refused:?}");
            }
            assert!(matches!(shards.read(id, address(1, 1, 0), 0..1).await, Err(ShardError::DiskDown { .. })));
            shards.close().await;
            assert_eq!(disk.counts().steps, before.steps, "a disk that is down was written to");
            // Readmitted: what was acknowledged is there.
            let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
            assert_holds(&shards, id, &address(1, 1, 0), bytes).await;
            append(&shards, id, 3, bytes).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_remounted_read_only_goes_down() {
    let disk = faulty_disk(3);
    let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
    append(&shards, id, 1, 3000).await.unwrap();
    disk.set_read_only(true);
    assert!(matches!(append(&shards, id, 2, 3000).await, Err(ShardError::DiskDown { .. })));
    assert!(shards.disk_states()[&id].is_down());
}

/// Files of a deleted directory still take writes and syncs, so only a look by path tells. Appends run all the time;
/// none that begins after the deletion may be acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_into_a_deleted_directory() {
    for (seed, restored) in (0..6).flat_map(|seed| [(seed, false), (seed, true)]) {
        let disk = faulty_disk(seed);
        let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
        let shards = Arc::new(shards);
        append(&shards, id, 1, 3000).await.unwrap();
        append(&shards, id, 2, 100_000).await.unwrap();
        let load = tokio::spawn({
            let shards = Arc::clone(&shards);
            async move {
                for run in 1000.. {
                    if append(&shards, id, run, if run % 3 == 0 { 100_000 } else { 2000 }).await.is_err() {
                        return;
                    }
                }
            }
        });
        for run in 0..seed {
            append(&shards, id, 100 + run, 2000).await.unwrap();
        }
        disk.delete_directory();
        if restored {
            disk.restore_directory();
        }
        for bytes in [2000, 100_000] {
            let late = append(&shards, id, 500 + bytes as u64, bytes).await;
            assert!(matches!(late, Err(ShardError::DiskDown { .. })), "acknowledged into nowhere: {late:?}");
        }
        load.await.unwrap();
        assert!(shards.disk_states()[&id].is_down());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_disk_whose_directory_is_gone_is_noticed_by_probing() {
    let disk = faulty_disk(4);
    let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
    assert_eq!(shards.probe(id).await.unwrap(), DiskHealth::Up);
    disk.delete_directory();
    assert!(shards.probe(id).await.unwrap().is_down());
    assert!(shards.disk_states()[&id].is_down());
}

/// The mirror set stands in superblocks: one that nobody will find again must not count.
#[tokio::test(flavor = "multi_thread")]
async fn a_superblock_of_a_deleted_directory_takes_no_change() {
    let disk = faulty_disk(4);
    let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
    disk.delete_directory();
    let changed = shards.update_superblock(id, |superblock| drop(superblock.notes.insert("a".into(), vec![]))).await;
    assert!(matches!(changed, Err(ShardError::DiskDown { .. })), "{changed:?}");
    assert!(shards.disk_states()[&id].is_down());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_serves_reads_and_frees_and_takes_shards_again_when_there_is_room() {
    for bytes in [20_000, 200_000] {
        let disk = faulty_disk(5);
        disk.set_capacity(6 << 20);
        let settings = ShardSettings { free_bytes_min: 512 << 10, ..tiny_settings() };
        let (shards, id) = open(&disk, settings).await.unwrap();
        let mut stored = 0;
        let full = loop {
            match append(&shards, id, stored, bytes).await {
                Ok(()) => stored += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(full, ShardError::DiskFull { .. }), "{full}");
        assert_eq!(shards.disk_states()[&id], DiskHealth::Full);
        for run in 0..stored {
            assert_holds(&shards, id, &address(1, run, 0), bytes).await;
        }
        free(&shards, id, (0..stored).filter(|run| run % 4 != 0)).await.unwrap();
        shards.settle(id).await.unwrap();
        assert_eq!(shards.disk_states()[&id], DiskHealth::Up, "there is room again");
        for run in 1000..1000 + stored / 2 {
            append(&shards, id, run, bytes).await.unwrap();
        }
        shards.close().await;
        let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
        for run in (0..stored).step_by(4).chain(1000..1000 + stored / 2) {
            assert_holds(&shards, id, &address(1, run, 0), bytes).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_up_again_when_others_make_room() {
    let disk = faulty_disk(6);
    disk.set_capacity(3 << 20);
    let settings = ShardSettings { free_bytes_min: 512 << 10, ..tiny_settings() };
    let (shards, id) = open(&disk, settings).await.unwrap();
    let mut run = 0;
    while append(&shards, id, run, 100_000).await.is_ok() {
        run += 1;
    }
    assert_eq!(shards.probe(id).await.unwrap(), DiskHealth::Full);
    disk.set_capacity(30 << 20);
    assert_eq!(shards.probe(id).await.unwrap(), DiskHealth::Up);
    append(&shards, id, 1000, 100_000).await.unwrap();
}

/// Room runs out under a write, in spite of the floor: the batch is refused, nothing is down, nothing else is lost.
#[tokio::test(flavor = "multi_thread")]
async fn no_space_under_a_write_refuses_the_batch_alone() {
    for (bytes, operation) in [(3000, Operation::Write), (100_000, Operation::Write), (100_000, Operation::Allocate)] {
        let disk = faulty_disk(7);
        let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
        for run in 0..4 {
            append(&shards, id, run, bytes).await.unwrap();
        }
        shards.settle(id).await.unwrap();
        disk.inject(Fault::once(operation).with(FaultKind::StorageFull));
        let mut refused = 0;
        for run in 10..20 {
            match append(&shards, id, run, bytes).await {
                Ok(()) => {}
                Err(ShardError::DiskFull { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(refused, 1);
        shards.close().await;
        let (shards, id) = open(&disk.crash(), tiny_settings()).await.unwrap();
        assert_eq!(list_all(&shards, id).await.len(), 13);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_corrupt_and_appending_again_mends_it() {
    for bytes in [3000, 100_000, 300_000] {
        let kind = if bytes > 65_536 { "large" } else { "small" };
        for at in [0, bytes - 1] {
            let disk = faulty_disk(8);
            let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
            for run in 0..3 {
                append(&shards, id, run, bytes).await.unwrap();
            }
            let broken = address(1, 1, 0);
            let (path, start) = find(&disk, kind, &body(&broken, bytes).concat());
            disk.flip_bit(&path, start + at as u64).unwrap();
            let read = shards.read(id, broken, 0..bytes as u64).await;
            assert!(matches!(read, Err(ShardError::Corrupt { address, .. }) if address == broken), "{read:?}");
            let verified = shards.verify_next(id, None, 10).await.unwrap();
            assert_eq!(verified.iter().map(|shard| shard.intact).collect::<Vec<_>>(), [true, false, true]);
            assert!(shards.usage(id).await.unwrap().bad_reads >= 2);
            assert_eq!(shards.disk_states()[&id], DiskHealth::Up, "one bad shard is no reason to give a disk up");
            append(&shards, id, 1, bytes).await.unwrap();
            for run in 0..3 {
                assert_holds(&shards, id, &address(1, run, 0), bytes).await;
            }
            shards.settle(id).await.unwrap();
            shards.close().await;
            let (shards, id) = open(&disk.crash(), tiny_settings()).await.unwrap();
            assert_holds(&shards, id, &broken, bytes).await;
        }
    }
}

/// Only the blocks that a range touches are read and verified.
#[tokio::test(flavor = "multi_thread")]
async fn ranges_beside_a_bad_block_are_served() {
    let disk = faulty_disk(9);
    let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
    append(&shards, id, 1, 300_000).await.unwrap();
    let whole = body(&address(1, 1, 0), 300_000).concat();
    let (path, start) = find(&disk, "large", &whole);
    disk.flip_bit(&path, start + 70_000).unwrap();
    for (range, intact) in
        [(0..65_536, true), (65_535..65_537, false), (65_536..65_537, false), (131_072..300_000, true)]
    {
        let read = shards.read(id, address(1, 1, 0), range.clone()).await;
        match read {
            Ok(pieces) => assert!(intact && pieces.concat() == whole[range.start as usize..range.end as usize]),
            Err(error) => assert!(!intact && matches!(error, ShardError::Corrupt { .. }), "{range:?}: {error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_error_is_corrupt_and_takes_nothing_down() {
    let disk = faulty_disk(10);
    let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
    append(&shards, id, 1, 3000).await.unwrap();
    for path in segments(&disk, "small") {
        disk.inject(Fault::once(Operation::Read).on(path).forever());
    }
    let read = shards.read(id, address(1, 1, 0), 0..10).await;
    assert!(matches!(read, Err(ShardError::Corrupt { .. })), "{read:?}");
    disk.heal();
    assert_eq!(shards.disk_states()[&id], DiskHealth::Up);
    assert_holds(&shards, id, &address(1, 1, 0), 3000).await;
}

/// A damaged header in a tail that the index doesn't know: that shard is lost, those after it are not.
#[tokio::test(flavor = "multi_thread")]
async fn a_scan_goes_on_behind_a_damaged_header() {
    for bytes in [3000, 100_000] {
        let kind = if bytes > 65_536 { "large" } else { "small" };
        let settings = ShardSettings { recent_entries_max: 1000, ..tiny_settings() };
        let disk = faulty_disk(11);
        let (shards, id) = open(&disk, settings.clone()).await.unwrap();
        shards.settle(id).await.unwrap();
        for run in 0..6 {
            append(&shards, id, run, bytes).await.unwrap();
        }
        let (path, body_start) = find(&disk, kind, &body(&address(1, 2, 0), bytes).concat());
        let header_start = if kind == "large" { body_start - 4096 } else { body_start - 40 };
        disk.flip_bit(&path, header_start + 30).unwrap();
        // The power goes without a flush.
        let disk = disk.crash();
        let (shards, id) = open(&disk, settings).await.unwrap();
        for run in [0, 1, 3, 4, 5] {
            assert_holds(&shards, id, &address(1, run, 0), bytes).await;
        }
        assert!(matches!(shards.read(id, address(1, 2, 0), 0..1).await, Err(ShardError::Missing { .. })));
        assert_eq!(shards.usage(id).await.unwrap().damaged_records, 1);
        append(&shards, id, 2, bytes).await.unwrap();
        assert_holds(&shards, id, &address(1, 2, 0), bytes).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_deleted_index_is_made_anew_by_scanning() {
    for damage in ["flip", "garbage", "delete"] {
        let disk = faulty_disk(12);
        let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
        for run in 0..60 {
            append(&shards, id, run, if run % 5 == 0 { 100_000 } else { 3000 }).await.unwrap();
        }
        free(&shards, id, (0..60).filter(|run| run % 2 == 0)).await.unwrap();
        shards.settle(id).await.unwrap();
        shards.close().await;
        drop(shards);
        let index = Path::new("shards.db");
        match damage {
            "flip" => (16..1000).for_each(|at| disk.flip_bit("shards.db", at).unwrap()),
            "garbage" => {
                let file = disk.open(index, OpenOptions::EXISTING).unwrap();
                file.write_all_at(&[std::io::IoSlice::new(&[0x5a; 8192])], 0).unwrap();
            }
            _ => disk.remove(index).unwrap(),
        }
        let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
        for run in 0..60 {
            let bytes = if run % 5 == 0 { 100_000 } else { 3000 };
            if run % 2 == 1 {
                assert_holds(&shards, id, &address(1, run, 0), bytes).await;
            } else {
                assert!(shards.read(id, address(1, run, 0), 0..1).await.is_err(), "{damage}: {run} is back");
            }
        }
        assert_eq!(list_all(&shards, id).await.len(), 30);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_segment_header_costs_nothing() {
    let disk = faulty_disk(13);
    let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
    for run in 0..60 {
        append(&shards, id, run, if run % 5 == 0 { 100_000 } else { 3000 }).await.unwrap();
    }
    shards.close().await;
    drop(shards);
    for path in segments(&disk, "small").into_iter().chain(segments(&disk, "large")) {
        disk.flip_bit(&path, 20).unwrap();
        disk.flip_bit(&path, 2048 + 20).unwrap();
    }
    for _ in 0..2 {
        let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
        for run in 0..60 {
            assert_holds(&shards, id, &address(1, run, 0), if run % 5 == 0 { 100_000 } else { 3000 }).await;
        }
        shards.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_damaged_superblock_copy_is_mended_and_two_are_refused() {
    let disk = faulty_disk(14);
    for copy in [0, 128 * 1024] {
        disk.flip_bit("superblock", copy + 50).unwrap();
        let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
        assert_eq!(shards.superblock(id).unwrap().slots, contract::claims());
        shards.close().await;
    }
    for copy in [0, 128 * 1024] {
        disk.flip_bit("superblock", copy + 50).unwrap();
    }
    assert!(matches!(shards::superblock::inspect(&disk), Err(SuperblockError::Damaged)));
}

#[tokio::test(flavor = "multi_thread")]
async fn small_segments_are_compacted_and_large_ones_give_their_blocks_back() {
    let disk = faulty_disk(15);
    let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
    for run in 0..400 {
        append(&shards, id, run, if run % 10 == 0 { 150_000 } else { 4000 }).await.unwrap();
    }
    shards.settle(id).await.unwrap();
    let before = shards.usage(id).await.unwrap();
    let lives = |run: u64| run.is_multiple_of(7);
    free(&shards, id, (0..400).filter(|run| !lives(*run))).await.unwrap();
    shards.settle(id).await.unwrap();
    let after = shards.usage(id).await.unwrap();
    assert_eq!(after.shards, (0..400).filter(|run| lives(*run)).count() as u64);
    let used = |usage: shards::DiskUsage| usage.total_bytes - usage.free_bytes;
    assert!(used(after) < used(before) / 2, "{} of {} bytes are still used", used(after), used(before));
    assert!(after.dead_bytes < 512 << 10, "{} dead bytes are not won back", after.dead_bytes);
    for rebuilt in [false, true] {
        for run in 0..400 {
            let read = shards.read(id, address(1, run, 0), 0..1).await;
            assert_eq!(read.is_ok(), lives(run), "run {run}, {rebuilt}: {read:?}");
        }
    }
    shards.close().await;
    disk.remove(Path::new("shards.db")).unwrap();
    let (shards, id) = open(&disk.crash(), tiny_settings()).await.unwrap();
    for run in 0..400 {
        let read = shards.read(id, address(1, run, 0), 0..1).await;
        assert_eq!(read.is_ok(), lives(run), "run {run} after a scan: {read:?}");
    }
}

/// A client that knows the format, and even has seen this disk's records, stores them as bodies. With the headers of
/// its own records destroyed, a scan looks for headers within those bodies, and must take none.
#[tokio::test(flavor = "multi_thread")]
async fn client_bytes_never_pass_for_a_record() {
    for kind in ["small", "large"] {
        let victim_bytes = if kind == "small" { 2000 } else { 70_000 };
        let disk = faulty_disk(16);
        let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
        append(&shards, id, 1, victim_bytes).await.unwrap();
        let (path, start) = find(&disk, kind, &body(&address(1, 1, 0), victim_bytes).concat());
        let record_start = if kind == "small" { 4096 } else { start as usize - 4096 };
        let stolen = content(&disk, &path)[record_start..start as usize + victim_bytes].to_vec();
        let mut forged = vec![7; 4096];
        forged.extend_from_slice(&stolen);
        forged.resize(forged.len().next_multiple_of(4096), 7);
        let forger = address(1, 2, 0);
        let pieces = vec![Bytes::from(forged.clone())];
        shards.append(id, header(forger, Integrity::Xxh3), pieces).await.unwrap();
        append(&shards, id, 3, victim_bytes).await.unwrap();
        free(&shards, id, [1]).await.unwrap();
        shards.settle(id).await.unwrap();
        shards.close().await;
        drop(shards);
        let (path, start) = find(&disk, kind, &forged);
        disk.flip_bit(&path, start - if kind == "small" { 40 } else { 4080 }).unwrap();
        disk.remove(Path::new("shards.db")).unwrap();
        let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
        let listed: Vec<_> = list_all(&shards, id).await.into_iter().map(|(address, _)| address.run.tail).collect();
        assert_eq!(listed, [3], "of {kind} records");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_slot_takes_nothing_more_even_after_a_restart() {
    let disk = faulty_disk(17);
    let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
    append(&shards, id, 1, 3000).await.unwrap();
    let sealed: Vec<_> = contract::claims().into_iter().map(|claim| SlotClaim { sealed: true, ..claim }).collect();
    shards.set_slots(id, sealed.clone()).await.unwrap();
    assert!(matches!(append(&shards, id, 2, 3000).await, Err(ShardError::Stale { .. })));
    shards.close().await;
    let disk = disk.crash();
    let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
    assert_eq!(shards.superblock(id).unwrap().slots, sealed);
    assert!(matches!(append(&shards, id, 2, 100_000).await, Err(ShardError::Stale { owned: SlotEpoch(7), .. })));
    assert_holds(&shards, id, &address(1, 1, 0), 3000).await;
}

/// The SQLite index has no room: its entries stay in memory, everything is served, and is there after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_without_room_costs_nothing() {
    let disk = faulty_disk(18);
    let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
    shards.settle(id).await.unwrap();
    disk.inject(Fault::once(Operation::Write).on("shards.db-wal").with(FaultKind::StorageFull).forever());
    for run in 0..100 {
        append(&shards, id, run, 2000).await.unwrap();
    }
    free(&shards, id, (0..100).filter(|run| run % 3 == 0)).await.unwrap();
    shards.settle(id).await.unwrap();
    assert_two_thirds(&shards, id).await;
    shards.close().await;
    let (shards, id) = open(&disk.crash(), tiny_settings()).await.unwrap();
    assert_two_thirds(&shards, id).await;
}

async fn assert_two_thirds(shards: &LocalShards, id: DiskId) {
    for run in 0..100 {
        let read = shards.read(id, address(1, run, 0), 0..1).await;
        assert_eq!(read.is_ok(), run % 3 != 0, "run {run}: {read:?}");
    }
}

/// The index turns bad under a running disk: it is made anew from the segments without anybody's command.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_turns_bad_while_serving_is_made_anew() {
    let disk = faulty_disk(19);
    let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
    for run in 0..2000 {
        append(&shards, id, run, 300).await.unwrap();
    }
    shards.settle(id).await.unwrap();
    let pages = content(&disk, "shards.db").len() / 4096;
    assert!(pages > 20, "the index is too small to be read page by page");
    // The header of each page but the first few, which every connection has in its cache.
    for page in 4..pages as u64 {
        for at in 0..8 {
            disk.flip_bit("shards.db", page * 4096 + at).unwrap();
        }
    }
    let mut watch = shards.watch();
    let mut damaged = false;
    for run in 0..2000 {
        damaged |= matches!(shards.read(id, address(1, run, 0), 0..1).await, Err(ShardError::DiskDown { .. }));
        if damaged {
            break;
        }
    }
    assert!(damaged, "nobody noticed");
    watch.wait_for(|states| states[&id] == DiskHealth::Up).await.unwrap();
    for run in 0..2000 {
        assert_holds(&shards, id, &address(1, run, 0), 300).await;
    }
}

/// The file system is full to the last byte when the process starts.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_a_free_byte_opens_and_frees() {
    for crashed in [false, true] {
        for bytes in [3000, 100_000] {
            let disk = faulty_disk(20);
            let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
            for run in 0..100 {
                append(&shards, id, run, bytes).await.unwrap();
            }
            shards.close().await;
            drop(shards);
            let disk = if crashed { disk.crash() } else { disk };
            let space = disk.space().unwrap();
            disk.set_capacity(space.total_bytes - space.free_bytes);
            let (shards, id) = open(&disk, tiny_settings()).await.unwrap();
            for run in 0..100 {
                assert_holds(&shards, id, &address(1, run, 0), bytes).await;
            }
            free(&shards, id, 0..90).await.unwrap();
            shards.settle(id).await.unwrap();
            append(&shards, id, 200, bytes).await.unwrap();
            for run in 90..100 {
                assert_holds(&shards, id, &address(1, run, 0), bytes).await;
            }
        }
    }
}

/// Tombstones of shards whose segments are still in use must be kept, and moving them about would never end.
#[tokio::test(flavor = "multi_thread")]
async fn needed_tombstones_fill_segments_and_are_dropped_when_no_longer_needed() {
    const SHARDS: u64 = 5000;
    let disk = faulty_disk(21);
    let settings = ShardSettings { recent_entries_max: 500, ..tiny_settings() };
    let (shards, id) = open(&disk, settings.clone()).await.unwrap();
    for first in (0..SHARDS).step_by(100) {
        futures::future::try_join_all((first..first + 100).map(|run| append(&shards, id, run, 50))).await.unwrap();
    }
    let freed: Vec<_> = (0..SHARDS).filter(|run| run % 5 < 2).collect();
    for some in freed.chunks(100) {
        futures::future::try_join_all(some.iter().map(|run| free(&shards, id, [*run]))).await.unwrap();
    }
    shards.settle(id).await.unwrap();
    shards.close().await;
    disk.remove(Path::new("shards.db")).unwrap();
    let (shards, id) = open(&disk.crash(), settings).await.unwrap();
    assert_eq!(list_all(&shards, id).await.len() as u64, SHARDS - freed.len() as u64);
    let rest: Vec<_> = (0..SHARDS).filter(|run| run % 3 != 0).collect();
    for some in rest.chunks(100) {
        free(&shards, id, some.iter().copied()).await.unwrap();
    }
    shards.settle(id).await.unwrap();
    let left = shards.usage(id).await.unwrap();
    assert!(left.dead_bytes < left.live_bytes + (600 << 10), "tombstones are piling up: {left:?}");
    assert_eq!(left.shards, (0..SHARDS).filter(|run| run % 5 >= 2 && run.is_multiple_of(3)).count() as u64);
}
