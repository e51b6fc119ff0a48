//! The layer's table of functions on names, and its registration with SQLite.
//!
//! Clock, randomness and waiting are those of SQLite's own layer: nothing that a database stores comes from them.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::os::raw::{c_char, c_int};
use std::sync::OnceLock;
use std::{io, ptr, slice};

use platform::Create;
use rusqlite::ffi;

use super::file::{FileOnDisk, OpenFile, Purpose, sync_directory_of};
use super::methods::{SqliteFile, code_of, report};
use super::names::{Place, place_of};

const NAME: &CStr = c"cairn";
/// Longer than any name that Cairn gives a database.
const NAME_BYTES_MAX: c_int = 1024;

/// Registers the layer once, and returns its name.
pub(super) fn registered() -> Result<&'static CStr, i32> {
    static OUTCOME: OnceLock<Result<(), i32>> = OnceLock::new();
    OUTCOME.get_or_init(register).map(|()| NAME)
}

fn register() -> Result<(), i32> {
    // SAFETY: a null name asks for the default layer; SQLite initialises itself first.
    let default = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
    if default.is_null() {
        return Err(ffi::SQLITE_ERROR);
    }
    // SAFETY: a registered layer lives for ever, and nobody changes its functions. Those taken over below ignore which
    // layer they are called on (os_unix.c).
    let default = unsafe { &*default };
    let layer = Box::new(ffi::sqlite3_vfs {
        iVersion: 2,
        szOsFile: size_of::<SqliteFile>() as c_int,
        mxPathname: NAME_BYTES_MAX,
        pNext: ptr::null_mut(),
        zName: NAME.as_ptr(),
        pAppData: ptr::null_mut(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_pathname),
        xDlOpen: default.xDlOpen,
        xDlError: default.xDlError,
        xDlSym: default.xDlSym,
        xDlClose: default.xDlClose,
        xRandomness: default.xRandomness,
        xSleep: default.xSleep,
        xCurrentTime: default.xCurrentTime,
        xGetLastError: None,
        xCurrentTimeInt64: default.xCurrentTimeInt64,
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    });
    // SAFETY: the table is leaked, so it lives as long as SQLite may use it.
    match unsafe { ffi::sqlite3_vfs_register(Box::into_raw(layer), 0) } {
        ffi::SQLITE_OK => Ok(()),
        code => Err(code),
    }
}

unsafe extern "C" fn open(
    _layer: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives `szOsFile` bytes for the file, aligned for pointers, and a name that is null for a temporary
    // file, or ends with a zero.
    let (target, place) = unsafe {
        let target = file.cast::<SqliteFile>();
        SqliteFile::clear(target);
        (target, if name.is_null() { None } else { Some(place(name)) })
    };
    let opened = match place {
        None => Ok(OpenFile::InMemory(Vec::new())),
        Some(None) => return ffi::SQLITE_CANTOPEN,
        Some(Some(place)) => open_on_disk(place, flags),
    };
    match opened {
        Ok(opened) => {
            // SAFETY: as above; the flags' address may be null.
            unsafe {
                SqliteFile::set(target, opened);
                if !flags_out.is_null() {
                    *flags_out = flags;
                }
            }
            ffi::SQLITE_OK
        }
        Err(error) => {
            // That a reader's database is not there yet is the caller's to judge.
            if error.kind() != io::ErrorKind::NotFound {
                report("open", &error);
            }
            if error.kind() == io::ErrorKind::ResourceBusy {
                return ffi::SQLITE_BUSY;
            }
            code_of(&error, ffi::SQLITE_CANTOPEN)
        }
    }
}

fn open_on_disk(place: Place, flags: c_int) -> io::Result<OpenFile> {
    let is_set = |flag: c_int| flags & flag != 0;
    let create = match (is_set(ffi::SQLITE_OPEN_CREATE), is_set(ffi::SQLITE_OPEN_EXCLUSIVE)) {
        (false, _) => Create::Never,
        (true, false) => Create::IfMissing,
        (true, true) => Create::New,
    };
    let purpose = if is_set(ffi::SQLITE_OPEN_MAIN_DB) { Purpose::Database } else { Purpose::Log };
    FileOnDisk::open(place, purpose, create, is_set(ffi::SQLITE_OPEN_DELETEONCLOSE)).map(OpenFile::OnDisk)
}

unsafe extern "C" fn delete(_layer: *mut ffi::sqlite3_vfs, name: *const c_char, syncs_directory: c_int) -> c_int {
    // SAFETY: SQLite's names end with a zero.
    let Some(place) = (unsafe { place(name) }) else { return ffi::SQLITE_IOERR_DELETE };
    if let Err(error) = place.disk.remove(&place.path) {
        if error.kind() == io::ErrorKind::NotFound {
            return ffi::SQLITE_IOERR_DELETE_NOENT;
        }
        report("delete", &error);
        return code_of(&error, ffi::SQLITE_IOERR_DELETE);
    }
    if syncs_directory != 0
        && let Err(error) = sync_directory_of(&place)
    {
        report("sync of a directory", &error);
        return code_of(&error, ffi::SQLITE_IOERR_DIR_FSYNC);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn access(
    _layer: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    answer: *mut c_int,
) -> c_int {
    // SAFETY: SQLite's names end with a zero.
    let Some(place) = (unsafe { place(name) }) else { return ffi::SQLITE_IOERR_ACCESS };
    match place.disk.status(&place.path) {
        Ok(status) => {
            // An empty journal or WAL says as much as none (as in SQLite's own layer).
            let counts = status.is_some_and(|status| flags != ffi::SQLITE_ACCESS_EXISTS || status.bytes > 0);
            // SAFETY: SQLite gives the address of an integer.
            unsafe { *answer = c_int::from(counts) };
            ffi::SQLITE_OK
        }
        Err(error) => {
            report("look up", &error);
            code_of(&error, ffi::SQLITE_IOERR_ACCESS)
        }
    }
}

/// Our names are full ones already.
unsafe extern "C" fn full_pathname(
    _layer: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    bytes_max: c_int,
    full: *mut c_char,
) -> c_int {
    // SAFETY: SQLite's names end with a zero, and it gives `bytes_max` bytes for the full one.
    unsafe {
        let name = CStr::from_ptr(name).to_bytes_with_nul();
        let Ok(room) = usize::try_from(bytes_max) else { return ffi::SQLITE_CANTOPEN };
        if name.len() > room {
            return ffi::SQLITE_CANTOPEN;
        }
        slice::from_raw_parts_mut(full.cast::<u8>(), name.len()).copy_from_slice(name);
    }
    ffi::SQLITE_OK
}

/// The file of a name.
///
/// # Safety
/// The name must end with a zero.
unsafe fn place(name: *const c_char) -> Option<Place> {
    // SAFETY: by this function's contract.
    unsafe { CStr::from_ptr(name) }.to_str().ok().and_then(place_of)
}
