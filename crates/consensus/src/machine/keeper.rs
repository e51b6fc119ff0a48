//! What keeps the database durable and the log short: checkpoints, copies on the other mirrors' disks, and then the
//! release of the log that neither the database nor the oldest copy needs any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use index::{AppliedState, Checkpoint, FIRST_DATA_RANGE, IndexDatabaseError, IndexReader, SYSTEM_RANGE};
use parking_lot::Mutex;
use platform::Clock;
use platform::threads::run_blocking;
use sqlite_vfs::DatabaseLocation;
use telemetry::with_causes;
use tokio::sync::{mpsc, oneshot, watch};
use types::{DiskId, RangeId};

use super::applier::{DatabaseDesk, KeptDatabase};
use super::databases::{DatabasePlaces, mark_of};
use super::{DurableMarks, Mark, Progress, Work};
use crate::encoding::MalformedError;
use crate::groups::Groups;
use crate::log::SharedLog;
use crate::settings::DatabaseUpkeep;

/// How often it looks without being woken, at least.
const ROUND: Duration = Duration::from_millis(500);
/// After so many rounds a copy that failed is tried again.
const ROUNDS_UNTIL_RETRY: u32 = 120;
/// Only `tests/net`, which proves that the tests would notice, builds a keeper that purges the log without a checkpoint;
/// nothing else can by accident.
const LEAVE_OUT_CHECKPOINT: bool = {
    let asked = cfg!(feature = "leave-out-checkpoint");
    assert!(!asked || option_env!("CAIRN_PROVES_ITS_NET").is_some(), "leave-out-checkpoint is for tests/net alone");
    asked
};

/// What the keeper works with.
pub(crate) struct KeeperParts {
    pub(crate) log: SharedLog,
    pub(crate) places: Arc<DatabasePlaces>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) durable: Arc<DurableMarks>,
    pub(crate) desk: Arc<DatabaseDesk>,
    pub(crate) groups: Arc<Groups>,
    pub(crate) upkeep: DatabaseUpkeep,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) work: mpsc::WeakSender<Work>,
    pub(crate) requests: mpsc::UnboundedReceiver<KeeperRequest>,
    pub(crate) holds: Arc<LogHolds>,
    pub(crate) status: Arc<Mutex<UpkeepStatus>>,
}

/// What the keeper can be asked for.
pub(crate) enum KeeperRequest {
    /// A connection of the asker's own that reads the database in use.
    Reader(oneshot::Sender<Result<IndexReader, String>>),
    /// A checkpoint, copies on all disks that should have one, and then the release of the log.
    Settle(oneshot::Sender<Result<(), String>>),
}

/// From where on others need each range's log: it is not released further.
#[derive(Debug, Default)]
pub(crate) struct LogHolds(Mutex<BTreeMap<RangeId, u64>>);

impl LogHolds {
    /// Keeps the log from `first_needed` on, or, with `None`, for nobody.
    pub(crate) fn set(&self, range: RangeId, first_needed: Option<u64>) {
        let mut holds = self.0.lock();
        match first_needed {
            Some(index) => holds.insert(range, index),
            None => holds.remove(&range),
        };
    }

    /// The last index up to which the log may go, where it may go up to `index` but for the holds; `None`: none of it.
    fn releasable(&self, range: RangeId, index: u64) -> Option<u64> {
        match self.0.lock().get(&range) {
            Some(needed) => Some(index.min(needed.checked_sub(1)?)),
            None => Some(index),
        }
    }
}

/// What the keeper has done.
#[derive(Debug, Clone, Default)]
pub struct UpkeepStatus {
    /// Completed checkpoints since the start.
    pub checkpoints: u64,
    /// Checkpoints that found no room on the disk.
    pub checkpoints_without_room: u64,
    /// How far each range was when the last one began: the index after its last entry.
    pub durable: BTreeMap<RangeId, u64>,
    /// The disks that have a copy of the database, and how far each is.
    pub copies: BTreeMap<DiskId, BTreeMap<RangeId, u64>>,
}

