//! What waits for the committing thread of a disk.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;
use platform::threads::Condvar;
use tokio::sync::oneshot;
use types::{Integrity, PlacementGroupId, RunId, SlotEpoch, SlotIndex};

use crate::location::Location;
use crate::record::Tombstone;
use crate::{ShardAddress, ShardBody, ShardError};

/// One shard to be appended.
#[derive(Debug)]
pub(crate) struct AppendOp {
    pub(crate) shard: Box<NewShard>,
    /// The record of this shard whose place it may take: one that was found unreadable, or other.
    pub(crate) replaces: Option<Location>,
    pub(crate) reply: oneshot::Sender<Result<Appended, ShardError>>,
}

/// What is appended.
#[derive(Debug)]
pub(crate) struct NewShard {
    pub(crate) address: ShardAddress,
    pub(crate) slot: SlotIndex,
    pub(crate) slot_epoch: SlotEpoch,
    pub(crate) metadata: Vec<u8>,
    pub(crate) integrity: Integrity,
    pub(crate) checksums: Vec<u8>,
    pub(crate) body: ShardBody,
    pub(crate) body_bytes: u32,
}

/// How an append ended well.
#[derive(Debug)]
pub(crate) enum Appended {
    /// The record is durable.
    Stored,
    /// There is a durable record of this shard already, here; the append comes back.
    Present(Location, Box<NewShard>),
}

/// Runs to be freed.
#[derive(Debug)]
pub(crate) struct FreeOp {
    pub(crate) group: PlacementGroupId,
    pub(crate) runs: Vec<RunId>,
    pub(crate) reply: oneshot::Sender<Result<(), ShardError>>,
}

/// A live record to be moved out of a segment that is being compacted.
#[derive(Debug)]
pub(crate) struct RelocateOp {
    pub(crate) address: ShardAddress,
    pub(crate) from: Location,
    pub(crate) metadata: Vec<u8>,
    pub(crate) integrity: Integrity,
    pub(crate) checksums: Vec<u8>,
    pub(crate) body: ShardBody,
    /// Set when it could not be written.
    pub(crate) failed: Arc<AtomicBool>,
}

/// Tombstones to be kept beyond the segment that they stand in.
#[derive(Debug)]
pub(crate) struct EntombOp {
    pub(crate) tombstones: Vec<Tombstone>,
    /// Set when they could not be written.
    pub(crate) failed: Arc<AtomicBool>,
}

/// What goes into small segments, in order.
#[derive(Debug)]
pub(crate) enum SmallOp {
    Append(AppendOp),
    Free(FreeOp),
    Relocate(RelocateOp),
    Entomb(EntombOp),
    /// Answered when all before it is durable or has failed, large appends planned before it included.
    Barrier(oneshot::Sender<()>),
}

/// The queue between the callers and the committing thread.
#[derive(Debug, Default)]
pub(crate) struct CommitQueue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

/// What waits.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) small: VecDeque<SmallOp>,
    pub(crate) large: VecDeque<AppendOp>,
    closed: bool,
}

impl CommitQueue {
    /// Adds to the small ones. Once the queue is closed this drops it, and with it its reply.
    pub(crate) fn push_small(&self, op: SmallOp) {
        self.push(|waiting| waiting.small.push_back(op));
    }

    /// Adds to the large ones. Once the queue is closed this drops it, and with it its reply.
    pub(crate) fn push_large(&self, op: AppendOp) {
        self.push(|waiting| waiting.large.push_back(op));
    }

    fn push(&self, add: impl FnOnce(&mut Waiting)) {
        let mut waiting = self.waiting.lock();
        if !waiting.closed {
            add(&mut waiting);
            self.wake.notify_one();
        }
    }

    /// Takes nothing more; what waits is still done.
    pub(crate) fn close(&self) {
        self.waiting.lock().closed = true;
        self.wake.notify_one();
    }

    /// Moves what waits to the caller's end; waits for something if the caller has nothing. `false` when there will be
    /// nothing any more.
    pub(crate) fn refill(&self, small: &mut VecDeque<SmallOp>, large: &mut VecDeque<AppendOp>) -> bool {
        let mut waiting = self.waiting.lock();
        while small.is_empty() && large.is_empty() && waiting.small.is_empty() && waiting.large.is_empty() {
            if waiting.closed {
                return false;
            }
            self.wake.wait(&mut waiting);
        }
        small.append(&mut waiting.small);
        large.append(&mut waiting.large);
        true
    }
}
