//! The data path: from a body to synced shards and back.
//!
//! A body up to the inline limit comes back to go with the index command; up to 64 KiB it becomes 1+m whole copies; else
//! it is cut into stripes, each encoded and appended to all slots of a placement group while the next one arrives. A
//! read takes the needed blocks of the data shards and rebuilds what is missing or slow from the others. Both hold no
//! more memory than they reserved. This module doesn't know what an object is, which version stands, or who may read:
//! it turns bytes into extents and extents into bytes.

mod body;
mod combine;
mod read;
mod seams;
mod settings;

use std::ops::Range;
use std::sync::Arc;

pub use body::{BodyError, BodySource, ExpectedDigests, StoredBody, WholeBody, WriteError, WriteRequest};
pub use combine::{PartChecksum, combine_checksums, composite_checksum};
pub use read::{BodyReader, PartToRead, ReadError};
pub use seams::{BadShard, DataPathSeams, DiscardSink, GroupPlanner, PlannerError, RepairQueue, RepairSink};
pub use settings::DataPathSettings;

/// Writes bodies to the disks and reads them back. A handle: clones share everything.
#[derive(Clone)]
pub struct DataPath {
    core: Arc<Core>,
}

struct Core {
    #[allow(dead_code)]
    settings: DataPathSettings,
    #[allow(dead_code)]
    seams: DataPathSeams,
}

impl DataPath {
    /// Puts a data path together.
    pub fn new(settings: DataPathSettings, seams: DataPathSeams) -> Self {
        Self { core: Arc::new(Core { settings, seams }) }
    }

    /// Stores a body: once this returns, its bytes are synced on every slot of whole stripes (or are in the answer, to
    /// go into the index).
    ///
    /// # Errors
    /// [`WriteError`]. Runs that were begun have been handed to the [`DiscardSink`]; so they are when the returned
    /// future is dropped before its end.
    pub async fn write(&self, _request: WriteRequest, _body: &mut dyn BodySource) -> Result<StoredBody, WriteError> {
        let _ = &self.core;
        todo!()
    }

    /// Reads bytes `range` of the concatenated parts; `range` lies within them.
    pub fn read(&self, _parts: Vec<PartToRead>, _range: Range<u64>) -> BodyReader {
        todo!()
    }
}
