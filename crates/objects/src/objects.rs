//! The handle that all operations are methods of.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use index::IndexService;
use platform::{Clock, Entropy};
use types::{NodeId, Profile, StorageClass};

use crate::ObjectsError;
use crate::data::DataPath;
use crate::discard::GivenUpRuns;

/// What the operations work with.
#[derive(Clone)]
pub struct ObjectsServices {
    /// The index.
    pub index: Arc<dyn IndexService>,
    /// The bytes.
    pub data: DataPath,
    /// Time: of caches and tickets, never of versions.
    pub clock: Arc<dyn Clock>,
    /// Randomness of ids.
    pub entropy: Arc<dyn Entropy>,
}

/// How the operations behave. `config/cairn.toml` lists those that an operator may set.
#[derive(Debug, Clone)]
pub struct ObjectsSettings {
    /// Who asks for tickets: a label.
    pub node: NodeId,
    /// The wanted profile of each storage class. STANDARD is among them.
    pub classes: BTreeMap<StorageClass, Profile>,
}

/// S3's operations. A handle: clones share everything.
#[derive(Clone)]
pub struct Objects {
    shared: Arc<Shared>,
}

struct Shared {
    services: ObjectsServices,
    settings: ObjectsSettings,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl Objects {
    /// Takes a ticket and is ready. Spawns a task on the current runtime that renews tickets and discards runs that
    /// writes gave up; it ends with the last handle.
    ///
    /// # Errors
    /// [`ObjectsError::Unavailable`] when the index grants no ticket.
    pub async fn start(
        services: ObjectsServices,
        settings: ObjectsSettings,
        given_up: GivenUpRuns,
    ) -> Result<Self, ObjectsError> {
        todo!()
    }

    /// Finishes, or undoes, the creation and deletion of buckets that whoever began them left unfinished. Idempotent;
    /// for upkeep. Returns how many it settled.
    ///
    /// # Errors
    /// [`ObjectsError::Unavailable`].
    pub async fn finish_unfinished_buckets(&self) -> Result<usize, ObjectsError> {
        todo!()
    }
}
