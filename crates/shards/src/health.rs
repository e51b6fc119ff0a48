//! Whether a disk takes part: up, full, or down for a reason.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::RwLock;
use types::DiskId;

use crate::ShardError;

/// Whether a disk takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskHealth {
    /// Takes shards and answers reads.
    Up,
    /// Has no room; answers reads and frees.
    Full,
    /// Failed or gone: takes part in nothing until it is replaced or readmitted.
    Down {
        /// What happened.
        reason: Arc<str>,
    },
}

impl DiskHealth {
    /// Whether it is [`DiskHealth::Down`].
    pub fn is_down(&self) -> bool {
        matches!(self, Self::Down { .. })
    }
}

impl fmt::Display for DiskHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up => f.write_str("up"),
            Self::Full => f.write_str("full"),
            Self::Down { reason } => write!(f, "down: {reason}"),
        }
    }
}

/// Hears of every change of a disk's health, on the thread that found it; it must not block.
pub(crate) type HealthListener = Arc<dyn Fn(DiskId, DiskHealth) + Send + Sync>;

/// The health of one disk. Down is final: a store that is opened anew has a health of its own.
pub(crate) struct Health {
    disk: DiskId,
    state: RwLock<DiskHealth>,
    /// Whether it is down for its index alone, so that opening it anew helps.
    index_damaged: AtomicBool,
    listener: HealthListener,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("disk", &self.disk).field("state", &*self.state.read()).finish_non_exhaustive()
    }
}

impl Health {
    pub(crate) fn new(disk: DiskId, listener: HealthListener) -> Self {
        Self { disk, state: RwLock::new(DiskHealth::Up), index_damaged: AtomicBool::new(false), listener }
    }

    pub(crate) fn get(&self) -> DiskHealth {
        self.state.read().clone()
    }

    /// Fails with [`ShardError::DiskDown`] when the disk is down.
    pub(crate) fn check(&self) -> Result<(), ShardError> {
        match &*self.state.read() {
            DiskHealth::Down { reason } => Err(self.down_error(reason)),
            _ => Ok(()),
        }
    }

    /// Takes the disk down, unless it is already; returns the error that its callers get.
    pub(crate) fn take_down(&self, reason: &str) -> ShardError {
        let mut state = self.state.write();
        if let DiskHealth::Down { reason } = &*state {
            return self.down_error(reason);
        }
        *state = DiskHealth::Down { reason: reason.into() };
        drop(state);
        tracing::error!(disk = %self.disk, reason, "a disk is down");
        (self.listener)(self.disk, self.get());
        self.down_error(reason)
    }

    /// Takes the disk down because its index can't be read, unless it is already down.
    pub(crate) fn take_down_for_index(&self, reason: &str) -> ShardError {
        if !self.get().is_down() {
            self.index_damaged.store(true, Ordering::Release);
        }
        self.take_down(reason)
    }

    /// Whether it is down for its index alone: its segments are as good as they were.
    pub(crate) fn is_index_damaged(&self) -> bool {
        self.index_damaged.load(Ordering::Acquire)
    }

    /// Notes that the disk has no room, or has again.
    pub(crate) fn set_full(&self, full: bool) {
        let next = if full { DiskHealth::Full } else { DiskHealth::Up };
        let mut state = self.state.write();
        if *state == next || state.is_down() {
            return;
        }
        *state = next.clone();
        drop(state);
        tracing::warn!(disk = %self.disk, full, "a disk's room has changed");
        (self.listener)(self.disk, next);
    }

    fn down_error(&self, reason: &str) -> ShardError {
        ShardError::DiskDown { disk: self.disk, reason: reason.to_owned() }
    }
}

/// What a disk has done since it was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) reads: AtomicU64,
    pub(crate) bad_reads: AtomicU64,
    pub(crate) appends: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) damaged_records: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, number: u64) {
        counter.fetch_add(number, Ordering::Relaxed);
    }
}
