//! openraft's own suite for log stores, on the shared log. Its state machine is one that lives in memory: what the
//! suite asks of it (a snapshot that carries the state away) ours doesn't do; it has tests of its own.

use std::io;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use openraft::alias::{SnapshotMetaOf, SnapshotOf};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder, StorageError};
use parking_lot::Mutex;
use platform::{FaultyDisk, SystemEntropy};
use types::RangeId;

use super::{GroupLogStore, LogSettings, SharedLog};
use crate::failure::Failure;
use crate::raft_types::{Answers, LogId, StoredMembership, TypeConfig};
use crate::testing::{FileRegistry, numbered};

/// What has been applied, and nothing else.
#[derive(Debug, Clone, Default)]
struct InMemory {
    applied: Option<LogId>,
    membership: StoredMembership,
    /// Shared with the builders, which are clones.
    snapshot: Arc<Mutex<Option<SnapshotMetaOf<TypeConfig>>>>,
}

type Snapshot = SnapshotOf<TypeConfig, ()>;

impl RaftSnapshotBuilder<TypeConfig> for InMemory {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let meta = SnapshotMetaOf::<TypeConfig> { last_log_id: self.applied, last_membership: self.membership.clone() };
        *self.snapshot.lock() = Some(meta.clone());
        Ok(Snapshot { meta, snapshot: () })
    }
}

impl RaftStateMachine<TypeConfig> for InMemory {
    type SnapshotData = ();
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            self.applied = Some(entry.log_id);
            if let EntryPayload::Membership(membership) = entry.payload {
                self.membership = StoredMembership::new(Some(entry.log_id), membership);
            }
            if let Some(responder) = responder {
                responder.send(Answers::default());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMetaOf<TypeConfig>, _snapshot: ()) -> Result<(), io::Error> {
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        *self.snapshot.lock() = Some(meta.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        Ok(self.snapshot.lock().clone().map(|meta| Snapshot { meta, snapshot: () }))
    }
}

struct Builder;

impl StoreBuilder<TypeConfig, GroupLogStore, InMemory> for Builder {
    async fn build(&self) -> Result<((), GroupLogStore, InMemory), StorageError<TypeConfig>> {
        let disks = numbered(&[FaultyDisk::new(1), FaultyDisk::new(2)]);
        // No cache: entries are read from the segments.
        let settings =
            LogSettings { mirrors: 2, first_segment_bytes: 64 << 10, cache_bytes: 0, ..LogSettings::default() };
        let registry = Arc::new(FileRegistry(disks.clone()));
        let log = SharedLog::open(disks, registry, settings, Arc::new(SystemEntropy), Failure::new(), None);
        Ok(((), GroupLogStore::new(log.expect("opened"), RangeId(1)), InMemory::default()))
    }
}

#[tokio::test]
async fn the_log_store_passes_openrafts_suite() {
    Suite::test_all(Builder).await.expect("the suite passes");
}
