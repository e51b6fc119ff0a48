//! The log as its users have it: what they queue for the writer, and what they read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use platform::threads::{self, Condvar, JoinHandle};
use platform::{DiskFile, Entropy};
use tokio::sync::watch;
use types::{DiskId, RangeId, VoterId};

use super::groups::{Found, GroupLog, Location, Token, cost};
use super::keeper::Keeper;
use super::mirror::{Mirror, MirrorDisk};
use super::record::{Record, SegmentHeader};
use super::recovery::{self, Recovered};
use super::registry::{MirrorRegistry, MirrorSet};
use super::writer::{Control, Writer};
use super::{Disks, LogError, LogSettings, LogStatus};
use crate::encoding::{ENTRY_HEAD_BYTES, GroupState, decode_entry, encode_entry, encode_truncate};
use crate::failure::Failure;
use crate::raft_types::{Entry, LogId, Vote};

/// Called once a request is durable, or never will be.
pub(super) type Done = Box<dyn FnOnce(Result<(), LogError>) + Send>;

/// Bytes that are read ahead from a segment.
const READ_AHEAD_BYTES: usize = 256 << 10;

/// What waits for the writer.
pub(super) struct Request {
    pub(super) group: RangeId,
    pub(super) records: Vec<PendingRecord>,
    pub(super) done: Option<Done>,
}

/// A record that is yet to be written.
pub(super) enum PendingRecord {
    Entry {
        index: u64,
        token: Token,
        head: [u8; ENTRY_HEAD_BYTES],
        body: Bytes,
    },
    Vote(Vote),
    Truncate(Bytes),
    /// The group's state, because it changed.
    State,
}

#[derive(Default)]
pub(super) struct Queue {
    pub(super) requests: Vec<Request>,
    pub(super) controls: Vec<Control>,
    pub(super) closing: bool,
    pub(super) failed: Option<LogError>,
}

/// A segment's files on the mirrors.
#[derive(Debug)]
pub(super) struct SegmentFiles {
    pub(super) header: SegmentHeader,
    pub(super) files: Vec<(DiskId, Arc<dyn DiskFile>)>,
}

/// What the log's threads and its users share.
pub(super) struct Shared {
    pub(super) voter: VoterId,
    pub(super) settings: LogSettings,
    pub(super) entropy: Arc<dyn Entropy>,
    /// Told when the log takes nothing more.
    pub(super) failure: Failure,
    pub(super) registry: Arc<dyn MirrorRegistry>,
    /// All disks that are believed to work, mirrors or not.
    pub(super) disks: Mutex<Disks>,
    pub(super) queue: Mutex<Queue>,
    pub(super) wake_writer: Condvar,
    pub(super) groups: Mutex<BTreeMap<RangeId, GroupLog>>,
    pub(super) segments: Mutex<BTreeMap<u64, SegmentFiles>>,
    pub(super) set: Mutex<MirrorSet>,
    /// The mirrors' disks.
    pub(super) mirrors: Mutex<Vec<Arc<MirrorDisk>>>,
    pub(super) building: Mutex<Option<DiskId>>,
    /// Disks that work and are to be left.
    pub(super) leaving: Mutex<BTreeSet<DiskId>>,
    /// Segments below this one hold nothing that is needed.
    pub(super) needed_from: AtomicU64,
    pub(super) appended_bytes: AtomicU64,
    /// Changes after each batch, and when the log ends.
    pub(super) batches: watch::Sender<u64>,
    pub(super) low_space: AtomicBool,
    pub(super) wake_keeper: Condvar,
    /// Whether the keeper has something to look at.
    pub(super) keeper_due: Mutex<bool>,
    tokens: AtomicU64,
}

