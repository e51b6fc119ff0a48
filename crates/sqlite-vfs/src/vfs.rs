//! SQLite's file system layer over [`platform::Disk`].
//!
//! Everything that SQLite does to a file goes through the disk, so that the disk's faults are SQLite's. Locks and the
//! WAL index are memory of this process: only its connections may use a database at a time. Connections of one file
//! find each other by device and inode, as in SQLite's own layer, so that after a [`platform::FaultyDisk`]'s crash
//! nothing but the files is left.
//!
//! Its own layer's durability is kept: `xSync` is `sync_data`, the first sync of a new journal or WAL also syncs its
//! directory, and `xDelete` does where it is asked to. Two things are stricter: a failed directory sync is an error,
//! and once a write or sync has failed, the database isn't written again until all its connections are closed.
//!
//! It knows nothing of a database's content.

mod file;
mod frames;
mod guard;
mod locks;
mod methods;
mod names;
mod register;
mod shared;

use std::ffi::CStr;
use std::sync::Arc;

use platform::Disk;

/// The layer's name, for `sqlite3_open_v2`; registered by the first call.
///
/// # Errors
/// SQLite's code, where it has no room for one more layer.
pub(crate) fn layer() -> Result<&'static CStr, i32> {
    register::registered()
}

/// The name of a file of `disk` in this layer, good as long as the disk lives.
pub(crate) fn name_of(disk: &Arc<dyn Disk>, path: &str) -> String {
    names::name_of(disk, path)
}
