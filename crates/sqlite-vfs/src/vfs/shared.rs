//! What the connections of one database share: its locks, the WAL index, and whether its disk has failed.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::os::raw::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;
use platform::FileStatus;

use super::guard::Guard;
use super::locks::{Busy, FileLock, FileLocks, HeldWalLocks, WAL_LOCKS, WalLocks};

/// One database that some connection has open.
#[derive(Debug, Default)]
pub(super) struct SharedDatabase {
    locks: Mutex<FileLocks>,
    wal_index: Mutex<WalIndex>,
    has_failed: AtomicBool,
    /// On a real disk, what keeps other processes off.
    _guard: Option<Guard>,
}

#[derive(Debug, Default)]
struct WalIndex {
    locks: WalLocks,
    /// SQLite reads and writes them from several threads without a lock, by rules of its own.
    regions: Vec<Box<[AtomicU64]>>,
    users: usize,
}

/// A file, whatever names lead to it.
type FileId = (u64, u64);

static OPEN: LazyLock<Mutex<HashMap<FileId, Weak<SharedDatabase>>>> = LazyLock::new(Mutex::default);

impl SharedDatabase {
    /// The one of this file, whichever connection came first; the first one takes the guard.
    pub(super) fn of(file: FileStatus, guard: impl FnOnce() -> io::Result<Option<Guard>>) -> io::Result<Arc<Self>> {
        let mut open = OPEN.lock();
        let id = (file.device, file.inode);
        if let Some(database) = open.get(&id).and_then(Weak::upgrade) {
            return Ok(database);
        }
        open.retain(|_, database| database.strong_count() > 0);
        let database = Arc::new(Self { _guard: guard()?, ..Self::default() });
        open.insert(id, Arc::downgrade(&database));
        Ok(database)
    }

    /// Remembers that a write or sync failed: what the page cache holds is unknown from now on.
    pub(super) fn fail(&self) {
        self.has_failed.store(true, Ordering::Relaxed);
    }

    /// Whether one failed while the database was open.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    pub(super) fn raise(&self, held: &mut FileLock, wanted: FileLock) -> Result<(), Busy> {
        self.locks.lock().raise(held, wanted)
    }

    pub(super) fn lower(&self, held: &mut FileLock, wanted: FileLock) {
        self.locks.lock().lower(held, wanted);
    }

    pub(super) fn is_reserved(&self) -> bool {
        self.locks.lock().is_reserved()
    }
}

/// One connection's use of the WAL index. The memory goes with the last of them: the next one recovers it from the WAL.
#[derive(Debug)]
pub(super) struct WalIndexUse {
    database: Arc<SharedDatabase>,
    held: HeldWalLocks,
}

impl WalIndexUse {
    pub(super) fn new(database: &Arc<SharedDatabase>) -> Self {
        database.wal_index.lock().users += 1;
        Self { database: Arc::clone(database), held: HeldWalLocks::default() }
    }

    /// The address of a region of `bytes` bytes; null where it isn't there and isn't to be made. It holds as long as
    /// this lives.
    pub(super) fn region(&self, number: usize, bytes: usize, makes: bool) -> *mut c_void {
        let mut index = self.database.wal_index.lock();
        while makes && index.regions.len() <= number {
            index.regions.push((0..bytes.div_ceil(size_of::<u64>())).map(|_| AtomicU64::new(0)).collect());
        }
        index.regions.get(number).map_or(ptr::null_mut(), |region| region.as_ptr().cast_mut().cast())
    }

    pub(super) fn share(&mut self, slot: usize) -> Result<(), Busy> {
        self.database.wal_index.lock().locks.share(&mut self.held, slot)
    }

    pub(super) fn take(&mut self, slots: Range<usize>) -> Result<(), Busy> {
        self.database.wal_index.lock().locks.take(&mut self.held, slots)
    }

    pub(super) fn release(&mut self, slots: Range<usize>) {
        self.database.wal_index.lock().locks.release(&mut self.held, slots);
    }
}

impl Drop for WalIndexUse {
    fn drop(&mut self) {
        let mut index = self.database.wal_index.lock();
        index.locks.release(&mut self.held, 0..WAL_LOCKS);
        index.users -= 1;
        if index.users == 0 {
            index.regions.clear();
        }
    }
}
