//! What the threads of one disk's store share.

use std::collections::{HashMap, VecDeque};
use std::io;

use parking_lot::{Mutex, RwLock};
use platform::{BufferPool, OpenOptions};
use types::{PlacementGroupId, SlotEpoch, SlotIndex};

use crate::ShardError;
use crate::accounts::{SegmentAccount, SegmentState};
use crate::catalog::Catalog;
use crate::database::{Database, IndexFailure};
use crate::health::{Counters, Health};
use crate::keeper::KeeperSignal;
use crate::queue::CommitQueue;
use crate::reading::HeaderCache;
use crate::segment::{RECORDS_START, SegmentFile, SegmentHome, SegmentId, SegmentIdentity, SegmentKind};
use crate::settings::ShardSettings;
use crate::superblock::{SlotClaim, SuperblockFile};

/// The first small segments of a disk have this size; every second one is larger than those before.
const FIRST_SEGMENT_BYTES: u64 = 4 << 20;
/// Room for the longest small record, twice.
const SMALL_SEGMENT_BYTES_MIN: u64 = 256 << 10;

/// What the threads of one disk's store share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) home: SegmentHome,
    pub(crate) settings: ShardSettings,
    pub(crate) superblock: SuperblockFile,
    pub(crate) slots: RwLock<SlotTable>,
    pub(crate) catalog: Catalog,
    pub(crate) queue: CommitQueue,
    pub(crate) keeper: KeeperSignal,
    pub(crate) health: Health,
    pub(crate) counters: Counters,
    pub(crate) pool: BufferPool,
    pub(crate) headers: HeaderCache,
    pub(crate) handles: Handles,
}

/// Why something could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteFailure {
    /// No room.
    #[error("no room")]
    Full,
    /// The disk must not be written again.
    #[error("{0}")]
    Failed(String),
}

impl From<io::Error> for WriteFailure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl Core {
    /// Whether the file system has room for `bytes` more without touching what is kept free.
    pub(crate) fn has_room(&self, bytes: u64) -> io::Result<bool> {
        Ok(self.home.disk.space()?.free_bytes >= bytes.saturating_add(self.settings.free_bytes_min))
    }

    /// Makes a spare small segment.
    pub(crate) fn prepare_small(&self) -> Result<(), WriteFailure> {
        let (id, count) =
            self.catalog.change_accounts(|accounts| (accounts.take_id(), accounts.count(SegmentKind::Small)));
        let doublings = u32::try_from(count / 2).unwrap_or(u32::MAX).min(16);
        let bytes = self.settings.small_segment_bytes.clamp(SMALL_SEGMENT_BYTES_MIN, FIRST_SEGMENT_BYTES << doublings);
        let identity = SegmentIdentity { id, kind: SegmentKind::Small, generation: self.next_generation(), bytes };
        self.create_segment(identity, bytes)?;
        self.catalog.change_accounts(|accounts| accounts.insert(SegmentAccount::empty(identity, SegmentState::Spare)));
        Ok(())
    }

    /// Makes a large segment that holds at least a record of `record_bytes`, and opens it for appending.
    pub(crate) fn prepare_large(&self, record_bytes: u64) -> Result<SegmentIdentity, WriteFailure> {
        let bytes = self.settings.large_segment_bytes.max(RECORDS_START + record_bytes);
        let id = self.catalog.change_accounts(crate::accounts::Accounts::take_id);
        let identity = SegmentIdentity { id, kind: SegmentKind::Large, generation: self.next_generation(), bytes };
        self.create_segment(identity, self.settings.large_allocation_bytes.min(bytes))?;
        self.catalog.change_accounts(|accounts| accounts.insert(SegmentAccount::empty(identity, SegmentState::Open)));
        Ok(identity)
    }

    fn create_segment(&self, identity: SegmentIdentity, allocated: u64) -> Result<(), WriteFailure> {
        if !self.has_room(allocated)? {
            return Err(WriteFailure::Full);
        }
        let created = self.home.create(identity, allocated).map(drop).map_err(WriteFailure::from);
        if let Err(WriteFailure::Full) = &created {
            // Not needed and in the way; a start would remove it too.
            self.home.remove_unused(identity.id, identity.kind)?;
        }
        if created.is_ok() {
            self.health.set_full(false);
        }
        created
    }

    /// Higher than that of any segment whose records could be taken for those of one that is made now.
    fn next_generation(&self) -> u64 {
        self.catalog.published_seq() + 1
    }

    /// The generation with which a segment is used anew.
    pub(crate) fn generation_after(&self, identity: &SegmentIdentity) -> u64 {
        self.next_generation().max(identity.generation + 1)
    }

