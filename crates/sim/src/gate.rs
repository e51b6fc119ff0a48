//! Stops a gateway in the middle of what it does, as SIGSTOP or a long pause of its machine would: whatever it asks of
//! others waits until it goes on.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use index::{Answer, Command, CommandBody, IndexError, IndexService, Query, QueryAnswer};
use parking_lot::Mutex;
use platform::{Entropy, SeededEntropy};
use shards::{ShardAddress, ShardBody, ShardError, ShardHeader, ShardService, StoredShard};
use tokio::sync::watch;
use types::{DiskId, Extent, PlacementGroupId, RunId, SlotEpoch, SlotIndex};

/// The gate. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<State>);

#[derive(Debug)]
struct State {
    is_open: watch::Sender<bool>,
    /// Closes by itself when the next object is about to be committed whose bytes lie on disks.
    is_armed: AtomicBool,
    /// Disks that it does not read, as if they were lost.
    shunned: Mutex<BTreeSet<DiskId>>,
    /// One answer to a command in so many is lost on its way back; 0: none.
    lost_one_in: AtomicU64,
    /// Whether what is asked of the layout is answered.
    shows_layout: watch::Sender<bool>,
    dice: SeededEntropy,
}

impl Gate {
    /// An open gate.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(State {
            is_open: watch::Sender::new(true),
            is_armed: AtomicBool::new(false),
            shunned: Mutex::default(),
            lost_one_in: AtomicU64::new(0),
            shows_layout: watch::Sender::new(true),
            dice: SeededEntropy::new(seed),
        }))
    }

    /// Loses one answer in so many: what was asked for is done, and nobody is told.
    pub(crate) fn lose_answers(&self, one_in: u64) {
        self.0.lost_one_in.store(one_in, Ordering::Relaxed);
    }

    /// Keeps back what the layout has become, or not any more.
    pub(crate) fn show_layout(&self, shown: bool) {
        self.0.shows_layout.send_replace(shown);
    }

    /// What comes back of an answer.
    fn bring<T>(&self, answer: Result<T, IndexError>) -> Result<T, IndexError> {
        let one_in = self.0.lost_one_in.load(Ordering::Relaxed);
        if one_in > 0 && answer.is_ok() && self.0.dice.number().is_multiple_of(one_in) {
            return Err(IndexError::Unknown { reason: "the answer was lost on its way".to_owned() });
        }
        answer
    }

    /// Reads nothing of these disks from now on, as if they were lost.
    pub(crate) fn shun(&self, disks: BTreeSet<DiskId>) {
        *self.0.shunned.lock() = disks;
    }

    fn check(&self, disk: DiskId) -> Result<(), ShardError> {
        let reason = || "it is taken for lost".to_owned();
        if self.0.shunned.lock().contains(&disk) {
            return Err(ShardError::Unreachable { disk, reason: reason() });
        }
        Ok(())
    }

    /// Lets nothing through.
    pub(crate) fn close(&self) {
        self.0.is_open.send_replace(false);
    }

    /// Lets nothing through from the moment on at which an object's bytes are written and its commit is due.
    pub(crate) fn arm(&self) {
        self.0.is_armed.store(true, Ordering::Relaxed);
    }

    /// Whether it is closed.
    pub(crate) fn is_closed(&self) -> bool {
        !*self.0.is_open.borrow()
    }

    /// Lets all through.
    pub(crate) fn open(&self) {
        self.0.is_armed.store(false, Ordering::Relaxed);
        self.0.is_open.send_replace(true);
        self.lose_answers(0);
        self.show_layout(true);
    }

    async fn pass(&self) {
        let mut is_open = self.0.is_open.subscribe();
        // The gate lives as long as this.
        let _ = is_open.wait_for(|is_open| *is_open).await;
    }

    fn notice(&self, command: &Command) {
        let lies_on_disks = |extent: &Extent| matches!(extent, Extent::Slice { .. });
        let is_due = matches!(&command.body, CommandBody::PutObject(put) if put.part.extents.iter().any(lies_on_disks));
        if is_due && self.0.is_armed.swap(false, Ordering::Relaxed) {
            self.close();
        }
    }
}

/// An index behind a gate.
pub(crate) struct GatedIndex {
    pub(crate) gate: Gate,
    pub(crate) index: Arc<dyn IndexService>,
}

#[async_trait]
impl IndexService for GatedIndex {
    async fn propose(&self, command: Command) -> Result<Answer, IndexError> {
        self.gate.notice(&command);
        self.gate.pass().await;
        let answer = self.index.propose(command).await;
        self.gate.pass().await;
        self.gate.bring(answer)
    }

    async fn query(&self, query: Query) -> Result<QueryAnswer, IndexError> {
        self.gate.pass().await;
        if matches!(query, Query::Cluster) {
            // The gate lives as long as this.
            let _ = self.gate.0.shows_layout.subscribe().wait_for(|shown| *shown).await;
        }
        let answer = self.index.query(query).await;
        self.gate.pass().await;
        answer
    }
}

/// Disks behind a gate.
pub(crate) struct GatedShards {
    pub(crate) gate: Gate,
    pub(crate) shards: Arc<dyn ShardService>,
}

#[async_trait]
impl ShardService for GatedShards {
    async fn append(&self, disk: DiskId, header: ShardHeader, body: ShardBody) -> Result<(), ShardError> {
        self.gate.pass().await;
        self.shards.append(disk, header, body).await
    }

    async fn read(&self, disk: DiskId, address: ShardAddress, range: Range<u64>) -> Result<ShardBody, ShardError> {
        self.gate.pass().await;
        self.gate.check(disk)?;
        self.shards.read(disk, address, range).await
    }

    async fn header(&self, disk: DiskId, address: ShardAddress) -> Result<ShardHeader, ShardError> {
        self.gate.pass().await;
        self.gate.check(disk)?;
        self.shards.header(disk, address).await
    }

    async fn free(&self, disk: DiskId, group: PlacementGroupId, runs: Vec<RunId>) -> Result<(), ShardError> {
        self.gate.pass().await;
        self.shards.free(disk, group, runs).await
    }

    async fn seal(
        &self,
        disk: DiskId,
        group: PlacementGroupId,
        slot: SlotIndex,
        epoch: SlotEpoch,
    ) -> Result<(), ShardError> {
        self.gate.pass().await;
        self.shards.seal(disk, group, slot, epoch).await
    }

    async fn list(
        &self,
        disk: DiskId,
        after: Option<ShardAddress>,
        limit: usize,
    ) -> Result<Vec<StoredShard>, ShardError> {
        self.gate.pass().await;
        self.shards.list(disk, after, limit).await
    }
}