/// What a checkpoint came to that costs no database.
enum Checkpointed {
    Done(Checkpoint),
    /// Nothing was copied, for this reason; the WAL still holds it.
    NoRoom(String),
}

/// A copy of the database.
struct Copied {
    marks: BTreeMap<RangeId, Mark>,
    /// Bytes of log that had been appended when it was made.
    log_bytes: u64,
}

/// The keeper's state.
pub(crate) struct DatabaseKeeper {
    parts: KeeperParts,
    database: Option<KeptDatabase>,
    copies: BTreeMap<DiskId, Copied>,
    avoided: BTreeMap<DiskId, u32>,
    /// A database that the applier is yet to be told of.
    lost: Option<(u64, String)>,
    /// What was applied at the last checkpoint, and when something was last seen to be applied.
    checkpointed: BTreeMap<RangeId, u64>,
    seen: (BTreeMap<RangeId, u64>, Duration),
    /// Whether the last checkpoint found no room.
    lacks_room: bool,
}

impl DatabaseKeeper {
    pub(crate) fn new(parts: KeeperParts, copies: BTreeMap<DiskId, BTreeMap<RangeId, Mark>>) -> Self {
        let copies = copies.into_iter().map(|(disk, marks)| (disk, Copied { marks, log_bytes: 0 })).collect();
        let seen = (BTreeMap::new(), parts.clock.monotonic());
        Self {
            parts,
            database: None,
            copies,
            avoided: BTreeMap::new(),
            lost: None,
            checkpointed: BTreeMap::new(),
            seen,
            lacks_room: false,
        }
    }