    /// The file of a segment, for reading.
    pub(crate) fn segment_file(&self, identity: SegmentIdentity) -> io::Result<SegmentFile> {
        if let Some(file) = self.handles.get(&identity) {
            return Ok(file);
        }
        let file = self.home.open(identity, OpenOptions::EXISTING)?;
        self.handles.put(file.clone());
        Ok(file)
    }

    /// What a caller hears when the index failed; takes the disk down where that is due.
    ///
    /// A damaged index is taken away, so that opening the disk again makes it anew.
    pub(crate) fn index_failed(&self, failure: &IndexFailure) -> ShardError {
        match failure {
            IndexFailure::Full => ShardError::DiskFull { disk: self.home.disk_id },
            IndexFailure::Damaged(_) => {
                if !self.health.get().is_down()
                    && let Err(error) = Database::discard(&*self.home.disk)
                {
                    tracing::warn!(disk = %self.home.disk_id, %error, "a damaged shard index could not be removed");
                }
                self.health.take_down_for_index(&failure.to_string())
            }
            IndexFailure::Failed(_) => self.health.take_down(&failure.to_string()),
        }
    }

    /// Whether this is still the disk that was opened: its superblock is found by path. Files of a deleted directory
    /// still take writes.
    pub(crate) fn check_in_place(&self) -> Result<(), WriteFailure> {
        match self.superblock.is_in_place(&*self.home.disk) {
            Ok(true) => Ok(()),
            Ok(false) => Err(WriteFailure::Failed("its directory was deleted, replaced or unmounted".to_owned())),
            Err(error) => Err(WriteFailure::Failed(format!("its superblock cannot be looked up: {error}"))),
        }
    }
}

/// Which slots a disk takes shards for.
#[derive(Debug, Default)]
pub(crate) struct SlotTable {
    claims: HashMap<(PlacementGroupId, SlotIndex), SlotClaim>,
    is_told: bool,
}

impl SlotTable {
    /// What the disk is told now.
    pub(crate) fn new(claims: &[SlotClaim]) -> Self {
        Self { claims: claims.iter().map(|claim| ((claim.group, claim.slot), *claim)).collect(), is_told: true }
    }

    /// What it was told before it was opened: others may own the slots by now, so that all are sealed.
    pub(crate) fn of_old(claims: &[SlotClaim]) -> Self {
        let sealed: Vec<SlotClaim> = claims.iter().map(|claim| SlotClaim { sealed: true, ..*claim }).collect();
        Self { is_told: false, ..Self::new(&sealed) }
    }

    /// Whether it was told since it was opened.
    pub(crate) fn is_told(&self) -> bool {
        self.is_told
    }

    /// Whether shards of the slot may come in under an epoch up to `epoch`.
    pub(crate) fn takes_up_to(&self, group: PlacementGroupId, slot: SlotIndex, epoch: SlotEpoch) -> bool {
        self.claims.get(&(group, slot)).is_some_and(|claim| !claim.sealed && claim.epoch <= epoch)
    }

    /// Takes no more shards of a slot.
    pub(crate) fn seal(&mut self, group: PlacementGroupId, slot: SlotIndex) {
        if let Some(claim) = self.claims.get_mut(&(group, slot)) {
            claim.sealed = true;
        }
    }

    /// Whether a shard for the slot, written under `named`, may come in.
    pub(crate) fn admit(&self, group: PlacementGroupId, slot: SlotIndex, named: SlotEpoch) -> Result<(), ShardError> {
        match self.claims.get(&(group, slot)) {
            Some(claim) if claim.epoch == named && !claim.sealed => Ok(()),
            _ if platform::leaves_out("slot-epoch") => Ok(()),
            Some(claim) => Err(ShardError::Stale { owned: claim.epoch, named }),
            None => Err(ShardError::Stale { owned: SlotEpoch(0), named }),
        }
    }
}

/// Open files of segments; as many as are in use, within a bound.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    entries: Mutex<HandleEntries>,
}

#[derive(Debug, Default)]
struct HandleEntries {
    files: HashMap<SegmentId, SegmentFile>,
    order: VecDeque<SegmentId>,
}

impl Handles {
    const FILES_MAX: usize = 128;

    fn get(&self, identity: &SegmentIdentity) -> Option<SegmentFile> {
        let entries = self.entries.lock();
        entries.files.get(&identity.id).filter(|file| file.identity == *identity).cloned()
    }

    fn put(&self, file: SegmentFile) {
        let id = file.identity.id;
        let mut entries = self.entries.lock();
        if entries.files.insert(id, file).is_none() {
            entries.order.push_back(id);
        }
        if entries.order.len() > Self::FILES_MAX
            && let Some(oldest) = entries.order.pop_front()
        {
            entries.files.remove(&oldest);
        }
    }

    /// Closes the file of a segment that is no more.
    pub(crate) fn remove(&self, id: SegmentId) {
        let mut entries = self.entries.lock();
        entries.files.remove(&id);
        entries.order.retain(|known| *known != id);
    }
}
