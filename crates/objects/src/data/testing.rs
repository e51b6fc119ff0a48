//! Shards in memory, on disks that fail as told.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use placement::{add_groups, missing_groups};
use platform::{BufferPool, MemoryBudget, SystemEntropy, Workers};
use shards::{ShardAddress, ShardBody, ShardError, ShardHeader, ShardService, StoredShard};
use tokio::sync::watch;
use types::{
    BucketId, Disk, DiskId, DiskState, HomeKey, Layout, Node, NodeId, ObjectKey, PartNumber, PlacementGroupId, Profile,
    Run, RunId, SlotEpoch, SlotIndex, TicketId,
};

use super::{
    BadShard, BodyError, BodySource, DataPath, DataPathSeams, DataPathSettings, DiscardSink, ExpectedDigests,
    GroupPlanner, PartToRead, PlannerError, RepairSink, StoredBody, WriteRequest,
};

/// What a disk does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Fine,
    Down,
    /// Its node cannot be reached.
    Away,
    /// Opened a moment ago, and not told its slots yet.
    Untold,
    Full,
    /// Every call takes so long.
    Slow(Duration),
    /// No call is ever answered.
    Hangs,
}

/// All disks of a test.
#[derive(Default)]
pub(crate) struct MemoryShards {
    behaviours: Mutex<HashMap<DiskId, Behaviour>>,
    pub(crate) stored: Mutex<BTreeMap<(DiskId, ShardAddress), (ShardHeader, Bytes)>>,
    corrupt: Mutex<HashSet<(DiskId, ShardAddress)>>,
    gone: Mutex<HashSet<RunId>>,
    pub(crate) read_bytes: AtomicU64,
}

impl MemoryShards {
    pub(crate) fn set(&self, disk: DiskId, behaviour: Behaviour) {
        self.behaviours.lock().insert(disk, behaviour);
    }

    /// Loses all that a disk has.
    pub(crate) fn wipe(&self, disk: DiskId) {
        self.stored.lock().retain(|(of, _), _| *of != disk);
    }

    pub(crate) fn corrupt(&self, disk: DiskId) {
        let stored = self.stored.lock();
        self.corrupt.lock().extend(stored.keys().filter(|(of, _)| *of == disk));
    }

    pub(crate) fn free_run(&self, run: RunId) {
        self.gone.lock().insert(run);
        self.stored.lock().retain(|(_, address), _| address.run != run);
    }

    async fn behave(&self, disk: DiskId) -> Result<Behaviour, ShardError> {
        let behaviour = self.behaviours.lock().get(&disk).copied().unwrap_or(Behaviour::Fine);
        match behaviour {
            Behaviour::Down => return Err(ShardError::DiskDown { disk, reason: "told so".to_owned() }),
            Behaviour::Slow(time) => tokio::time::sleep(time).await,
            Behaviour::Hangs => std::future::pending().await,
            Behaviour::Away => return Err(ShardError::Unreachable { disk, reason: "told so".to_owned() }),
            Behaviour::Fine | Behaviour::Full | Behaviour::Untold => {}
        }
        Ok(behaviour)
    }
}

#[async_trait]
impl ShardService for MemoryShards {
    async fn append(&self, disk: DiskId, header: ShardHeader, body: ShardBody) -> Result<(), ShardError> {
        match self.behave(disk).await? {
            Behaviour::Full => return Err(ShardError::DiskFull { disk }),
            Behaviour::Untold => return Err(ShardError::Stale { owned: header.slot_epoch, named: header.slot_epoch }),
            _ => {}
        }
        let bytes = body.concat();
        assert!(body.iter().all(|piece| !piece.is_empty() && piece.len() <= 256 << 10), "pieces of up to 256 KiB");
        assert_eq!(bytes.len(), header.profile.shard_len(header.plain_bytes as usize));
        assert!(bytes.len() <= header.profile.shard_bytes() && header.plain_bytes <= header.stripe_bytes);
        let before = self.stored.lock().insert((disk, header.address), (header, bytes.into()));
        assert!(before.is_none(), "no address is written twice");
        Ok(())
    }

