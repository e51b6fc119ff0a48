//! What the tests stand on: six disks in memory, an index that loses things on demand, a clock turned by hand.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use index::contract::samples::form_at_newest_level;
use index::local::LocalIndex;
use index::{Answer, Command, CommandBody, IndexError, IndexService, Query, QueryAnswer};
use objects::data::{
    BodyError, BodySource, DataPath, DataPathSeams, DataPathSettings, GroupPlanner, PlannerError, RepairQueue,
};
use objects::{
    BodyFacts, ByteRange, CreateBucketRequest, DeleteObjectRequest, DeletedObject, DiscardQueue, GetObjectRequest,
    Objects, ObjectsError, ObjectsServices, ObjectsSettings, PutObjectRequest, ReadConditions, ReadObject, Selection,
    WhichVersion, WriteConditions, WrittenVersion,
};
use parking_lot::Mutex;
use platform::{BufferPool, Entropy, ManualClock, MemoryBudget, SeededEntropy, Workers};
use shards::{ShardAddress, ShardBody, ShardError, ShardHeader, ShardService, StoredShard};
use tokio::sync::watch;
use types::{
    AccountId, BucketName, CanonicalId, Checksum, Disk, DiskId, DiskState, Integrity, Layout, LayoutEpoch, Node,
    NodeId, ObjectAttributes, ObjectKey, Owner, PlacementGroup, PlacementGroupId, Profile, RunId, Slot, SlotEpoch,
    SlotIndex, StorageClass, Timestamp,
};

