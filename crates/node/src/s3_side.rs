//! What serves S3 over an index and shard stores, wherever they are: the same in every process that has a gateway.

use std::sync::Arc;

use gateway::tls::Tls;
use gateway::{Gateway, GatewayError, GatewayHandle, GatewayServices, GatewaySettings, Port, Readiness, Timeouts};
use iam::KnownKeys;
use objects::data::{BadShard, DataPath, DataPathSeams, DataPathSettings, GroupPlanner, RepairQueue};
use objects::{DiscardQueue, GivenUpRuns, Objects, ObjectsError, ObjectsServices, ObjectsSettings};
use tokio::sync::{mpsc, watch};
use types::{Credential, Layout, NodeId};

use crate::memory;
use crate::server::{Reach, World, classes};
use crate::settings::ServerSettings;

/// Reports of bad shards, and runs that were given up, that may wait.
const QUEUE_ENTRIES: usize = 4096;

/// The data path, and what it leaves for others to do.
pub(crate) struct DataSide {
    pub(crate) data: DataPath,
    /// Where bad shards are reported.
    pub(crate) repairs: RepairQueue,
    /// The reports.
    pub(crate) bad_shards: mpsc::Receiver<BadShard>,
    /// The runs that were given up.
    pub(crate) given_up: GivenUpRuns,
}

impl DataSide {
    /// The data path over the shard stores of `reach`, in the groups of `layout`.
    pub(crate) fn new(
        settings: &ServerSettings,
        world: &World,
        reach: &Reach,
        layout: watch::Receiver<Arc<Layout>>,
        planner: Arc<dyn GroupPlanner>,
    ) -> Self {
        let (repairs, bad_shards) = RepairQueue::new(QUEUE_ENTRIES);
        let (discards, given_up) = DiscardQueue::new(QUEUE_ENTRIES);
        let seams = DataPathSeams {
            shards: reach.shards.clone(),
            buffers: world.buffers.clone(),
            budget: world.budget.clone(),
            workers: world.workers.clone(),
            entropy: world.entropy.clone(),
            layout,
            planner,
            repairs: Arc::new(repairs.clone()),
            discards: Arc::new(discards),
        };
        let data = DataPath::new(data_path_settings(settings), seams);
        Self { data, repairs, bad_shards, given_up }
    }
}

/// S3's operations over a data path; `writer` is in whose name tickets are taken.
///
/// # Errors
/// [`ObjectsError`]: the index grants no ticket.
pub(crate) async fn start_objects(
    settings: &ServerSettings,
    world: &World,
    reach: &Reach,
    data: &DataPath,
    given_up: GivenUpRuns,
    writer: NodeId,
    wanted: types::Profile,
) -> Result<Objects, ObjectsError> {
    let services = ObjectsServices {
        index: reach.index.clone(),
        data: data.clone(),
        clock: world.clock.clone(),
        entropy: world.entropy.clone(),
    };
    let settings =
        ObjectsSettings { node: writer, classes: classes(wanted, settings), ticket_idle_max: settings.ticket_idle_max };
    Objects::start(services, settings, given_up).await
}

/// Whose requests are served.
pub(crate) struct Callers {
    /// Of the root.
    pub(crate) credentials: watch::Receiver<Arc<[Credential]>>,
    /// Of everybody else.
    pub(crate) keys: Arc<KnownKeys>,
}

/// Serves S3 on a port that was taken.
///
/// # Errors
/// [`GatewayError`].
pub(crate) fn serve(
    port: Port,
    settings: &ServerSettings,
    tls: Option<Tls>,
    world: &World,
    objects: Objects,
    callers: Callers,
    readiness: watch::Receiver<Readiness>,
) -> Result<GatewayHandle, GatewayError> {
    let Callers { credentials, keys } = callers;
    let services = GatewayServices {
        objects,
        credentials,
        keys,
        readiness,
        clock: world.clock.clone(),
        entropy: world.entropy.clone(),
        workers: world.workers.clone(),
    };
    Gateway::serve(port, gateway_settings(settings, tls), services)
}

pub(crate) fn data_path_settings(settings: &ServerSettings) -> DataPathSettings {
    DataPathSettings {
        inline_bytes_max: settings.inline_bytes_max,
        copies_bytes_max: settings.small_bytes_max,
        append_patience: settings.slot_patience,
        memory_patience: settings.memory_patience,
        ..DataPathSettings::default()
    }
}

fn gateway_settings(settings: &ServerSettings, tls: Option<Tls>) -> GatewaySettings {
    GatewaySettings {
        domains: settings.domains.clone(),
        region: settings.region.clone(),
        compat: settings.compat,
        signature_v2: settings.signature_v2,
        tls,
        timeouts: Timeouts { head: settings.header_timeout, stall: settings.body_timeout, ..Timeouts::default() },
        read_buffers_bytes: usize::try_from(memory::read_buffers_bytes(settings)).unwrap_or(usize::MAX),
        ..GatewaySettings::default()
    }
}
