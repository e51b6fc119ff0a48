//! A directory of the operating system.
//!
//! Every name is looked up anew from the directory's path, so that a directory that was deleted, or mounted over, is
//! noticed. Only the directory itself is never made again by the way: its loss must show. Files are private to the
//! process's user, for bodies and secrets lie in them.

use std::fs::{self, DirBuilder, File};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, FallocateFlags, FlockOperation, OFlags, StatxAttributes, StatxFlags};
use rustix::io::{Errno, retry_on_intr};

use super::{Create, DIRECT_ALIGNMENT, Disk, DiskFile, DiskSpace, FileStatus, OpenOptions};

/// `IOV_MAX` of Linux: how many buffers one call may name.
const BUFFERS_PER_CALL_MAX: usize = 1024;
/// Zeros that one call writes where the file system can't punch holes.
const ZEROS: &[u8] = &[0; 64 * 1024];
/// `st_blocks` counts in this unit, whatever the file system's block size is (stat(2)).
const STAT_BLOCK_BYTES: u64 = 512;

/// A directory of the operating system.
#[derive(Debug)]
pub struct RealDisk {
    directory: PathBuf,
}

impl RealDisk {
    /// Opens a directory that is there; makes nothing.
    ///
    /// # Errors
    /// `NotFound`; `NotADirectory` for a file; what the operating system says else.
    pub fn open(directory: impl AsRef<Path>) -> io::Result<Self> {
        let directory = std::path::absolute(directory)?;
        if !fs::metadata(&directory)?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, directory.display().to_string()));
        }
        Ok(Self { directory })
    }

    /// Opens a directory and makes it, and its parents, where it isn't there.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn create(directory: impl AsRef<Path>) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        Self::open(directory)
    }

    /// Takes the directory for this process alone, until the lock is dropped or the process ends in whatever way.
    ///
    /// Where the file system has no locks, that is logged and nobody is kept off.
    ///
    /// # Errors
    /// `ResourceBusy` while somebody else has it.
    #[allow(clippy::disallowed_methods, reason = "the one home of the file system")]
    pub fn lock(&self) -> io::Result<DirectoryLock> {
        let directory = File::open(&self.directory)?;
        match retry_on_intr(|| rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(io::ErrorKind::ResourceBusy.into()),
            Err(error) => {
                tracing::warn!(directory = %self.directory.display(), %error, "the file system has no locks");
            }
        }
        Ok(DirectoryLock { _directory: directory })
    }

    fn locate(&self, path: &Path) -> io::Result<PathBuf> {
        let mut located = self.directory.clone();
        located.extend(super::names_of(path)?);
        Ok(located)
    }
}

/// A disk's directory, held by this process alone. Deleting the directory doesn't end it.
#[derive(Debug)]
pub struct DirectoryLock {
    _directory: File,
}

