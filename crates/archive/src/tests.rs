//! The archive as a whole: an index on disks in memory is archived there, disks fail, the power goes, and what was
//! archived is taken into another database.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use consensus::{
    ConsensusSettings, DatabaseUpkeep, Disks, Founding, LogSettings, MirrorRegistry, MirrorSet, ReplicatedIndex,
};
use index::command::{BucketConfig, WhichVersion};
use index::contract::samples;
use index::{CommandBody, FIRST_DATA_RANGE, IndexDatabase, IndexService, IndexSettings, QueryAnswer, SYSTEM_RANGE};
use parking_lot::Mutex;
use platform::{BufferPool, Disk, FaultyDisk, SystemClock, SystemEntropy, Workers};
use shards::superblock::{DiskIdentity, format};
use shards::{ArchiveFile, ArchiveService, LocalShards, ShardSettings, StoreEnvironment};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use types::{BucketId, ClusterId, DiskId, DiskState, Layout, NodeId, RangeId};

use crate::archiver::{ArchiveSettings, ArchiveStatus, Archiver, ArchiverParts};
use crate::entry::ArchiveEntry;
use crate::rebuild::{Blocking, RebuildProgress};
use crate::restore::{FoundArchive, RestoredRange, archived_ranges, restore_range};

/// Keeps the mirror set in memory: no test of these loses it.
#[derive(Debug, Clone, Default)]
struct MemoryRegistry(Arc<Mutex<BTreeMap<DiskId, MirrorSet>>>);

impl MirrorRegistry for MemoryRegistry {
    fn read(&self) -> io::Result<Vec<(DiskId, Option<MirrorSet>)>> {
        Ok(self.0.lock().iter().map(|(disk, set)| (*disk, Some(set.clone()))).collect())
    }

    fn write(&self, disk: DiskId, set: &MirrorSet) -> io::Result<()> {
        self.0.lock().insert(disk, set.clone());
        Ok(())
    }
}

/// An index whose log lies on a disk of its own, so that the others' faults are the archive's alone.
struct World {
    archive_disks: Vec<FaultyDisk>,
    index_disks: Disks,
    registry: MemoryRegistry,
    shards: Arc<LocalShards>,
    index: Arc<ReplicatedIndex>,
    layout: watch::Sender<Arc<Layout>>,
    settings: ArchiveSettings,
    running: Option<(watch::Sender<bool>, JoinHandle<()>, ArchiveStatus)>,
    puts: u64,
}

fn disk_id(number: usize) -> DiskId {
    DiskId::from_bytes([u8::try_from(number + 1).expect("few disks"); 16])
}

async fn open_shards(disks: &[FaultyDisk]) -> Arc<LocalShards> {
    let settings = ShardSettings {
        small_segment_bytes: 256 << 10,
        large_segment_bytes: 1 << 20,
        large_allocation_bytes: 256 << 10,
        free_bytes_min: 0,
        ..ShardSettings::default()
    };
    let workers = Workers::new("archive-tests", 2);
    let shards = LocalShards::new(StoreEnvironment { workers, pool: BufferPool::new(1 << 20), settings });
    for disk in disks {
        shards.add_disk(Arc::new(disk.clone())).await.expect("opened");
    }
    Arc::new(shards)
}

impl World {
    async fn new(disks: usize, settings: ArchiveSettings) -> Self {
        let archive_disks: Vec<FaultyDisk> = (0..disks).map(|number| FaultyDisk::new(number as u64)).collect();
        for (number, disk) in archive_disks.iter().enumerate() {
            let (cluster, node) = (ClusterId::from_bytes([1; 16]), NodeId::from_bytes([2; 16]));
            format(disk, DiskIdentity { cluster, node, disk: disk_id(number) }, &SystemEntropy).expect("formatted");
        }
        let row = |number: usize| types::Disk {
            id: disk_id(number),
            node: NodeId::from_bytes([2; 16]),
            path: String::new(),
            mount_point: false,
            capacity_bytes: 1,
            state: DiskState::Up,
        };
        let layout = Layout { disks: (0..disks).map(row).collect(), ..Layout::default() };
        let index_disks: Disks = vec![(DiskId::from_bytes([99; 16]), Arc::new(FaultyDisk::new(99)) as Arc<dyn Disk>)];
        let registry = MemoryRegistry::default();
        let index = open_index(&index_disks, &registry).await;
        let bucket = CommandBody::CreateBucketRow { id: BucketId(7), config: BucketConfig::default() };
        index.propose(samples::plain(bucket)).await.expect("made");
        Self {
            shards: open_shards(&archive_disks).await,
            archive_disks,
            index_disks,
            registry,
            index,
            layout: watch::Sender::new(Arc::new(layout)),
            settings,
            running: None,
            puts: 0,
        }
    }

