//! The shard service on directories of the operating system.

use std::sync::Arc;

use platform::{BufferPool, RealDisk, SystemEntropy, Workers};
use shards::contract::{self, shard_service_contract};
use shards::superblock::{DiskIdentity, format};
use shards::{LocalShards, ShardSettings, StoreEnvironment};
use types::{ClusterId, DiskId, NodeId};

fn environment(settings: ShardSettings) -> StoreEnvironment {
    StoreEnvironment { workers: Workers::new("shards", 2), pool: BufferPool::new(16 << 20), settings }
}

fn identity(disk: u8) -> DiskIdentity {
    DiskIdentity {
        cluster: ClusterId::from_bytes([1; 16]),
        node: NodeId::from_bytes([2; 16]),
        disk: DiskId::from_bytes([disk; 16]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_disk_holds_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk::open(directory.path()).unwrap());
    format(&*disk, identity(1), &SystemEntropy).unwrap();
    let shards = LocalShards::new(environment(ShardSettings::default()));
    let id = shards.add_disk(disk).await.unwrap();
    shards.set_slots(id, contract::claims()).await.unwrap();
    shard_service_contract(&shards, id).await;
}