    async fn read(&self, disk: DiskId, address: ShardAddress, range: Range<u64>) -> Result<ShardBody, ShardError> {
        self.behave(disk).await?;
        if self.gone.lock().contains(&address.run) {
            return Err(ShardError::Gone { address });
        }
        if self.corrupt.lock().contains(&(disk, address)) {
            return Err(ShardError::Corrupt { disk, address });
        }
        let stored = self.stored.lock();
        let (_, bytes) = stored.get(&(disk, address)).ok_or(ShardError::Missing { address })?;
        let bytes = bytes.slice(range.start as usize..range.end as usize);
        self.read_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        // Cut where a real disk might: at blocks of the shard.
        let first = (256 << 10) - range.start as usize % (64 << 10);
        let mut pieces = vec![bytes.slice(..first.min(bytes.len()))];
        pieces.extend(bytes[first.min(bytes.len())..].chunks(256 << 10).map(Bytes::copy_from_slice));
        Ok(pieces)
    }

    async fn header(&self, disk: DiskId, address: ShardAddress) -> Result<ShardHeader, ShardError> {
        self.behave(disk).await?;
        let stored = self.stored.lock();
        stored.get(&(disk, address)).map(|(header, _)| header.clone()).ok_or(ShardError::Missing { address })
    }

    async fn free(&self, disk: DiskId, _group: PlacementGroupId, runs: Vec<RunId>) -> Result<(), ShardError> {
        self.stored.lock().retain(|(of, address), _| *of != disk || !runs.contains(&address.run));
        Ok(())
    }

    async fn seal(&self, _: DiskId, _: PlacementGroupId, _: SlotIndex, _: SlotEpoch) -> Result<(), ShardError> {
        Ok(())
    }

    async fn list(
        &self,
        disk: DiskId,
        after: Option<ShardAddress>,
        limit: usize,
    ) -> Result<Vec<StoredShard>, ShardError> {
        let stored = self.stored.lock();
        let of_disk = stored.iter().filter(|((of, address), _)| *of == disk && Some(*address) > after);
        let shard = |((_, address), (_, bytes)): (&(DiskId, ShardAddress), &(ShardHeader, Bytes))| StoredShard {
            address: *address,
            bytes: bytes.len() as u64,
        };
        Ok(of_disk.take(limit).map(shard).collect())
    }
}

/// Plans groups and publishes the layout that has them.
pub(crate) struct Planner {
    layout: watch::Sender<Arc<Layout>>,
    pub(crate) refuses: Mutex<bool>,
    /// What a refresh brings.
    pub(crate) newer: Mutex<Option<Arc<Layout>>>,
}

#[async_trait]
impl GroupPlanner for Planner {
    async fn make_groups(&self, profile: Profile, avoid: &[DiskId]) -> Result<(), PlannerError> {
        if *self.refuses.lock() {
            return Err(PlannerError { reason: "told so".to_owned() });
        }
        self.layout.send_modify(|layout| {
            let added = missing_groups(layout, &[profile], avoid);
            *layout = Arc::new(add_groups(layout, added));
        });
        Ok(())
    }

    async fn refresh(&self) -> Result<(), PlannerError> {
        if let Some(newer) = self.newer.lock().take() {
            self.layout.send_replace(newer);
        }
        Ok(())
    }
}

#[derive(Default)]
pub(crate) struct Notices {
    pub(crate) bad: Mutex<Vec<BadShard>>,
    pub(crate) discarded: Mutex<Vec<Run>>,
}

impl RepairSink for Notices {
    fn report(&self, bad: BadShard) {
        self.bad.lock().push(bad);
    }
}

impl DiscardSink for Notices {
    fn discard(&self, runs: Vec<Run>, _home: &HomeKey) {
        self.discarded.lock().extend(runs);
    }
}

/// A data path over disks in memory, on one machine.
pub(crate) struct Fixture {
    pub(crate) data: DataPath,
    pub(crate) shards: Arc<MemoryShards>,
    pub(crate) planner: Arc<Planner>,
    pub(crate) notices: Arc<Notices>,
    pub(crate) budget: MemoryBudget,
    pub(crate) profile: Profile,
    pub(crate) layout: watch::Sender<Arc<Layout>>,
}

impl Fixture {
    pub(crate) fn new(disks: u8, profile: Profile, settings: DataPathSettings) -> Self {
        Self::with_budget(disks, profile, settings, 256 << 20)
    }

