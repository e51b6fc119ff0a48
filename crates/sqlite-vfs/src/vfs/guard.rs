//! Keeps other processes off a database while this one has it open.
//!
//! Our WAL index is memory that they can't see: an `sqlite3` shell that looked into a running server's database would
//! take the WAL for an orphan, move it and delete it. So the bytes that SQLite's own layer locks to read a database
//! (os.h, `SHARED_FIRST`) are held, as if by a writer, and the shell says that the database is locked.
#![allow(unsafe_code)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a lock needs a descriptor of its own")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

const SHARED_FIRST: libc::off_t = 0x4000_0002;
const SHARED_BYTES: libc::off_t = 510;

/// The lock on a real file. It goes with this, or with the process.
#[derive(Debug)]
pub(super) struct Guard {
    _file: File,
}

impl Guard {
    /// Takes the lock on the file at `path`; `None` where the file system has no locks or takes no writes.
    ///
    /// # Errors
    /// `ResourceBusy` where another process has the database open.
    pub(super) fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => return Ok(None),
            Err(error) => return Err(error),
        };
        let lock = libc::flock {
            l_type: libc::F_WRLCK as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: SHARED_FIRST,
            l_len: SHARED_BYTES,
            l_pid: 0,
        };
        // A lock of the open file, not of the process: those would go when any descriptor of the file is closed.
        // SAFETY: the descriptor is open, and this command reads a `flock` that lives through the call.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) } == 0 {
            return Ok(Some(Self { _file: file }));
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EACCES) => Err(io::ErrorKind::ResourceBusy.into()),
            _ => {
                tracing::debug!(path = %path.display(), %error, "the file system has no locks");
                Ok(None)
            }
        }
    }
}