impl Shared {
    /// Adds a request.
    ///
    /// # Errors
    /// The log has failed or is closed; the request is dropped, and its `done` with it.
    pub(super) fn enqueue(&self, request: Request) -> Result<(), LogError> {
        let mut queue = self.queue.lock();
        if let Some(error) = &queue.failed {
            return Err(error.clone());
        }
        if queue.closing {
            return Err(LogError::Closed);
        }
        queue.requests.push(request);
        self.wake_writer.notify_one();
        Ok(())
    }

    /// Asks the writer for something between two batches; dropped, with whatever would answer it, once it has ended.
    pub(super) fn control(&self, control: Control) {
        let mut queue = self.queue.lock();
        if !queue.closing && queue.failed.is_none() {
            queue.controls.push(control);
            self.wake_writer.notify_one();
        }
    }

    /// Has the keeper look.
    pub(super) fn call_keeper(&self) {
        *self.keeper_due.lock() = true;
        self.wake_keeper.notify_one();
    }

    /// Tells those who wait for entries that more are written, or never will be.
    pub(super) fn tell_of_batch(&self) {
        self.batches.send_modify(|batches| *batches += 1);
    }

    /// Whether the log takes nothing more.
    pub(super) fn is_over(&self) -> bool {
        let queue = self.queue.lock();
        queue.closing || queue.failed.is_some()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLog").field("voter", &self.voter).finish_non_exhaustive()
    }
}

/// The node-wide log. Clones are the same log.
#[derive(Debug, Clone)]
pub(crate) struct SharedLog {
    shared: Arc<Shared>,
    threads: Arc<Threads>,
}

/// The log's threads; they end when the last clone goes, or when it is closed.
#[derive(Debug)]
struct Threads {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle>>,
    keeper: Mutex<Option<JoinHandle>>,
}

impl Threads {
    fn end(&self) {
        self.shared.queue.lock().closing = true;
        self.shared.wake_writer.notify_one();
        self.shared.call_keeper();
        self.shared.tell_of_batch();
        for thread in [&self.writer, &self.keeper] {
            // Not joined under the lock, on which whoever ends it too would wait.
            let thread = thread.lock().take();
            if let Some(thread) = thread {
                let _ = thread.join();
            }
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.end();
    }
}

impl SharedLog {
    /// Opens the log of these disks, or begins one where there is none: reads the mirror set, finds what the mirrors
    /// hold, makes them equal, strikes those that can't be, and begins a new segment. With `new_voter`, a log of that
    /// voter is begun, and what there was before is superseded. Blocks.
    ///
    /// # Errors
    /// [`LogError`].
    pub(crate) fn open(
        disks: Disks,
        registry: Arc<dyn MirrorRegistry>,
        settings: LogSettings,
        entropy: Arc<dyn Entropy>,
        failure: Failure,
        new_voter: Option<VoterId>,
    ) -> Result<Self, LogError> {
        let recovered = recovery::recover(&disks, &*registry, &settings, &*entropy, new_voter)?;
        let Recovered { set, mirrors, groups, segments, next_seq, last_number, published } = recovered;
        let states: BTreeMap<RangeId, GroupState> =
            groups.iter().map(|(range, group)| (*range, group.state.clone())).collect();
        let shared = Arc::new(Shared {
            voter: set.voter,
            settings,
            entropy,
            failure,
            registry,
            disks: Mutex::new(disks),
            queue: Mutex::default(),
            wake_writer: Condvar::new(),
            groups: Mutex::new(groups),
            segments: Mutex::new(segments),
            set: Mutex::new(set),
            mirrors: Mutex::new(mirrors.clone()),
            building: Mutex::default(),
            leaving: Mutex::default(),
            needed_from: AtomicU64::new(0),
            appended_bytes: AtomicU64::new(0),
            batches: watch::Sender::new(0),
            low_space: AtomicBool::new(false),
            wake_keeper: Condvar::new(),
            keeper_due: Mutex::new(true),
            tokens: AtomicU64::new(1),
        });
        let mirrors = mirrors.into_iter().map(Mirror::start).collect::<io::Result<Vec<_>>>();
        let mirrors = mirrors.map_err(|error| LogError::Failed { reason: error.to_string() })?;
        let mut writer = Writer::new(shared.clone(), mirrors, states, next_seq, last_number);
        writer.begin(published)?;
        let keeper = Keeper::new(shared.clone());
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            let thread = threads::spawn(name, run);
            thread.map_err(|error| LogError::Failed { reason: error.to_string() })
        };
        let threads = Threads {
            shared: shared.clone(),
            writer: Mutex::new(Some(spawn("log-writer", Box::new(move || writer.run()))?)),
            keeper: Mutex::new(Some(spawn("log-keeper", Box::new(move || keeper.run()))?)),
        };
        Ok(Self { shared, threads: Arc::new(threads) })
    }

