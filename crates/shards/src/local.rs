//! The shard service over all disks of this process.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use platform::Disk;
use tokio::sync::watch;
use types::{DiskId, PlacementGroupId, RunId, SlotEpoch, SlotIndex};

use crate::archive::ArchiveStore;
use crate::health::{DiskHealth, HealthListener};
use crate::store::{ShardStore, StoreEnvironment, StoreError, VerifiedShard};
use crate::superblock::{Found, SlotClaim, Superblock, inspect};
use crate::usage::DiskUsage;
use crate::{
    ArchiveError, ArchiveFile, ArchivePage, ArchiveService, ArchiveSet, ShardAddress, ShardBody, ShardError,
    ShardHeader, ShardService, StoredArchive, StoredShard,
};

/// The superblock's notes that say where the archives lie begin so; the range follows.
const ARCHIVE_NOTE: &str = "archive-";
/// The format of these notes.
const ARCHIVE_NOTE_VERSION: u8 = 1;

/// The health of all disks of a process.
pub type DiskStates = Arc<BTreeMap<DiskId, DiskHealth>>;

/// The shard service over all disks of this process.
///
/// A disk that is down stays listed, and answers [`ShardError::DiskDown`], until it is removed or opened anew.
#[derive(Debug)]
pub struct LocalShards {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    environment: StoreEnvironment,
    stores: RwLock<BTreeMap<DiskId, Arc<ShardStore>>>,
    states: watch::Sender<DiskStates>,
    /// Held while a store is opened or closed: two on one directory would write over each other.
    opening: Mutex<()>,
}

