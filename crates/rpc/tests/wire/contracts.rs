//! The contract suites of shards and index, through the wire.

use std::time::Duration;

use index::contract::index_contract;
use platform::MemoryBudget;
use rpc::server::Services;
use shards::contract::{archive_payload, archive_service_contract, read_archive, shard_service_contract};
use shards::{ARCHIVE_PAYLOAD_BYTES_MAX, ArchiveFile, ArchiveService};
use types::RangeId;

use crate::world::{DISK, World, local_index, local_shards, over_tcp};

/// Whoever served a call may still be ending it when the answer is here.
async fn all_memory_comes_back(budget: &MemoryBudget) {
    let back = async {
        while budget.reserved_bytes() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), back).await.expect("all memory is given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn remote_shards_keep_the_contract() {
    let world = World::new(Services { shards: Some(local_shards().await), ..Services::default() }).await;
    shard_service_contract(&world.shards, DISK).await;
    all_memory_comes_back(&world.running.budget).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn remote_shards_keep_the_contract_over_tcp() {
    let (running, shards, _) = over_tcp(Services { shards: Some(local_shards().await), ..Services::default() }).await;
    shard_service_contract(&shards, DISK).await;
    all_memory_comes_back(&running.budget).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_remote_archive_keeps_the_contract() {
    let world = World::new(Services { archive: Some(local_shards().await), ..Services::default() }).await;
    archive_service_contract(&world.archive, DISK).await;
    all_memory_comes_back(&world.running.budget).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn archive_records_of_any_length_come_whatever_page_is_asked_for() {
    let world = World::new(Services { archive: Some(local_shards().await), ..Services::default() }).await;
    let file = ArchiveFile { range: RangeId(1), generation: 1 };
    let lengths = [3 << 20, ARCHIVE_PAYLOAD_BYTES_MAX, 1];
    for (seq, bytes) in (0..).zip(lengths) {
        let payload = archive_payload(file, seq, bytes);
        world.archive.append_archive(DISK, file, seq, payload).await.expect("appended");
    }
    let read = read_archive(&world.archive, DISK, file, u64::MAX).await.expect("read");
    assert_eq!(read.len(), lengths.len());
    for (record, bytes) in read.into_iter().zip(lengths) {
        assert!(record.payload == Some(archive_payload(file, record.seq, bytes)), "record {}", record.seq);
    }
    all_memory_comes_back(&world.running.budget).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_remote_index_keeps_the_contract() {
    let world = World::new(Services { index: Some(local_index()), ..Services::default() }).await;
    index_contract(&world.index).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_remote_index_keeps_the_contract_over_tcp() {
    let (_running, _, index) = over_tcp(Services { index: Some(local_index()), ..Services::default() }).await;
    index_contract(&index).await;
}
