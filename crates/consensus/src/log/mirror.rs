//! One disk's copy of the log: its directory, the open segment, and the thread that writes to it.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use parking_lot::Mutex;
use platform::threads::{self, JoinHandle};
use platform::{Buffer, BufferPool, Disk, DiskFile, OpenOptions};
use types::{DiskId, VoterId};

use super::record::{BLOCK_BYTES, SegmentHeader};

/// Zeros that are written at once while a segment is prepared, with a sync after each, so that commits that wait for
/// the same disk meanwhile wait for little.
const PREPARE_STEP_BYTES: usize = 1 << 20;
/// Bytes that are copied at once.
const COPY_STEP_BYTES: usize = 1 << 20;
/// Only `tests/net`, which proves that the tests would notice, builds without the sync; nothing else can by accident.
const LEAVE_OUT_SYNC: bool = {
    let asked = cfg!(feature = "leave-out-log-sync");
    assert!(!asked || option_env!("CAIRN_PROVES_ITS_NET").is_some(), "leave-out-log-sync is for tests/net alone");
    asked
};
/// A write or sync that takes longer has failed: the mirror is struck, and its thread left to its disk.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where a voter's files lie on a disk. Of another voter's, nothing is ever read.
pub(crate) fn voter_directory(voter: VoterId) -> PathBuf {
    Path::new("index").join(voter.to_string())
}

/// A segment's name within its directory.
pub(super) fn segment_name(number: u64) -> String {
    format!("{number:016x}.log")
}

/// The number in a segment's name.
pub(super) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

/// The part of a mirror that several threads use.
#[derive(Debug)]
pub(super) struct MirrorDisk {
    /// The disk.
    pub(super) id: DiskId,
    /// Its files.
    pub(super) disk: Arc<dyn Disk>,
    /// Where the segments are.
    pub(super) directory: PathBuf,
    spares: Mutex<Vec<Spare>>,
}

/// A segment file that is written and synced throughout, but not yet in use.
#[derive(Debug)]
struct Spare {
    path: PathBuf,
    bytes: u64,
}

impl MirrorDisk {
    pub(super) fn new(id: DiskId, disk: Arc<dyn Disk>, voter: VoterId) -> Self {
        Self { id, disk, directory: voter_directory(voter).join("log"), spares: Mutex::default() }
    }

    /// Makes the directory, durably.
    pub(super) fn create_directory(&self) -> io::Result<()> {
        self.disk.create_directory(&self.directory)?;
        for made in self.directory.ancestors().skip(1) {
            self.disk.sync_directory(made)?;
        }
        Ok(())
    }

    pub(super) fn path_of(&self, number: u64) -> PathBuf {
        self.directory.join(segment_name(number))
    }

    /// How many segments of `bytes` are prepared.
    pub(super) fn spares(&self, bytes: u64) -> usize {
        self.spares.lock().iter().filter(|spare| spare.bytes == bytes).count()
    }

    /// Adds a file that already lies in the directory, wholly written, under a durable name of its own.
    pub(super) fn add_spare(&self, path: PathBuf, bytes: u64) {
        self.spares.lock().push(Spare { path, bytes });
    }

    /// Prepares another segment of `bytes`.
    pub(super) fn prepare_spare(&self, name: &str, bytes: u64) -> io::Result<()> {
        let spare = self.prepare(name, bytes)?;
        self.spares.lock().push(spare);
        Ok(())
    }

    fn prepare(&self, name: &str, bytes: u64) -> io::Result<Spare> {
        let path = self.directory.join(name);
        let prepared = self.write_zeros(&path, bytes).and_then(|()| self.disk.sync_directory(&self.directory));
        if let Err(error) = prepared {
            // What was written holds space that others need; if it can't be removed, the next start does.
            let _ = self.disk.remove(&path);
            return Err(error);
        }
        Ok(Spare { path, bytes })
    }

    fn write_zeros(&self, path: &Path, bytes: u64) -> io::Result<()> {
        // Not through the page cache, which would be filled with zeros that nobody reads.
        let file = self.disk.open(path, OpenOptions::CREATE.direct())?;
        let mut zeros = BufferPool::new(0).take(PREPARE_STEP_BYTES);
        zeros.fill(0);
        let mut at = 0;
        while at < bytes {
            let step = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(PREPARE_STEP_BYTES);
            file.write_all_at(&[IoSlice::new(&zeros[..step])], at)?;
            file.sync_data()?;
            at += step as u64;
        }
        Ok(())
    }

