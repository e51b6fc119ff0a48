//! What the data path costs in CPU: bodies that lie in memory are written and read over shards that are thrown away, or
//! over six directories.
//!
//! `cargo run --release -p objects --example data_path_cost -- [BYTES [STREAMS [BODIES [DIRECTORY]]]]`
//!
//! With DIRECTORY, six disks are formatted in it, and all is synced; without, appends are acknowledged at once and reads
//! answer zeros, so that what remains is the data path itself. CPU seconds are the process's, user and system.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a measurement of the real machine")]

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use objects::data::{
    BadShard, BodyError, BodySource, DataPath, DataPathSeams, DataPathSettings, DiscardSink, ExpectedDigests,
    GroupPlanner, PartToRead, PlannerError, RepairSink, StoredBody, WriteRequest,
};
use placement::{add_groups, missing_groups};
use platform::{BufferPool, Entropy, MemoryBudget, RealDisk, SystemEntropy, Workers};
use shards::superblock::{DiskIdentity, SlotClaim, format};
use shards::{
    LocalShards, ShardAddress, ShardBody, ShardError, ShardHeader, ShardService, ShardSettings, StoreEnvironment,
    StoredShard,
};
use tokio::sync::watch;
use types::{
    BucketId, Checksum, ClusterId, Disk, DiskId, DiskState, HomeKey, Layout, NodeId, ObjectKey, PartNumber,
    PlacementGroupId, Profile, Run, RunId, SlotEpoch, SlotIndex, TicketId,
};

/// What a connection's frames are about.
const FRAME_BYTES: usize = 96 << 10;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| arguments.get(at).map_or(default, |text| text.parse().unwrap());
    let (bytes, streams, bodies) = (number(0, 64 << 20), number(1, 8), number(2, 64));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let data = data_path(arguments.get(3).map(Path::new)).await;
        let whole: Bytes = random_bytes(bytes);
        let stored = measured("write", bytes, streams, bodies, || {
            let (data, whole) = (data.clone(), whole.clone());
            async move {
                let mut body = Frames { whole: whole.clone() };
                data.write(request(whole.len() as u64), &mut body).await.unwrap()
            }
        })
        .await;
        // The first read finds what writing left in the page cache, the second what the first did.
        for _ in 0..2 {
            let next = AtomicUsize::new(0);
            measured("read", bytes, streams, bodies, || {
                let (data, stored) = (data.clone(), stored[next.fetch_add(1, Ordering::Relaxed)].clone());
                async move { read(&data, stored).await }
            })
            .await;
        }
    });
}

/// Runs `bodies` transfers, `streams` at a time, and prints what they took.
async fn measured<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    what: &str,
    bytes: usize,
    streams: usize,
    bodies: usize,
    transfer: impl Fn() -> F,
) -> Vec<T> {
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let transfers = futures::stream::iter((0..bodies).map(|_| tokio::spawn(transfer())));
    let outcomes: Vec<T> = transfers.buffer_unordered(streams).map(|outcome| outcome.unwrap()).collect().await;
    let (cpu, elapsed) = (cpu_seconds() - cpu, began.elapsed().as_secs_f64());
    let gib = (bytes * bodies) as f64 / f64::from(1 << 30);
    println!(
        "{what} {bodies} x {bytes} B, {streams} streams: {:.2} GiB/s, {:.3} s of CPU a GiB, {:.1} us a body",
        gib / elapsed,
        cpu / gib,
        cpu * 1e6 / bodies as f64
    );
    outcomes
}

async fn read(data: &DataPath, stored: StoredBody) {
    let (bytes, crc64_nvme) = (stored.plain_bytes, Some(stored.crc64_nvme).filter(|_| std::env::args().count() > 4));
    let part = PartToRead { home: home(), extents: stored.extents, crc64_nvme };
    let mut reader = data.read(vec![part], 0..bytes);
    let mut read = 0;
    while let Some(piece) = reader.next().await {
        read += piece.unwrap().len() as u64;
    }
    assert_eq!(read, bytes);
}

fn request(bytes: u64) -> WriteRequest {
    WriteRequest {
        home: home(),
        part: PartNumber::ONE,
        ticket: TicketId(1),
        declared_bytes: Some(bytes),
        profile: Profile::for_domains(6),
        md5: true,
        checksums: Vec::new(),
        expected: ExpectedDigests::default(),
        may_inline: true,
        part_metadata: Bytes::from_static(b"some metadata"),
    }
}

fn home() -> HomeKey {
    HomeKey { bucket: BucketId(1), key: ObjectKey::new("key").unwrap() }
}

