//! The layer's table of functions on an open file.
//!
//! SQLite calls them on one file from one thread at a time: each connection has files of its own.
#![allow(unsafe_code)]

use std::io;
use std::os::raw::{c_int, c_void};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::{ptr, slice};

use rusqlite::ffi;

use super::file::{OpenFile, is_want_of_room};
use super::locks::{Busy, FileLock, WAL_LOCKS};
use super::shared::WalIndexUse;

/// What SQLite keeps in place of an open file.
#[repr(C)]
pub(super) struct SqliteFile {
    base: ffi::sqlite3_file,
    opened: *mut OpenFile,
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

impl SqliteFile {
    /// Marks it as not open, so that SQLite won't close it.
    ///
    /// # Safety
    /// `target` must be writable as a `SqliteFile`.
    pub(super) unsafe fn clear(target: *mut Self) {
        // SAFETY: by this function's contract.
        unsafe { target.write(Self { base: ffi::sqlite3_file { pMethods: ptr::null() }, opened: ptr::null_mut() }) };
    }

    /// Puts an open file there.
    ///
    /// # Safety
    /// As [`Self::clear`], and no open file may be there.
    pub(super) unsafe fn set(target: *mut Self, opened: OpenFile) {
        let base = ffi::sqlite3_file { pMethods: &raw const METHODS };
        // SAFETY: by this function's contract.
        unsafe { target.write(Self { base, opened: Box::into_raw(Box::new(opened)) }) };
    }
}

/// The open file of a call.
///
/// # Safety
/// `file` must have been given to [`SqliteFile::set`] and not been closed since, and no other call on it be under way.
unsafe fn opened<'a>(file: *mut ffi::sqlite3_file) -> &'a mut OpenFile {
    // SAFETY: by this function's contract.
    unsafe { &mut *(*file.cast::<SqliteFile>()).opened }
}

/// Tells the log what SQLite's code leaves out.
pub(super) fn report(operation: &'static str, error: &io::Error) {
    tracing::warn!(operation, %error, "a database file failed");
}

/// SQLite's code for an error: its own for want of room, else `code`.
pub(super) fn code_of(error: &io::Error, code: c_int) -> c_int {
    if is_want_of_room(error) { ffi::SQLITE_FULL } else { code }
}

fn answer(operation: &'static str, outcome: io::Result<()>, code: c_int) -> c_int {
    match outcome {
        Ok(()) => ffi::SQLITE_OK,
        Err(error) => {
            report(operation, &error);
            code_of(&error, code)
        }
    }
}

fn answer_lock(outcome: Result<(), Busy>) -> c_int {
    if outcome.is_ok() { ffi::SQLITE_OK } else { ffi::SQLITE_BUSY }
}

/// SQLite's offsets and lengths are never negative.
fn unsigned(value: impl TryInto<u64>) -> u64 {
    value.try_into().unwrap_or(0)
}

fn index(value: c_int) -> usize {
    usize::try_from(value).unwrap_or(0)
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let file = file.cast::<SqliteFile>();
    // SAFETY: SQLite closes an open file once and doesn't use it afterwards.
    unsafe {
        drop(Box::from_raw((*file).opened));
        SqliteFile::clear(file);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, target: *mut c_void, bytes: c_int, offset: i64) -> c_int {
    // SAFETY: SQLite gives room for `bytes` bytes, which it has initialised or asks to be.
    let (file, target) = unsafe {
        ptr::write_bytes(target.cast::<u8>(), 0, index(bytes));
        (opened(file), slice::from_raw_parts_mut(target.cast::<u8>(), index(bytes)))
    };
    match file.read(target, unsigned(offset)) {
        Ok(read) if read == target.len() => ffi::SQLITE_OK,
        Ok(read) => {
            target[read..].fill(0);
            ffi::SQLITE_IOERR_SHORT_READ
        }
        Err(error) => answer("read", Err(error), ffi::SQLITE_IOERR_READ),
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, data: *const c_void, bytes: c_int, offset: i64) -> c_int {
    // SAFETY: SQLite gives `bytes` bytes.
    let (file, data) = unsafe { (opened(file), slice::from_raw_parts(data.cast::<u8>(), index(bytes))) };
    answer("write", file.write(data, unsigned(offset)), ffi::SQLITE_IOERR_WRITE)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: i64) -> c_int {
    // SAFETY: called on an open file.
    let file = unsafe { opened(file) };
    answer("truncate", file.set_length(unsigned(length)), ffi::SQLITE_IOERR_TRUNCATE)
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: called on an open file.
    let file = unsafe { opened(file) };
    answer("sync", file.sync(), ffi::SQLITE_IOERR_FSYNC)
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    // SAFETY: called on an open file.
    match unsafe { opened(file) }.length() {
        Ok(length) => {
            // SAFETY: SQLite gives the address of an integer.
            unsafe { *size = i64::try_from(length).unwrap_or(i64::MAX) };
            ffi::SQLITE_OK
        }
        Err(error) => answer("look up", Err(error), ffi::SQLITE_IOERR_FSTAT),
    }
}

fn file_lock(level: c_int) -> FileLock {
    match level {
        ffi::SQLITE_LOCK_NONE => FileLock::None,
        ffi::SQLITE_LOCK_SHARED => FileLock::Shared,
        ffi::SQLITE_LOCK_RESERVED => FileLock::Reserved,
        ffi::SQLITE_LOCK_PENDING => FileLock::Pending,
        _ => FileLock::Exclusive,
    }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: called on an open file.
    let Some(file) = unsafe { opened(file) }.on_disk() else { return ffi::SQLITE_OK };
    answer_lock(file.database.raise(&mut file.lock, file_lock(level)))
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: called on an open file.
    if let Some(file) = unsafe { opened(file) }.on_disk() {
        file.database.lower(&mut file.lock, file_lock(level));
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, answer: *mut c_int) -> c_int {
    // SAFETY: called on an open file, with the address of an integer.
    unsafe {
        let reserved = opened(file).on_disk().is_some_and(|file| file.database.is_reserved());
        *answer = c_int::from(reserved);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(file: *mut ffi::sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    if operation != ffi::SQLITE_FCNTL_HAS_MOVED {
        return ffi::SQLITE_NOTFOUND;
    }
    // SAFETY: called on an open file.
    let moved = match unsafe { opened(file) }.on_disk() {
        Some(file) => file.has_moved(),
        None => Ok(false),
    };
    match moved {
        Ok(moved) => {
            // SAFETY: this operation's argument is the address of an integer.
            unsafe { *argument.cast::<c_int>() = c_int::from(moved) };
            ffi::SQLITE_OK
        }
        Err(error) => answer("look up", Err(error), ffi::SQLITE_IOERR_FSTAT),
    }
}

unsafe extern "C" fn sector_size(_file: *mut ffi::sqlite3_file) -> c_int {
    4096
}

/// What SQLite's own layer says of a file system that it doesn't know: bytes beside those written stay as they are when
/// the power goes, and parts of a page may be read.
unsafe extern "C" fn device_characteristics(_file: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE | ffi::SQLITE_IOCAP_SUBPAGE_READ
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    number: c_int,
    bytes: c_int,
    makes: c_int,
    address: *mut *mut c_void,
) -> c_int {
    // SAFETY: called on an open file.
    let Some(file) = unsafe { opened(file) }.on_disk() else { return ffi::SQLITE_IOERR_SHMMAP };
    let database = Arc::clone(&file.database);
    let using = file.wal_index.get_or_insert_with(|| WalIndexUse::new(&database));
    // SAFETY: SQLite gives the address of a pointer.
    unsafe { *address = using.region(index(number), index(bytes), makes != 0) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: called on an open file.
    let using = unsafe { opened(file) }.on_disk().and_then(|file| file.wal_index.as_mut());
    let slots = index(offset)..index(offset) + index(count);
    let Some(using) = using.filter(|_| slots.end <= WAL_LOCKS) else { return ffi::SQLITE_IOERR_SHMLOCK };
    if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
        using.release(slots);
        return ffi::SQLITE_OK;
    }
    answer_lock(if flags & ffi::SQLITE_SHM_SHARED != 0 { using.share(slots.start) } else { using.take(slots) })
}

unsafe extern "C" fn shm_barrier(_file: *mut ffi::sqlite3_file) {
    fence(Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, _deletes: c_int) -> c_int {
    // SAFETY: called on an open file; SQLite doesn't use the regions afterwards.
    if let Some(file) = unsafe { opened(file) }.on_disk() {
        file.wal_index = None;
    }
    ffi::SQLITE_OK
}