/// Everything that a test works with.
pub(crate) struct World {
    pub(crate) objects: Objects,
    pub(crate) index: Arc<LossyIndex>,
    pub(crate) disks: Arc<MemoryDisks>,
    pub(crate) clock: ManualClock,
    data: DataPath,
    layout: watch::Sender<Arc<Layout>>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let clock = ManualClock::new(Timestamp::from_seconds(1_000_000));
        let index = LocalIndex::in_memory(Arc::new(clock.clone())).unwrap();
        index.propose(form_at_newest_level()).await.unwrap();
        let index = Arc::new(LossyIndex::new(index));
        let disks = Arc::new(MemoryDisks::default());
        let (queue, given_up) = DiscardQueue::new(100);
        let (repairs, _) = RepairQueue::new(100);
        let (layout, layout_receiver) = watch::channel(Arc::new(layout()));
        let seams = DataPathSeams {
            shards: disks.clone(),
            buffers: BufferPool::new(16 << 20),
            budget: MemoryBudget::new(128 << 20),
            workers: Workers::new("hash", 2),
            entropy: Arc::new(SeededEntropy::new(1)),
            layout: layout_receiver,
            planner: Arc::new(NoPlanner),
            repairs: Arc::new(repairs),
            discards: Arc::new(queue),
        };
        let data = DataPath::new(DataPathSettings::default(), seams);
        let objects = start(&index, &data, &clock, 2, given_up).await;
        Self { objects, index, disks, clock, data, layout }
    }

    /// The layout calls the last `down` disks down, and the others up.
    pub(crate) fn take_down(&self, down: usize) {
        let mut next = layout();
        for disk in next.disks.iter_mut().rev().take(down) {
            disk.state = DiskState::Down;
        }
        self.layout.send_replace(Arc::new(next));
    }

    /// A second gateway over the same index and disks.
    pub(crate) async fn second_gateway(&self) -> Objects {
        let (_, given_up) = DiscardQueue::new(100);
        start(&self.index, &self.data, &self.clock, 3, given_up).await
    }

    /// A world with one bucket.
    pub(crate) async fn with_bucket(name: &str) -> (Self, BucketName) {
        let world = Self::new().await;
        let bucket = bucket(name);
        world.create(&bucket).await;
        (world, bucket)
    }

    pub(crate) async fn create(&self, bucket: &BucketName) {
        self.objects.create_bucket(create(bucket)).await.unwrap();
    }

    pub(crate) async fn put(&self, bucket: &BucketName, name: &str, bytes: &[u8]) -> WrittenVersion {
        self.try_put(put(bucket, name), bytes).await.unwrap()
    }

    pub(crate) async fn try_put(
        &self,
        request: PutObjectRequest,
        bytes: &[u8],
    ) -> Result<WrittenVersion, ObjectsError> {
        self.objects.put_object(request, &mut Body::of(bytes)).await
    }

    pub(crate) async fn get(&self, bucket: &BucketName, name: &str) -> Result<Vec<u8>, ObjectsError> {
        self.read(get(bucket, name)).await
    }

    pub(crate) async fn read(&self, request: GetObjectRequest) -> Result<Vec<u8>, ObjectsError> {
        all_of(self.objects.get_object(request).await?).await
    }

    pub(crate) async fn read_range(&self, bucket: &BucketName, name: &str, range: Range<u64>) -> Vec<u8> {
        let range = ByteRange::FromTo { first: range.start, last: range.end - 1 };
        self.read(GetObjectRequest { selection: Selection::Range(range), ..get(bucket, name) }).await.unwrap()
    }

    pub(crate) async fn delete(&self, bucket: &BucketName, name: &str) -> DeletedObject {
        self.objects.delete_object(delete(bucket, name)).await.unwrap()
    }

    /// Waits until so many runs wait for being freed, what writes gave up among them.
    pub(crate) async fn garbage_rows(&self, rows: usize) {
        let query = Query::Garbage { freed_before: types::CommitStamp(u64::MAX), after: None, limit: 1000 };
        let reached = async {
            loop {
                let QueryAnswer::Garbage(garbage) = self.index.query(query.clone()).await.unwrap() else {
                    unreachable!()
                };
                assert!(garbage.len() <= rows, "more garbage than expected: {garbage:?}");
                if garbage.len() == rows {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.expect("the runs are given up");
    }
}

async fn start(
    index: &Arc<LossyIndex>,
    data: &DataPath,
    clock: &ManualClock,
    seed: u64,
    given_up: objects::GivenUpRuns,
) -> Objects {
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(seed));
    let services =
        ObjectsServices { index: index.clone(), data: data.clone(), clock: Arc::new(clock.clone()), entropy };
    let classes =
        BTreeMap::from([(StorageClass::default(), profile()), (StorageClass::new("REDUCED").unwrap(), profile())]);
    let settings =
        ObjectsSettings { node: NodeId::from_bytes([1; 16]), classes, ticket_idle_max: Duration::from_secs(1800) };
    Objects::start(services, settings, given_up).await.unwrap()
}

pub(crate) async fn all_of(read: ReadObject) -> Result<Vec<u8>, ObjectsError> {
    let mut body = read.body;
    let mut all = Vec::new();
    while let Some(piece) = body.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(all)
}

pub(crate) fn bucket(name: &str) -> BucketName {
    BucketName::new(name).unwrap()
}

pub(crate) fn key(name: &str) -> ObjectKey {
    ObjectKey::new(name.as_bytes().to_vec()).unwrap()
}

pub(crate) fn owner() -> Owner {
    owner_of(AccountId::ROOT)
}

pub(crate) fn owner_of(account: AccountId) -> Owner {
    Owner { account, canonical_id: CanonicalId("c0ffee".into()), display_name: "root".into() }
}

pub(crate) fn create(bucket: &BucketName) -> CreateBucketRequest {
    CreateBucketRequest { bucket: bucket.clone(), owner: owner(), region: String::new(), object_lock: false }
}

pub(crate) fn put(bucket: &BucketName, name: &str) -> PutObjectRequest {
    PutObjectRequest {
        bucket: bucket.clone(),
        key: key(name),
        attributes: ObjectAttributes::default(),
        owner: owner(),
        conditions: WriteConditions::default(),
        said: BodyFacts::default(),
    }
}

pub(crate) fn get(bucket: &BucketName, name: &str) -> GetObjectRequest {
    GetObjectRequest {
        bucket: bucket.clone(),
        key: key(name),
        which: WhichVersion::Newest,
        conditions: ReadConditions::default(),
        selection: Selection::Whole,
    }
}

pub(crate) fn delete(bucket: &BucketName, name: &str) -> DeleteObjectRequest {
    DeleteObjectRequest {
        bucket: bucket.clone(),
        key: key(name),
        version: None,
        conditions: WriteConditions::default(),
        owner: owner(),
        bypass_governance: false,
    }
}

/// Bytes without a pattern that a mixed-up read could keep.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    SeededEntropy::new(len as u64).fill(&mut bytes);
    bytes
}