async fn data_path(directory: Option<&Path>) -> DataPath {
    let node = NodeId::from_bytes([1; 16]);
    let disk = |id: DiskId| Disk {
        id,
        node,
        path: String::new(),
        capacity_bytes: 1 << 40,
        mount_point: false,
        state: DiskState::Up,
    };
    let ids: Vec<DiskId> = (1..=6).map(|number| DiskId::from_bytes([number; 16])).collect();
    let layout = Layout { disks: ids.iter().copied().map(disk).collect(), ..Layout::default() };
    let layout = add_groups(&layout, missing_groups(&layout, &[Profile::for_domains(6)], &[]));
    let buffers = BufferPool::new(256 << 20);
    let workers = Workers::new("worker", 2);
    let shards: Arc<dyn ShardService> = match directory {
        None => Arc::new(Nowhere),
        Some(directory) => Arc::new(disks(directory, &layout, &buffers, &workers).await),
    };
    let (sender, receiver) = watch::channel(Arc::new(layout));
    // The layout never changes, and is watched to the end.
    std::mem::forget(sender);
    let seams = DataPathSeams {
        shards,
        buffers,
        budget: MemoryBudget::new(256 << 20),
        workers,
        entropy: Arc::new(SystemEntropy),
        layout: receiver,
        planner: Arc::new(Nobody),
        repairs: Arc::new(Nobody),
        discards: Arc::new(Nobody),
    };
    DataPath::new(DataPathSettings::default(), seams)
}

async fn disks(directory: &Path, layout: &Layout, pool: &BufferPool, workers: &Workers) -> LocalShards {
    let environment =
        StoreEnvironment { workers: workers.clone(), pool: pool.clone(), settings: ShardSettings::default() };
    let shards = LocalShards::new(environment);
    for disk in &layout.disks {
        let own = Arc::new(RealDisk::create(directory.join(disk.id.to_string())).unwrap());
        let identity = DiskIdentity { cluster: ClusterId::from_bytes([1; 16]), node: disk.node, disk: disk.id };
        format(&*own, identity, &SystemEntropy).unwrap();
        shards.add_disk(own).await.unwrap();
        let slots = layout.groups.iter().flat_map(|group| {
            let of_disk = group.slots.iter().enumerate().filter(|(_, slot)| slot.disk == disk.id);
            of_disk.map(|(at, slot)| SlotClaim {
                group: group.id,
                slot: SlotIndex(at as u8),
                epoch: slot.epoch,
                sealed: false,
            })
        });
        shards.set_slots(disk.id, slots.collect()).await.unwrap();
    }
    shards
}

fn random_bytes(bytes: usize) -> Bytes {
    let mut whole = vec![0; bytes];
    SystemEntropy.fill(&mut whole);
    whole.into()
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    let status = std::fs::read("/proc/self/stat").unwrap();
    let status = String::from_utf8(status).unwrap();
    let fields: Vec<&str> = status.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

struct Frames {
    whole: Bytes,
}

#[async_trait]
impl BodySource for Frames {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        // A connection lets others run between its frames.
        tokio::task::yield_now().await;
        let frame = self.whole.split_to(FRAME_BYTES.min(self.whole.len()));
        Ok(Some(frame).filter(|frame| !frame.is_empty()))
    }

    async fn finish(&mut self) -> Result<Vec<Checksum>, BodyError> {
        Ok(Vec::new())
    }
}

/// Acknowledges all and keeps nothing.
struct Nowhere;

#[async_trait]
impl ShardService for Nowhere {
    async fn append(&self, _: DiskId, _: ShardHeader, _: ShardBody) -> Result<(), ShardError> {
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn read(&self, _: DiskId, _: ShardAddress, range: Range<u64>) -> Result<ShardBody, ShardError> {
        static ZEROS: [u8; 256 << 10] = [0; 256 << 10];
        let starts = range.clone().step_by(ZEROS.len());
        Ok(starts.map(|at| Bytes::from_static(&ZEROS[..ZEROS.len().min((range.end - at) as usize)])).collect())
    }

    async fn header(&self, _: DiskId, address: ShardAddress) -> Result<ShardHeader, ShardError> {
        Err(ShardError::Missing { address })
    }

    async fn free(&self, _: DiskId, _: PlacementGroupId, _: Vec<RunId>) -> Result<(), ShardError> {
        Ok(())
    }

    async fn seal(&self, _: DiskId, _: PlacementGroupId, _: SlotIndex, _: SlotEpoch) -> Result<(), ShardError> {
        Ok(())
    }

    async fn list(&self, _: DiskId, _: Option<ShardAddress>, _: usize) -> Result<Vec<StoredShard>, ShardError> {
        Ok(Vec::new())
    }
}

struct Nobody;

#[async_trait]
impl GroupPlanner for Nobody {
    async fn make_groups(&self, _: Profile, _: &[DiskId]) -> Result<(), PlannerError> {
        Err(PlannerError { reason: "this measurement plans nothing".to_owned() })
    }

    async fn refresh(&self) -> Result<(), PlannerError> {
        Ok(())
    }
}

impl RepairSink for Nobody {
    fn report(&self, bad: BadShard) {
        panic!("a shard is bad: {bad:?}");
    }
}

impl DiscardSink for Nobody {
    fn discard(&self, runs: Vec<Run>, _: &HomeKey) {
        panic!("runs were given up: {runs:?}");
    }
}