    /// Keeps the database until `stop` changes; then makes one last checkpoint, and copies what is small.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let round = ROUND.min(self.parts.upkeep.idle);
        loop {
            tokio::select! {
                biased;
                _ = stop.changed() => break,
                Some(request) = self.parts.requests.recv() => self.answer(request).await,
                () = self.parts.desk.wake.notified() => {}
                () = tokio::time::sleep(round) => {}
            }
            self.round().await;
        }
        self.finish().await;
    }

    async fn round(&mut self) {
        self.take_database();
        self.check_database();
        self.look_for_space();
        self.tell_of_lost().await;
        if self.checkpoint_is_due() {
            self.checkpoint().await;
        }
        for disk in self.copies_due() {
            self.copy(disk).await;
        }
        self.leave_disk().await;
        self.release_log().await;
        self.remove_rows().await;
        self.avoided.retain(|_, rounds| {
            *rounds -= 1;
            *rounds > 0
        });
    }

    async fn finish(&mut self) {
        self.take_database();
        if self.parts.progress.all() != self.checkpointed {
            self.checkpoint().await;
        }
        let small = |kept: &KeptDatabase| kept.place.bytes() <= self.parts.upkeep.shutdown_copy_bytes_max;
        if self.database.as_ref().is_some_and(small) {
            let current = self.parts.progress.all();
            for disk in self.copy_disks() {
                if self.copies.get(&disk).is_none_or(|copied| next_of(&copied.marks) != current) {
                    self.copy(disk).await;
                }
            }
        }
        self.release_log().await;
    }

    fn take_database(&mut self) {
        let opened = self.parts.desk.opened.lock().take();
        if let Some(opened) = opened {
            // A copy that became the database is none any more.
            self.copies.remove(&opened.disk);
            // Nor is one that became a database which could not be used; the log is not released for its sake.
            self.copies.retain(|disk, _| self.parts.places.has_copy(*disk));
            self.checkpointed.clear();
            self.database = Some(opened);
            self.tell_copies();
        }
    }

    fn checkpoint_is_due(&mut self) -> bool {
        let applied = self.parts.progress.all();
        let now = self.parts.clock.monotonic();
        if applied != self.seen.0 {
            self.seen = (applied.clone(), now);
        }
        let is_idle = now.saturating_sub(self.seen.1) >= self.parts.upkeep.idle;
        let is_long = self.parts.desk.is_checkpoint_due(self.parts.upkeep.checkpoint_bytes);
        applied != self.checkpointed && (is_idle || is_long)
    }

    /// Makes durable what has been applied.
    async fn checkpoint(&mut self) {
        let Some(mut kept) = self.database.take() else { return };
        self.parts.desk.note_checkpoint();
        let (kept, outcome) = run_blocking(move || {
            let outcome = if LEAVE_OUT_CHECKPOINT {
                kept.reader.applied().map(|applied| Checkpoint { applied, complete: true, wal_pages: 0 })
            } else {
                kept.checkpointer.checkpoint()
            };
            // After it, for a file that was deleted meanwhile takes a checkpoint too.
            let outcome = match (outcome, kept.place.check()) {
                (_, Err(error)) => Err(with_causes(&error)),
                // The database is as good as it was, and the WAL holds the rest.
                (Err(error @ IndexDatabaseError::DiskFull(_)), Ok(())) => Ok(Checkpointed::NoRoom(with_causes(&error))),
                (outcome, Ok(())) => outcome.map(Checkpointed::Done).map_err(|error| with_causes(&error)),
            };
            (kept, outcome)
        })
        .await;
        match outcome {
            Ok(Checkpointed::NoRoom(error)) => {
                self.parts.status.lock().checkpoints_without_room += 1;
                if !std::mem::replace(&mut self.lacks_room, true) {
                    tracing::warn!(disk = %kept.disk, error, "no checkpoint of the index can be made");
                }
            }
            Ok(Checkpointed::Done(done)) if done.complete => match durable_marks(&done.applied) {
                Ok(marks) => self.note_checkpoint(marks),
                Err(error) => return self.database_failed(kept.epoch, &error),
            },
            // Some reader held on; the next round tries again.
            Ok(_) => {}
            Err(error) => return self.database_failed(kept.epoch, &error),
        }
        self.database = Some(kept);
    }

    fn note_checkpoint(&mut self, marks: BTreeMap<RangeId, Mark>) {
        self.lacks_room = false;
        self.checkpointed = next_of(&marks);
        let mut status = self.parts.status.lock();
        status.checkpoints += 1;
        status.durable = self.checkpointed.clone();
        drop(status);
        self.parts.durable.set(marks);
    }

    /// Looks whether the database is where it should be: SQLite goes on in files that were deleted, and on a disk that
    /// others have given up.
    fn check_database(&mut self) {
        let Some(kept) = &self.database else { return };
        let checked = match self.parts.places.has_disk(kept.disk) {
            true => kept.place.check().map_err(|error| error.to_string()),
            false => Err("its disk is down".to_owned()),
        };
        if let Err(reason) = checked {
            let epoch = kept.epoch;
            self.database_failed(epoch, &reason);
        }
    }

    /// Tells whether there is space again, or a disk to move to: while writes are refused, the applier may see neither.
    fn look_for_space(&self) {
        let Some(kept) = &self.database else { return };
        let (places, log) = (&self.parts.places, &self.parts.log);
        let short = places.is_short(kept.disk, log.free_bytes_min()) && !places.can_take(&kept.place, kept.disk, log);
        self.parts.desk.is_short.store(short, Ordering::Relaxed);
    }

    /// The database can't be used any more: the applier is to replace it.
    fn database_failed(&mut self, epoch: u64, error: &dyn ToString) {
        self.database = None;
        self.lost = Some((epoch, error.to_string()));
    }

    async fn tell_of_lost(&mut self) {
        let Some((epoch, reason)) = &self.lost else { return };
        let Some(work) = self.parts.work.upgrade() else { return };
        let told = work.send(Work::DatabaseFailed(*epoch, reason.clone()));
        if tokio::time::timeout(ROUND, told).await.is_ok() {
            self.lost = None;
        }
    }

    /// The mirrors' disks but the database's own.
    fn copy_disks(&self) -> Vec<DiskId> {
        let own = self.database.as_ref().map(|kept| kept.disk);
        self.parts.log.mirrors().into_iter().filter(|disk| Some(*disk) != own).collect()
    }

    fn copies_due(&self) -> Vec<DiskId> {
        let Some(kept) = &self.database else { return Vec::new() };
        if self.parts.desk.is_installing.load(Ordering::SeqCst) {
            return Vec::new();
        }
        let appended = self.parts.log.appended_bytes();
        let enough = self.parts.upkeep.copy_log_bytes_min.max(kept.place.bytes());
        // Without a copy, a disk is as good as one only while the log has all from its beginning.
        let is_purged =
            [SYSTEM_RANGE, FIRST_DATA_RANGE].iter().any(|range| self.parts.log.state(*range).purged.is_some());
        let due = |disk: &DiskId| match self.copies.get(disk) {
            Some(copied) => appended.saturating_sub(copied.log_bytes) >= enough || self.is_behind_the_log(copied),
            None => is_purged || self.parts.log.status().bytes >= enough,
        };
        self.copy_disks().into_iter().filter(|disk| !self.avoided.contains_key(disk)).filter(due).collect()
    }

    /// Whether the log can't bring a copy up to date any more: another voter's rows took the place of what it goes on from.
    fn is_behind_the_log(&self, copied: &Copied) -> bool {
        let is_behind = |(range, mark): (&RangeId, &Mark)| mark.applied < self.parts.log.state(*range).purged;
        copied.marks.iter().any(is_behind)
    }

    /// Has the database go on elsewhere, where its disk is to be left and another mirror can make it what it is.
    async fn leave_disk(&mut self) {
        let Some(kept) = &self.database else { return };
        let (epoch, own, leaving) = (kept.epoch, kept.disk, self.parts.log.leaving());
        let may_not = self.avoided.contains_key(&own) || self.parts.desk.is_installing.load(Ordering::SeqCst);
        if may_not || !leaving.contains(&own) {
            return;
        }
        let due = self.copies_due();
        let is_ready =
            |disk: &DiskId| !leaving.contains(disk) && !self.avoided.contains_key(disk) && !due.contains(disk);
        if !self.copy_disks().iter().any(is_ready) {
            return;
        }
        let Some(work) = self.parts.work.upgrade() else { return };
        if tokio::time::timeout(ROUND, work.send(Work::LeaveDisk(epoch))).await.is_ok() {
            // Where it could not go, it is asked again after a while.
            self.avoided.insert(own, ROUNDS_UNTIL_RETRY);
        }
    }

    async fn answer(&mut self, request: KeeperRequest) {
        self.take_database();
        // Whoever asked may have gone.
        match request {
            KeeperRequest::Reader(answer) => {
                let replaced = || "the database is being replaced".to_owned();
                let reader = self.database.as_ref().ok_or_else(replaced);
                let _ = answer.send(reader.and_then(|kept| kept.reader.another().map_err(|error| with_causes(&error))));
            }
            KeeperRequest::Settle(answer) => {
                let _ = answer.send(self.settle().await);
            }
        }
    }

    async fn settle(&mut self) -> Result<(), String> {
        self.checkpoint().await;
        for disk in self.copy_disks() {
            self.copy(disk).await;
        }
        self.release_log().await;
        let missing: Vec<DiskId> =
            self.copy_disks().into_iter().filter(|disk| !self.copies.contains_key(disk)).collect();
        match missing.first() {
            None => Ok(()),
            Some(disk) => Err(format!("disk {disk} did not take a copy of the database")),
        }
    }

    async fn copy_to(
        &mut self,
        to: DatabaseLocation,
        prepare: impl FnOnce(&DatabaseLocation) -> Result<(), String> + Send + 'static,
    ) -> Result<Vec<(RangeId, AppliedState)>, String> {
        let Some(mut kept) = self.database.take() else { return Err("the database is being replaced".to_owned()) };
        let (kept, copied) = run_blocking(move || {
            let prepared = prepare(&to);
            let copied = prepared.and_then(|()| kept.reader.copy_to(&to).map_err(|error| with_causes(&error)));
            (kept, copied)
        })
        .await;
        self.database = Some(kept);
        copied
    }

    async fn copy(&mut self, disk: DiskId) {
        let Some(to) = self.parts.places.copy_on(disk) else { return };
        let log_bytes = self.parts.log.appended_bytes();
        let places = self.parts.places.clone();
        let copied = self.copy_to(to, move |_| places.check_mirror(disk).map_err(|error| with_causes(&error))).await;
        match copied.and_then(|applied| marks_of(&applied).map_err(|error| error.to_string())) {
            Ok(marks) if marks.values().any(|mark| mark.installing.is_some()) => {
                // Of no use, and it has taken the place of one that may have been.
                self.copies.remove(&disk);
                self.tell_copies();
            }
            Ok(marks) => {
                self.copies.insert(disk, Copied { marks, log_bytes });
                self.tell_copies();
            }
            Err(error) => {
                tracing::error!(%disk, error, "the index database could not be copied");
                self.avoided.insert(disk, ROUNDS_UNTIL_RETRY);
            }
        }
    }

    fn tell_copies(&self) {
        let copies = self.copies.iter().map(|(disk, copied)| (*disk, next_of(&copied.marks))).collect();
        self.parts.status.lock().copies = copies;
    }

    async fn remove_rows(&mut self) {
        if self.parts.desk.has_rows.swap(false, Ordering::SeqCst) {
            let (places, applied) = (self.parts.places.clone(), self.parts.progress.all());
            if run_blocking(move || places.remove_rows(&applied, false)).await {
                self.parts.desk.has_rows.store(true, Ordering::SeqCst);
            }
        }
    }

    /// Lets the groups purge what is durable in the database and in every copy.
    async fn release_log(&mut self) {
        // What was durable before was so in another database than the one that is in use now.
        if self.checkpointed.is_empty() {
            return;
        }
        let needed = self.copy_disks();
        for standing in self.parts.groups.all() {
            let group = &standing.group;
            let range = group.range();
            let durable = self.parts.durable.get(range).and_then(|mark| mark.applied);
            let in_copy = |disk| self.copies.get(disk).and_then(|copied| copied.marks.get(&range)?.applied);
            let in_all = needed.iter().map(in_copy).fold(durable, |oldest, copy| oldest.min(copy));
            let Some(upto) = in_all.and_then(|upto| self.parts.holds.releasable(range, upto.index)) else { continue };
            let is_long = self.parts.log.status().bytes > self.parts.upkeep.follower_log_bytes_max;
            let for_followers = group.needed_by_followers().filter(|_| !is_long);
            let Some(upto) = for_followers.map_or(Some(upto), |needed| Some(upto.min(needed.checked_sub(1)?))) else {
                continue;
            };
            if self.parts.log.state(range).purged.is_none_or(|purged| purged.index < upto) {
                group.release(upto).await;
            }
        }
    }
}

fn marks_of(applied: &[(RangeId, AppliedState)]) -> Result<BTreeMap<RangeId, Mark>, MalformedError> {
    applied.iter().map(|(range, state)| Ok((*range, mark_of(state)?))).collect()
}

fn next_of(marks: &BTreeMap<RangeId, Mark>) -> BTreeMap<RangeId, u64> {
    marks.iter().map(|(range, mark)| (*range, mark.applied.map_or(0, |applied| applied.index + 1))).collect()
}

/// What a checkpoint made durable. A range whose rows are being replaced has nothing that is.
fn durable_marks(applied: &[(RangeId, AppliedState)]) -> Result<BTreeMap<RangeId, Mark>, MalformedError> {
    let mut marks = marks_of(applied)?;
    marks.retain(|_, mark| mark.installing.is_none());
    Ok(marks)
}
