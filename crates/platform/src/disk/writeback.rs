//! Writing dirty pages before anybody waits for them.

// The system call has no safe wrapper.
#![allow(unsafe_code)]

use std::fs::File;

/// Begins to write the dirty pages of `[offset, offset + bytes)`; a page that goes beyond either end goes with them.
#[cfg(target_os = "linux")]
pub(super) fn begin(file: &File, offset: u64, bytes: u64) {
    use std::os::fd::AsRawFd;

    let (Ok(offset), Ok(bytes)) = (offset.try_into(), bytes.try_into()) else { return };
    // SAFETY: the descriptor is open while `file` is borrowed, and the call reads and writes no memory.
    let begun = unsafe { libc::sync_file_range(file.as_raw_fd(), offset, bytes, libc::SYNC_FILE_RANGE_WRITE) };
    if begun != 0 {
        // A file system that can't: a later sync does all of it. An error of the disk is that sync's to report.
        tracing::trace!(error = %std::io::Error::last_os_error(), "no writeback was begun");
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn begin(_file: &File, _offset: u64, _bytes: u64) {}
