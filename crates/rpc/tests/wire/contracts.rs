//! The contract suites of shards and index, through the wire.

use index::contract::index_contract;
use rpc::server::Services;
use shards::contract::shard_service_contract;

use crate::world::{DISK, World, local_index, local_shards, over_tcp};

#[tokio::test(flavor = "multi_thread")]
async fn remote_shards_keep_the_contract() {
    let world = World::new(Services { shards: Some(local_shards().await), ..Services::default() }).await;
    shard_service_contract(&world.shards, DISK).await;
    assert_eq!(world.running.budget.reserved_bytes(), 0, "all memory is given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn remote_shards_keep_the_contract_over_tcp() {
    let (running, shards, _) = over_tcp(Services { shards: Some(local_shards().await), ..Services::default() }).await;
    shard_service_contract(&shards, DISK).await;
    assert_eq!(running.budget.reserved_bytes(), 0, "all memory is given back");
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
