//! The shard store of one disk.

use std::io;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use platform::threads::{self, JoinHandle};
use platform::{BufferPool, Disk, Workers};
use tokio::sync::oneshot;
use types::{DiskId, Integrity, PlacementGroupId, RunId, SlotEpoch, SlotIndex};

use crate::archive::ArchiveStore;
use crate::blocks::checksums_of;
use crate::catalog::Finding;
use crate::commit::Committer;
use crate::core::{Core, Handles, SlotTable};
use crate::health::{Counters, DiskHealth, Health, HealthListener};
use crate::keeper::{Keeper, KeeperSignal};
use crate::location::{Location, Place};
use crate::metadata::{decode_metadata, encode_metadata};
use crate::queue::{AppendOp, Appended, CommitQueue, FreeOp, NewShard, SmallOp};
use crate::reading::{HeaderCache, ReadFailure, decode, read_header, read_range, verify_record};
use crate::record::{BODY_BYTES_MAX, METADATA_BYTES_MAX};
use crate::recovery::{RecoveryError, recover};
use crate::segment::SegmentHome;
use crate::settings::ShardSettings;
use crate::superblock::{SlotClaim, Superblock, SuperblockError, SuperblockFile};
use crate::usage::{DiskUsage, usage_of};
use crate::{ShardAddress, ShardBody, ShardError, ShardHeader, StoredShard};

/// The longest body that is packed; longer ones are aligned.
pub const SMALL_BODY_BYTES_MAX: usize = 64 * 1024;
/// Runs that one operation of the committing thread frees.
const RUNS_PER_FREE: usize = 64;
/// Each attempt but the first follows a move of the record by compaction.
const READ_ATTEMPTS: usize = 4;

/// Why a disk's store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It is no disk, or another program's.
    #[error(transparent)]
    Superblock(#[from] SuperblockError),
    /// The directory is blank: format it first.
    #[error("the directory is not formatted")]
    Blank,
    /// Its segments or its index can't be read or written.
    #[error("the shards of the disk cannot be opened: {0}")]
    Unusable(String),
}

impl From<RecoveryError> for StoreError {
    fn from(error: RecoveryError) -> Self {
        let mut text = error.to_string();
        if let Some(source) = std::error::Error::source(&error) {
            text = format!("{text}: {source}");
        }
        Self::Unusable(text)
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        Self::Unusable(error.to_string())
    }
}

/// What stores work with.
#[derive(Debug, Clone)]
pub struct StoreEnvironment {
    /// Threads for reads and checksums.
    pub workers: Workers,
    /// Where buffers come from.
    pub pool: BufferPool,
    /// Sizes and thresholds.
    pub settings: ShardSettings,
}

/// What came of verifying one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedShard {
    /// Which shard.
    pub address: ShardAddress,
    /// Bytes of its body.
    pub bytes: u64,
    /// Whether it is what was written.
    pub intact: bool,
}

/// The shard store of one disk, with its threads. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct ShardStore {
    core: Arc<Core>,
    workers: Workers,
    archive: Arc<ArchiveStore>,
    /// A thread of the archive's own, from its first use on: its syncs must not hold readers up.
    archive_worker: OnceLock<Workers>,
    threads: Mutex<Threads>,
}

#[derive(Debug, Default)]
struct Threads {
    committer: Option<JoinHandle>,
    keeper: Option<JoinHandle>,
}