    fn start(&mut self) {
        let archiver = Archiver::new(ArchiverParts {
            index: self.index.clone(),
            disks: self.shards.clone(),
            layout: self.layout.subscribe(),
            clock: Arc::new(SystemClock::new()),
            settings: self.settings.clone(),
        });
        let status = archiver.status();
        let (stop, stopped) = watch::channel(false);
        self.running = Some((stop, tokio::spawn(archiver.run(stopped)), status));
    }

    async fn stop(&mut self) {
        let (stop, task, _) = self.running.take().expect("it runs");
        stop.send_replace(true);
        task.await.expect("the archiver ends well");
    }

    fn status(&self) -> &ArchiveStatus {
        &self.running.as_ref().expect("it runs").2
    }

    async fn put(&mut self, count: u64) {
        for _ in 0..count {
            let put = samples::put(samples::at(7, 1), &format!("key {}", self.puts), 1, &[7; 500]);
            self.index.propose(put).await.expect("put");
            self.puts += 1;
        }
    }

    async fn archived(&self) {
        until("everything is archived", || self.status().lag() == Some(Duration::ZERO)).await;
    }

    /// The archive's files on a disk of this number.
    async fn files(&self, disk: usize) -> Vec<ArchiveFile> {
        let stored = self.shards.archives(disk_id(disk)).await.unwrap_or_default();
        stored.into_iter().map(|stored| stored.file).collect()
    }
}

async fn open_index(disks: &Disks, registry: &MemoryRegistry) -> Arc<ReplicatedIndex> {
    let settings = ConsensusSettings {
        disks: disks.clone(),
        registry: Arc::new(registry.clone()),
        node: NodeId::from_bytes([2; 16]),
        peers: None,
        founding: Founding::Alone,
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(SystemEntropy),
        // Small segments, checkpoints and purges all the time.
        log: LogSettings {
            mirrors: 1,
            first_segment_bytes: 64 << 10,
            segment_bytes: 128 << 10,
            cache_bytes: 4 << 10,
            free_bytes_min: 1 << 20,
        },
        index: IndexSettings::default(),
        recent_versions_bytes: 1 << 20,
        upkeep: DatabaseUpkeep {
            checkpoint_bytes: 64 << 10,
            idle: Duration::from_millis(2),
            copy_log_bytes_min: 128 << 10,
            follower_log_bytes_max: 256 << 10,
            shutdown_copy_bytes_max: 0,
        },
    };
    Arc::new(ReplicatedIndex::open(settings).await.expect("opened"))
}

/// Few bytes of log, so that generations follow one another.
fn settings(copies: usize) -> ArchiveSettings {
    ArchiveSettings { copies, period: Duration::from_millis(10), log_bytes_min: 30_000 }
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    });
    assert!(waited.await.is_ok(), "{what}: not within a minute");
}

