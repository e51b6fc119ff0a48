//! Moves of slots beside writers that go by an old layout: what was acknowledged and committed is there after the old owner
//! and another disk are lost.
//!
//! Four disks, one group of 2+1 on three of them, and the fourth inherits a slot. The writer has a data path of its own, with
//! the layout of before; "deaf" disks take what it appends and answer nobody else.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use index::contract::samples::{at, key, part_in, put_object};
use index::{Answer, Command, CommandBody, IndexService, LocalIndex, Refusal};
use objects::data::{
    BadShard, DataPath, DataPathSeams, DataPathSettings, DiscardSink, ExpectedDigests, GroupPlanner, PartToRead,
    PlannerError, RepairSink, WholeBody, WriteRequest,
};
use parking_lot::Mutex;
use platform::{BufferPool, FaultyDisk, ManualClock, MemoryBudget, SeededEntropy, SystemEntropy, Workers};
use shards::superblock::{DiskIdentity, SlotClaim, format};
use shards::{
    LocalShards, ShardAddress, ShardBody, ShardError, ShardHeader, ShardService, ShardSettings, StoreEnvironment,
    StoredShard,
};
use tokio::sync::watch;
use types::{
    BucketId, ClusterId, Disk, DiskId, DiskState, Extent, HomeKey, Layout, LayoutEpoch, Node, NodeId, PartNumber,
    PlacementGroup, PlacementGroupId, Profile, RequestId, RequestNumber, Run, RunId, Slot, SlotEpoch, SlotIndex,
    TicketId, Timestamp,
};
use upkeep::heirs::{ClusterChanges, Heirs, LayoutPlan};
use upkeep::moves::{Moves, MovesServices};
use upkeep::pace::Pace;
use upkeep::progress::Progress;
use upkeep::rebuild::RebuildDisks;
use upkeep::repair::RepairServices;
use upkeep::settling::{REBUILDING_NOTE, SETTLING_NOTE, mark_replaced};
use upkeep::{Duty, DutyError, Step};

const NODE: NodeId = NodeId::from_bytes([9; 16]);
const IDLE_MAX: Duration = Duration::from_secs(1800);
/// Long enough for stripes.
const BYTES: usize = 300_000;

fn disk_id(number: u8) -> DiskId {
    DiskId::from_bytes([number; 16])
}

fn profile() -> Profile {
    "2+1".parse().expect("a profile")
}

/// The disks, some of which answer nobody but writers.
struct Disks {
    local: Arc<LocalShards>,
    deaf: Mutex<BTreeSet<DiskId>>,
    lost: Mutex<BTreeSet<DiskId>>,
    /// Say what they have, and hand out nothing.
    stuck: Mutex<BTreeSet<DiskId>>,
}

impl Disks {
    fn hear(&self, disk: DiskId) -> Result<&LocalShards, ShardError> {
        if self.deaf.lock().contains(&disk) || self.lost.lock().contains(&disk) {
            return Err(ShardError::Unreachable { disk, reason: "it is deaf".to_owned() });
        }
        Ok(&self.local)
    }
}

#[async_trait]
impl ShardService for Disks {
    async fn append(&self, disk: DiskId, header: ShardHeader, body: ShardBody) -> Result<(), ShardError> {
        self.local.append(disk, header, body).await
    }

    async fn read(&self, disk: DiskId, address: ShardAddress, range: Range<u64>) -> Result<ShardBody, ShardError> {
        if self.stuck.lock().contains(&disk) {
            return Err(ShardError::Unreachable { disk, reason: "it is stuck".to_owned() });
        }
        self.hear(disk)?.read(disk, address, range).await
    }

    async fn header(&self, disk: DiskId, address: ShardAddress) -> Result<ShardHeader, ShardError> {
        self.hear(disk)?.header(disk, address).await
    }

    async fn free(&self, disk: DiskId, group: PlacementGroupId, runs: Vec<RunId>) -> Result<(), ShardError> {
        self.hear(disk)?.free(disk, group, runs).await
    }

    async fn seal(
        &self,
        disk: DiskId,
        group: PlacementGroupId,
        slot: SlotIndex,
        epoch: SlotEpoch,
    ) -> Result<(), ShardError> {
        self.hear(disk)?.seal(disk, group, slot, epoch).await
    }

    async fn list(
        &self,
        disk: DiskId,
        after: Option<ShardAddress>,
        limit: usize,
    ) -> Result<Vec<StoredShard>, ShardError> {
        self.hear(disk)?.list(disk, after, limit).await
    }
}

