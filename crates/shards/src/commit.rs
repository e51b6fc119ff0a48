//! The committing thread of a disk: all that waits becomes one write and one sync, then the callers hear of it.
//!
//! The order of a batch: write the records, sync their segment, look whether the disk is still the one that was
//! opened, publish to the index, answer. A write or sync that fails takes the disk down at once; it is never tried
//! again, for what the page cache then holds is unknown. Small and large records take turns, so that a small one never
//! waits for more than one batch of large ones.

mod large;
mod pages;
mod small;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use platform::OpenOptions;
use tokio::sync::oneshot;

use crate::ShardError;
use crate::accounts::SegmentState;
use crate::catalog::Effect;
use crate::core::{Core, WriteFailure};
use crate::health::Counters;
use crate::location::Location;
use crate::queue::{AppendOp, Appended, SmallOp};
use crate::segment::{SegmentFile, SegmentIdentity, SegmentKind, write_zeros};

/// So many times more entries than are flushed at once may be in memory when the index has no room; then nothing is
/// taken any more.
const UNFLUSHED_FACTOR_MAX: usize = 16;

/// The committing thread's own state.
#[derive(Debug)]
pub(crate) struct Committer {
    core: Arc<Core>,
    next_seq: u64,
    /// Every record up to here is durable.
    synced_seq: u64,
    small: Option<OpenSegment>,
    large: Option<OpenSegment>,
    small_waiting: VecDeque<SmallOp>,
    large_waiting: VecDeque<AppendOp>,
}

/// A segment that is being appended to.
#[derive(Debug)]
struct OpenSegment {
    segment: SegmentFile,
    /// Where the next record goes.
    tail: u64,
    /// Up to where its blocks are reserved.
    allocated: u64,
}

/// A caller that is answered when its batch is durable.
#[derive(Debug)]
enum Reply {
    Append(oneshot::Sender<Result<Appended, ShardError>>),
    Free(oneshot::Sender<Result<(), ShardError>>),
    Barrier(oneshot::Sender<()>),
    Move(Arc<AtomicBool>),
}

impl Reply {
    /// Callers that went away are no concern: what they asked for is done all the same.
    fn succeed(self) {
        match self {
            Self::Append(reply) => drop(reply.send(Ok(Appended::Stored))),
            Self::Free(reply) => drop(reply.send(Ok(()))),
            Self::Barrier(reply) => drop(reply.send(())),
            Self::Move(_) => {}
        }
    }

    fn fail(self, error: ShardError) {
        match self {
            Self::Append(reply) => drop(reply.send(Err(error))),
            Self::Free(reply) => drop(reply.send(Err(error))),
            Self::Barrier(reply) => drop(reply.send(())),
            Self::Move(failed) => failed.store(true, Ordering::Release),
        }
    }
}

/// Records that become durable together.
#[derive(Debug, Default)]
struct Outcome {
    effects: Vec<Effect>,
    replies: Vec<Reply>,
    appends: u64,
    tombstone_bytes: u64,
    /// Whether something died, so that there may be space to win back.
    killed: bool,
}

impl Committer {
    /// Goes on after what recovery found.
    ///
    /// # Errors
    /// What the disk says when the open segments can't be opened.
    pub(crate) fn new(core: Arc<Core>, next_seq: u64) -> std::io::Result<Self> {
        let mut committer = Self {
            synced_seq: next_seq - 1,
            next_seq,
            small: None,
            large: None,
            small_waiting: VecDeque::new(),
            large_waiting: VecDeque::new(),
            core,
        };
        let open: Vec<_> = committer.core.catalog.with_accounts(|accounts| {
            let open = accounts.iter().filter(|account| account.state == SegmentState::Open);
            open.map(|account| (account.identity, account.tail)).collect()
        });
        for (identity, tail) in open {
            let opened = committer.open(identity, tail)?;
            match identity.kind {
                SegmentKind::Small => committer.small = Some(opened),
                SegmentKind::Large => committer.large = Some(opened),
            }
        }
        Ok(committer)
    }

    fn open(&self, identity: SegmentIdentity, tail: u64) -> std::io::Result<OpenSegment> {
        let options = match identity.kind {
            // What is small is likely to be read soon, and shares its page with the next record.
            SegmentKind::Small => OpenOptions::EXISTING,
            SegmentKind::Large => OpenOptions::EXISTING.direct(),
        };
        let segment = self.core.home.open(identity, options)?;
        let allocated = segment.file.status()?.bytes.min(identity.bytes);
        Ok(OpenSegment { segment, tail, allocated })
    }