    /// Whose log it is.
    pub(crate) fn voter(&self) -> VoterId {
        self.shared.voter
    }

    /// Appends entries of a group; they can be read at once, and `done` is called when they are durable.
    pub(crate) fn append(
        &self,
        group: RangeId,
        entries: impl IntoIterator<Item = Entry>,
        done: impl FnOnce(Result<(), LogError>) + Send + 'static,
    ) -> Result<(), LogError> {
        let mut groups = self.shared.groups.lock();
        let log = groups.entry(group).or_default();
        let mut records = Vec::new();
        for entry in entries {
            let (head, body) = encode_entry(&entry);
            let token = Token(self.shared.tokens.fetch_add(1, Ordering::Relaxed));
            records.push(PendingRecord::Entry { index: entry.log_id.index, token, head, body });
            log.append(entry, token, self.shared.settings.cache_bytes)?;
        }
        // Queued while the groups are locked, so that the queue has a group's requests in their order.
        self.shared.enqueue(Request { group, records, done: Some(Box::new(done)) })
    }

    /// Returns once a group's entry is durable here; it must have been appended.
    ///
    /// # Errors
    /// It never will be.
    pub(crate) async fn written(&self, group: RangeId, index: u64) -> Result<(), LogError> {
        let mut batches = self.shared.batches.subscribe();
        loop {
            batches.mark_unchanged();
            if self.shared.groups.lock().get(&group).is_none_or(|log| log.is_written(index)) {
                return Ok(());
            }
            if self.shared.is_over() {
                return Err(LogError::Closed);
            }
            batches.changed().await.map_err(|_| LogError::Closed)?;
        }
    }

    /// Replaces a group's vote; `done` is called when it is durable.
    pub(crate) fn save_vote(
        &self,
        group: RangeId,
        vote: Vote,
        done: impl FnOnce(Result<(), LogError>) + Send + 'static,
    ) -> Result<(), LogError> {
        let mut groups = self.shared.groups.lock();
        groups.entry(group).or_default().state.vote = Some(vote);
        let records = vec![PendingRecord::Vote(vote)];
        self.shared.enqueue(Request { group, records, done: Some(Box::new(done)) })
    }

    /// Takes away a group's entries from `first_removed` on; `done` is called when that is durable.
    pub(crate) fn truncate(
        &self,
        group: RangeId,
        first_removed: u64,
        done: impl FnOnce(Result<(), LogError>) + Send + 'static,
    ) -> Result<(), LogError> {
        let mut groups = self.shared.groups.lock();
        groups.entry(group).or_default().truncate(first_removed);
        let records = vec![PendingRecord::Truncate(encode_truncate(first_removed))];
        self.shared.enqueue(Request { group, records, done: Some(Box::new(done)) })
    }

    /// Takes away a group's entries up to `upto`. Written with what comes next; until then a crash brings them back.
    pub(crate) fn purge(&self, group: RangeId, upto: LogId) -> Result<(), LogError> {
        let mut groups = self.shared.groups.lock();
        groups.entry(group).or_default().purge(upto);
        self.shared.enqueue(Request { group, records: vec![PendingRecord::State], done: None })
    }