/// Changes the layout, and tells it to all disks that hear.
struct Changes {
    layout: watch::Sender<Arc<Layout>>,
    disks: Arc<Disks>,
    nonces: Mutex<u8>,
}

impl Changes {
    async fn set(&self, layout: Layout) {
        for disk in layout.disks.iter().filter(|disk| !self.disks.deaf.lock().contains(&disk.id)) {
            let claims = layout.slots().flat_map(|(group, slot, row)| {
                let claim = |epoch, sealed| SlotClaim { group: group.id, slot, epoch, sealed };
                let own = (row.disk == disk.id).then(|| claim(row.epoch, row.heir.is_some()));
                own.into_iter().chain(row.heir.filter(|heir| heir.disk == disk.id).map(|heir| claim(heir.epoch, false)))
            });
            self.disks.local.set_slots(disk.id, claims.collect()).await.expect("told");
        }
        self.layout.send_replace(Arc::new(layout));
    }

    fn now(&self) -> Arc<Layout> {
        self.layout.borrow().clone()
    }
}

#[async_trait]
impl ClusterChanges for Changes {
    async fn change_layout(&self, plan: &LayoutPlan<'_>) -> Result<(), DutyError> {
        let changed = plan(&self.now());
        if let Some(layout) = changed {
            self.set(layout).await;
        }
        Ok(())
    }

    async fn shard_bytes(&self) -> BTreeMap<DiskId, u64> {
        BTreeMap::new()
    }

    fn nonce(&self) -> [u8; 16] {
        let mut nonces = self.nonces.lock();
        *nonces += 1;
        [*nonces; 16]
    }
}

struct Nobody;

#[async_trait]
impl GroupPlanner for Nobody {
    async fn make_groups(&self, _: Profile, _: &[DiskId]) -> Result<(), PlannerError> {
        Err(PlannerError { reason: "there is one group".to_owned() })
    }

    async fn refresh(&self) -> Result<(), PlannerError> {
        Ok(())
    }
}

impl RepairSink for Nobody {
    fn report(&self, _: BadShard) {}
}

impl DiscardSink for Nobody {
    fn discard(&self, _: Vec<Run>, _: &HomeKey) {}
}

/// A body and where it lies.
#[derive(Clone)]
struct Written {
    name: String,
    bytes: Vec<u8>,
    extents: Vec<Extent>,
}

struct World {
    index: Arc<LocalIndex>,
    clock: ManualClock,
    disks: Arc<Disks>,
    changes: Arc<Changes>,
    /// Goes by the layout as it is.
    data: DataPath,
    /// Goes by the layout of the beginning.
    of_old: DataPath,
    heirs: Heirs,
    moves: Moves,
    services: MovesServices,
    written: Mutex<Vec<Written>>,
}

impl World {
    async fn new() -> Self {
        let workers = Workers::new("test", 2);
        let pool = BufferPool::new(16 << 20);
        let local = LocalShards::new(StoreEnvironment {
            workers: workers.clone(),
            pool: pool.clone(),
            settings: ShardSettings::default(),
        });
        for number in 1..=4 {
            let disk = FaultyDisk::new(u64::from(number));
            let cluster = ClusterId::from_bytes([1; 16]);
            format(&disk, DiskIdentity { cluster, node: NODE, disk: disk_id(number) }, &SystemEntropy)
                .expect("formatted");
            local.add_disk(Arc::new(disk)).await.expect("opened");
        }
        let disks = Arc::new(Disks {
            local: Arc::new(local),
            deaf: Mutex::default(),
            lost: Mutex::default(),
            stuck: Mutex::default(),
        });
        let row = |number| Disk {
            id: disk_id(number),
            node: NODE,
            path: String::new(),
            mount_point: false,
            capacity_bytes: 1 << 40,
            state: DiskState::Up,
        };
        let slots = (1..=3).map(|number| Slot::owned(disk_id(number), SlotEpoch(1))).collect();
        let layout = Layout {
            epoch: LayoutEpoch(1),
            nodes: vec![Node { id: NODE, address: String::new(), rack: None, zone: None }],
            disks: (1..=4).map(row).collect(),
            groups: vec![PlacementGroup { id: PlacementGroupId(1), profile: profile(), slots }],
        };
        let old_layout = watch::channel(Arc::new(layout.clone())).1;
        let changes = Arc::new(Changes {
            layout: watch::Sender::new(Arc::default()),
            disks: disks.clone(),
            nonces: Mutex::new(0),
        });
        changes.set(layout).await;
        let data = |layout: watch::Receiver<Arc<Layout>>, seed| {
            let seams = DataPathSeams {
                shards: disks.clone(),
                buffers: pool.clone(),
                budget: MemoryBudget::new(64 << 20),
                workers: workers.clone(),
                entropy: Arc::new(SeededEntropy::new(seed)),
                layout,
                planner: Arc::new(Nobody),
                repairs: Arc::new(Nobody),
                discards: Arc::new(Nobody),
            };
            DataPath::new(DataPathSettings::default(), seams)
        };
        let (now, of_old) = (data(changes.layout.subscribe(), 1), data(old_layout, 2));
        let clock = ManualClock::new(Timestamp::from_seconds(1_000_000));
        let index = Arc::new(LocalIndex::in_memory(Arc::new(clock.clone())).expect("in memory"));
        let repair = RepairServices {
            index: index.clone(),
            shards: disks.clone(),
            data: now.clone(),
            layout: changes.layout.subscribe(),
            progress: Progress::default(),
            pace: Pace::default(),
        };
        let services = MovesServices {
            repair,
            disks: disks.local.clone(),
            changes: changes.clone(),
            node: NODE,
            ticket_idle_max: IDLE_MAX,
        };
        let moves = Moves::new(services.clone());
        let heirs = Heirs::new(changes.clone(), changes.layout.subscribe());
        let written = Mutex::default();
        let world = Self { index, clock, disks, changes, data: now, of_old, heirs, moves, services, written };
        let config = index::command::BucketConfig::default();
        world.propose(None, CommandBody::CreateBucketRow { id: BucketId(1), config }).await;
        world
    }