/// Takes the archive of the disks that are here into a database; says how each range was restored.
async fn restored(shards: Arc<LocalShards>) -> (IndexDatabase, Vec<Result<RestoredRange, String>>) {
    let disks: Vec<DiskId> = shards.disk_states().keys().copied().collect();
    let handle = tokio::runtime::Handle::current();
    let restore = move || {
        let blocking = Blocking::new(handle, RebuildProgress::default());
        let mut database = IndexDatabase::in_memory().expect("made");
        let mut ranges = blocking.wait(archived_ranges(&*shards, &disks));
        ranges.extend([SYSTEM_RANGE, FIRST_DATA_RANGE]);
        let restore = |range| {
            let found = blocking.wait(FoundArchive::look(&*shards, &disks, range));
            restore_range(&blocking, &*shards, &found, range, &mut database).expect("no database fails")
        };
        let ranges = ranges.into_iter().map(restore).collect();
        database.merge_ranges().expect("merged");
        (database, ranges)
    };
    tokio::task::spawn_blocking(restore).await.expect("no panic")
}

fn has(database: &mut IndexDatabase, number: u64) -> bool {
    let query = samples::ask_version(7, &format!("key {number}"), WhichVersion::Newest);
    matches!(database.query(&query).expect("answered"), QueryAnswer::Version { version: Some(_), .. })
}