/// 4+2 with the shortest shards.
pub(crate) fn profile() -> Profile {
    Profile::new(4, 2, 64 << 10, Integrity::Xxh3).unwrap()
}

/// What three disks hold.
fn narrow_profile() -> Profile {
    profile().narrowed_to(3).unwrap()
}

fn group(id: u64, profile: Profile, disks: &[DiskId]) -> PlacementGroup {
    let slots = disks.iter().map(|disk| Slot::owned(*disk, SlotEpoch(1))).collect();
    PlacementGroup { id: PlacementGroupId(id), profile, slots }
}

fn layout() -> Layout {
    let node = NodeId::from_bytes([1; 16]);
    let ids: Vec<_> = (1..=6).map(|number| DiskId::from_bytes([number; 16])).collect();
    let disk = |id: &DiskId| Disk {
        id: *id,
        node,
        path: String::new(),
        capacity_bytes: 1 << 40,
        mount_point: false,
        state: DiskState::Up,
    };
    Layout {
        epoch: LayoutEpoch(1),
        nodes: vec![Node { id: node, address: String::new(), rack: None, zone: None }],
        disks: ids.iter().map(disk).collect(),
        groups: vec![group(1, profile(), &ids), group(2, narrow_profile(), &ids[..3])],
    }
}

struct NoPlanner;

#[async_trait]
impl GroupPlanner for NoPlanner {
    async fn make_groups(&self, _: Profile, _: &[DiskId]) -> Result<(), PlannerError> {
        Err(PlannerError { reason: "the tests' layout has all groups".to_owned() })
    }

    async fn refresh(&self) -> Result<(), PlannerError> {
        Ok(())
    }
}

/// A body that a client sends.
#[derive(Default)]
pub(crate) struct Body {
    pub(crate) pieces: Vec<Bytes>,
    pub(crate) trailers: Vec<Checksum>,
    /// Ends with an error in place of the end.
    pub(crate) breaks: bool,
}

impl Body {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut pieces: Vec<_> = bytes.chunks(100_000).map(Bytes::copy_from_slice).collect();
        pieces.reverse();
        Self { pieces, ..Self::default() }
    }
}

#[async_trait]
impl BodySource for Body {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        match self.pieces.pop() {
            None if self.breaks => Err(BodyError("the client hung up".into())),
            piece => Ok(piece),
        }
    }

    async fn finish(&mut self) -> Result<Vec<Checksum>, BodyError> {
        Ok(self.trailers.clone())
    }
}

/// What is done with the next commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Applied, but the answer is lost.
    AnswerLost,
    /// Lost on the way, and nobody knows.
    CommandLost,
    /// Refused without effect.
    Unavailable,
}

type IsMeant = Box<dyn Fn(&CommandBody) -> bool + Send>;
type Interruption = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// An index that loses commands and answers on demand.
pub(crate) struct LossyIndex {
    inner: LocalIndex,
    fates: Mutex<Vec<(IsMeant, Fate)>>,
    interruption: Mutex<Option<(IsMeant, Interruption)>>,
    queries: Mutex<Vec<Query>>,
    commands: Mutex<Vec<Command>>,
}

impl LossyIndex {
    fn new(inner: LocalIndex) -> Self {
        Self {
            inner,
            fates: Mutex::default(),
            interruption: Mutex::default(),
            queries: Mutex::default(),
            commands: Mutex::default(),
        }
    }

    /// The next command that is meant has this fate; said several times, one after the other.
    pub(crate) fn next(&self, fate: Fate, is_meant: impl Fn(&CommandBody) -> bool + Send + 'static) {
        self.fates.lock().push((Box::new(is_meant), fate));
    }

    /// Something happens right before the next command that is meant.
    pub(crate) fn interrupt(
        &self,
        is_meant: impl Fn(&CommandBody) -> bool + Send + 'static,
        with: impl Future<Output = ()> + Send + 'static,
    ) {
        *self.interruption.lock() = Some((Box::new(is_meant), Box::pin(with)));
    }

    /// The questions since this was last asked.
    pub(crate) fn take_queries(&self) -> Vec<Query> {
        std::mem::take(&mut self.queries.lock())
    }