impl ShardStore {
    /// Opens a formatted disk: brings its index up to date, then starts its threads. Blocks.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        environment: &StoreEnvironment,
        listener: HealthListener,
    ) -> Result<Self, StoreError> {
        let superblock = SuperblockFile::open(&*disk)?;
        let Superblock { disk: disk_id, secret, slots, .. } = Superblock::clone(&superblock.get());
        let home = SegmentHome { disk, disk_id, secret };
        let recovered = recover(&home, &environment.pool)?;
        tracing::info!(disk = %disk_id, rebuilt = recovered.rebuilt, damaged = recovered.damaged_records, "a disk is open");
        let counters = Counters::default();
        Counters::add(&counters.damaged_records, recovered.damaged_records);
        let core = Arc::new(Core {
            home,
            settings: environment.settings.clone(),
            superblock,
            slots: RwLock::new(SlotTable::of_old(&slots)),
            catalog: recovered.catalog,
            queue: CommitQueue::default(),
            keeper: KeeperSignal::default(),
            health: Health::new(disk_id, listener),
            counters,
            pool: environment.pool.clone(),
            headers: HeaderCache::default(),
            handles: Handles::default(),
        });
        let committer = Committer::new(Arc::clone(&core), recovered.next_seq)?;
        let keeper = Keeper::new(Arc::clone(&core));
        let threads = Threads {
            committer: Some(threads::spawn("shard-commit", move || committer.run())?),
            keeper: Some(threads::spawn("shard-keep", move || keeper.run())?),
        };
        core.keeper.ask_prepare();
        core.keeper.ask_flush();
        core.keeper.ask_reclaim();
        Ok(Self {
            core,
            workers: environment.workers.clone(),
            archive: Arc::default(),
            archive_worker: OnceLock::new(),
            threads: Mutex::new(threads),
        })
    }

    pub(crate) fn disk_id(&self) -> DiskId {
        self.core.home.disk_id
    }

    pub(crate) fn health(&self) -> DiskHealth {
        self.core.health.get()
    }

    /// Whether opening it anew mends it.
    pub(crate) fn is_index_damaged(&self) -> bool {
        self.core.health.is_index_damaged()
    }

    pub(crate) fn disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.core.home.disk)
    }

    pub(crate) fn superblock(&self) -> Arc<Superblock> {
        self.core.superblock.get()
    }

    /// Appends one shard, as [`crate::ShardService::append`] says.
    pub(crate) async fn append(&self, header: ShardHeader, body: ShardBody) -> Result<(), ShardError> {
        self.core.health.check()?;
        let body_bytes = check_append(&header, &body)?;
        let metadata = encode_metadata(&header);
        if metadata.len() > METADATA_BYTES_MAX {
            return Err(invalid(format!("metadata of {} bytes, at most {METADATA_BYTES_MAX} fit", metadata.len())));
        }
        let integrity = header.profile.integrity;
        let checksums = self.checksums(&body, body_bytes, integrity).await;
        let mut shard = Box::new(NewShard {
            address: header.address,
            slot: header.slot,
            slot_epoch: header.slot_epoch,
            metadata,
            integrity,
            checksums,
            body,
            body_bytes,
        });
        let mut replaces = None;
        // A second round comes after one that has found a record; a third one only if another caller is as busy.
        loop {
            let (reply, answer) = oneshot::channel();
            let op = AppendOp { shard, replaces, reply };
            if body_bytes as usize <= SMALL_BODY_BYTES_MAX {
                self.core.queue.push_small(SmallOp::Append(op));
            } else {
                self.core.queue.push_large(op);
            }
            match answer.await.unwrap_or_else(|_| Err(self.closed()))? {
                Appended::Stored => return Ok(()),
                Appended::Present(location, returned) => {
                    let (same, returned) = self.run(move |core| (core.holds(&returned, &location), returned)).await;
                    if same {
                        return Ok(());
                    }
                    replaces = Some(location);
                    shard = returned;
                }
            }
        }
    }

    /// Long bodies are hashed by a worker; handing a short one over would take longer than hashing it.
    async fn checksums(&self, body: &ShardBody, body_bytes: u32, integrity: Integrity) -> Vec<u8> {
        if body_bytes as usize <= SMALL_BODY_BYTES_MAX {
            return checksums_of(body, integrity);
        }
        let body = body.clone();
        self.workers.run(move || checksums_of(&body, integrity)).await
    }

    /// Reads, as [`crate::ShardService::read`] says.
    pub(crate) async fn read(&self, address: ShardAddress, range: Range<u64>) -> Result<ShardBody, ShardError> {
        self.run(move |core| {
            core.with_record(&address, |segment, location| {
                if range.start > range.end || range.end > u64::from(location.body_bytes) {
                    let reason = format!("bytes {range:?} of a shard of {}", location.body_bytes);
                    return Ok(Err(invalid(reason)));
                }
                let range = range.start as usize..range.end as usize;
                read_range(segment, location, &address, range, &core.pool, &core.headers).map(Ok)
            })?
        })
        .await
    }

    /// Reads a header, as [`crate::ShardService::header`] says.
    pub(crate) async fn header(&self, address: ShardAddress) -> Result<ShardHeader, ShardError> {
        self.run(move |core| {
            core.with_record(&address, |segment, location| {
                let bytes = read_header(segment, location, &address)?;
                let header = decode(&bytes, segment, location, &address)?;
                decode_metadata(address, header.metadata).ok_or(ReadFailure::Wrong)
            })
        })
        .await
    }

    /// Frees, as [`crate::ShardService::free`] says.
    pub(crate) async fn free(&self, group: PlacementGroupId, runs: Vec<RunId>) -> Result<(), ShardError> {
        self.core.health.check()?;
        let answers: Vec<_> = runs
            .chunks(RUNS_PER_FREE)
            .map(|runs| {
                let (reply, answer) = oneshot::channel();
                self.core.queue.push_small(SmallOp::Free(FreeOp { group, runs: runs.to_vec(), reply }));
                answer
            })
            .collect();
        for answer in answers {
            answer.await.unwrap_or_else(|_| Err(self.closed()))?;
        }
        Ok(())
    }

    /// Lists, as [`crate::ShardService::list`] says.
    pub(crate) async fn list(&self, after: Option<ShardAddress>, limit: usize) -> Result<Vec<StoredShard>, ShardError> {
        self.run(move |core| {
            core.health.check()?;
            let listed = core.catalog.shards_after(after, limit).map_err(|failure| core.index_failed(&failure))?;
            let stored =
                |(address, location): (_, Location)| StoredShard { address, bytes: location.body_bytes.into() };
            Ok(listed.into_iter().map(stored).collect())
        })
        .await
    }

    /// Verifies up to `limit` shards after `after`, in order of address.
    pub(crate) async fn verify_next(
        &self,
        after: Option<ShardAddress>,
        limit: usize,
    ) -> Result<Vec<VerifiedShard>, ShardError> {
        let mut verified = Vec::new();
        for StoredShard { address, bytes } in self.list(after, limit).await? {
            // One job a shard, so that readers waiting for a worker get between.
            match self
                .run(move |core| core.with_record(&address, |s, l| verify_record(s, l, &address, &core.pool)))
                .await
            {
                Ok(()) => verified.push(VerifiedShard { address, bytes, intact: true }),
                Err(ShardError::Corrupt { .. }) => verified.push(VerifiedShard { address, bytes, intact: false }),
                // Freed since it was listed.
                Err(ShardError::Gone { .. } | ShardError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(verified)
    }

    /// Sets the slots that the disk takes shards for, durably. Once this returns, no append under a claim that was
    /// taken away or sealed is under way any more.
    pub(crate) async fn set_slots(&self, mut claims: Vec<SlotClaim>) -> Result<(), ShardError> {
        claims.sort_unstable();
        self.run(move |core| {
            core.health.check()?;
            core.update_superblock(|superblock| superblock.slots.clone_from(&claims))?;
            *core.slots.write() = SlotTable::new(&claims);
            Ok::<_, ShardError>(())
        })
        .await?;
        self.finish_appends().await
    }

    /// Whether it was told its slots since it was opened.
    pub(crate) fn knows_its_slots(&self) -> bool {
        self.core.slots.read().is_told()
    }

    /// Seals a slot, as [`crate::ShardService::seal`] says.
    pub(crate) async fn seal(
        &self,
        group: PlacementGroupId,
        slot: SlotIndex,
        epoch: SlotEpoch,
    ) -> Result<(), ShardError> {
        self.run(move |core| {
            core.health.check()?;
            let of_slot = |claim: &SlotClaim| claim.group == group && claim.slot == slot && claim.epoch <= epoch;
            let is_open = |claim: &SlotClaim| of_slot(claim) && !claim.sealed;
            if core.superblock.get().slots.iter().any(is_open) {
                core.update_superblock(|superblock| {
                    superblock.slots.iter_mut().filter(|claim| of_slot(claim)).for_each(|claim| claim.sealed = true);
                })?;
            }
            let mut table = core.slots.write();
            if table.takes_up_to(group, slot, epoch) {
                table.seal(group, slot);
            }
            Ok::<_, ShardError>(())
        })
        .await?;
        self.finish_appends().await
    }

    /// Waits until appends that were let in are done.
    async fn finish_appends(&self) -> Result<(), ShardError> {
        let (reply, done) = oneshot::channel();
        self.core.queue.push_small(SmallOp::Barrier(reply));
        done.await.map_err(|_| self.closed())
    }

    /// Changes the superblock, durably.
    pub(crate) async fn update_superblock(
        &self,
        change: impl FnOnce(&mut Superblock) + Send + 'static,
    ) -> Result<Arc<Superblock>, ShardError> {
        self.run(move |core| {
            core.health.check()?;
            core.update_superblock(change)
        })
        .await
    }

    /// Runs a job of the archive's, one after the other.
    pub(crate) async fn archive<T: Send + 'static>(
        &self,
        job: impl FnOnce(&ArchiveStore, &Core) -> T + Send + 'static,
    ) -> T {
        let (archive, core) = (Arc::clone(&self.archive), Arc::clone(&self.core));
        let worker = self.archive_worker.get_or_init(|| Workers::new("shard-archive", 1));
        worker.run(move || job(&archive, &core)).await
    }

    pub(crate) async fn usage(&self) -> Result<DiskUsage, ShardError> {
        self.run(|core| usage_of(core).map_err(|error| core.health.take_down(&error.to_string()))).await
    }

    /// Looks whether the disk is still in place, and whether a full one has room again.
    pub(crate) async fn probe(&self) -> DiskHealth {
        self.run(|core| {
            if let Err(failure) = core.check_in_place() {
                core.health.take_down(&failure.to_string());
            } else if core.health.get() == DiskHealth::Full
                && core.has_room(core.settings.large_allocation_bytes).unwrap_or(false)
            {
                core.health.set_full(false);
            }
            core.health.get()
        })
        .await
    }

    /// Waits until the keeping thread has done all that it was asked for, after asking it for everything.
    pub(crate) async fn settle(&self) {
        self.run(|core| {
            core.keeper.ask_flush();
            core.keeper.ask_reclaim();
            core.keeper.settle();
        })
        .await;
    }

    /// Ends the threads after what waits is done, and flushes the index. Blocks.
    pub(crate) fn close(&self) {
        let mut threads = self.threads.lock();
        self.core.keeper.close();
        if let Some(keeper) = threads.keeper.take()
            && keeper.join().is_err()
        {
            tracing::error!(disk = %self.disk_id(), "the keeping thread of a disk had panicked");
        }
        self.core.queue.close();
        if let Some(committer) = threads.committer.take()
            && committer.join().is_err()
        {
            tracing::error!(disk = %self.disk_id(), "the committing thread of a disk had panicked");
        }
    }

    fn closed(&self) -> ShardError {
        let closed = || ShardError::DiskDown { disk: self.disk_id(), reason: "its store was closed".to_owned() };
        self.core.health.check().err().unwrap_or_else(closed)
    }

    async fn run<T: Send + 'static>(&self, job: impl FnOnce(&Core) -> T + Send + 'static) -> T {
        let core = Arc::clone(&self.core);
        self.workers.run(move || job(&core)).await
    }
}