#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the one home of the file system")]
impl Disk for RealDisk {
    fn open(&self, path: &Path, options: OpenOptions) -> io::Result<Arc<dyn DiskFile>> {
        let located = self.locate(path)?;
        let mut how = fs::OpenOptions::new();
        how.read(true).write(true).mode(0o600);
        match options.create {
            Create::Never => {}
            Create::IfMissing => {
                how.create(true);
            }
            Create::New => {
                how.create_new(true);
            }
        }
        let (file, read_only) = match how.open(&located) {
            // What lies on a file system that turned read-only can still be read.
            Err(refused) if refused.kind() == io::ErrorKind::ReadOnlyFilesystem && options.create != Create::New => {
                let there = File::open(located).map_err(|error| match error.kind() {
                    // It was to be made.
                    io::ErrorKind::NotFound if options.create == Create::IfMissing => refused,
                    _ => error,
                });
                (there?, true)
            }
            other => (other?, false),
        };
        // Asked for after opening: `open(O_CREAT | O_DIRECT)` leaves the new file behind where it refuses.
        let direct = options.direct
            && rustix::fs::fcntl_getfl(&file)
                .and_then(|flags| rustix::fs::fcntl_setfl(&file, flags | OFlags::DIRECT))
                .is_ok();
        Ok(Arc::new(RealFile { file, read_only, asked_direct: options.direct, direct }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(self.locate(from)?, self.locate(to)?)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(self.locate(path)?)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut located = self.directory.clone();
        for name in super::names_of(path)? {
            located.push(name);
            match DirBuilder::new().mode(0o700).create(&located) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && located.is_dir() => {}
                other => other?,
            }
        }
        // With no name there was nothing to make, but then the directory itself must be there.
        fs::metadata(&self.directory).map(drop)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.locate(path)?)? {
            // Names that are not UTF-8 are none of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn status(&self, path: &Path) -> io::Result<Option<FileStatus>> {
        match fs::metadata(self.locate(path)?) {
            Ok(metadata) => Ok(Some(status_of(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(self.locate(path)?)?.sync_all()
    }

    fn space(&self) -> io::Result<DiskSpace> {
        let answer = rustix::fs::statvfs(&self.directory)?;
        Ok(DiskSpace {
            total_bytes: answer.f_blocks.saturating_mul(answer.f_frsize),
            free_bytes: answer.f_bavail.saturating_mul(answer.f_frsize),
        })
    }

    fn is_mount_point(&self) -> io::Result<bool> {
        // The kernel's own word (5.8 and later) also tells bind mounts, which containers' volumes are.
        if let Ok(answer) = rustix::fs::statx(CWD, &self.directory, AtFlags::empty(), StatxFlags::BASIC_STATS)
            && answer.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
        {
            return Ok(answer.stx_attributes.contains(StatxAttributes::MOUNT_ROOT));
        }
        let own = fs::metadata(&self.directory)?;
        let parent = fs::metadata(self.directory.join(".."))?;
        Ok(own.dev() != parent.dev() || own.ino() == parent.ino())
    }

    fn real_path(&self) -> Option<&Path> {
        Some(&self.directory)
    }
}

/// An open file of the operating system.
#[derive(Debug)]
struct RealFile {
    file: File,
    read_only: bool,
    /// Whether the opener promised aligned accesses; checked also where the file system can't do direct ones, so that
    /// a slip shows on every machine.
    asked_direct: bool,
    direct: bool,
}

impl RealFile {
    fn check_alignment<'a>(&self, buffers: impl Iterator<Item = &'a [u8]>, offset: u64) -> io::Result<()> {
        if self.asked_direct { super::check_alignment(buffers, offset) } else { Ok(()) }
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.read_only { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }

    /// Whether a read that ended `done` bytes in came to the file's end: a direct read stops short of a block only
    /// there, and can't go on from within one.
    fn ended_within_block(&self, done: usize) -> bool {
        self.direct && !done.is_multiple_of(DIRECT_ALIGNMENT)
    }

    fn read_fully(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.file.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(bytes) => done += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if self.ended_within_block(done) {
                break;
            }
        }
        Ok(done)
    }
}

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.check_alignment([&*buffer].into_iter(), offset)?;
        self.read_fully(buffer, offset)
    }

    fn read_vectored_at(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize> {
        self.check_alignment(buffers.iter().map(|buffer| &**buffer), offset)?;
        let mut total = 0;
        for group in buffers.chunks_mut(BUFFERS_PER_CALL_MAX) {
            let start = offset + total as u64;
            let wanted: usize = group.iter().map(|buffer| buffer.len()).sum();
            let mut done = retry_on_intr(|| rustix::io::preadv(&self.file, group, start))?;
            if done < wanted && done > 0 && !self.ended_within_block(done) {
                done = self.read_rest(group, start, done)?;
            }
            total += done;
            if done < wanted {
                break;
            }
        }
        Ok(total)
    }

    fn write_all_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        self.check_alignment(buffers.iter().map(|buffer| &**buffer), offset)?;
        let mut start = offset;
        for group in buffers.chunks(BUFFERS_PER_CALL_MAX) {
            let wanted: usize = group.iter().map(|buffer| buffer.len()).sum();
            let done = retry_on_intr(|| rustix::io::pwritev(&self.file, group, start))?;
            if done < wanted {
                self.write_rest(group, start, done)?;
            }
            start += wanted as u64;
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        // Not repeated when it fails, not even when interrupted: the kernel reports a lost write only once.
        Ok(rustix::fs::fdatasync(&self.file)?)
    }

    fn allocate(&self, offset: u64, bytes: u64) -> io::Result<()> {
        self.check_writable()?;
        match retry_on_intr(|| rustix::fs::fallocate(&self.file, FallocateFlags::empty(), offset, bytes)) {
            // Blocks can't be reserved here, but the length is still the caller's to count on.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                let end = offset.checked_add(bytes).ok_or(io::ErrorKind::InvalidInput)?;
                if self.file.metadata()?.len() < end { self.file.set_len(end) } else { Ok(()) }
            }
            other => Ok(other?),
        }
    }

    fn reserve(&self, offset: u64, bytes: u64) -> io::Result<()> {
        self.check_writable()?;
        match retry_on_intr(|| rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, offset, bytes)) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            other => Ok(other?),
        }
    }

    fn begin_writeback(&self, offset: u64, bytes: u64) {
        super::writeback::begin(&self.file, offset, bytes);
    }

