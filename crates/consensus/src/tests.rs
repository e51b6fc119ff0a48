//! The replicated index as its users have it.

mod cluster;
mod failures;
mod levels;
mod power_loss;
mod recent;
mod splits;

use std::sync::Arc;
use std::time::Duration;

use index::command::{BucketAt, BucketConfig};
use index::contract::{index_contract, samples};
use index::{Command, CommandBody, FIRST_DATA_RANGE, IndexService, IndexSettings, Query, QueryAnswer};
use platform::{Disk, RealDisk, SystemClock, SystemEntropy};
use types::{BucketId, NodeId};

use crate::group::Group;
use crate::testing::{FileRegistry, disk_id};
use crate::{ConsensusError, ConsensusSettings, DatabaseUpkeep, Disks, Founding, LogSettings, ReplicatedIndex};

fn settings(disks: Disks, mirrors: usize) -> ConsensusSettings {
    ConsensusSettings {
        registry: Arc::new(FileRegistry(disks.clone())),
        disks,
        node: NodeId::from_bytes([9; 16]),
        peers: None,
        founding: Founding::Alone,
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(SystemEntropy),
        log: LogSettings { mirrors, free_bytes_min: 1 << 20, ..LogSettings::default() },
        index: IndexSettings::default(),
        recent_versions_bytes: 1 << 20,
        upkeep: DatabaseUpkeep::default(),
    }
}

/// Small segments, and checkpoints and purges all the time.
fn busy_settings(disks: Disks, mirrors: usize) -> ConsensusSettings {
    let log = LogSettings {
        mirrors,
        first_segment_bytes: 64 << 10,
        segment_bytes: 128 << 10,
        cache_bytes: 16 << 10,
        free_bytes_min: 4 << 20,
    };
    let upkeep = DatabaseUpkeep {
        checkpoint_bytes: 128 << 10,
        idle: Duration::from_millis(2),
        copy_log_bytes_min: 256 << 10,
        follower_log_bytes_max: 256 << 10,
        shutdown_copy_bytes_max: 0,
    };
    ConsensusSettings { log, upkeep, ..settings(disks, mirrors) }
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

/// Makes the bucket that keys are put into.
fn bucket_row() -> Command {
    samples::plain(CommandBody::CreateBucketRow { id: BucketId(7), config: BucketConfig::default() })
}

async fn make_bucket(index: &ReplicatedIndex) -> BucketAt {
    index.propose(bucket_row()).await.expect("made");
    samples::at(7, 1)
}

fn put(bucket: BucketAt, key: &str, bytes: &[u8]) -> Command {
    samples::put(bucket, key, 1, bytes)
}

/// Puts keys named `prefix` and a number from `callers` tasks at once, each until one is refused or it has put `each`;
/// returns those that were acknowledged.
async fn put_from_many(
    index: &Arc<ReplicatedIndex>,
    bucket: BucketAt,
    prefix: &str,
    callers: usize,
    each: usize,
) -> Vec<String> {
    let call = |caller: usize| {
        let (index, prefix) = (index.clone(), prefix.to_owned());
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0..each {
                let key = format!("{prefix} {caller} {number}");
                match index.propose(put(bucket, &key, &[7; 500])).await {
                    Ok(answer) => assert!(matches!(answer, index::Answer::Put { .. }), "{answer:?}"),
                    Err(_) => break,
                }
                acknowledged.push(key);
            }
            acknowledged
        })
    };
    let calls: Vec<_> = (0..callers).map(call).collect();
    let mut all = Vec::new();
    for call in calls {
        all.extend(call.await.expect("a caller"));
    }
    all
}

async fn assert_all_there(index: &ReplicatedIndex, bucket: BucketAt, keys: &[String], case: &str) {
    for key in keys {
        assert!(is_there(index, bucket, key).await, "{case}: {key} was acknowledged and is gone");
    }
}

/// Lets time pass until `condition` holds.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    });
    assert!(waited.await.is_ok(), "{what}: not within a minute");
}

async fn is_there(index: &ReplicatedIndex, bucket: BucketAt, key: &str) -> bool {
    look_up(index, bucket, key).await.expect("answered")
}

async fn look_up(index: &ReplicatedIndex, bucket: BucketAt, key: &str) -> Result<bool, index::IndexError> {
    let which = index::command::WhichVersion::Newest;
    let query = Query::Version { bucket: bucket.id, key: samples::key(key), which };
    let QueryAnswer::Version { version, .. } = index.query(query).await? else { panic!("a version") };
    Ok(version.is_some())
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

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_voter_needs_no_barrier_and_the_barrier_asks_for_no_more() {
    let disks = RealDisks::new(1);
    let index = ReplicatedIndex::open(settings(disks.disks(), 1)).await.expect("opened");
    let bucket = make_bucket(&index).await;
    let group = index.group(FIRST_DATA_RANGE);
    for number in 0..20 {
        let key = format!("key {number}");
        index.propose(put(bucket, &key, b"bytes")).await.expect("put");
        assert!(group.leads_alone());
        assert!(is_there(&index, bucket, &key).await);
        let needs = group.read_barrier().await.expect("it leads");
        assert!(index.status().applied[&FIRST_DATA_RANGE] > needs, "what was answered had been applied");
    }
    index.shutdown().await;
    until("the group ends", || !group.leads_alone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_listings_hold_up_no_lookup() {
    let disks = RealDisks::new(1);
    let index = Arc::new(ReplicatedIndex::open(settings(disks.disks(), 1)).await.expect("opened"));
    let bucket = make_bucket(&index).await;
    let keys = put_from_many(&index, bucket, "key", 32, 32).await;
    let list = || {
        let index = index.clone();
        tokio::spawn(async move {
            let answer = index.query(Query::Objects(samples::whole_bucket(7, 1000))).await.expect("answered");
            let QueryAnswer::Objects(page) = answer else { panic!("a page") };
            page.entries.len()
        })
    };
    // So many that a busy machine, which lets this test wait between its lookups, doesn't come to their end first.
    let listings: Vec<_> = (0..1000).map(|_| list()).collect();
    until("the first listing is answered", || listings[0].is_finished()).await;
    for key in keys.iter().take(10) {
        assert!(is_there(&index, bucket, key).await);
    }
    let waiting = listings.iter().filter(|listing| !listing.is_finished()).count();
    assert!(waiting > 0, "lookups were answered after all listings");
    for listing in listings {
        assert_eq!(listing.await.expect("no panic"), 1000);
    }
    index.shutdown().await;
}
