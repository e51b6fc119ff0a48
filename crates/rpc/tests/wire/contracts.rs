//! The contract suites of shards and index, through the wire.

use std::time::Duration;

use index::contract::index_contract;
use platform::MemoryBudget;
use rpc::server::Services;
use shards::contract::shard_service_contract;

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
async fn the_remote_index_keeps_the_contract() {
    let world = World::new(Services { index: Some(local_index()), ..Services::default() }).await;
    index_contract(&world.index).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_remote_index_keeps_the_contract_over_tcp() {
    let (_running, _, index) = over_tcp(Services { index: Some(local_index()), ..Services::default() }).await;
    index_contract(&index).await;
}