impl LocalShards {
    /// A service without disks.
    pub fn new(environment: StoreEnvironment) -> Self {
        let shared = Shared {
            environment,
            stores: RwLock::default(),
            states: watch::Sender::default(),
            opening: Mutex::new(()),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Opens a formatted disk and serves it: also one that was down, as readmitting it, or a new one.
    ///
    /// Replays what the index doesn't know; where there is no index, all segments are scanned.
    ///
    /// # Errors
    /// [`StoreError`]: the disk isn't served.
    pub async fn add_disk(&self, disk: Arc<dyn Disk>) -> Result<DiskId, StoreError> {
        self.run(move |shared| {
            let id = match inspect(&*disk)? {
                Found::Formatted(superblock) => superblock.disk,
                Found::Blank => return Err(StoreError::Blank),
            };
            let _opening = shared.opening.lock();
            shared.remove(id);
            shared.open(disk)
        })
        .await
    }

    /// Serves a disk no more, after what was asked of it is done. Unknown ones are fine.
    pub async fn remove_disk(&self, disk: DiskId) {
        self.run(move |shared| {
            let _opening = shared.opening.lock();
            shared.remove(disk);
        })
        .await;
    }

    /// Serves no disk any more; the indexes are flushed.
    pub async fn close(&self) {
        for disk in self.disk_states().keys() {
            self.remove_disk(*disk).await;
        }
    }

    /// The health of all disks, and every change of it at once.
    pub fn watch(&self) -> watch::Receiver<DiskStates> {
        self.shared.states.subscribe()
    }

    /// The health of all disks now.
    pub fn disk_states(&self) -> DiskStates {
        Arc::clone(&self.shared.states.borrow())
    }

    /// Looks whether a disk is still in place, and whether a full one has room again. Cheap: a few calls to the file
    /// system. A disk that nobody writes to notices the loss of its directory by this alone.
    ///
    /// # Errors
    /// [`ShardError::UnknownDisk`].
    pub async fn probe(&self, disk: DiskId) -> Result<DiskHealth, ShardError> {
        Ok(self.store(disk)?.probe().await)
    }

    /// What the superblock of a disk holds.
    ///
    /// # Errors
    /// [`ShardError::UnknownDisk`].
    pub fn superblock(&self, disk: DiskId) -> Result<Arc<Superblock>, ShardError> {
        Ok(self.store(disk)?.superblock())
    }

    /// Changes the superblock of a disk, durably once this returns.
    ///
    /// # Errors
    /// [`ShardError::UnknownDisk`], [`ShardError::DiskDown`]; [`ShardError::Invalid`] when it would be too long.
    pub async fn update_superblock(
        &self,
        disk: DiskId,
        change: impl FnOnce(&mut Superblock) + Send + 'static,
    ) -> Result<Arc<Superblock>, ShardError> {
        self.store(disk)?.update_superblock(change).await
    }

    /// Sets the slots that a disk takes shards for, durably, in place of all earlier claims. A shard for a slot that
    /// isn't claimed, is claimed at another epoch or is sealed is refused as Stale. Once this returns, no append under
    /// an earlier claim is under way any more.
    ///
    /// A disk that was opened takes no shards until it is told its slots: what it was told before may be long over.
    ///
    /// # Errors
    /// [`ShardError::UnknownDisk`], [`ShardError::DiskDown`]; [`ShardError::Invalid`] when there are too many.
    pub async fn set_slots(&self, disk: DiskId, claims: Vec<SlotClaim>) -> Result<(), ShardError> {
        self.store(disk)?.set_slots(claims).await
    }

    /// Whether a disk was told its slots since it was opened.
    pub fn knows_its_slots(&self, disk: DiskId) -> bool {
        self.store(disk).is_ok_and(|store| store.knows_its_slots())
    }

    /// How much of a disk is used, and what it has done.
    ///
    /// # Errors
    /// [`ShardError::UnknownDisk`], [`ShardError::DiskDown`].
    pub async fn usage(&self, disk: DiskId) -> Result<DiskUsage, ShardError> {
        self.store(disk)?.usage().await
    }

    /// Reads and verifies up to `limit` shards after `after`, in order of address; fewer than `limit` only at the end
    /// or where some were freed meanwhile.
    ///
    /// # Errors
    /// [`ShardError::UnknownDisk`], [`ShardError::DiskDown`].
    pub async fn verify_next(
        &self,
        disk: DiskId,
        after: Option<ShardAddress>,
        limit: usize,
    ) -> Result<Vec<VerifiedShard>, ShardError> {
        self.store(disk)?.verify_next(after, limit).await
    }

    /// Flushes a disk's index, punches freed shards out and compacts what is worth it, now; returns when it is done.
    ///
    /// # Errors
    /// [`ShardError::UnknownDisk`].
    pub async fn settle(&self, disk: DiskId) -> Result<(), ShardError> {
        self.store(disk)?.settle().await;
        Ok(())
    }

    fn store(&self, disk: DiskId) -> Result<Arc<ShardStore>, ShardError> {
        self.shared.stores.read().get(&disk).cloned().ok_or(ShardError::UnknownDisk { disk })
    }

    async fn run<T: Send + 'static>(&self, job: impl FnOnce(&Arc<Shared>) -> T + Send + 'static) -> T {
        let shared = Arc::clone(&self.shared);
        self.shared.environment.workers.run(move || job(&shared)).await
    }
}

impl Shared {
    fn open(self: &Arc<Self>, disk: Arc<dyn Disk>) -> Result<DiskId, StoreError> {
        let shared = Arc::downgrade(self);
        let listener: HealthListener = Arc::new(move |disk, health| {
            if let Some(shared) = shared.upgrade() {
                shared.hear(disk, health);
            }
        });
        let store = ShardStore::open(disk, &self.environment, listener)?;
        let (id, health) = (store.disk_id(), store.health());
        self.stores.write().insert(id, Arc::new(store));
        self.publish(id, Some(health));
        Ok(id)
    }

    fn remove(&self, disk: DiskId) {
        let store = self.stores.write().remove(&disk);
        if let Some(store) = store {
            store.close();
            self.publish(disk, None);
        }
    }

    /// Called on the thread that found the change, which must not wait for itself to end.
    fn hear(self: &Arc<Self>, disk: DiskId, health: DiskHealth) {
        let is_down = health.is_down();
        self.publish(disk, Some(health));
        if is_down {
            let shared = Arc::clone(self);
            self.environment.workers.spawn(move || shared.mend(disk));
        }
    }

    /// Opens a disk anew whose index alone is damaged, which makes the index anew. Until that is done the disk is down.
    fn mend(self: &Arc<Self>, id: DiskId) {
        let _opening = self.opening.lock();
        let Some(store) = self.stores.read().get(&id).filter(|store| store.is_index_damaged()).cloned() else { return };
        store.close();
        if let Err(error) = self.open(store.disk()) {
            tracing::error!(disk = %id, %error, "a disk whose index was damaged could not be opened anew");
        }
    }