    async fn propose(&self, request: Option<RequestId>, body: CommandBody) -> Answer {
        self.index.propose(Command { request, answered: RequestNumber(0), body }).await.expect("it answers")
    }

    async fn ticket(&self) -> TicketId {
        let nonce = self.changes.nonce();
        match self.propose(None, CommandBody::GrantTicket { holder: NODE, nonce }).await {
            Answer::Ticket(ticket) => ticket,
            other => panic!("no ticket: {other:?}"),
        }
    }

    /// Writes by a data path; not committed yet.
    async fn write(
        &self,
        path: &DataPath,
        name: &str,
        ticket: TicketId,
    ) -> Result<Vec<Run>, objects::data::WriteError> {
        let bytes: Vec<u8> = (0..BYTES).map(|at| (at * 7 + name.len() * 31) as u8).collect();
        let request = WriteRequest {
            home: HomeKey { bucket: BucketId(1), key: key(name) },
            part: PartNumber::ONE,
            ticket,
            declared_bytes: Some(BYTES as u64),
            profile: profile(),
            md5: false,
            checksums: Vec::new(),
            expected: ExpectedDigests::default(),
            may_inline: true,
            part_metadata: Bytes::new(),
        };
        let stored = path.write(request, &mut WholeBody::new(bytes.clone().into())).await?;
        let runs = stored.runs();
        self.written.lock().push(Written { name: name.to_owned(), bytes, extents: stored.extents });
        Ok(runs)
    }

    async fn commit(&self, name: &str, ticket: TicketId, number: u64, runs: &[Run]) -> Answer {
        let request = RequestId { ticket, number: RequestNumber(number) };
        let put = put_object(at(1, 1), key(name), number, part_in(1, runs));
        self.propose(Some(request), CommandBody::PutObject(Box::new(put))).await
    }

    /// Runs the duties until they have nothing to do for a while.
    async fn settle(&self) {
        self.heirs.step().await.expect("heirs");
        // A move that waits has its turn again once all others have had theirs.
        for _ in 0..3 {
            while self.moves.step().await.expect("moves") == Step::Again {}
        }
    }

    async fn set_state(&self, disk: u8, state: DiskState) {
        let changed = placement::with_disk_state(&self.changes.now(), disk_id(disk), state).expect("a change");
        self.changes.set(changed).await;
    }

    /// Disk 4, which is blank, is marked and then takes the place of one that is lost; what rebuilds it, and looks in
    /// between too.
    async fn replace(&self, lost: u8) -> RebuildDisks {
        let mut without = (*self.changes.now()).clone();
        without.disks.retain(|disk| disk.id != disk_id(4));
        self.changes.set(without).await;
        self.disks.local.update_superblock(disk_id(4), mark_replaced).await.expect("noted");
        let duty = RebuildDisks::new(self.services.clone(), watch::channel(0).1);
        assert_eq!(self.rebuild(&duty).await, [REBUILDING_NOTE], "nobody knows yet what it is to have");
        self.disks.lost.lock().insert(disk_id(lost));
        let mut layout = (*self.changes.now()).clone();
        let row = layout.disks.iter_mut().find(|disk| disk.id == disk_id(lost)).expect("it was there");
        row.id = disk_id(4);
        for slot in
            layout.groups.iter_mut().flat_map(|group| &mut group.slots).filter(|slot| slot.disk == disk_id(lost))
        {
            *slot = Slot::owned(disk_id(4), slot.epoch.next());
        }
        self.changes.set(layout).await;
        duty
    }