    pub(crate) fn with_budget(disks: u8, profile: Profile, settings: DataPathSettings, budget_bytes: u64) -> Self {
        let node = NodeId::from_bytes([1; 16]);
        let disk = |number: u8| Disk {
            id: DiskId::from_bytes([number; 16]),
            node,
            path: String::new(),
            capacity_bytes: 1 << 40,
            mount_point: false,
            state: DiskState::Up,
        };
        let mut layout = Layout {
            nodes: vec![Node { id: node, address: String::new(), rack: None, zone: None }],
            disks: (0..disks).map(disk).collect(),
            ..Layout::default()
        };
        layout = add_groups(&layout, missing_groups(&layout, &[profile], &[]));
        let (sender, receiver) = watch::channel(Arc::new(layout));
        let shards = Arc::new(MemoryShards::default());
        let planner = Arc::new(Planner { layout: sender.clone(), refuses: Mutex::default(), newer: Mutex::default() });
        let notices = Arc::new(Notices::default());
        let budget = MemoryBudget::new(budget_bytes);
        let seams = DataPathSeams {
            shards: Arc::clone(&shards) as Arc<dyn ShardService>,
            buffers: BufferPool::new(16 << 20),
            budget: budget.clone(),
            workers: Workers::new("test", 2),
            entropy: Arc::new(SystemEntropy),
            layout: receiver,
            planner: Arc::clone(&planner) as Arc<dyn GroupPlanner>,
            repairs: Arc::clone(&notices) as Arc<dyn RepairSink>,
            discards: Arc::clone(&notices) as Arc<dyn DiscardSink>,
        };
        Self { data: DataPath::new(settings, seams), shards, planner, notices, budget, profile, layout: sender }
    }

    pub(crate) fn disk(&self, number: usize) -> DiskId {
        self.layout.borrow().disks[number].id
    }

    pub(crate) fn request(&self, declared_bytes: Option<u64>) -> WriteRequest {
        WriteRequest {
            home: home(),
            part: PartNumber::ONE,
            ticket: TicketId(7),
            declared_bytes,
            profile: self.profile,
            md5: true,
            checksums: Vec::new(),
            expected: ExpectedDigests::default(),
            may_inline: true,
            part_metadata: Bytes::from_static(b"metadata"),
        }
    }
}

pub(crate) fn home() -> HomeKey {
    HomeKey { bucket: BucketId(3), key: ObjectKey::new("a/key").expect("a key") }
}

pub(crate) fn part_of(stored: &StoredBody) -> PartToRead {
    PartToRead { home: home(), extents: stored.extents.clone(), crc64_nvme: Some(stored.crc64_nvme) }
}

/// A body of bytes that look random.
pub(crate) fn body_bytes(bytes: usize) -> Bytes {
    let mut state = 0x1234_5678_9abc_def0u64 ^ bytes as u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

/// A body in frames, each after a while.
pub(crate) struct Frames {
    frames: std::vec::IntoIter<Bytes>,
    pause: Duration,
    fails_at_end: bool,
    pub(crate) trailers: Vec<types::Checksum>,
}

impl Frames {
    pub(crate) fn new(whole: &Bytes, frame_bytes: usize) -> Self {
        let starts = (0..whole.len()).step_by(frame_bytes.max(1));
        let frames: Vec<Bytes> = starts.map(|start| whole.slice(start..whole.len().min(start + frame_bytes))).collect();
        Self { frames: frames.into_iter(), pause: Duration::ZERO, fails_at_end: false, trailers: Vec::new() }
    }

    pub(crate) fn every(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    pub(crate) fn failing_at_end(mut self) -> Self {
        self.fails_at_end = true;
        self
    }
}

#[async_trait]
impl BodySource for Frames {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        if !self.pause.is_zero() {
            tokio::time::sleep(self.pause).await;
        }
        match self.frames.next() {
            Some(frame) => Ok(Some(frame)),
            None if self.fails_at_end => Err(BodyError("told so".into())),
            None => Ok(None),
        }
    }

    async fn finish(&mut self) -> Result<Vec<types::Checksum>, BodyError> {
        Ok(std::mem::take(&mut self.trailers))
    }
}