impl Drop for ShardStore {
    fn drop(&mut self) {
        self.close();
    }
}

impl Core {
    /// Finds a shard's record and does something with it, again if it was moved meanwhile.
    fn with_record<T>(
        &self,
        address: &ShardAddress,
        read: impl Fn(&crate::segment::SegmentFile, &Location) -> Result<T, ReadFailure>,
    ) -> Result<T, ShardError> {
        self.health.check()?;
        Counters::add(&self.counters.reads, 1);
        let mut place = self.find_live(address)?;
        for _ in 0..READ_ATTEMPTS {
            let segment = self.segment_file(place.segment).map_err(ReadFailure::from);
            let failure = match segment.and_then(|segment| read(&segment, &place.location)) {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            // Punched out or moved while it was read: then it isn't corrupt.
            let now = self.find_live(address)?;
            if now == place {
                Counters::add(&self.counters.bad_reads, 1);
                tracing::warn!(disk = %self.home.disk_id, ?address, %failure, "a shard is corrupt");
                break;
            }
            place = now;
        }
        Err(ShardError::Corrupt { disk: self.home.disk_id, address: *address })
    }

    fn find_live(&self, address: &ShardAddress) -> Result<Place, ShardError> {
        match self.catalog.find(address).map_err(|failure| self.index_failed(&failure))? {
            Finding::Live(place) => Ok(place),
            Finding::Gone => Err(ShardError::Gone { address: *address }),
            Finding::Missing => Err(ShardError::Missing { address: *address }),
        }
    }

    /// Whether the record at `location` is whole and has exactly this header and body.
    fn holds(&self, shard: &NewShard, location: &Location) -> bool {
        let Some(identity) = self.catalog.segment(location.segment) else { return false };
        let Ok(segment) = self.segment_file(identity) else { return false };
        let Ok(bytes) = read_header(&segment, location, &shard.address) else { return false };
        let Ok(known) = decode(&bytes, &segment, location, &shard.address) else { return false };
        known.metadata == shard.metadata
            && known.body_bytes == shard.body_bytes
            && known.checksums == shard.checksums
            && verify_record(&segment, location, &shard.address, &self.pool).is_ok()
    }

    fn update_superblock(&self, change: impl FnOnce(&mut Superblock)) -> Result<Arc<Superblock>, ShardError> {
        let changed = self.superblock.update(change).map_err(|error| match error {
            SuperblockError::TooLong { .. } => invalid(error.to_string()),
            error => self.health.take_down(&error.to_string()),
        })?;
        // The open file takes the change though the disk was unmounted.
        self.check_in_place().map_err(|failure| self.health.take_down(&failure.to_string()))?;
        Ok(changed)
    }
}

fn invalid(reason: String) -> ShardError {
    ShardError::Invalid { reason }
}

/// Checks a body against the contract; returns its length.
fn check_append(header: &ShardHeader, body: &[Bytes]) -> Result<u32, ShardError> {
    let bytes: usize = body.iter().map(Bytes::len).sum();
    let bytes_max = match header.form {
        types::RunForm::Striped => header.profile.shard_bytes().min(BODY_BYTES_MAX),
        types::RunForm::Copies { .. } => SMALL_BODY_BYTES_MAX,
    };
    if bytes == 0 || bytes > bytes_max {
        return Err(invalid(format!("a body of {bytes} bytes, of 1 to {bytes_max}")));
    }
    Ok(u32::try_from(bytes).expect("at most BODY_BYTES_MAX"))
}