    /// Commits until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        platform::prefer_short_slices();
        let core = Arc::clone(&self.core);
        // Should this thread ever panic, its callers must not wait for ever.
        let _guard = CloseOnPanic(&core);
        while core.queue.refill(&mut self.small_waiting, &mut self.large_waiting) {
            if core.health.get().is_down() {
                self.refuse_all();
                continue;
            }
            self.commit_small();
            self.commit_large();
        }
    }

    fn refuse_all(&mut self) {
        // Their replies go with them, which tells the callers that the disk is down.
        self.small_waiting.clear();
        self.large_waiting.clear();
    }

    /// Checks whether a shard may come in, and in place of what; `None` when the caller has been answered.
    fn admit(&self, op: AppendOp) -> Option<(AppendOp, Option<Location>)> {
        let shard = &op.shard;
        if self.core.catalog.unflushed() > UNFLUSHED_FACTOR_MAX * self.core.settings.recent_entries_max {
            drop(op.reply.send(Err(self.full_error())));
            return None;
        }
        let known = self.core.slots.read().admit(shard.address.group, shard.slot, shard.slot_epoch).and_then(|()| {
            let found = self.core.catalog.find_location(&shard.address);
            found.map_err(|failure| self.core.index_failed(&failure))
        });
        // Only a caller that went away doesn't hear these answers.
        match known {
            Ok(Some(known)) if op.replaces != Some(known) => {
                drop(op.reply.send(Ok(Appended::Present(known, op.shard))));
                None
            }
            Ok(known) => Some((op, known)),
            Err(error) => {
                drop(op.reply.send(Err(error)));
                None
            }
        }
    }

    /// Syncs what was written to a segment and publishes it; then the callers are answered.
    fn finish(&mut self, kind: SegmentKind, tail: u64, last_seq: u64, outcome: Outcome) {
        let opened = match kind {
            SegmentKind::Small => self.small.as_mut(),
            SegmentKind::Large => self.large.as_mut(),
        };
        let opened = opened.expect("a batch is written to an open segment");
        let durable = sync(&opened.segment)
            .and_then(|()| self.core.check_in_place())
            .and_then(|()| check_linked(&opened.segment));
        if let Err(failure) = durable {
            let error = self.core.health.take_down(&failure.to_string());
            for reply in outcome.replies {
                reply.fail(error.clone());
            }
            return;
        }
        let half = opened.segment.identity.bytes / 2;
        if kind == SegmentKind::Small && opened.tail < half && tail >= half {
            self.core.keeper.ask_prepare();
        }
        opened.tail = tail;
        self.synced_seq = last_seq;
        let id = opened.segment.identity.id;
        self.core.catalog.publish_with_tombstones(outcome.effects, id, tail, last_seq, outcome.tombstone_bytes);
        for reply in outcome.replies {
            reply.succeed();
        }
        Counters::add(&self.core.counters.commits, 1);
        Counters::add(&self.core.counters.appends, outcome.appends);
        if self.core.catalog.unflushed() >= self.core.settings.recent_entries_max {
            self.core.keeper.ask_flush();
        }
        if outcome.killed {
            self.core.keeper.ask_reclaim();
        }
    }

    /// Ends a batch that could not be written. Where there was no room, what did get written is wiped, so that it never
    /// counts.
    fn abandon(&mut self, kind: SegmentKind, end: u64, failure: WriteFailure, replies: Vec<Reply>) {
        let error = match failure {
            WriteFailure::Full => match self.wipe(kind, end) {
                Ok(()) => self.full_error(),
                Err(error) => self.core.health.take_down(&error.to_string()),
            },
            WriteFailure::Failed(reason) => self.core.health.take_down(&reason),
        };
        for reply in replies {
            reply.fail(error.clone());
        }
    }

    fn wipe(&self, kind: SegmentKind, end: u64) -> std::io::Result<()> {
        let opened = match kind {
            SegmentKind::Small => self.small.as_ref(),
            SegmentKind::Large => self.large.as_ref(),
        };
        let Some(opened) = opened else { return Ok(()) };
        let file = &opened.segment.file;
        match kind {
            SegmentKind::Small => write_zeros(&**file, opened.tail, end - opened.tail)?,
            SegmentKind::Large => file.punch_hole(opened.tail, end - opened.tail)?,
        }
        file.sync_data()
    }

    /// Notes that the disk has no room, and what its callers hear.
    fn full_error(&self) -> ShardError {
        self.core.health.set_full(true);
        self.core.keeper.ask_reclaim();
        ShardError::DiskFull { disk: self.core.home.disk_id }
    }

    /// A record could not be moved: whoever moves it tries again some time.
    fn move_failed(&self, failed: &AtomicBool, failure: &WriteFailure) {
        if let WriteFailure::Failed(reason) = failure {
            self.core.health.take_down(reason);
        }
        failed.store(true, Ordering::Release);
    }

    fn write_error(&self, failure: &WriteFailure) -> ShardError {
        match failure {
            WriteFailure::Full => self.full_error(),
            WriteFailure::Failed(reason) => self.core.health.take_down(reason),
        }
    }

    fn seal(&self, opened: Option<OpenSegment>) {
        if let Some(opened) = opened {
            let id = opened.segment.identity.id;
            self.core.catalog.change_accounts(|accounts| accounts.set_state(id, SegmentState::Sealed));
            self.core.keeper.ask_reclaim();
        }
    }
}

/// Only `tests/net`, which proves that the tests would notice, builds without the sync; nothing else can by accident.
const LEAVE_OUT_SYNC: bool = {
    let asked = cfg!(feature = "leave-out-shard-sync");
    assert!(!asked || option_env!("CAIRN_PROVES_ITS_NET").is_some(), "leave-out-shard-sync is for tests/net alone");
    asked
};

fn sync(segment: &SegmentFile) -> Result<(), WriteFailure> {
    if LEAVE_OUT_SYNC || platform::leaves_out("shard-sync") {
        return Ok(());
    }
    // Even one for want of room: what was to be synced is lost.
    segment.file.sync_data().map_err(|error| WriteFailure::Failed(error.to_string()))
}

fn check_linked(segment: &SegmentFile) -> Result<(), WriteFailure> {
    match segment.file.status() {
        Ok(status) if status.links > 0 => Ok(()),
        Ok(_) => Err(WriteFailure::Failed("its open segment was deleted".to_owned())),
        Err(error) => Err(WriteFailure::Failed(error.to_string())),
    }
}

struct CloseOnPanic<'a>(&'a Core);

impl Drop for CloseOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.health.take_down("its committing thread has panicked");
            self.0.queue.close();
            let (mut small, mut large) = (VecDeque::new(), VecDeque::new());
            self.0.queue.refill(&mut small, &mut large);
        }
    }
}
