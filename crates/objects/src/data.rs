//! The data path: from a body to synced shards and back.
//!
//! A body up to the inline limit comes back to go with the index command; up to 64 KiB it becomes 1+m whole copies; else
//! it is cut into stripes, each encoded and appended to all slots of a placement group while the next one arrives. A
//! read takes the needed blocks of the data shards and rebuilds what is missing or slow from the others. Both hold no
//! more memory than they reserved. This module doesn't know what an object is, which version stands, or who may read:
//! it turns bytes into extents and extents into bytes.

mod appends;
mod body;
mod coding;
mod combine;
mod cursor;
mod digests;
mod disks;
mod fetch;
mod groups;
mod least;
mod md5;
mod memory;
mod pace;
mod reach;
mod read;
mod rebuild;
mod runs;
mod seams;
mod settings;
mod sha;
mod stripe;
mod verify;
mod write;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use platform::MemoryBudget;
use tokio::sync::watch;
use types::Layout;

pub use body::{BodyError, BodySource, ExpectedDigests, StoredBody, WholeBody, WriteError, WriteRequest};
pub use combine::{PartChecksum, combine_checksums, composite_checksum};
pub use disks::DiskConditions;
pub use least::TransferMemoryNeeds;
pub use read::{BodyReader, PartToRead, ReadError};
pub use rebuild::{CopyError, RebuildError, ShardToRebuild};
pub use seams::{BadShard, DataPathSeams, DiscardSink, GroupPlanner, PlannerError, RepairQueue, RepairSink};
pub use settings::DataPathSettings;
pub use verify::PartDigests;

/// Writes bodies to the disks and reads them back. A handle: clones share everything.
#[derive(Clone)]
pub struct DataPath {
    core: Arc<Core>,
}

/// What all transfers share.
struct Core {
    settings: DataPathSettings,
    seams: DataPathSeams,
    /// The budget, for what no client waits for.
    upkeep_budget: MemoryBudget,
    disks: DiskConditions,
    groups: groups::KnownGroups,
    md5: md5::Md5Batcher,
    readers: read::Readers,
    run_sequence: AtomicU32,
}

impl Core {
    fn layout(&self) -> Arc<Layout> {
        Arc::clone(&self.seams.layout.borrow())
    }

    /// The second half of a new run's id: unique under any ticket of this process, and unguessable.
    fn run_tail(&self) -> u64 {
        let sequence = self.run_sequence.fetch_add(1, Ordering::Relaxed);
        u64::from(sequence) << 32 | self.seams.entropy.number() >> 32
    }
}

impl DataPath {
    /// Puts a data path together. Its calls must be made within a tokio runtime with time.
    pub fn new(settings: DataPathSettings, seams: DataPathSeams) -> Self {
        let core = Core {
            md5: md5::Md5Batcher::new(seams.workers.clone()),
            disks: DiskConditions::default(),
            groups: groups::KnownGroups::default(),
            readers: read::Readers::default(),
            run_sequence: AtomicU32::new(0),
            upkeep_budget: seams.budget.for_upkeep(),
            settings,
            seams,
        };
        Self { core: Arc::new(core) }
    }

    /// What is known of the disks; the node notes their free space here.
    pub fn disks(&self) -> &DiskConditions {
        &self.core.disks
    }

    /// Stores a body: once this returns, its bytes are synced on every slot of whole stripes (or are in the answer, to
    /// go into the index).
    ///
    /// # Errors
    /// [`WriteError`]. Runs that were begun have been handed to the [`DiscardSink`]; so they are when the returned
    /// future is dropped before its end.
    pub async fn write(&self, request: WriteRequest, body: &mut dyn BodySource) -> Result<StoredBody, WriteError> {
        Box::pin(write::write(Arc::clone(&self.core), request, body)).await
    }

    /// Has the layout read anew. Returns once it is at least as new as it was when this was called.
    ///
    /// # Errors
    /// [`PlannerError`]: it cannot be read now.
    pub async fn refresh_layout(&self) -> Result<(), PlannerError> {
        self.core.seams.planner.refresh().await
    }

    /// The layout as it is now.
    pub fn layout(&self) -> Arc<Layout> {
        self.core.layout()
    }

    /// Wakes whoever follows the layout.
    pub(crate) fn layout_changes(&self) -> watch::Receiver<Arc<Layout>> {
        self.core.seams.layout.clone()
    }

    /// How often memory was reserved for a client's transfer, here or by a gateway or another node that sent or asked for
    /// shards: what can wait should leave the disks to clients while this rises.
    pub fn reservations_for_clients(&self) -> u64 {
        self.core.seams.budget.reservations_for_clients()
    }

    /// Reads bytes `range` of the concatenated parts; `range` lies within them. Nothing is done before the first poll.
    pub fn read(&self, parts: Vec<PartToRead>, range: Range<u64>) -> BodyReader {
        BodyReader::new(Arc::clone(&self.core), parts, range)
    }
}
