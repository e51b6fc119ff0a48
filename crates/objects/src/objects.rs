//! The handle that all operations are methods of.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use index::{CommandBody, IndexService};
use parking_lot::RwLock;
use platform::{Clock, Entropy};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};
use types::{BucketName, HomeKey, Layout, NodeId, Profile, Run, StorageClass};

use crate::ObjectsError;
use crate::bucket_documents::KnownDocuments;
use crate::buckets::{Buckets, Resolved};
use crate::commit::{Committer, error_of};
use crate::data::{DataPath, DiscardSink};
use crate::discard::{DiscardQueue, GivenUpRuns};
use crate::tickets::{TENDED_SOON, TicketServices, Tickets, Transfer};
use crate::unfinished_buckets::Unfinished;

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
    /// The wanted profile of each storage class. STANDARD must be among them.
    pub classes: BTreeMap<StorageClass, Profile>,
    /// After how long without renewal a ticket is over, as upkeep goes by it.
    pub ticket_idle_max: Duration,
}

/// S3's operations. A handle: clones share everything.
#[derive(Clone)]
pub struct Objects {
    shared: Arc<Shared>,
}

struct Shared {
    settings: ObjectsSettings,
    /// STANDARD's profile; it may change while serving.
    standard: RwLock<Profile>,
    data: DataPath,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    index: Committer,
    buckets: Buckets,
    documents: KnownDocuments,
    unfinished: Unfinished,
    discards: DiscardQueue,
    background: std::sync::OnceLock<AbortHandle>,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(task) = self.background.get() {
            task.abort();
        }
    }
}

impl Objects {
    /// Takes a ticket and is ready. Spawns a task on the current runtime that renews tickets and discards runs that
    /// writes gave up; it ends with the last handle.
    ///
    /// # Errors
    /// [`ObjectsError::Unavailable`] when the index grants no ticket.
    ///
    /// # Panics
    /// When STANDARD is not among the classes.
    pub async fn start(
        services: ObjectsServices,
        settings: ObjectsSettings,
        given_up: GivenUpRuns,
    ) -> Result<Self, ObjectsError> {
        let standard = settings.classes.get(&StorageClass::default()).copied();
        let standard = RwLock::new(standard.expect("STANDARD is a configured class"));
        let ObjectsServices { index, data, clock, entropy } = services;
        let of_tickets = TicketServices {
            index: index.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            holder: settings.node,
            idle_max: settings.ticket_idle_max,
            data: Some(data.clone()),
        };
        let tickets = Tickets::start(of_tickets).await.map_err(|error| error_of(error, false))?;
        let shared = Arc::new(Shared {
            settings,
            standard,
            data,
            clock: clock.clone(),
            entropy,
            index: Committer::new(index, tickets),
            buckets: Buckets::new(clock),
            documents: KnownDocuments::default(),
            unfinished: Unfinished::default(),
            discards: given_up.queue(),
            background: std::sync::OnceLock::new(),
        });
        let changes = shared.data.layout_changes();
        let task = tokio::spawn(tend(Arc::downgrade(&shared), given_up, changes));
        shared.background.set(task.abort_handle()).expect("the task is spawned once");
        Ok(Self { shared })
    }

    /// Ends the tickets, so that what was left behind under them can be collected soon. No operation may be under way
    /// or follow; without this, the tickets end by themselves after a while.
    pub async fn stop(&self) {
        self.index().tickets().end().await;
    }

    /// New objects that name no storage class get this profile from now on.
    pub fn set_standard(&self, profile: Profile) {
        *self.shared.standard.write() = profile;
    }

    pub(crate) fn index(&self) -> &Committer {
        &self.shared.index
    }

    pub(crate) fn data(&self) -> &DataPath {
        &self.shared.data
    }

    pub(crate) fn buckets(&self) -> &Buckets {
        &self.shared.buckets
    }

    pub(crate) fn documents(&self) -> &KnownDocuments {
        &self.shared.documents
    }

    pub(crate) fn unfinished(&self) -> &Unfinished {
        &self.shared.unfinished
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.shared.clock
    }

    pub(crate) fn entropy(&self) -> &dyn Entropy {
        &*self.shared.entropy
    }

    /// Begins a transfer: all writes do, also those without a body.
    pub(crate) fn begin(&self) -> Transfer {
        self.index().tickets().begin()
    }

    /// The bucket of this name, at most a second old.
    pub(crate) async fn resolve(&self, bucket: &BucketName) -> Result<Resolved, ObjectsError> {
        self.buckets().resolve(self.index(), bucket).await
    }

    /// The wanted profile of a storage class.
    pub(crate) fn profile_of(&self, class: &StorageClass) -> Result<Profile, ObjectsError> {
        if *class == StorageClass::default() {
            return Ok(*self.shared.standard.read());
        }
        let profile = self.shared.settings.classes.get(class).copied();
        profile.ok_or_else(|| ObjectsError::InvalidStorageClass { class: class.clone() })
    }

    /// Whether a storage class is configured.
    pub fn has_class(&self, class: &StorageClass) -> bool {
        self.profile_of(class).is_ok()
    }

    /// The wanted profile of what was begun under a class: STANDARD's, if the class is no longer configured.
    pub(crate) fn profile_of_standing(&self, class: &StorageClass) -> Profile {
        self.profile_of(class).unwrap_or_else(|_| *self.shared.standard.read())
    }

    /// Hands runs that no command will name to the collector.
    pub(crate) fn discard(&self, runs: Vec<Run>, home: &HomeKey) {
        self.shared.discards.discard(runs, home);
    }
}

async fn tend(shared: Weak<Shared>, mut given_up: GivenUpRuns, mut layout: watch::Receiver<Arc<Layout>>) {
    let mut due = Instant::now();
    loop {
        let runs = tokio::select! {
            biased;
            () = sleep_until(due) => Vec::new(),
            runs = given_up.next() => runs,
            // Those who move slots or rebuild disks wait for the tickets of before.
            Ok(()) = layout.changed() => {
                due = due.min(Instant::now() + TENDED_SOON);
                continue;
            }
        };
        let Some(shared) = shared.upgrade() else { return };
        if runs.is_empty() {
            let tended_after = shared.index.tickets().tend().await;
            due = Instant::now() + tended_after;
        } else {
            let transfer = shared.index.tickets().begin();
            if let Err(error) = shared.index.commit(&transfer, &CommandBody::DiscardRuns { runs }).await {
                tracing::warn!(error = %error, "runs that were given up wait for their ticket's end");
            }
        }
    }
}
