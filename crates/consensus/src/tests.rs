//! The replicated index as its users have it.

use std::sync::Arc;

use index::command::{BucketAt, BucketConfig};
use index::contract::{index_contract, samples};
use index::{Command, CommandBody, IndexService, IndexSettings, Query, QueryAnswer};
use platform::{Disk, RealDisk, SystemClock, SystemEntropy};
use types::{BucketId, NodeId};

use crate::testing::{FileRegistry, disk_id};
use crate::{ConsensusError, ConsensusSettings, DatabaseUpkeep, Disks, LogSettings, ReplicatedIndex};

fn settings(disks: Disks, mirrors: usize) -> ConsensusSettings {
    ConsensusSettings {
        registry: Arc::new(FileRegistry(disks.clone())),
        disks,
        node: NodeId::from_bytes([9; 16]),
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(SystemEntropy),
        log: LogSettings { mirrors, free_bytes_min: 1 << 20, ..LogSettings::default() },
        index: IndexSettings::default(),
        upkeep: DatabaseUpkeep::default(),
    }
}

/// Directories of this machine as disks.
struct RealDisks {
    directories: Vec<tempfile::TempDir>,
}

impl RealDisks {
    fn new(count: usize) -> Self {
        Self { directories: (0..count).map(|_| tempfile::tempdir().expect("a temporary directory")).collect() }
    }

    fn disks(&self) -> Disks {
        let open = |(number, directory): (usize, &tempfile::TempDir)| {
            let disk = RealDisk::open(directory.path()).ok()?;
            Some((disk_id(number), Arc::new(disk) as Arc<dyn Disk>))
        };
        self.directories.iter().enumerate().filter_map(open).collect()
    }
}

fn plain(body: CommandBody) -> Command {
    samples::plain(body)
}

/// A bucket, and commands that put into it.
async fn make_bucket(index: &ReplicatedIndex) -> BucketAt {
    let body = CommandBody::CreateBucketRow { id: BucketId(7), config: BucketConfig::default() };
    index.propose(plain(body)).await.expect("made");
    samples::at(7, 1)
}

fn put(bucket: BucketAt, key: &str, bytes: &[u8]) -> Command {
    let put = samples::put_object(bucket, samples::key(key), 1, samples::inline_part(1, bytes));
    plain(CommandBody::PutObject(Box::new(put)))
}

async fn is_there(index: &ReplicatedIndex, bucket: BucketAt, key: &str) -> bool {
    let which = index::command::WhichVersion::Newest;
    let query = Query::Version { bucket: bucket.id, key: samples::key(key), which };
    let QueryAnswer::Version { version, .. } = index.query(query).await.expect("answered") else { panic!("a version") };
    version.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_of_the_index_is_kept() {
    let disks = RealDisks::new(1);
    let index = ReplicatedIndex::open(settings(disks.disks(), 1)).await.expect("opened");
    index_contract(&index).await;
    index.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_of_the_index_is_kept_on_three_mirrors() {
    let disks = RealDisks::new(3);
    let index = ReplicatedIndex::open(settings(disks.disks(), 3)).await.expect("opened");
    index_contract(&index).await;
    index.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_needs_no_command_and_finds_everything() -> Result<(), ConsensusError> {
    let disks = RealDisks::new(2);
    let index = ReplicatedIndex::open(settings(disks.disks(), 2)).await?;
    let bucket = make_bucket(&index).await;
    for number in 0..20 {
        index.propose(put(bucket, &format!("key {number}"), b"bytes")).await.expect("put");
    }
    let voter = index.voter();
    index.shutdown().await;
    assert!(index.propose(put(bucket, "late", b"bytes")).await.is_err());
    drop(index);
    for _ in 0..3 {
        let index = ReplicatedIndex::open(settings(disks.disks(), 2)).await?;
        assert_eq!(index.voter(), voter);
        for number in 0..20 {
            assert!(is_there(&index, bucket, &format!("key {number}")).await);
        }
        assert!(!is_there(&index, bucket, "late").await);
        index.shutdown().await;
    }
    Ok(())
}
