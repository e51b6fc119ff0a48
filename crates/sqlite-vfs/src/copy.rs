//! A whole copy of a database, on any disk.

use std::path::Path;

use platform::{Disk, OpenOptions};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use crate::open::{DatabaseError, DatabaseLocation, Role, connect};

/// Copies the database as `reader` sees it (its open transaction's state, else the latest) to `to`, durably.
///
/// The copy is made under a temporary name beside `to`, synced and renamed, so that under `to` there is the old file
/// or the whole new one, whatever happens; it is one file, without a WAL. `to` must not be open; a WAL beside it is
/// removed, so that what it holds must not matter any more.
///
/// Pages are copied as they are. Writers of the source go on meanwhile, but its WAL grows until the copy is done.
///
/// # Errors
/// [`DatabaseError`] with the path of the copy; what was under `to` before is still there then.
pub fn copy_database(reader: &Connection, to: &DatabaseLocation) -> Result<(), DatabaseError> {
    let temporary = to.beside(".copying");
    let disk = &*to.disk;
    for leftover in [&temporary, &temporary.beside("-wal"), &temporary.beside("-shm"), &temporary.beside("-journal")] {
        remove_if_there(disk, &leftover.path).map_err(|source| to.disk_error(source))?;
    }
    let copied = copy_pages(reader, &temporary)
        .and_then(|()| put_in_place(disk, &temporary, to).map_err(|source| to.disk_error(source)));
    if copied.is_err() {
        // Half a copy takes room that the disk may just have lacked. What can't be removed now is at the next copy.
        let _unless_it_fails_too = disk.remove(&temporary.path);
    }
    copied
}

fn copy_pages(reader: &Connection, to: &DatabaseLocation) -> Result<(), DatabaseError> {
    let mut target = connect(to, Role::Writer)?;
    let copied = (|| {
        // The file counts only once it is renamed, so there is nothing to roll back to and no use in syncing twice.
        target.pragma_update_and_check(None, "journal_mode", "OFF", |_row| Ok(()))?;
        target.pragma_update(None, "synchronous", "OFF")?;
        let backup = Backup::new(reader, &mut target)?;
        // All pages in one step, so in one read transaction of the source: a copy in several steps would begin anew
        // after each commit of another connection.
        backup.step(-1)
    })();
    match copied.map_err(|error| to.sqlite_error(error))? {
        StepResult::Done => {}
        unfinished => {
            let code = if unfinished == StepResult::Locked {
                rusqlite::ffi::SQLITE_LOCKED
            } else {
                rusqlite::ffi::SQLITE_BUSY
            };
            return Err(to.sqlite_error(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)));
        }
    }
    target.close().map_err(|(_connection, error)| to.sqlite_error(error))
}

fn put_in_place(disk: &dyn Disk, temporary: &DatabaseLocation, to: &DatabaseLocation) -> std::io::Result<()> {
    let directory = to.path.parent().unwrap_or(Path::new(""));
    disk.open(&temporary.path, OpenOptions::EXISTING)?.sync_data()?;
    // A WAL of the old file would be replayed into the new one; it must be gone for good before the new one is there.
    let mut removed = false;
    for leftover in [to.beside("-wal"), to.beside("-shm")] {
        removed |= remove_if_there(disk, &leftover.path)?;
    }
    if removed {
        disk.sync_directory(directory)?;
    }
    disk.rename(&temporary.path, &to.path)?;
    disk.sync_directory(directory)
}

fn remove_if_there(disk: &dyn Disk, path: &Path) -> std::io::Result<bool> {
    match disk.remove(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