    /// Notes how far a group is committed. Written with the next batch of whatever group.
    pub(crate) fn set_committed(&self, group: RangeId, committed: Option<LogId>) {
        self.shared.groups.lock().entry(group).or_default().state.committed = committed;
    }

    /// A group's vote, purged and committed ids.
    pub(crate) fn state(&self, group: RangeId) -> GroupState {
        self.shared.groups.lock().get(&group).map(|log| log.state.clone()).unwrap_or_default()
    }

    /// The groups that have something in the log, or had.
    pub(crate) fn ranges(&self) -> Vec<RangeId> {
        self.shared.groups.lock().keys().copied().collect()
    }

    /// A group's last entry, or what was purged last.
    pub(crate) fn last_log_id(&self, group: RangeId) -> Option<LogId> {
        self.shared.groups.lock().get(&group).and_then(GroupLog::last_log_id)
    }

    /// The last id of each term in the range.
    pub(crate) fn term_ends(&self, group: RangeId, range: Range<u64>) -> Vec<LogId> {
        self.shared.groups.lock().get(&group).map(|log| log.term_ends(range)).unwrap_or_default()
    }

    /// A group's entries of `range`, as far as they are there; at least one, then no more than about `bytes_max`.
    ///
    /// # Errors
    /// [`LogError::Damaged`]: no mirror has an entry that was written.
    pub(crate) fn read(&self, group: RangeId, range: Range<u64>, bytes_max: u64) -> Result<Vec<Entry>, LogError> {
        let found = self.shared.groups.lock().get(&group).map(|log| log.get(range)).unwrap_or_default();
        let mut reader = EntryReader { shared: &self.shared, ahead: None };
        let mut bytes = 0;
        let mut entries = Vec::with_capacity(found.len());
        for one in found {
            bytes += match &one {
                Found::Cached(entry) => cost(entry) as u64,
                Found::At(_, location) => u64::from(location.bytes),
            };
            if bytes > bytes_max && !entries.is_empty() {
                break;
            }
            entries.push(match one {
                Found::Cached(entry) => entry,
                Found::At(id, location) => reader.read(group, &id, location)?,
            });
        }
        Ok(entries)
    }

    /// Has a disk considered as a mirror, and written the mirror set to.
    pub(crate) fn add_disk(&self, id: DiskId, disk: Arc<dyn platform::Disk>) {
        let mut disks = self.shared.disks.lock();
        disks.retain(|(known, _)| *known != id);
        disks.push((id, disk));
        drop(disks);
        self.shared.call_keeper();
    }

    /// A disk is down: it is no mirror any more, and becomes none.
    pub(crate) fn remove_disk(&self, id: DiskId, reason: &str) {
        self.shared.disks.lock().retain(|(known, _)| *known != id);
        self.shared.control(Control::Strike { disk: id, reason: reason.to_owned() });
    }

    /// Disks that work and are to be left, where another can take what they have: they become no mirrors.
    pub(crate) fn set_leaving(&self, disks: BTreeSet<DiskId>) {
        let before = std::mem::replace(&mut *self.shared.leaving.lock(), disks.clone());
        if before != disks {
            self.shared.call_keeper();
        }
    }

    /// The disks that are to be left.
    pub(crate) fn leaving(&self) -> BTreeSet<DiskId> {
        self.shared.leaving.lock().clone()
    }

    /// Below so many free bytes a disk is short of space.
    pub(crate) fn free_bytes_min(&self) -> u64 {
        self.shared.settings.free_bytes_min
    }

    /// Whether space is short.
    pub(crate) fn low_space(&self) -> bool {
        self.shared.low_space.load(Ordering::Relaxed)
    }

    /// Bytes appended since the log was opened.
    pub(crate) fn appended_bytes(&self) -> u64 {
        self.shared.appended_bytes.load(Ordering::Relaxed)
    }

    /// The disks that have all of the log, in the order of the set.
    pub(crate) fn mirrors(&self) -> Vec<DiskId> {
        self.shared.set.lock().disks.clone()
    }