    fn take_spare(&self, bytes: u64) -> Option<Spare> {
        let mut spares = self.spares.lock();
        let at = spares.iter().position(|spare| spare.bytes == bytes)?;
        Some(spares.swap_remove(at))
    }

    /// Makes the segment of `header`, durably, before anything is written to it: under another name first, so that a
    /// segment that has its name also has its header.
    pub(super) fn create_segment(&self, header: &SegmentHeader) -> io::Result<OpenSegment> {
        let spare = match self.take_spare(header.bytes) {
            Some(spare) => spare,
            None => self.prepare(&format!("new-{:016x}", header.number), header.bytes)?,
        };
        let file = self.disk.open(&spare.path, OpenOptions::EXISTING)?;
        file.write_all_at(&[IoSlice::new(&header.encode())], 0)?;
        file.sync_data()?;
        let path = self.path_of(header.number);
        let named = self.disk.rename(&spare.path, &path).and_then(|()| self.disk.sync_directory(&self.directory));
        // Whether it has its name now is not known. That must not pass for a full disk, on which the log goes on in
        // the old segment: the mirror is out.
        named.map_err(io::Error::other)?;
        OpenSegment::new(&*self.disk, file, path)
    }

    /// Makes a segment as another mirror has it, up to `end`, durably.
    pub(super) fn copy_segment(&self, source: &dyn DiskFile, number: u64, end: u64) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.directory.join(format!("new-{number:016x}"));
        let copied = self.disk.open(&path, OpenOptions::CREATE).and_then(|file| {
            file.set_len(0)?;
            copy_range(source, &*file, 0..end)?;
            Ok(file)
        });
        let file = copied.inspect_err(|_| {
            let _ = self.disk.remove(&path);
        })?;
        self.disk.rename(&path, &self.path_of(number))?;
        self.disk.sync_directory(&self.directory)?;
        Ok(file)
    }

    /// Takes a segment out of use: it becomes a spare where one of its length is wanted, else it is removed.
    pub(super) fn retire_segment(&self, number: u64, bytes: u64, spares_wanted: usize) -> io::Result<()> {
        let path = self.path_of(number);
        if self.spares(bytes) >= spares_wanted {
            return self.disk.remove(&path);
        }
        let spare = self.directory.join(format!("spare-{number:016x}"));
        self.disk.rename(&path, &spare)?;
        // Before it is written under its new name: a crash must not bring the old name back with other content.
        self.disk.sync_directory(&self.directory)?;
        self.add_spare(spare, bytes);
        Ok(())
    }
}

/// Copies a stretch of a file and syncs it.
pub(super) fn copy_range(source: &dyn DiskFile, target: &dyn DiskFile, range: Range<u64>) -> io::Result<()> {
    let mut buffer = vec![0; COPY_STEP_BYTES];
    let mut at = range.start;
    while at < range.end {
        let step = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(COPY_STEP_BYTES);
        let read = source.read_at(&mut buffer[..step], at)?;
        if read == 0 {
            break;
        }
        target.write_all_at(&[IoSlice::new(&buffer[..read])], at)?;
        at += read as u64;
    }
    target.sync_data()
}

/// The segment that a mirror appends to.
#[derive(Debug)]
pub(super) struct OpenSegment {
    /// For reading.
    file: Arc<dyn DiskFile>,
    /// For appending, past the page cache: a batch is whole blocks, and is hardly ever read again from here.
    direct: Arc<dyn DiskFile>,
    path: PathBuf,
    inode: u64,
}

impl OpenSegment {
    fn new(disk: &dyn Disk, file: Arc<dyn DiskFile>, path: PathBuf) -> io::Result<Self> {
        let inode = file.status()?.inode;
        let direct = disk.open(&path, OpenOptions::EXISTING.direct())?;
        Ok(Self { file, direct, path, inode })
    }

    fn append(&self, disk: &dyn Disk, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.direct.write_all_at(&[IoSlice::new(bytes)], offset)?;
        if !LEAVE_OUT_SYNC && !platform::leaves_out("log-sync") {
            self.direct.sync_data()?;
        }
        self.check_place(disk)
    }

