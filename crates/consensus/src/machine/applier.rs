//! The thread that applies: it merges what the groups have queued into transactions, answers, and replaces a database
//! that fails by a copy, brought up to date from the log.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use index::{Answer, FIRST_FEATURE_LEVEL, IndexCheckpointer, IndexDatabaseError, IndexReader, RangeEntry};
use openraft::EntryPayload;
use openraft::storage::ApplyResponder;
use parking_lot::Mutex;
use platform::threads;
use telemetry::with_causes;
use tokio::sync::{Notify, mpsc};
use types::{DiskId, FeatureLevel, RangeId, Timestamp};

use super::databases::{DatabasePlace, DatabasePlaces, DatabasesError, OpenedDatabase, mark_of};
use super::install::{InstallError, InstallWork, Installation};
use super::{Born, Committed, KnownRanges, Mark, Progress, ReaderPool, RecentVersions, Work};
use crate::encoding::{MalformedError, encode_applied, encode_membership};
use crate::failure::Failure;
use crate::log::SharedLog;
use crate::raft_types::{Answers, Entry, StoredMembership, TypeConfig};

/// Commands after which a transaction takes no further entry.
const COMMANDS_PER_TRANSACTION: usize = 2000;
/// Bytes of log that are replayed in one transaction.
const REPLAY_BYTES: u64 = 4 << 20;
/// How long a database that found its disk full waits before it tries again.
const FULL_DISK_RETRY: Duration = Duration::from_millis(250);

/// What the keeper needs of the database in use.
pub(crate) struct KeptDatabase {
    pub(crate) epoch: u64,
    pub(crate) disk: DiskId,
    pub(crate) place: DatabasePlace,
    pub(crate) checkpointer: IndexCheckpointer,
    pub(crate) reader: IndexReader,
}

/// What the applier shares with the keeper and with who asks how things are.
#[derive(Default)]
pub(crate) struct DatabaseDesk {
    /// A database that was opened, until the keeper takes it.
    pub(crate) opened: Mutex<Option<KeptDatabase>>,
    /// The disk of the database in use.
    pub(crate) disk: Mutex<Option<DiskId>>,
    /// Bytes of its WAL after the last transaction.
    wal_bytes: AtomicU64,
    /// Bytes of its WAL when the last checkpoint began. SQLite may go on behind them, or begin the WAL anew.
    checkpointed_wal_bytes: AtomicU64,
    /// Whether its disk is short of space and there is no other: what is reserved for the database is left to commands
    /// that win space back.
    pub(crate) is_short: AtomicBool,
    /// Whether a range's rows are being replaced: a copy of the database would be of no use.
    pub(crate) is_installing: AtomicBool,
    /// Whether there may be rows from other voters on the disks that are no longer needed.
    pub(crate) has_rows: AtomicBool,
    /// Whether its disk is full.
    pub(crate) is_full: AtomicBool,
    /// The cluster's feature level, as far as has been applied: never above what it is.
    feature_level: AtomicU32,
    /// Wakes the keeper.
    pub(crate) wake: Notify,
}

impl DatabaseDesk {
    /// The cluster's feature level, or a lower one that it was at.
    pub(crate) fn feature_level(&self) -> FeatureLevel {
        FeatureLevel(self.feature_level.load(Ordering::Relaxed)).max(FIRST_FEATURE_LEVEL)
    }

    /// Whether the WAL has grown by so many bytes since the last checkpoint.
    pub(crate) fn is_checkpoint_due(&self, checkpoint_bytes: u64) -> bool {
        let (now, then) = (self.wal_bytes.load(Ordering::Relaxed), self.checkpointed_wal_bytes.load(Ordering::Relaxed));
        let grown = if now >= then { now - then } else { now };
        grown >= checkpoint_bytes
    }

