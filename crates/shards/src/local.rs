//! The shard service over all disks of this process.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::RwLock;
use platform::Disk;
use tokio::sync::watch;
use types::{DiskId, PlacementGroupId, RunId};

use crate::health::{DiskHealth, HealthListener};
use crate::store::{ShardStore, StoreEnvironment, StoreError, VerifiedShard};
use crate::superblock::{SlotClaim, Superblock};
use crate::usage::DiskUsage;
use crate::{ShardAddress, ShardBody, ShardError, ShardHeader, ShardService, StoredShard};

/// The health of all disks of a process.
pub type DiskStates = Arc<BTreeMap<DiskId, DiskHealth>>;

/// The shard service over all disks of this process.
///
/// A disk that is down stays listed, and answers [`ShardError::DiskDown`], until it is removed or opened anew.
#[derive(Debug)]
pub struct LocalShards {
    environment: StoreEnvironment,
    stores: RwLock<BTreeMap<DiskId, Arc<ShardStore>>>,
    states: Arc<watch::Sender<DiskStates>>,
}

impl LocalShards {
    /// A service without disks.
    pub fn new(environment: StoreEnvironment) -> Self {
        Self { environment, stores: RwLock::default(), states: Arc::new(watch::Sender::default()) }
    }

    /// Opens a formatted disk and serves it: also one that was down, as readmitting it, or a new one.
    ///
    /// Replays what the index doesn't know; where there is no index, all segments are scanned.
    ///
    /// # Errors
    /// [`StoreError`]: the disk isn't served.
    pub async fn add_disk(&self, disk: Arc<dyn Disk>) -> Result<DiskId, StoreError> {
        let superblock = crate::superblock::SuperblockFile::open(&*disk)?;
        // Two stores on one directory would write over each other.
        self.remove_disk(superblock.get().disk).await;
        drop(superblock);
        let states = Arc::clone(&self.states);
        let listener: HealthListener = Arc::new(move |disk, health| publish(&states, disk, Some(health)));
        let environment = self.environment.clone();
        let opened = self.environment.workers.run(move || ShardStore::open(disk, &environment, listener)).await?;
        let id = opened.disk_id();
        let health = opened.health();
        self.stores.write().insert(id, Arc::new(opened));
        publish(&self.states, id, Some(health));
        Ok(id)
    }

    /// Serves a disk no more, after what was asked of it is done. Unknown ones are fine.
    pub async fn remove_disk(&self, disk: DiskId) {
        let store = self.stores.write().remove(&disk);
        if let Some(store) = store {
            self.environment.workers.run(move || store.close()).await;
            publish(&self.states, disk, None);
        }
    }

    /// Serves no disk any more; the indexes are flushed.
    pub async fn close(&self) {
        let disks: Vec<_> = self.stores.read().keys().copied().collect();
        for disk in disks {
            self.remove_disk(disk).await;
        }
    }

    /// The health of all disks, and every change of it at once.
    pub fn watch(&self) -> watch::Receiver<DiskStates> {
        self.states.subscribe()
    }

    /// The health of all disks now.
    pub fn disk_states(&self) -> DiskStates {
        Arc::clone(&self.states.borrow())
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
    /// # Errors
    /// [`ShardError::UnknownDisk`], [`ShardError::DiskDown`]; [`ShardError::Invalid`] when there are too many.
    pub async fn set_slots(&self, disk: DiskId, claims: Vec<SlotClaim>) -> Result<(), ShardError> {
        self.store(disk)?.set_slots(claims).await
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
        self.stores.read().get(&disk).cloned().ok_or(ShardError::UnknownDisk { disk })
    }
}

fn publish(states: &watch::Sender<DiskStates>, disk: DiskId, health: Option<DiskHealth>) {
    states.send_modify(|states| {
        let states = Arc::make_mut(states);
        match health {
            Some(health) => states.insert(disk, health),
            None => states.remove(&disk),
        };
    });
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

    async fn list(
        &self,
        disk: DiskId,
        after: Option<ShardAddress>,
        limit: usize,
    ) -> Result<Vec<StoredShard>, ShardError> {
        self.store(disk)?.list(after, limit).await
    }
}
