//! The keeping thread of a disk: what must be done some time, but not while a caller waits.
//!
//! It prepares small segments ahead of their use, punches freed large records out, writes recent entries into SQLite
//! and reclaims segments that are mostly dead. It sleeps while nothing is asked of it.

mod reclaim;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use platform::threads::Condvar;

use crate::accounts::SegmentState;
use crate::catalog::Flushed;
use crate::core::{Core, WriteFailure};
use crate::database::{IndexFailure, Punch};
use crate::segment::SegmentId;

/// What the keeping thread is asked to do.
#[derive(Debug, Default)]
pub(crate) struct KeeperSignal {
    asked: Mutex<Asked>,
    wake: Condvar,
    idle: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
struct Asked {
    prepare: bool,
    flush: bool,
    reclaim: bool,
    closed: bool,
    busy: bool,
}

impl Asked {
    fn anything(&self) -> bool {
        self.prepare || self.flush || self.reclaim
    }
}

impl KeeperSignal {
    /// Asks for spare segments.
    pub(crate) fn ask_prepare(&self) {
        self.ask(|asked| asked.prepare = true);
    }

    /// Asks for recent entries to be written into SQLite.
    pub(crate) fn ask_flush(&self) {
        self.ask(|asked| asked.flush = true);
    }

    /// Asks for space to be won back.
    pub(crate) fn ask_reclaim(&self) {
        self.ask(|asked| asked.reclaim = true);
    }

    /// Ends the thread after what it is doing, with a last flush.
    pub(crate) fn close(&self) {
        self.ask(|asked| asked.closed = true);
        self.idle.notify_all();
    }

    /// Waits until all that was asked for is done.
    pub(crate) fn settle(&self) {
        let mut asked = self.asked.lock();
        while !asked.closed && (asked.busy || asked.anything()) {
            self.idle.wait(&mut asked);
        }
    }

    fn ask(&self, change: impl FnOnce(&mut Asked)) {
        change(&mut self.asked.lock());
        self.wake.notify_one();
    }

    fn is_closed(&self) -> bool {
        self.asked.lock().closed
    }

    fn wait(&self) -> Asked {
        let mut asked = self.asked.lock();
        asked.busy = false;
        while !asked.anything() && !asked.closed {
            self.idle.notify_all();
            self.wake.wait(&mut asked);
        }
        let work = *asked;
        *asked = Asked { closed: work.closed, busy: true, ..Asked::default() };
        work
    }
}

/// Why keeping stopped short.
#[derive(Debug, thiserror::Error)]
enum KeepFailure {
    #[error(transparent)]
    Write(#[from] WriteFailure),
    #[error(transparent)]
    Index(#[from] IndexFailure),
}

impl From<std::io::Error> for KeepFailure {
    fn from(error: std::io::Error) -> Self {
        Self::Write(error.into())
    }
}

/// The keeping thread's own state.
#[derive(Debug)]
pub(crate) struct Keeper {
    core: Arc<Core>,
}

impl Keeper {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Keeps until it is closed.
    pub(crate) fn run(self) {
        let _guard = CloseOnPanic(&self.core);
        loop {
            let work = self.core.keeper.wait();
            if self.core.health.get().is_down() {
                if work.closed {
                    return;
                }
                continue;
            }
            let done =
                if work.closed { self.core.catalog.flush().map(drop).map_err(Into::into) } else { self.keep(work) };
            match done {
                // Nothing is lost: it is asked for again when there is more to do or space was freed.
                Ok(()) | Err(KeepFailure::Write(WriteFailure::Full) | KeepFailure::Index(IndexFailure::Full)) => {}
                Err(KeepFailure::Write(WriteFailure::Failed(reason))) => {
                    self.core.health.take_down(&reason);
                }
                Err(KeepFailure::Index(failure)) => {
                    self.core.index_failed(&failure);
                }
            }
            if work.closed {
                return;
            }
        }
    }

    fn keep(&self, work: Asked) -> Result<(), KeepFailure> {
        if work.prepare {
            self.prepare()?;
        }
        if work.reclaim || work.flush {
            self.punch()?;
        }
        if work.flush {
            self.flush()?;
        }
        if work.reclaim {
            self.reclaim()?;
            if self.core.has_room(self.core.settings.large_allocation_bytes)? {
                self.core.health.set_full(false);
            }
        }
        Ok(())
    }

    /// Sees to it that there is a spare segment in reserve, and another one when it will be needed soon.
    fn prepare(&self) -> Result<(), KeepFailure> {
        loop {
            let (spares, soon) = self.core.catalog.with_accounts(|accounts| {
                let mut open = accounts
                    .iter()
                    .filter(|account| account.state == SegmentState::Open)
                    .filter(|account| account.identity.kind == crate::segment::SegmentKind::Small);
                let soon = open.next().is_none_or(|account| account.tail >= account.identity.bytes / 2);
                (accounts.spares().count(), soon)
            });
            if spares > usize::from(soon) {
                return Ok(());
            }
            self.core.prepare_small()?;
        }
    }

    /// Flushes the index; a spare segment makes room where there is none.
    fn flush(&self) -> Result<Flushed, KeepFailure> {
        match self.core.catalog.flush() {
            Err(IndexFailure::Full) if self.remove_spare()? => Ok(self.core.catalog.flush()?),
            other => Ok(other?),
        }
    }

    fn remove_spare(&self) -> Result<bool, KeepFailure> {
        let spare = self.core.catalog.change_accounts(|accounts| {
            let id = accounts.spares().next()?.identity.id;
            accounts.remove(id)
        });
        let Some(spare) = spare else { return Ok(false) };
        self.core.home.remove(&spare.identity)?;
        tracing::warn!(disk = %self.core.home.disk_id, "a spare segment was removed to make room for the shard index");
        Ok(true)
    }

    /// Gives the blocks of freed large records back. Also those of segments that can be removed as a whole: that needs
    /// room for a flush first, which may have to come from here.
    fn punch(&self) -> Result<(), KeepFailure> {
        let mut by_segment: BTreeMap<SegmentId, Vec<Punch>> = BTreeMap::new();
        for punch in self.core.catalog.punches() {
            by_segment.entry(punch.segment).or_default().push(punch);
        }
        for (id, punches) in by_segment {
            let Some(identity) = self.core.catalog.segment(id) else {
                self.core.catalog.remove_punches(&punches);
                continue;
            };
            let file = self.core.segment_file(identity)?.file;
            for (offset, bytes) in merged(&punches) {
                file.punch_hole(offset, bytes)?;
            }
            file.sync_data()?;
            self.core.catalog.remove_punches(&punches);
        }
        Ok(())
    }
}

/// Should the thread ever panic, nobody must wait for it for ever.
struct CloseOnPanic<'a>(&'a Core);

impl Drop for CloseOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.health.take_down("its keeping thread has panicked");
            self.0.keeper.close();
        }
    }
}

/// Punches, in order of offset, as stretches: those that meet are one.
fn merged(punches: &[Punch]) -> Vec<(u64, u64)> {
    let mut stretches: Vec<(u64, u64)> = Vec::new();
    for punch in punches {
        match stretches.last_mut() {
            Some((offset, bytes)) if *offset + *bytes == punch.offset => *bytes += punch.bytes,
            _ => stretches.push((punch.offset, punch.bytes)),
        }
    }
    stretches
}