    fn punch_hole(&self, offset: u64, bytes: u64) -> io::Result<()> {
        self.check_writable()?;
        let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match retry_on_intr(|| rustix::fs::fallocate(&self.file, how, offset, bytes)) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.write_zeros(offset, bytes),
            other => Ok(other?),
        }
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.check_writable()?;
        self.file.set_len(bytes)
    }

    fn status(&self) -> io::Result<FileStatus> {
        Ok(status_of(&self.file.metadata()?))
    }
}

impl RealFile {
    /// Reads on after `done` bytes of `buffers` were filled; returns how many are filled then.
    fn read_rest(&self, buffers: &mut [IoSliceMut<'_>], offset: u64, mut done: usize) -> io::Result<usize> {
        let mut before = 0;
        for buffer in buffers {
            let filled = done.saturating_sub(before).min(buffer.len());
            before += buffer.len();
            if filled == buffer.len() {
                continue;
            }
            done += self.read_fully(&mut buffer[filled..], offset + done as u64)?;
            if done < before {
                break;
            }
        }
        Ok(done)
    }

    /// Writes what is left of `buffers` after their first `done` bytes.
    fn write_rest(&self, buffers: &[IoSlice<'_>], offset: u64, mut done: usize) -> io::Result<()> {
        let mut before = 0;
        for buffer in buffers {
            let written = done.saturating_sub(before).min(buffer.len());
            before += buffer.len();
            self.file.write_all_at(&buffer[written..], offset + done as u64)?;
            done += buffer.len() - written;
        }
        Ok(())
    }

    /// Stands in for a hole. It keeps the length, as a hole does.
    fn write_zeros(&self, offset: u64, bytes: u64) -> io::Result<()> {
        let end = offset.saturating_add(bytes).min(self.file.metadata()?.len());
        let mut at = offset;
        while at < end {
            let piece = usize::try_from(end - at).unwrap_or(usize::MAX).min(ZEROS.len());
            self.file.write_all_at(&ZEROS[..piece], at)?;
            at += piece as u64;
        }
        Ok(())
    }
}

fn status_of(metadata: &fs::Metadata) -> FileStatus {
    FileStatus {
        bytes: metadata.len(),
        allocated_bytes: metadata.blocks() * STAT_BLOCK_BYTES,
        links: metadata.nlink(),
        device: metadata.dev(),
        inode: metadata.ino(),
        is_directory: metadata.is_dir(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn disk() -> (tempfile::TempDir, RealDisk) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let disk = RealDisk::create(directory.path().join("a/disk")).expect("made with its parents");
        (directory, disk)
    }

    #[test]
    fn opening_makes_no_directory() {
        let (directory, _disk) = disk();
        let missing = RealDisk::open(directory.path().join("other")).expect_err("not there");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert!(!directory.path().join("other").exists());
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the deleting is what is tested")]
    fn a_deleted_directory_shows_and_is_not_made_again() {
        let (directory, disk) = disk();
        let file = disk.open(Path::new("file"), OpenOptions::NEW).expect("made");
        fs::remove_dir_all(directory.path().join("a/disk")).expect("deleted");
        assert_eq!(disk.status(Path::new("file")).expect("looked up"), None);
        assert_eq!(file.status().expect("known").links, 0);
        for outcome in [
            disk.create_directory(Path::new("new")),
            disk.create_directory(Path::new("")),
            disk.open(Path::new("new"), OpenOptions::CREATE).map(drop),
            disk.sync_directory(Path::new("")),
            disk.is_mount_point().map(drop),
        ] {
            assert_eq!(outcome.expect_err("the directory is gone").kind(), io::ErrorKind::NotFound);
        }
        assert!(!directory.path().join("a/disk").exists());
    }

    #[test]
    fn a_mount_point_is_told_from_a_directory() {
        assert!(RealDisk::open("/").expect("there").is_mount_point().expect("known"));
        assert!(!disk().1.is_mount_point().expect("known"));
    }

    #[test]
    fn files_are_the_processs_own() {
        let (directory, disk) = disk();
        disk.create_directory(Path::new("below")).expect("made");
        disk.open(Path::new("below/file"), OpenOptions::NEW).expect("made");
        let mode = |path: &str| {
            let metadata = fs::metadata(directory.path().join("a/disk").join(path)).expect("there");
            metadata.permissions().mode() & 0o077
        };
        assert_eq!([mode(""), mode("below"), mode("below/file")], [0, 0, 0]);
    }

    #[test]
    fn a_locked_directory_is_nobody_elses_until_it_is_let_go() {
        let (directory, disk) = disk();
        let again = RealDisk::open(directory.path().join("a/disk")).expect("opened");
        let lock = disk.lock().expect("free");
        assert_eq!(again.lock().expect_err("held").kind(), io::ErrorKind::ResourceBusy);
        drop(lock);
        again.lock().expect("free again");
    }
}