    /// The log now.
    pub(crate) fn status(&self) -> LogStatus {
        let set = self.shared.set.lock().clone();
        let bytes = self.shared.segments.lock().values().map(|segment| segment.header.bytes).sum();
        LogStatus {
            mirrors: set.disks,
            generation: set.generation,
            building: *self.shared.building.lock(),
            bytes,
            appended_bytes: self.appended_bytes(),
            low_space: self.low_space(),
            failed: self.shared.queue.lock().failed.as_ref().map(ToString::to_string),
        }
    }

    /// Writes what is queued and ends the threads. Blocks.
    pub(crate) fn close(&self) {
        self.threads.end();
    }
}

/// Reads entries from the segments, one stretch at a time.
struct EntryReader<'a> {
    shared: &'a Shared,
    /// The segment, where in it the bytes lie, and they.
    ahead: Option<(u64, u64, Bytes)>,
}

impl EntryReader<'_> {
    fn read(&mut self, group: RangeId, id: &LogId, location: Location) -> Result<Entry, LogError> {
        let missing = || LogError::Damaged { reason: format!("segment {} of entry {id} is gone", location.segment) };
        let (header, files) = {
            let segments = self.shared.segments.lock();
            let segment = segments.get(&location.segment).ok_or_else(missing)?;
            (segment.header, segment.files.clone())
        };
        if let Some(bytes) = self.read_ahead(location)
            && let Some(entry) = check(&header, location, group, id, bytes)
        {
            return Ok(entry);
        }
        let mut reason = String::from("no mirror has the segment");
        let others = files.len() > 1;
        for (disk, file) in files {
            match self.fetch(&*file, location) {
                Ok(bytes) => match check(&header, location, group, id, bytes) {
                    Some(entry) => return Ok(entry),
                    None => reason = format!("entry {id} of range {group} is wrong on disk {disk}"),
                },
                Err(error) => reason = format!("entry {id} of range {group} can't be read from disk {disk}: {error}"),
            }
            if others {
                self.shared.control(Control::Strike { disk, reason: reason.clone() });
            }
        }
        Err(LogError::Damaged { reason })
    }

    fn read_ahead(&self, location: Location) -> Option<Bytes> {
        let (segment, start, bytes) = self.ahead.as_ref()?;
        let from = usize::try_from(u64::from(location.offset).checked_sub(*start)?).ok()?;
        let to = from + location.bytes as usize;
        (*segment == location.segment && to <= bytes.len()).then(|| bytes.slice(from..to))
    }

    fn fetch(&mut self, file: &dyn DiskFile, location: Location) -> io::Result<Bytes> {
        let mut buffer = vec![0; READ_AHEAD_BYTES.max(location.bytes as usize)];
        let read = file.read_at(&mut buffer, u64::from(location.offset))?;
        buffer.truncate(read);
        let bytes = Bytes::from(buffer);
        self.ahead = Some((location.segment, u64::from(location.offset), bytes.clone()));
        Ok(bytes.slice(..read.min(location.bytes as usize)))
    }
}

/// The entry in a record's bytes, if they are that record.
fn check(header: &SegmentHeader, location: Location, group: RangeId, id: &LogId, bytes: Bytes) -> Option<Entry> {
    let record = Record::decode(header.seal(), u64::from(location.offset), &bytes)?;
    if record.group != group || record.bytes() != bytes.len() {
        return None;
    }
    let payload = bytes.slice(super::record::RECORD_HEADER_BYTES..);
    decode_entry(&payload).ok().filter(|entry| entry.log_id == *id)
}

/// Waits on a condition variable for a flag, at most for `patience`; takes the flag.
pub(super) fn wait_for_flag(flag: &Mutex<bool>, wake: &Condvar, patience: Duration) {
    let mut due = flag.lock();
    if !*due {
        wake.wait_for(&mut due, patience);
    }
    *due = false;
}