    fn publish(&self, disk: DiskId, health: Option<DiskHealth>) {
        self.states.send_modify(|states| {
            let states = Arc::make_mut(states);
            match health {
                Some(health) => states.insert(disk, health),
                None => states.remove(&disk),
            };
        });
    }
}

#[async_trait]
impl ShardService for LocalShards {
    async fn append(&self, disk: DiskId, header: ShardHeader, body: ShardBody) -> Result<(), ShardError> {
        self.store(disk)?.append(header, body).await
    }

    async fn read(&self, disk: DiskId, address: ShardAddress, range: Range<u64>) -> Result<ShardBody, ShardError> {
        self.store(disk)?.read(address, range).await
    }

    async fn header(&self, disk: DiskId, address: ShardAddress) -> Result<ShardHeader, ShardError> {
        self.store(disk)?.header(address).await
    }

    async fn free(&self, disk: DiskId, group: PlacementGroupId, runs: Vec<RunId>) -> Result<(), ShardError> {
        self.store(disk)?.free(group, runs).await
    }

    async fn seal(
        &self,
        disk: DiskId,
        group: PlacementGroupId,
        slot: SlotIndex,
        epoch: SlotEpoch,
    ) -> Result<(), ShardError> {
        self.store(disk)?.seal(group, slot, epoch).await
    }

    async fn list(
        &self,
        disk: DiskId,
        after: Option<ShardAddress>,
        limit: usize,
    ) -> Result<Vec<StoredShard>, ShardError> {
        self.store(disk)?.list(after, limit).await
    }
}

#[async_trait]
impl ArchiveService for LocalShards {
    async fn append_archive(
        &self,
        disk: DiskId,
        file: ArchiveFile,
        seq: u64,
        payload: Bytes,
    ) -> Result<(), ArchiveError> {
        self.store(disk)?.archive(move |archive, core| archive.append(core, file, seq, &payload)).await
    }

    async fn read_archive(
        &self,
        disk: DiskId,
        file: ArchiveFile,
        position: u64,
        bytes_max: u64,
    ) -> Result<ArchivePage, ArchiveError> {
        self.store(disk)?.archive(move |_, core| ArchiveStore::read(core, file, position, bytes_max)).await
    }

    async fn archives(&self, disk: DiskId) -> Result<Vec<StoredArchive>, ArchiveError> {
        self.store(disk)?.archive(|_, core| ArchiveStore::list(core)).await
    }

    async fn drop_archive(&self, disk: DiskId, file: ArchiveFile) -> Result<(), ArchiveError> {
        self.store(disk)?.archive(move |archive, core| archive.remove(core, file)).await
    }

    async fn note_archive(&self, disk: DiskId, set: ArchiveSet) -> Result<(), ArchiveError> {
        let name = format!("{ARCHIVE_NOTE}{}", set.file.range);
        let note = postcard::to_extend(&set, vec![ARCHIVE_NOTE_VERSION]).expect("plain data can be encoded");
        let change = move |superblock: &mut Superblock| {
            superblock.notes.insert(name, note);
        };
        self.update_superblock(disk, change).await?;
        Ok(())
    }

    async fn archive_sets(&self, disk: DiskId) -> Result<Vec<ArchiveSet>, ArchiveError> {
        let superblock = self.store(disk)?.superblock();
        let notes = superblock.notes.iter().filter(|(name, _)| name.starts_with(ARCHIVE_NOTE));
        // A note of a newer format is none to this release; the files themselves are found all the same.
        let read = |note: &Vec<u8>| match note.split_first() {
            Some((&ARCHIVE_NOTE_VERSION, set)) => postcard::from_bytes(set).ok(),
            _ => None,
        };
        Ok(notes.filter_map(|(_, note)| read(note)).collect())
    }
}

impl From<ShardError> for ArchiveError {
    fn from(error: ShardError) -> Self {
        match error {
            ShardError::DiskFull { disk } => Self::DiskFull { disk },
            ShardError::DiskDown { disk, reason } => Self::DiskDown { disk, reason },
            ShardError::UnknownDisk { disk } => Self::UnknownDisk { disk },
            ShardError::Unreachable { disk, reason } => Self::Unreachable { disk, reason },
            other => Self::Invalid { reason: other.to_string() },
        }
    }
}
