//! Disks: one directory tree each, with explicit syncs.

mod place;
mod real;
mod writeback;

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::path::{Component, Path};
use std::sync::Arc;

pub use place::Place;
pub use real::{DirectoryLock, RealDisk};

/// What offsets, lengths and addresses of direct accesses are multiples of, in bytes.
pub const DIRECT_ALIGNMENT: usize = 4096;

/// One directory that holds a disk's files. All calls block; run them on a thread of their own or on `Workers`.
///
/// Paths are relative to the directory. What has been written is durable only after [`DiskFile::sync_data`], and a
/// name (after create, rename or remove) only after [`Disk::sync_directory`] of its parent; a real disk may keep more
/// than that, and `faulty::FaultyDisk` keeps less on purpose.
///
/// # Errors
/// Plain [`io::Error`]s: `StorageFull` means that the space is used up; any other failed write or sync means that the
/// disk must not be written again (what the page cache then holds is unknown).
pub trait Disk: Send + Sync + fmt::Debug {
    /// Opens a file for reading and writing; on a file system that is mounted read-only, one that is there can be
    /// opened for reading, and changes then fail with `ReadOnlyFilesystem`.
    fn open(&self, path: &Path, options: OpenOptions) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name, replacing what had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a file's name away.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory and its parents; one that is there already is fine.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, in no order; `NotFound` when it isn't there.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// What is under this name now, found by path; `None` when nothing is.
    fn status(&self, path: &Path) -> io::Result<Option<FileStatus>>;

    /// Makes the names in a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Room on the file system.
    fn space(&self) -> io::Result<DiskSpace>;

    /// Whether the directory is itself a mount point.
    fn is_mount_point(&self) -> io::Result<bool>;

    /// The directory's path where real files lie there, for locks against other programs and for messages; `None` where
    /// they lie only in this trait.
    fn real_path(&self) -> Option<&Path>;
}

/// An open file. All reads and writes name their offset; there is no cursor.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Reads up to `buffer.len()` bytes from `offset`; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Reads into several buffers one after the other; returns the sum.
    fn read_vectored_at(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize>;

    /// Writes all of `buffers` one after the other from `offset`, growing the file where needed.
    fn write_all_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<()>;

    /// Makes all that was written, and the file's length, durable (fdatasync).
    fn sync_data(&self) -> io::Result<()>;

    /// Reserves blocks for `[offset, offset + bytes)` and grows the file over them; unwritten ones read as zeros.
    fn allocate(&self, offset: u64, bytes: u64) -> io::Result<()>;

    /// Reserves blocks for `[offset, offset + bytes)` and leaves the file's length as it is, so that it can grow there
    /// when the file system is full. Where that can't be had, does nothing.
    fn reserve(&self, offset: u64, bytes: u64) -> io::Result<()>;

    /// Asks that what was written to `[offset, offset + bytes)` begin its way to the disk, so that a later sync finds
    /// less to do at once; 0 bytes stand for all up to the end. Says nothing about what is durable; where it can't be had, does nothing.
    fn begin_writeback(&self, offset: u64, bytes: u64);

    /// Gives the blocks of `[offset, offset + bytes)` back to the file system; they read as zeros.
    fn punch_hole(&self, offset: u64, bytes: u64) -> io::Result<()>;

    /// Cuts or grows the file.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// What the open file is now.
    fn status(&self) -> io::Result<FileStatus>;
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOptions {
    /// Whether it may, or must, be made.
    pub create: Create,
    /// Past the page cache: offsets, lengths and addresses of buffers must be multiples of 4096. Where the file
    /// system can't, the file is opened as usual.
    pub direct: bool,
}

impl OpenOptions {
    /// A file that is there.
    pub const EXISTING: Self = Self { create: Create::Never, direct: false };
    /// A file that is made where it isn't there.
    pub const CREATE: Self = Self { create: Create::IfMissing, direct: false };
    /// A file that must not be there yet.
    pub const NEW: Self = Self { create: Create::New, direct: false };

    /// The same, past the page cache.
    #[must_use]
    pub const fn direct(self) -> Self {
        Self { direct: true, ..self }
    }
}

/// Whether opening makes a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Create {
    /// `NotFound` when it isn't there.
    Never,
    /// Made when it isn't there.
    IfMissing,
    /// `AlreadyExists` when it is there.
    New,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStatus {
    /// Its length in bytes.
    pub bytes: u64,
    /// Bytes of the blocks that it occupies.
    pub allocated_bytes: u64,
    /// How many names it has; 0 after it was removed.
    pub links: u64,
    /// The file system that it lies on: a number that is unique in this process.
    pub device: u64,
    /// With `device`, tells whether two names are one file.
    pub inode: u64,
    /// Whether it is a directory.
    pub is_directory: bool,
}

/// Room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// All bytes.
    pub total_bytes: u64,
    /// Bytes that this process may still take.
    pub free_bytes: u64,
}

/// Refuses a direct access that isn't aligned.
pub(crate) fn check_alignment<'a>(mut buffers: impl Iterator<Item = &'a [u8]>, offset: u64) -> io::Result<()> {
    let aligned = |value: usize| value.is_multiple_of(DIRECT_ALIGNMENT);
    if offset.is_multiple_of(DIRECT_ALIGNMENT as u64)
        && buffers.all(|buffer| aligned(buffer.len()) && aligned(buffer.as_ptr().addr()))
    {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "direct access that is not aligned to 4096 bytes"))
}

/// The names along a path, which must stay below the disk's directory.
pub(crate) fn names_of(path: &Path) -> io::Result<Vec<&OsStr>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::ParentDir => {
                let message = format!("{} leads out of the disk", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        }
    }
    Ok(names)
}