    /// A checkpoint begins: what the WAL holds now is taken care of.
    pub(crate) fn note_checkpoint(&self) {
        self.checkpointed_wal_bytes.store(self.wal_bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// The parts that the applier works with.
pub(crate) struct ApplierParts {
    pub(crate) log: SharedLog,
    pub(crate) places: Arc<DatabasePlaces>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) known: Arc<KnownRanges>,
    pub(crate) readers: Arc<ReaderPool>,
    pub(crate) recent: Arc<RecentVersions>,
    pub(crate) desk: Arc<DatabaseDesk>,
    pub(crate) failure: Failure,
    pub(crate) checkpoint_bytes: u64,
}

/// The applier's state.
pub(crate) struct Applier {
    parts: ApplierParts,
    work: mpsc::Receiver<Work>,
    opened: OpenedDatabase,
    epoch: u64,
    /// For each range, the index after the last entry that was applied.
    done: BTreeMap<RangeId, u64>,
    /// Disks whose database failed; nothing is opened there again.
    lost: Vec<DiskId>,
    /// Rows that wait to be installed.
    installs: VecDeque<InstallWork>,
}

/// Entries that go into one transaction, and who waits for them.
#[derive(Default)]
struct Batch {
    entries: Vec<RangeEntry>,
    waiting: Vec<Option<ApplyResponder<TypeConfig>>>,
    /// The index after the last entry of each range.
    next: BTreeMap<RangeId, u64>,
    commands: usize,
}

impl Applier {
    /// Takes over an opened database: readers and keeper get their connections.
    pub(crate) fn new(
        parts: ApplierParts,
        work: mpsc::Receiver<Work>,
        opened: OpenedDatabase,
    ) -> Result<Self, IndexDatabaseError> {
        let next = |mark: &Mark| mark.applied.map_or(0, |applied| applied.index + 1);
        let done = opened.marks.iter().map(|(range, mark)| (*range, next(mark))).collect();
        let mut applier = Self { parts, work, opened, epoch: 0, done, lost: Vec::new(), installs: VecDeque::new() };
        applier.publish()?;
        Ok(applier)
    }

    /// Applies until the groups are gone, or until nothing can be applied any more.
    pub(crate) fn run(mut self) {
        platform::prefer_short_slices();
        while let Some(first) = threads::block_on(self.work.recv()) {
            match self.take(first) {
                Ok(true) => {}
                Ok(false) => break,
                Err(reason) => {
                    self.parts.failure.report(reason);
                    break;
                }
            }
        }
    }

    /// Takes what waits; `false` at the end.
    fn take(&mut self, first: Work) -> Result<bool, String> {
        let mut batch = Batch::default();
        let mut next = Some(first);
        let mut ends = false;
        while let Some(work) = next {
            match work {
                Work::Entries(range, entries) => batch.add(range, entries)?,
                Work::Install(install) => {
                    let before = std::mem::take(&mut batch);
                    if !before.entries.is_empty() {
                        self.apply(before)?;
                    }
                    self.installs.push_back(install);
                    while let Some(install) = self.installs.pop_front() {
                        ends |= self.install(install)?;
                    }
                }
                Work::DatabaseFailed(epoch, reason) if epoch == self.epoch => self.replace(&reason)?,
                Work::LeaveDisk(epoch) if epoch == self.epoch => self.leave_disk()?,
                Work::DatabaseFailed(..) | Work::LeaveDisk(_) => {}
                Work::End => ends = true,
            }
            if ends || batch.commands >= COMMANDS_PER_TRANSACTION {
                break;
            }
            next = self.work.try_recv().ok();
        }
        if !batch.entries.is_empty() {
            self.apply(batch)?;
        }
        Ok(!ends)
    }

    /// Puts another voter's rows in the place of a range's own, on another database if this one fails. Other ranges' entries
    /// are applied in between. `true` where that was the end.
    fn install(&mut self, install: InstallWork) -> Result<bool, String> {
        let InstallWork { range, rows, done } = install;
        let next = rows.mark.applied.map_or(0, |applied| applied.index + 1);
        tracing::info!(%range, next, "the rows of a range are being replaced by those of another voter");
        self.parts.desk.is_installing.store(true, Ordering::SeqCst);
        let change = self.parts.recent.begin_replacement();
        self.parts.progress.begin_replacement(range);
        let (mut installation, mut epoch, mut ends) = (Installation::new(range, rows.clone()), self.epoch, false);
        loop {
            match installation.step(&mut self.opened.database) {
                Ok(true) => break,
                Ok(false) => {}
                Err(InstallError::File(error)) => return Err(format!("rows of range {range}: {error}")),
                Err(InstallError::Database(error @ IndexDatabaseError::Overlap { .. })) => {
                    // Looked for before; nothing was changed, but the group believes to have the rows.
                    return Err(with_causes(&error));
                }
                Err(InstallError::Database(error)) => self.overcome(error)?,
            }
            self.note_wal();
            ends |= self.go_on_with_others()?;
            if std::mem::replace(&mut epoch, self.epoch) != self.epoch {
                // Another database: it has none of it.
                self.parts.progress.begin_replacement(range);
                installation = Installation::new(range, rows.clone());
            }
        }
        self.opened.marks.insert(range, rows.mark);
        self.done.insert(range, next);
        self.note_level();
        self.tell_of_ranges().map_err(|error| with_causes(&error))?;
        self.parts.progress.set(range, next);
        self.parts.recent.end_change(change);
        self.parts.desk.is_installing.store(false, Ordering::SeqCst);
        self.parts.readers.unpark();
        // Whoever asked may have gone.
        let _ = done.send(Ok(()));
        Ok(ends)
    }

    /// Takes what waits while rows are being installed; `true` at the end.
    fn go_on_with_others(&mut self) -> Result<bool, String> {
        let mut ends = false;
        while let Ok(work) = self.work.try_recv() {
            match work {
                Work::Entries(range, entries) => {
                    let mut batch = Batch::default();
                    batch.add(range, entries)?;
                    self.apply(batch)?;
                }
                Work::Install(other) => self.installs.push_back(other),
                Work::DatabaseFailed(epoch, reason) if epoch == self.epoch => self.replace(&reason)?,
                // It is asked again once the rows are there.
                Work::DatabaseFailed(..) | Work::LeaveDisk(_) => {}
                Work::End => ends = true,
            }
        }
        Ok(ends)
    }

    /// Before whoever raised it is answered: then it may propose what the level allows.
    fn note_level(&self) {
        self.parts.desk.feature_level.store(self.opened.database.feature_level().0, Ordering::Relaxed);
    }

    fn note_wal(&self) {
        let desk = &self.parts.desk;
        let due = desk.is_checkpoint_due(self.parts.checkpoint_bytes);
        desk.wal_bytes.store(self.opened.database.wal_bytes(), Ordering::Relaxed);
        if !due && desk.is_checkpoint_due(self.parts.checkpoint_bytes) {
            desk.wake.notify_one();
        }
    }

    /// Applies a batch, on another database if this one fails, and answers.
    fn apply(&mut self, batch: Batch) -> Result<(), String> {
        let change = self.parts.recent.begin_change(&batch.entries);
        let answers = loop {
            match self.opened.database.apply(&batch.entries) {
                Ok(answers) => break answers,
                Err(error) => self.overcome(error)?,
            }
        };
        let is_first = batch.next.keys().any(|range| !self.done.contains_key(range));
        self.done.extend(batch.next.iter());
        self.note_level();
        if is_first {
            self.tell_of_ranges().map_err(|error| with_causes(&error))?;
        }
        let born = self.born(&answers).map_err(|error| with_causes(&error))?;
        // Seen by readers before anyone is told: whoever was answered reads what was answered.
        for (range, next) in &batch.next {
            self.parts.progress.set(*range, *next);
        }
        self.parts.recent.end_change(change);
        born.into_iter().for_each(|born| self.parts.known.tell_of(born));
        for (answers, waiting) in answers.into_iter().zip(batch.waiting) {
            if let Some(waiting) = waiting {
                waiting.send(Answers(answers));
            }
        }
        self.parts.readers.unpark();
        self.note_wal();
        self.mind_space()
    }

    /// The ranges that splits among these answers made.
    fn born(&mut self, answers: &[Vec<Answer>]) -> Result<Vec<Born>, IndexDatabaseError> {
        let mut born = Vec::new();
        for answer in answers.iter().flatten() {
            let Answer::Split(halves) = answer else { continue };
            let [parent, child] = [halves[0].id, halves[1].id];
            // A repeated command is answered again, and a copy that was brought up to date has split before.
            if self.done.contains_key(&child) {
                continue;
            }
            let mark = self.mark_in_database(child)?;
            let next = mark.applied.map_or(0, |applied| applied.index + 1);
            self.done.insert(child, next);
            self.tell_of_ranges()?;
            self.parts.progress.set(child, next);
            born.push(Born { range: child, parent, mark });
        }
        Ok(born)
    }

    /// How far the database in use is.
    fn mark_in_database(&self, range: RangeId) -> Result<Mark, IndexDatabaseError> {
        let damaged = |error: MalformedError| IndexDatabaseError::Damaged { reason: error.to_string() };
        let state = self.opened.database.applied(range)?;
        state.map_or_else(|| Ok(Mark::default()), |state| mark_of(&state).map_err(damaged))
    }

    fn tell_of_ranges(&self) -> Result<(), IndexDatabaseError> {
        self.parts.known.set(self.opened.database.descriptors()?);
        Ok(())
    }

    /// Leaves a disk that is short of space while another has some; to wait until it is full would hold up everybody.
    fn mind_space(&mut self) -> Result<(), String> {
        let own = self.opened.disk;
        let short = self.parts.places.is_short(own, self.parts.log.free_bytes_min());
        if short && self.can_move(own, &self.opened.place) {
            return self.wait_for_space();
        }
        self.parts.desk.is_short.store(short, Ordering::Relaxed);
        Ok(())
    }

    /// Whether another mirror has space for the database.
    fn can_move(&self, own: DiskId, place: &DatabasePlace) -> bool {
        self.parts.places.can_take(place, own, &self.parts.log)
    }

    /// Makes good for a failed transaction: nothing of it was applied, and the database takes nothing more.
    fn overcome(&mut self, error: IndexDatabaseError) -> Result<(), String> {
        match error {
            IndexDatabaseError::DiskFull(_) => self.wait_for_space(),
            IndexDatabaseError::NewerFormat { .. }
            | IndexDatabaseError::NewerLevel(_)
            | IndexDatabaseError::Overlap { .. } => Err(with_causes(&error)),
            IndexDatabaseError::Io(_)
            | IndexDatabaseError::Damaged { .. }
            | IndexDatabaseError::Database(_)
            | IndexDatabaseError::Failed => self.replace(&with_causes(&error)),
        }
    }

    /// Goes on elsewhere where there is space, else here once there is some; nothing that was committed is lost meanwhile.
    fn wait_for_space(&mut self) -> Result<(), String> {
        let (own, place) = (self.opened.disk, self.opened.place.clone());
        tracing::warn!(disk = %own, "the index database's disk is full");
        loop {
            if self.can_move(own, &place) && self.try_move(own) {
                break;
            }
            let reopened = self.parts.places.reopen(own, &place);
            match reopened.and_then(|opened| self.adopt(opened)) {
                Ok(()) => break,
                Err(IndexDatabaseError::DiskFull(_)) => {}
                Err(error) => {
                    self.lost.push(own);
                    return self.replace(&with_causes(&error));
                }
            }
            self.parts.desk.is_full.store(true, Ordering::Relaxed);
            if self.parts.failure.wait_or_closing(FULL_DISK_RETRY) {
                return Err("the index database's disk is full".to_owned());
            }
        }
        self.parts.desk.is_full.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Goes on from another disk, because this one is to be left; where that fails, here as before.
    fn leave_disk(&mut self) -> Result<(), String> {
        let (own, place) = (self.opened.disk, self.opened.place.clone());
        if self.try_move(own) {
            return Ok(());
        }
        let reopened = self.parts.places.reopen(own, &place);
        reopened.and_then(|opened| self.adopt(opened)).or_else(|error| self.replace(&with_causes(&error)))
    }

    /// Goes on from a copy on another disk that has room in reserve; the database on `own` stays as good as it was where
    /// that fails, for others may have filled the disk meanwhile.
    fn try_move(&mut self, own: DiskId) -> bool {
        let leaving = self.parts.log.leaving();
        let elsewhere: Vec<DiskId> = self.lost.iter().copied().chain([own]).chain(leaving).collect();
        let opened = self.parts.places.open_newest(&self.parts.log, &elsewhere).map_err(|error| with_causes(&error));
        let moved = opened.and_then(|opened| {
            self.opened = opened;
            self.catch_up().map_err(|error| with_causes(&error))?;
            self.opened.place.reserve_room().map_err(|error| with_causes(&error))?;
            self.publish().map_err(|error| with_causes(&error))
        });
        match moved {
            Ok(()) => {
                tracing::info!(disk = %self.opened.disk, "the index is served from another disk");
                true
            }
            Err(reason) => {
                tracing::warn!(reason, "the index database could not leave its disk");
                false
            }
        }
    }

    /// Goes on from a copy on another disk, brought up to date from the log.
    fn replace(&mut self, reason: &str) -> Result<(), String> {
        tracing::error!(disk = %self.opened.disk, reason, "the index database is lost; a copy takes its place");
        let mut reasons = vec![reason.to_owned()];
        loop {
            self.lost.push(self.opened.disk);
            let told = |error: DatabasesError| format!("{}; {error}", reasons.join("; "));
            let opened = self.parts.places.open_newest(&self.parts.log, &self.lost).map_err(told)?;
            let disk = opened.disk;
            match self.adopt(opened) {
                Ok(()) => {
                    tracing::info!(%disk, "the index is served from another disk");
                    self.parts.desk.is_full.store(false, Ordering::Relaxed);
                    return Ok(());
                }
                Err(error) => reasons.push(with_causes(&error)),
            }
        }
    }

    /// Takes a database in use, after it was brought up to what had been applied.
    fn adopt(&mut self, opened: OpenedDatabase) -> Result<(), IndexDatabaseError> {
        self.opened = opened;
        self.catch_up()?;
        self.publish()
    }

    /// Brings the database up to what had been applied.
    fn catch_up(&mut self) -> Result<(), IndexDatabaseError> {
        for (range, done) in self.done.clone() {
            if self.is_installing(range) {
                continue;
            }
            // A range that a split made is there once its parent, whose id is lower, is brought up to date.
            let mut next = self.mark_in_database(range)?.applied.map_or(0, |id| id.index + 1);
            while next < done {
                next = self.replay(range, next..done)?;
            }
        }
        Ok(())
    }

    /// Whether the database was opened in the midst of an installation, which is to begin anew.
    fn is_installing(&self, range: RangeId) -> bool {
        self.opened.marks.get(&range).is_some_and(|mark| mark.installing.is_some())
    }

    /// Applies a stretch of the log again; returns the index after it.
    fn replay(&mut self, range: RangeId, stretch: std::ops::Range<u64>) -> Result<u64, IndexDatabaseError> {
        let damaged = |reason: String| IndexDatabaseError::Damaged { reason };
        let entries = self.parts.log.read(range, stretch.clone(), REPLAY_BYTES);
        let entries = entries.map_err(|error| damaged(error.to_string()))?;
        let mut batch = Batch::default();
        batch.add(range, entries.into_iter().map(|entry| (entry, None)).collect()).map_err(damaged)?;
        let Some(next) = batch.next.get(&range).copied().filter(|next| *next > stretch.start) else {
            return Err(damaged(format!("entry {} of range {range} is missing in the log", stretch.start)));
        };
        self.opened.database.apply(&batch.entries)?;
        Ok(next)
    }

    /// Gives readers and keeper connections to the database, and removes others that were in use. Only this thread moves
    /// databases, so only this one may remove them: another's word for which is in use may be late.
    fn publish(&mut self) -> Result<(), IndexDatabaseError> {
        let database = &self.opened.database;
        let readers = (0..ReaderPool::READERS).map(|_| database.reader()).collect::<Result<Vec<_>, _>>()?;
        let kept = KeptDatabase {
            epoch: self.epoch + 1,
            disk: self.opened.disk,
            place: self.opened.place.clone(),
            checkpointer: database.checkpointer()?,
            reader: database.reader()?,
        };
        self.epoch += 1;
        self.tell_of_ranges()?;
        for (range, next) in self.done.iter().filter(|(range, _)| !self.is_installing(**range)) {
            self.parts.progress.set(*range, *next);
        }
        self.parts.readers.install(self.epoch, readers);
        self.parts.places.remove_old(self.opened.disk);
        self.note_level();
        *self.parts.desk.disk.lock() = Some(self.opened.disk);
        *self.parts.desk.opened.lock() = Some(kept);
        self.parts.desk.wake.notify_one();
        Ok(())
    }
}

impl Batch {
    fn add(&mut self, range: RangeId, entries: Vec<Committed>) -> Result<(), String> {
        for (entry, responder) in entries {
            self.next.insert(range, entry.log_id.index + 1);
            let entry = range_entry(range, entry)?;
            self.commands += entry.commands.len().max(1);
            self.entries.push(entry);
            self.waiting.push(responder);
        }
        Ok(())
    }
}

/// What the database makes of an entry.
pub(crate) fn range_entry(range: RangeId, entry: Entry) -> Result<RangeEntry, String> {
    let applied = encode_applied(&entry.log_id);
    let bare = RangeEntry { range, applied, membership: None, time: Timestamp(0), commands: Vec::new() };
    Ok(match entry.payload {
        EntryPayload::Blank => bare,
        EntryPayload::Membership(membership) => {
            let stored = StoredMembership::new(Some(entry.log_id), membership);
            RangeEntry { membership: Some(encode_membership(&stored)), ..bare }
        }
        EntryPayload::Normal(proposed) => {
            let id = entry.log_id;
            let proposal = proposed.take().map_err(|error| format!("entry {id} of range {range}: {error}"))?;
            RangeEntry { time: proposal.time, commands: proposal.commands, ..bare }
        }
    })
}
