//! What the data path asks of those around it.

use std::sync::Arc;

use async_trait::async_trait;
use platform::{BufferPool, Entropy, MemoryBudget, Workers};
use shards::{ShardAddress, ShardService};
use tokio::sync::{mpsc, watch};
use types::{DiskId, HomeKey, Layout, Profile, Run};

/// Everything that a [`super::DataPath`] works with.
#[derive(Clone)]
pub struct DataPathSeams {
    /// The disks.
    pub shards: Arc<dyn ShardService>,
    /// Recycled buffers.
    pub buffers: BufferPool,
    /// The bound on what transfers hold.
    pub budget: MemoryBudget,
    /// Threads for hashing and coding.
    pub workers: Workers,
    /// Randomness of run ids and of the choice of groups.
    pub entropy: Arc<dyn Entropy>,
    /// The layout as it is now.
    pub layout: watch::Receiver<Arc<Layout>>,
    /// Makes placement groups.
    pub planner: Arc<dyn GroupPlanner>,
    /// Takes notice of bad shards.
    pub repairs: Arc<dyn RepairSink>,
    /// Takes what writers gave up.
    pub discards: Arc<dyn DiscardSink>,
}

/// Has placement groups made where a write finds none: plans them and commits the change of the layout.
#[async_trait]
pub trait GroupPlanner: Send + Sync {
    /// Returns once the layout has whole groups of the widest profile that can be had where `wanted` is wanted, on disks
    /// that are up and not in `avoid` (disks that just failed a writer, were too slow or are full, while the layout still
    /// calls them up). Called by many writers at once: groups made for one serve all.
    ///
    /// # Errors
    /// [`PlannerError`]: the write fails with [`super::WriteError::InsufficientDisks`].
    async fn make_groups(&self, wanted: Profile, avoid: &[DiskId]) -> Result<(), PlannerError>;

    /// Has the layout read anew: a disk has refused a writer under this one, or a new ticket is to be used. Returns once
    /// the layout is at least as new as it was in the system range when this was called.
    ///
    /// # Errors
    /// [`PlannerError`]: it cannot be read now.
    async fn refresh(&self) -> Result<(), PlannerError>;
}

/// Why no groups were made.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct PlannerError {
    /// What is missing.
    pub reason: String,
}

/// Takes notice of shards that a read found bad. Reports may be lost and repeated: scrub finds what is lost here.
pub trait RepairSink: Send + Sync {
    /// Never blocks.
    fn report(&self, bad: BadShard);
}

/// A shard that could not be read where it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadShard {
    /// The run.
    pub run: Run,
    /// The key that it was written under.
    pub home: HomeKey,
    /// Which shard.
    pub address: ShardAddress,
    /// The disk that should have it.
    pub disk: DiskId,
}

/// A bounded queue of bad shards; what finds it full is dropped.
#[derive(Debug, Clone)]
pub struct RepairQueue(mpsc::Sender<BadShard>);

impl RepairQueue {
    /// A queue of at most `capacity` reports, and its other end.
    pub fn new(capacity: usize) -> (Self, mpsc::Receiver<BadShard>) {
        let (sender, receiver) = mpsc::channel(capacity);
        (Self(sender), receiver)
    }

    /// Reports that nobody has taken yet.
    pub fn waiting(&self) -> u64 {
        (self.0.max_capacity() - self.0.capacity()) as u64
    }
}

impl RepairSink for RepairQueue {
    fn report(&self, bad: BadShard) {
        // A full queue means that repair has enough to do; the next read or scrub reports again.
        let _ = self.0.try_send(bad);
    }
}

/// Takes runs that no command will name: those of writes that failed or were cancelled, and those that a stripe left
/// behind when it moved to another group. What is lost here is collected with its ticket.
pub trait DiscardSink: Send + Sync {
    /// Proposes `DiscardRuns` for them in its own time. Never blocks.
    fn discard(&self, runs: Vec<Run>, home: &HomeKey);
}
