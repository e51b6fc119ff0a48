//! An open file as SQLite uses it: the database, its WAL or journal, or a temporary one that lies in memory.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use platform::{Create, Disk, DiskFile, OpenOptions};

use super::frames::{Frames, Gathering};
use super::guard::Guard;
use super::locks::FileLock;
use super::names::Place;
use super::shared::{SharedDatabase, WalIndexUse};
use crate::room::RESERVE_BYTES;

/// An open file.
#[derive(Debug)]
pub(super) enum OpenFile {
    /// On a disk.
    OnDisk(FileOnDisk),
    /// Nobody needs it after a crash.
    InMemory(Vec<u8>),
}

/// A file on a disk, for one connection.
#[derive(Debug)]
pub(super) struct FileOnDisk {
    file: Arc<dyn DiskFile>,
    place: Place,
    /// Up to where blocks are reserved, as far as this connection knows.
    reserved_to: u64,
    /// Bytes that were written since the disk was last asked to begin with them.
    lagging: u64,
    /// The first sync makes the name durable too.
    name_may_be_new: bool,
    removed_on_close: bool,
    /// Of a WAL.
    frames: Option<Frames>,
    /// The database that it is, or belongs to.
    pub(super) database: Arc<SharedDatabase>,
    /// Of the database's own file.
    pub(super) lock: FileLock,
    pub(super) wal_index: Option<WalIndexUse>,
}

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The database itself.
    Database,
    /// Its journal, or its WAL: the file whose name it is has this suffix.
    Log,
}

/// Suffixes of the files that SQLite puts beside a database.
const SUFFIXES: [&str; 2] = [WAL_SUFFIX, "-journal"];
const WAL_SUFFIX: &str = "-wal";

/// The disk is asked to begin with what was written whenever it is so much.
const WRITEBACK_BYTES: u64 = 2 << 20;
/// To whatever end a file has.
const WHOLE_FILE: u64 = 0;

impl FileOnDisk {
    pub(super) fn open(place: Place, purpose: Purpose, create: Create, removed_on_close: bool) -> io::Result<Self> {
        let file = place.disk.open(&place.path, OpenOptions { create, direct: false })?;
        let database = match purpose {
            Purpose::Database => {
                let real_path = place.disk.real_path().map(|directory| directory.join(&place.path));
                SharedDatabase::of(file.status()?, || real_path.map_or(Ok(None), |path| Guard::take(&path)))?
            }
            // Its database is open, so has its guard.
            Purpose::Log => {
                let database = place.disk.status(&database_of(&place.path))?.map_or_else(|| file.status(), Ok)?;
                SharedDatabase::of(database, || Ok(None))?
            }
        };
        // Also where it was there: a process that was killed may have made it and not come to sync its name.
        let name_may_be_new = purpose == Purpose::Log && create != Create::Never;
        let is_wal = place.path.to_str().is_some_and(|name| name.ends_with(WAL_SUFFIX));
        let frames = (purpose == Purpose::Log && is_wal).then(Frames::default);
        let lock = FileLock::None;
        let reserved_to = 0;
        Ok(Self {
            file,
            place,
            reserved_to,
            lagging: 0,
            name_may_be_new,
            removed_on_close,
            frames,
            database,
            lock,
            wal_index: None,
        })
    }

    /// Whether the name leads elsewhere by now.
    pub(super) fn has_moved(&self) -> io::Result<bool> {
        let own = self.file.status()?;
        let named = self.place.disk.status(&self.place.path)?;
        Ok(named.is_none_or(|named| (named.device, named.inode) != (own.device, own.inode)))
    }

    /// Does what changes the file. Once that failed, but for want of room, the file isn't changed any more: the kernel
    /// reports a lost write once, and a later sync would pass over it.
    fn change(&self, change: impl FnOnce(&dyn DiskFile) -> io::Result<()>) -> io::Result<()> {
        if self.database.has_failed() {
            return Err(io::Error::other("a write or sync of this database failed before"));
        }
        change(&*self.file).inspect_err(|error| {
            if !is_want_of_room(error) {
                self.database.fail();
            }
        })
    }

    fn write(&mut self, data: &[u8], offset: u64) -> io::Result<()> {
        let gathering = self.frames.as_mut().map_or(Gathering::Apart, |frames| frames.push(data, offset));
        match gathering {
            Gathering::Kept => Ok(()),
            Gathering::Full => self.write_frames(),
            Gathering::Apart => {
                self.write_frames()?;
                self.reserve(offset + data.len() as u64);
                self.change(|file| file.write_all_at(&[IoSlice::new(data)], offset))?;
                self.begin_writeback(data.len() as u64);
                Ok(())
            }
        }
    }