async fn assert_restores(shards: Arc<LocalShards>, puts: u64, case: &str) {
    let (mut database, ranges) = restored(shards).await;
    assert!(ranges.iter().all(Result::is_ok), "{case}: {ranges:?}");
    for number in 0..puts {
        assert!(has(&mut database, number), "{case}: key {number} of {puts} was archived and is not there");
    }
    assert_eq!(database.verify().expect("read"), Vec::<String>::new(), "{case}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_archive_has_all_that_was_committed_in_one_generation_a_range() {
    let mut world = World::new(3, settings(2)).await;
    world.start();
    for _ in 0..20 {
        world.put(30).await;
        world.archived().await;
    }
    assert_restores(world.shards.clone(), world.puts, "after many generations").await;
    world.stop().await;
    let mut files = BTreeMap::new();
    for disk in 0..3 {
        for file in world.files(disk).await {
            files.entry(file.range).or_insert_with(Vec::new).push(file.generation);
        }
    }
    let generation = files[&FIRST_DATA_RANGE][0];
    assert!(generation > 3, "generation {generation}: the log is longer than many states");
    assert_eq!(files[&FIRST_DATA_RANGE], [generation; 2], "two copies of one, and nothing older");
    assert_eq!(files[&SYSTEM_RANGE].len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_goes_on_after_a_restart_and_another_logs_does_not() {
    let mut world = World::new(3, ArchiveSettings { log_bytes_min: 1 << 30, ..settings(2) }).await;
    world.start();
    world.put(20).await;
    world.archived().await;
    world.stop().await;
    let before: Vec<_> = world.files(0).await.into_iter().chain(world.files(1).await).collect();
    // What is committed meanwhile is still in the log.
    world.index.hold_log(FIRST_DATA_RANGE, Some(0));
    world.put(20).await;
    world.start();
    world.archived().await;
    assert_eq!(world.files(0).await.into_iter().chain(world.files(1).await).collect::<Vec<_>>(), before);
    assert_restores(world.shards.clone(), world.puts, "after a restart").await;
    world.stop().await;

    // Another index, with another log: what lies there is of no use to it, and does not pass for its own.
    world.index.shutdown().await;
    world.index_disks = vec![(DiskId::from_bytes([98; 16]), Arc::new(FaultyDisk::new(98)) as Arc<dyn Disk>)];
    world.registry = MemoryRegistry::default();
    world.index = open_index(&world.index_disks, &world.registry).await;
    world.start();
    world.archived().await;
    let (mut database, ranges) = restored(world.shards.clone()).await;
    assert!(ranges.iter().all(Result::is_ok), "{ranges:?}");
    assert!(!has(&mut database, 0));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_lost_is_replaced_by_another_at_once() {
    let mut world = World::new(4, settings(2)).await;
    world.start();
    world.put(20).await;
    world.archived().await;
    let holders: Vec<usize> = (0..4).filter(|disk| world.status().lies_on(disk_id(*disk))).collect();
    assert_eq!(holders.len(), 2);
    // One whose directory goes, and one that the layout calls down.
    world.archive_disks[holders[0]].delete_directory();
    world.put(1).await;
    let lies_on =
        |world: &World| -> Vec<usize> { (0..4).filter(|disk| world.status().lies_on(disk_id(*disk))).collect() };
    until("another disk has it", || lies_on(&world).len() == 2 && !lies_on(&world).contains(&holders[0])).await;
    world.layout.send_modify(|layout| Arc::make_mut(layout).disks[holders[1]].state = DiskState::Down);
    until("two others have it", || lies_on(&world).iter().all(|disk| !holders.contains(disk))).await;
    until("two others have it", || lies_on(&world).len() == 2).await;
    world.put(20).await;
    world.archived().await;
    let left: Vec<FaultyDisk> =
        (0..4).filter(|disk| !holders.contains(disk)).map(|disk| world.archive_disks[disk].clone()).collect();
    world.stop().await;
    world.shards.close().await;
    assert_restores(open_shards(&left).await, world.puts, "from the disks that are left").await;
}

fn path_of(file: ArchiveFile) -> PathBuf {
    Path::new("archive").join(format!("{:016x}-{:016x}.archive", file.range.0, file.generation))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_damaged_on_one_disk_is_read_from_another() {
    let mut world = World::new(2, ArchiveSettings { log_bytes_min: 1 << 30, ..settings(2) }).await;
    world.start();
    let mut ends = Vec::new();
    for _ in 0..6 {
        world.put(5).await;
        world.archived().await;
        let file = *world.files(0).await.last().expect("the data range's");
        let status = world.archive_disks[0].status(&path_of(file)).expect("looked up").expect("it is there");
        ends.push((file, status.bytes));
    }
    world.stop().await;
    // In different records of the two copies, for what was archived at different times is in different ones; what is
    // damaged on one is whole on the other.
    let ((file, early), (same, late)) = (ends[3], ends[5]);
    assert!(file == same && early < late, "one generation, which grows");
    world.archive_disks[0].flip_bit(path_of(file), early - 10).expect("flipped");
    world.archive_disks[1].flip_bit(path_of(file), late - 10).expect("flipped");
    world.archive_disks[1].flip_bit(path_of(file), 200).expect("flipped");
    assert_restores(world.shards.clone(), world.puts, "from two damaged copies").await;
    world.archive_disks[0].flip_bit(path_of(file), 200).expect("flipped");
    let (_, ranges) = restored(world.shards.clone()).await;
    assert!(ranges[1].is_err(), "rows that are damaged everywhere are told, and leave nothing: {:?}", ranges[1]);
}

/// As a crash leaves it: the state of a new generation is whole, but the old one went on while it was written.
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_generation_that_reaches_less_far_is_passed_over() {
    let mut world = World::new(3, ArchiveSettings { log_bytes_min: 1 << 30, ..settings(2) }).await;
    world.start();
    world.archived().await;
    world.put(30).await;
    world.archived().await;
    world.stop().await;
    let of_range = |file: &ArchiveFile| file.range == FIRST_DATA_RANGE;
    let mut newer = 0;
    for disk in 0..3 {
        let Some(file) = world.files(disk).await.into_iter().find(of_range) else { continue };
        let page = world.shards.read_archive(disk_id(disk), file, 0, u64::MAX).await.expect("read");
        let is_log = |payload: &[u8]| matches!(ArchiveEntry::decode(payload), Ok(ArchiveEntry::Log(_)));
        let payloads: Vec<_> = page.records.into_iter().map(|record| record.payload.expect("whole")).collect();
        assert!(payloads.iter().any(|payload| is_log(payload)), "what was put came after the state");
        let next = ArchiveFile { generation: file.generation + 1, ..file };
        for (seq, payload) in payloads.into_iter().take_while(|payload| !is_log(payload)).enumerate() {
            world.shards.append_archive(disk_id(disk), next, seq as u64, payload).await.expect("appended");
            newer += 1;
        }
    }
    assert!(newer > 0);
    assert_restores(world.shards.clone(), world.puts, "with a newer state").await;
    world.index.shutdown().await;
}

/// The power goes while generations begin, grow and are dropped; what the archive had by then is in what is left.
#[tokio::test(flavor = "multi_thread")]
async fn archived_commands_survive_a_power_loss_at_any_step() {
    for seed in 0..24u64 {
        let mut world = World::new(3, ArchiveSettings { log_bytes_min: 3000, ..settings(2) }).await;
        world.start();
        world.put(5).await;
        world.archived().await;
        for disk in &world.archive_disks {
            disk.power_off_at(disk.counts().steps + 5 + seed * 7 % 150);
        }
        let mut archived = world.puts;
        for _ in 0..40 {
            world.put(2).await;
            let (puts, applied) = (world.puts, world.index.applied(FIRST_DATA_RANGE));
            let mut waited = 0;
            // As long as the disks have power: then nothing more comes.
            while world.status().lag() != Some(Duration::ZERO) && waited < 3000 {
                tokio::task::yield_now().await;
                waited += 1;
            }
            if world.status().lag() == Some(Duration::ZERO) && applied == world.index.applied(FIRST_DATA_RANGE) {
                archived = puts;
            }
            if world.archive_disks.iter().all(|disk| !disk.is_powered()) {
                break;
            }
        }
        world.stop().await;
        world.shards.close().await;
        let crashed: Vec<FaultyDisk> = world.archive_disks.iter().map(FaultyDisk::crash).collect();
        assert_restores(open_shards(&crashed).await, archived, &format!("seed {seed}")).await;
        world.index.shutdown().await;
    }
}

/// Splits the range that has a key there.
async fn split(world: &World, number: u64) -> RangeId {
    world.index.propose(samples::form_for_splits()).await.expect("formed");
    let allot = samples::plain(CommandBody::AllotRange);
    let index::Answer::Range(child) = world.index.propose(allot).await.expect("allotted") else { panic!("an id") };
    let at = types::HomeKey { bucket: BucketId(7), key: samples::key(format!("key {number}")) };
    let known = types::RangeMap::of(world.index.descriptors());
    let range = known.of_place(&index::place(at.bucket, &at.key)).map_or(FIRST_DATA_RANGE, |range| range.id);
    world.index.split(range, child, at).await.expect("split");
    child
}

/// Whether the parent's archive is still the one from before the split, or a later one, and whatever of the child's log
/// is in its own: each key is what its own range's archive says, and the index is one range again.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_was_split_is_restored_as_one() {
    for log_bytes_min in [1 << 30, 30_000] {
        let mut world = World::new(3, ArchiveSettings { log_bytes_min, ..settings(2) }).await;
        world.start();
        world.put(60).await;
        world.archived().await;
        for (ranges, cut) in [(3, 30), (4, 50), (5, 2)] {
            split(&world, cut).await;
            world.put(20).await;
            until("the new range is archived", || world.status().lags().len() == ranges).await;
            world.archived().await;
            // Rows that are written over in either half.
            for number in 0..world.puts {
                let put = samples::put(samples::at(7, 1), &format!("key {number}"), number, &[8; 300]);
                world.index.propose(put).await.expect("put");
            }
            world.archived().await;
        }
        world.stop().await;
        let (mut database, ranges) = restored(world.shards.clone()).await;
        assert!(ranges.len() == 5 && ranges.iter().all(Result::is_ok), "{ranges:?}");
        assert_eq!(database.verify().expect("read"), Vec::<String>::new());
        assert_eq!(database.descriptors().expect("read"), [types::RangeDescriptor::whole(FIRST_DATA_RANGE)]);
        for number in 0..world.puts {
            let query = samples::ask_version(7, &format!("key {number}"), WhichVersion::Newest);
            let QueryAnswer::Version { version: Some(version), .. } = database.query(&query).expect("answered") else {
                panic!("key {number} of {} was archived and is not there", world.puts)
            };
            assert_eq!(version.plain_bytes, 300, "the newest, not what the parent's archive remembers");
        }
        let QueryAnswer::Usage(usage) = database.query(&index::Query::Usage(BucketId(7))).expect("answered") else {
            panic!("usage")
        };
        assert_eq!((usage.objects, usage.bytes), (world.puts, 300 * world.puts));
    }
}