    /// Has disk 4 rebuilt until there is nothing to do for a while; what it notes then.
    async fn rebuild(&self, duty: &RebuildDisks) -> Vec<String> {
        while duty.step().await.expect("a step") == Step::Again {}
        let superblock = self.disks.local.superblock(disk_id(4)).expect("it is open");
        superblock.notes.keys().cloned().collect()
    }

    fn slot(&self) -> Slot {
        self.changes.now().groups[0].slots[0]
    }

    /// All that was committed is read without these disks.
    async fn assert_all_without(&self, lost: &[u8], names: &[&str]) {
        self.disks.lost.lock().extend(lost.iter().map(|number| disk_id(*number)));
        let written = self.written.lock().clone();
        for Written { name, bytes, extents } in written {
            if names.contains(&name.as_str()) {
                let home = HomeKey { bucket: BucketId(1), key: key(&name) };
                let part = PartToRead { home, extents, crc64_nvme: None };
                let read: Vec<Bytes> =
                    self.data.read(vec![part], 0..BYTES as u64).try_collect().await.expect("it is read");
                assert!(read.concat() == bytes, "{name} is what was written");
            }
        }
    }
}

fn put(answer: &Answer) -> bool {
    matches!(answer, Answer::Put { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_paused_writer_commits_late_is_not_lost_with_an_owner_that_could_not_be_sealed() {
    let world = World::new().await;
    let ticket = world.ticket().await;
    let early = world.write(&world.data, "early", ticket).await.expect("written");
    assert!(put(&world.commit("early", ticket, 1, &early).await));
    // The disk's node is cut off from the others, not from the writer.
    world.disks.deaf.lock().insert(disk_id(1));
    world.set_state(1, DiskState::Out).await;
    world.settle().await;
    assert_eq!(world.slot().heir.map(|heir| heir.disk), Some(disk_id(4)), "it waits for the writer's ticket");
    let late = world.write(&world.of_old, "late", ticket).await.expect("its disk takes it");
    world.settle().await;
    assert!(put(&world.commit("late", ticket, 2, &late).await));
    let too_late = world.write(&world.of_old, "too late", ticket).await.expect("its disk takes it");
    assert!(world.slot().heir.is_some(), "it waits still");
    world.propose(None, CommandBody::EndTicket(ticket)).await;
    world.settle().await;
    assert_eq!(world.slot(), Slot::owned(disk_id(4), SlotEpoch(3)));
    let refused = world.commit("too late", ticket, 3, &too_late).await;
    assert_eq!(refused, Answer::Refused(Refusal::BelowFloor));
    world.assert_all_without(&[1, 2], &["early", "late"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_gone_holds_a_move_up_until_its_ticket_is_over() {
    let world = World::new().await;
    let ticket = world.ticket().await;
    let early = world.write(&world.data, "early", ticket).await.expect("written");
    assert!(put(&world.commit("early", ticket, 1, &early).await));
    world.disks.deaf.lock().insert(disk_id(1));
    world.set_state(1, DiskState::Out).await;
    world.settle().await;
    assert!(world.slot().heir.is_some());
    world.clock.advance(IDLE_MAX + Duration::from_secs(1));
    world.settle().await;
    assert_eq!(world.slot(), Slot::owned(disk_id(4), SlotEpoch(3)));
    world.assert_all_without(&[1, 3], &["early"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_owner_hands_on_what_may_still_be_committed() {
    let world = World::new().await;
    let ticket = world.ticket().await;
    let early = world.write(&world.data, "early", ticket).await.expect("written");
    assert!(put(&world.commit("early", ticket, 1, &early).await));
    let open = world.write(&world.of_old, "open", ticket).await.expect("written");
    world.set_state(1, DiskState::Draining).await;
    world.settle().await;
    assert_eq!(world.slot(), Slot::owned(disk_id(4), SlotEpoch(3)), "nothing is waited for");
    assert!(put(&world.commit("open", ticket, 2, &open).await));
    assert!(world.write(&world.of_old, "stale", ticket).await.is_err(), "its layout is old");
    world.assert_all_without(&[1, 2], &["early", "open"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_disk_has_left_of_a_slot_does_not_pass_for_what_it_inherits() {
    let world = World::new().await;
    let ticket = world.ticket().await;
    let early = world.write(&world.data, "early", ticket).await.expect("written");
    assert!(put(&world.commit("early", ticket, 1, &early).await));
    world.set_state(1, DiskState::Draining).await;
    world.settle().await;
    assert_eq!(world.slot(), Slot::owned(disk_id(4), SlotEpoch(3)));
    // What it handed on is still there when it is to have the slot back: it takes that once the old shards are gone.
    world.set_state(1, DiskState::Up).await;
    world.disks.deaf.lock().insert(disk_id(1));
    world.set_state(4, DiskState::Draining).await;
    world.heirs.step().await.expect("heirs");
    world.disks.deaf.lock().clear();
    world.settle().await;
    assert_eq!(world.slot().heir.map(|heir| heir.disk), Some(disk_id(1)), "it has not taken the slot");
    let runs = early.iter().map(|run| run.id).collect();
    world.disks.local.free(disk_id(1), PlacementGroupId(1), runs).await.expect("freed");
    world.changes.set((*world.changes.now()).clone()).await;
    world.settle().await;
    assert_eq!(world.slot(), Slot::owned(disk_id(1), SlotEpoch(5)));
    world.assert_all_without(&[2, 4], &["early"]).await;
}

/// A writer has had stripes acknowledged when one of their disks is lost, and another was on its way to the others as they
/// were looked through; it commits all of them.
#[tokio::test(flavor = "multi_thread")]
async fn what_writers_of_before_commit_after_their_disk_was_replaced_is_rebuilt_too() {
    let world = World::new().await;
    let ticket = world.ticket().await;
    let early = world.write(&world.data, "early", ticket).await.expect("written");
    assert!(put(&world.commit("early", ticket, 1, &early).await));
    let open = world.write(&world.data, "open", ticket).await.expect("written");
    let duty = world.replace(1).await;
    assert_eq!(world.rebuild(&duty).await, [SETTLING_NOTE], "the writer's ticket is not over");
    assert!(put(&world.commit("open", ticket, 2, &open).await));
    let late = world.write(&world.of_old, "late", ticket).await.expect("the lost disk takes it");
    assert!(put(&world.commit("late", ticket, 3, &late).await));
    assert_eq!(world.rebuild(&duty).await, [SETTLING_NOTE], "the writer's ticket is not over");
    world.propose(None, CommandBody::EndTicket(ticket)).await;
    assert_eq!(world.rebuild(&duty).await, [""; 0], "nothing is left of before");
    world.assert_all_without(&[1, 2], &["early", "open", "late"]).await;
}

/// The process ends while a writer of before goes on, and is started again, which every writer sees as little as another
/// layout: what is waited for is still that writer, and none that came since.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_waits_for_no_writers_that_came_after_the_disk() {
    let world = World::new().await;
    let ticket = world.ticket().await;
    let early = world.write(&world.data, "early", ticket).await.expect("written");
    assert!(put(&world.commit("early", ticket, 1, &early).await));
    let open = world.write(&world.data, "open", ticket).await.expect("written");
    let duty = world.replace(1).await;
    assert_eq!(world.rebuild(&duty).await, [SETTLING_NOTE], "the writer's ticket is not over");
    let later = world.ticket().await;
    let of_later = world.write(&world.data, "later", later).await.expect("written");
    let started = RebuildDisks::new(world.services.clone(), watch::channel(0).1);
    assert_eq!(world.rebuild(&started).await, [SETTLING_NOTE], "the writer's ticket is not over");
    assert!(put(&world.commit("open", ticket, 2, &open).await));
    world.propose(None, CommandBody::EndTicket(ticket)).await;
    assert_eq!(world.rebuild(&started).await, [""; 0], "nothing is left of before");
    assert!(put(&world.commit("later", later, 1, &of_later).await), "that one lives");
    world.assert_all_without(&[1, 2], &["early", "open", "later"]).await;
}

/// What can't be read now may be read later: a disk that lacks it is not whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_is_not_whole_while_what_it_lacks_cannot_be_read() {
    let world = World::new().await;
    let ticket = world.ticket().await;
    let early = world.write(&world.data, "early", ticket).await.expect("written");
    assert!(put(&world.commit("early", ticket, 1, &early).await));
    world.propose(None, CommandBody::EndTicket(ticket)).await;
    let duty = world.replace(1).await;
    world.disks.stuck.lock().insert(disk_id(3));
    assert_eq!(world.rebuild(&duty).await, [REBUILDING_NOTE], "a shard of it is not to be had");
    world.disks.stuck.lock().clear();
    assert_eq!(world.rebuild(&duty).await, [""; 0], "it has all");
    world.assert_all_without(&[1, 2], &["early"]).await;
}