    /// Writes the frames that are kept. If that fails they are given up: SQLite, which hears of it, undoes their
    /// transaction.
    fn write_frames(&mut self) -> io::Result<()> {
        let pending = self.frames.as_ref().and_then(Frames::pending);
        let Some((bytes, start)) = pending else { return Ok(()) };
        let end = start + bytes.len() as u64;
        let written = self.change(|file| file.write_all_at(&[IoSlice::new(bytes)], start));
        let length = end - start;
        self.frames.iter_mut().for_each(Frames::clear);
        self.reserve(end);
        self.begin_writeback(length);
        written
    }

    /// Lets the disk begin with what was written, once it is much: all of it at once, at a checkpoint's syncs, would
    /// hold up the log's, which commits wait for.
    fn begin_writeback(&mut self, bytes: u64) {
        self.lagging += bytes;
        if self.lagging >= WRITEBACK_BYTES {
            self.lagging = 0;
            self.file.begin_writeback(0, WHOLE_FILE);
        }
    }

    /// Sees to it that the file can grow beyond `end`, while there is room.
    fn reserve(&mut self, end: u64) {
        if end + RESERVE_BYTES / 2 <= self.reserved_to {
            return;
        }
        // Without room the write itself says so, once what is reserved is used up.
        if self.file.reserve(end, RESERVE_BYTES).is_ok() {
            self.reserved_to = end + RESERVE_BYTES;
        }
    }

    /// The file, with all that was written to it.
    fn whole(&mut self) -> io::Result<&dyn DiskFile> {
        self.write_frames()?;
        Ok(&*self.file)
    }
}

impl OpenFile {
    /// Reads up to `buffer.len()` bytes; fewer only at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::OnDisk(file) => file.whole()?.read_at(buffer, offset),
            Self::InMemory(bytes) => {
                let found = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
                let length = found.len().min(buffer.len());
                buffer[..length].copy_from_slice(&found[..length]);
                Ok(length)
            }
        }
    }

    pub(super) fn write(&mut self, data: &[u8], offset: u64) -> io::Result<()> {
        match self {
            Self::OnDisk(file) => file.write(data, offset),
            Self::InMemory(bytes) => {
                let start = usize::try_from(offset).map_err(io::Error::other)?;
                let end = start.checked_add(data.len()).ok_or(io::ErrorKind::FileTooLarge)?;
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[start..end].copy_from_slice(data);
                Ok(())
            }
        }
    }

    pub(super) fn set_length(&mut self, length: u64) -> io::Result<()> {
        match self {
            Self::OnDisk(file) => {
                file.write_frames()?;
                // What lay beyond the end may go with it.
                file.reserved_to = 0;
                file.change(|file| file.set_len(length))
            }
            Self::InMemory(bytes) => {
                bytes.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
                Ok(())
            }
        }
    }

    /// Makes the file durable; the first time, a log's name too.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        match self {
            Self::OnDisk(file) => {
                file.write_frames()?;
                file.change(|file| file.sync_data())?;
                if file.name_may_be_new {
                    file.change(|_file| sync_directory_of(&file.place))?;
                    file.name_may_be_new = false;
                }
                Ok(())
            }
            Self::InMemory(_) => Ok(()),
        }
    }

    pub(super) fn length(&mut self) -> io::Result<u64> {
        match self {
            Self::OnDisk(file) => Ok(file.whole()?.status()?.bytes),
            Self::InMemory(bytes) => Ok(bytes.len() as u64),
        }
    }

    /// The file where it lies on a disk, and so has locks.
    pub(super) fn on_disk(&mut self) -> Option<&mut FileOnDisk> {
        match self {
            Self::OnDisk(file) => Some(file),
            Self::InMemory(_) => None,
        }
    }
}

impl Drop for FileOnDisk {
    fn drop(&mut self) {
        self.database.lower(&mut self.lock, FileLock::None);
        if self.removed_on_close
            && let Err(error) = self.place.disk.remove(&self.place.path)
        {
            tracing::warn!(path = %self.place.path.display(), %error, "a temporary database file stays behind");
        }
    }
}

pub(super) fn is_want_of_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

pub(super) fn sync_directory_of(place: &Place) -> io::Result<()> {
    let disk: &dyn Disk = &*place.disk;
    disk.sync_directory(place.path.parent().unwrap_or(Path::new("")))
}

fn database_of(log: &Path) -> PathBuf {
    let name = log.to_str().expect("SQLite's names are UTF-8");
    SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name).into()
}