    /// The commands since this was last asked.
    pub(crate) fn take_commands(&self) -> Vec<Command> {
        std::mem::take(&mut self.commands.lock())
    }
}

#[async_trait]
impl IndexService for LossyIndex {
    async fn propose(&self, command: Command) -> Result<Answer, IndexError> {
        let interruption = {
            let mut slot = self.interruption.lock();
            let is_due = slot.as_ref().is_some_and(|(is_meant, _)| is_meant(&command.body));
            if is_due { slot.take() } else { None }
        };
        if let Some((_, interruption)) = interruption {
            interruption.await;
        }
        self.commands.lock().push(command.clone());
        let fate = {
            let mut fates = self.fates.lock();
            let due = fates.iter().position(|(is_meant, _)| is_meant(&command.body));
            due.map(|at| fates.remove(at).1)
        };
        let reason = "the test lost it".to_owned();
        match fate {
            None => self.inner.propose(command).await,
            Some(Fate::AnswerLost) => {
                self.inner.propose(command).await?;
                Err(IndexError::Unknown { reason })
            }
            Some(Fate::CommandLost) => Err(IndexError::Unknown { reason }),
            Some(Fate::Unavailable) => Err(IndexError::Unavailable { reason }),
        }
    }

    async fn query(&self, query: Query) -> Result<QueryAnswer, IndexError> {
        self.queries.lock().push(query.clone());
        self.inner.query(query).await
    }
}

/// Disks that keep shards in memory.
#[derive(Default)]
pub(crate) struct MemoryDisks {
    shards: Mutex<HashMap<(DiskId, ShardAddress), (ShardHeader, Bytes)>>,
    freed: Mutex<HashSet<RunId>>,
}

impl MemoryDisks {
    /// The headers of all shards.
    pub(crate) fn headers(&self) -> Vec<ShardHeader> {
        self.shards.lock().values().map(|(header, _)| header.clone()).collect()
    }

    /// Frees runs on all disks.
    pub(crate) fn free_runs(&self, runs: &[RunId]) {
        self.freed.lock().extend(runs);
        self.shards.lock().retain(|(_, address), _| !runs.contains(&address.run));
    }

    /// The body of the run whose header is meant.
    pub(crate) fn whole_copy(&self, is_meant: impl Fn(&ShardHeader) -> bool) -> Option<Bytes> {
        self.shards.lock().values().find(|(header, _)| is_meant(header)).map(|(_, body)| body.clone())
    }

    fn missing(&self, address: ShardAddress) -> ShardError {
        if self.freed.lock().contains(&address.run) {
            ShardError::Gone { address }
        } else {
            ShardError::Missing { address }
        }
    }
}

#[async_trait]
impl ShardService for MemoryDisks {
    async fn append(&self, disk: DiskId, header: ShardHeader, body: ShardBody) -> Result<(), ShardError> {
        self.shards.lock().insert((disk, header.address), (header, body.concat().into()));
        Ok(())
    }

    async fn read(&self, disk: DiskId, address: ShardAddress, range: Range<u64>) -> Result<ShardBody, ShardError> {
        let shards = self.shards.lock();
        let (_, body) = shards.get(&(disk, address)).ok_or_else(|| self.missing(address))?;
        Ok(vec![body.slice(range.start as usize..range.end as usize)])
    }

    async fn header(&self, disk: DiskId, address: ShardAddress) -> Result<ShardHeader, ShardError> {
        let shards = self.shards.lock();
        shards.get(&(disk, address)).map(|(header, _)| header.clone()).ok_or_else(|| self.missing(address))
    }

    async fn free(&self, _: DiskId, _: PlacementGroupId, runs: Vec<RunId>) -> Result<(), ShardError> {
        self.free_runs(&runs);
        Ok(())
    }

    async fn seal(&self, _: DiskId, _: PlacementGroupId, _: SlotIndex, _: SlotEpoch) -> Result<(), ShardError> {
        Ok(())
    }

    async fn list(&self, _: DiskId, _: Option<ShardAddress>, _: usize) -> Result<Vec<StoredShard>, ShardError> {
        Ok(Vec::new())
    }
}

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Lets a name kept from an earlier answer go out of date.
pub(crate) const A_SECOND: Duration = Duration::from_secs(1);