    /// Whether the directory still holds this file: one that was deleted, or mounted over, still takes writes.
    fn check_place(&self, disk: &dyn Disk) -> io::Result<()> {
        let gone =
            |what: &str| Err(io::Error::new(io::ErrorKind::NotFound, format!("{}: {what}", self.path.display())));
        if self.file.status()?.links == 0 {
            return gone("the open segment was removed");
        }
        match disk.status(&self.path)? {
            Some(found) if found.inode == self.inode => Ok(()),
            Some(_) => gone("another file has the segment's name"),
            None => gone("the segment is not there any more"),
        }
    }
}

/// What a mirror is asked to do.
#[derive(Debug, Clone)]
pub(super) enum MirrorTask {
    /// Begin a segment and append to it from now on.
    Begin(SegmentHeader),
    /// Take over another mirror's open segment as it is, and append to it from now on.
    Take {
        /// The segment.
        number: u64,
        /// The other's file.
        source: Arc<dyn DiskFile>,
        /// Where its batches end.
        end: u64,
        /// Its length.
        bytes: u64,
    },
    /// Write and sync one batch.
    Append {
        /// Where.
        offset: u64,
        /// What: whole blocks.
        bytes: Arc<Buffer>,
    },
}

impl MirrorTask {
    fn run(self, mirror: &MirrorDisk, segment: &mut Option<OpenSegment>) -> io::Result<Option<Arc<dyn DiskFile>>> {
        match self {
            Self::Begin(header) => {
                let begun = mirror.create_segment(&header)?;
                let file = begun.file.clone();
                *segment = Some(begun);
                Ok(Some(file))
            }
            Self::Take { number, source, end, bytes } => {
                let file = mirror.copy_segment(&*source, number, end)?;
                file.allocate(0, bytes)?;
                *segment = Some(OpenSegment::new(&*mirror.disk, file.clone(), mirror.path_of(number))?);
                Ok(Some(file))
            }
            Self::Append { offset, bytes } => {
                debug_assert!(offset.is_multiple_of(BLOCK_BYTES as u64));
                let segment = segment.as_ref().expect("a segment was begun");
                segment.append(&*mirror.disk, offset, &bytes)?;
                Ok(None)
            }
        }
    }
}

/// A mirror's answer: the file of a segment that was begun.
pub(super) type Done = io::Result<Option<Arc<dyn DiskFile>>>;

/// A mirror with its thread. Writes to several mirrors overlap, and a disk that hangs holds up nobody for good.
#[derive(Debug)]
pub(super) struct Mirror {
    pub(super) disk: Arc<MirrorDisk>,
    segment: Arc<Mutex<Option<OpenSegment>>>,
    tasks: Option<Sender<MirrorTask>>,
    done: Receiver<Done>,
    thread: Option<JoinHandle>,
}

impl Mirror {
    pub(super) fn start(disk: Arc<MirrorDisk>) -> io::Result<Self> {
        let (tasks, todo) = unbounded::<MirrorTask>();
        let (answer, done) = bounded(1);
        let segment = Arc::new(Mutex::new(None));
        let own = (disk.clone(), segment.clone());
        let thread = threads::spawn("log-mirror", move || {
            platform::prefer_short_slices();
            while let Ok(task) = threads::receive(&todo) {
                if answer.send(task.run(&own.0, &mut own.1.lock())).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { disk, segment, tasks: Some(tasks), done, thread: Some(thread) })
    }

    /// Does the task on the caller's thread: where there is one mirror alone, nothing overlaps.
    pub(super) fn run(&mut self, task: MirrorTask) -> Done {
        task.run(&self.disk, &mut self.segment.lock())
    }

    /// Gives the mirror a task; [`Mirror::wait`] must follow before the next.
    pub(super) fn give(&self, task: MirrorTask) {
        if let Some(tasks) = &self.tasks {
            // A thread that has ended shows in `wait`.
            let _ = tasks.send(task);
        }
    }

    /// Waits for the task.
    pub(super) fn wait(&mut self) -> Done {
        threads::receive_within(&self.done, PATIENCE).unwrap_or_else(|_| {
            // Whatever it is doing may last for ever: nobody joins it.
            self.thread = None;
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", PATIENCE.as_secs())))
        })
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
