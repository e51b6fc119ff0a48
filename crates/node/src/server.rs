//! `cairn server`: gateway and storage node in one process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use admin::{AdminServerError, RebuildReport};
use archive::{ArchiveSettings, Archiver, ArchiverParts};
use consensus::{ConsensusError, ReplicatedIndex};
use gateway::tls::TlsError;
use gateway::{GatewayError, GatewayHandle, Readiness};
use iam::KnownKeys;
use index::{
    Command, CommandBody, FEATURE_LEVEL, FIRST_FEATURE_LEVEL, IndexError, IndexService, NewerLevel, Query, QueryAnswer,
};
use objects::{CreateBucketRequest, Objects, ObjectsError};
use parking_lot::Mutex;
use platform::{BufferPool, Clock, Entropy, MemoryBudget, SystemClock, SystemEntropy, Workers};
use rpc::server::RpcServer;
use shards::{ArchiveService, LocalShards, ShardService, ShardSettings, StoreEnvironment};
use telemetry::{Metrics, MetricsError, with_causes};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use types::{Credential, DiskState, FeatureLevel, Layout, Profile, RequestNumber, StorageClass};
use upkeep::Duties;

use crate::admin_front::AdminFront;
use crate::care::DiskCare;
use crate::changes::NodeChanges;
use crate::credential;
use crate::disks::{self, Blank, Directories, DisksError};
use crate::duties::{self, DutyServices};
use crate::front::{self, AdminSide, Front};
use crate::layout::{LayoutError, LayoutKeeper};
use crate::member::{self, Joined, Membership};
use crate::memory;
use crate::protection::Protection;
use crate::ranges::Ranges;
use crate::readiness::ReadinessWatch;
use crate::report::NodeReporter;
use crate::s3_side::{self, Callers, DataSide};
use crate::settings::ServerSettings;
use crate::shortfall;
use crate::status::NodeAdmin;
use crate::summary::{self, Summary};
use crate::timed_index::TimedIndex;
use crate::waiting::WaitingServer;

/// Unused buffers that are kept for the next transfer.
const IDLE_BUFFERS_SHARE: u64 = 4;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The directories.
    #[error(transparent)]
    Disks(#[from] DisksError),
    /// The memory.
    #[error(
        "memory of {given_bytes} bytes is too little to serve with: set --memory to at least {least_mib}MiB ({put_kib} KiB \
         for the stripe of one {profile} PUT and {get_kib} KiB for one GET beside it; the rest is for caches)"
    )]
    Memory {
        /// What was given.
        given_bytes: u64,
        /// The least, in MiB.
        least_mib: u64,
        /// The profile that needs the most.
        profile: Profile,
        /// What one PUT needs, in KiB.
        put_kib: u64,
        /// What one GET needs, in KiB.
        get_kib: u64,
    },
    /// The processor.
    #[error(transparent)]
    Cpu(#[from] erasure::CpuError),
    /// No disk's store opens.
    #[error("no disk can be served: {0}")]
    NoDisk(String),
    /// The replicated index.
    #[error("the index cannot be opened")]
    Consensus(#[from] ConsensusError),
    /// A question to the index.
    #[error("the index does not answer")]
    Index(#[from] IndexError),
    /// The layout.
    #[error("the layout cannot be read")]
    Layout(#[from] LayoutError),
    /// This build is too old for its cluster.
    #[error(transparent)]
    NewerLevel(#[from] NewerLevel),
    /// The certificate.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    /// The S3 address.
    #[error("S3 is not served; choose another address with --listen")]
    Gateway(#[from] GatewayError),
    /// One port for both.
    #[error("S3 and the admin API cannot both listen on {0}; choose other addresses with --listen and --admin-listen")]
    OnePort(std::net::SocketAddr),
    /// The admin address.
    #[error(transparent)]
    Admin(#[from] AdminServerError),
    /// S3's operations.
    #[error("S3's operations cannot begin")]
    Objects(#[from] ObjectsError),
    /// The metrics.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The port for other nodes.
    #[error("other nodes cannot be let in at {address}; choose another address with --rpc-listen")]
    Rpc {
        /// The address.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A server that serves.
pub struct Server {
    summary: Summary,
    gateway: Option<GatewayHandle>,
    admin: AdminFront,
    readiness: ReadinessWatch,
    duties: Duties,
    tasks: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    objects: Objects,
    index: Arc<ReplicatedIndex>,
    shards: Arc<LocalShards>,
    /// In a cluster, the port for other nodes.
    rpc: Option<(Arc<RpcServer>, JoinHandle<()>)>,
    layout: Arc<LayoutKeeper>,
    drain_timeout: Duration,
}

/// The outside world, and what is shared by everything in the process.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) workers: Workers,
    pub(crate) buffers: BufferPool,
    pub(crate) budget: MemoryBudget,
}

impl World {
    pub(crate) fn new(settings: &ServerSettings) -> Self {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(SystemEntropy),
            workers: Workers::new("cairn-worker", threads),
            buffers: BufferPool::bounded(settings.memory_bytes / IDLE_BUFFERS_SHARE, memory::body_budget(settings)),
            budget: MemoryBudget::new(memory::body_budget(settings)),
        }
    }
}

/// A server before it has an index.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) settings: ServerSettings,
    pub(crate) world: World,
    pub(crate) metrics: Metrics,
    pub(crate) directories: Arc<Directories>,
    pub(crate) shards: Arc<LocalShards>,
}

/// The index and the shard stores as S3 and upkeep reach them: those of this process, or of a whole cluster.
#[derive(Clone)]
pub(crate) struct Reach {
    pub(crate) index: Arc<dyn IndexService>,
    pub(crate) shards: Arc<dyn ShardService>,
}

/// An index that stands, and what the process has already.
pub(crate) struct Standing {
    pub(crate) index: Arc<ReplicatedIndex>,
    pub(crate) reach: Reach,
    /// The disks that the archive may lie on.
    pub(crate) archive: Arc<dyn ArchiveService>,
    /// Its port, or where the admin API is served already.
    pub(crate) admin: AdminSide,
    /// What came of the rebuild that made the index.
    pub(crate) rebuilt: Option<RebuildReport>,
    /// In a cluster, what that takes.
    pub(crate) membership: Option<Membership>,
}

impl Standing {
    /// Of a process that is a cluster of its own.
    pub(crate) fn alone(
        index: Arc<ReplicatedIndex>,
        opened: &Opened,
        admin: AdminSide,
        rebuilt: Option<RebuildReport>,
    ) -> Self {
        let archive = opened.shards.clone();
        let timed = Arc::new(TimedIndex::new(index.clone(), opened.world.clock.clone()));
        let reach = Reach { index: timed, shards: opened.shards.clone() };
        Self { index, reach, archive, admin, rebuilt, membership: None }
    }
}

/// What became of a start.
pub enum Started {
    /// Reads and writes work.
    Serving(Box<Server>),
    /// The index is lost.
    WithoutIndex(Box<WaitingServer>),
}

impl Server {
    /// Opens the disks, forms a cluster of one where they are blank, and serves once reads and writes work. Where the
    /// disks are known and their index is lost, it waits for the command that rebuilds it.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub async fn start(settings: ServerSettings) -> Result<Started, StartError> {
        erasure::check_cpu()?;
        // What can fail for no reason of the disks' fails before one is made.
        memory::check(&settings)?;
        let (front, admin_port) = Front::open(&settings)?;
        let metrics = Metrics::install()?;
        let world = World::new(&settings);
        if let Some(cluster) = settings.cluster.clone() {
            let joined = member::join(settings, cluster, world, metrics).await?;
            let Joined { opened, index, reach, archive, membership } = joined;
            let admin = AdminSide::Taken(admin_port);
            let standing = Standing { index, reach, archive, admin, rebuilt: None, membership: Some(membership) };
            return Ok(Started::Serving(Box::new(Self::serve(opened, front, standing).await?)));
        }
        // The disks: each directory is known, blank or unusable.
        let directories = Arc::new(Directories::open(&settings.directories, &*world.entropy)?);
        let shards = open_stores(&directories, &settings, &world).await?;
        let opened = Opened { settings, world, metrics, directories, shards };
        // The index: its log and database lie on the disks.
        match ReplicatedIndex::open(crate::index::consensus_settings(&opened)).await {
            Ok(index) => {
                let standing = Standing::alone(Arc::new(index), &opened, AdminSide::Taken(admin_port), None);
                Ok(Started::Serving(Box::new(Self::serve(opened, front, standing).await?)))
            }
            Err(error) if error.is_index_lost() => {
                Ok(Started::WithoutIndex(Box::new(WaitingServer::start(opened, front, admin_port, error)?)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Serves with an index that stands.
    pub(crate) async fn serve(opened: Opened, front: Front, standing: Standing) -> Result<Self, StartError> {
        let Opened { settings, world, metrics, directories, shards } = opened;
        let Front { s3, tls } = front;
        let Standing { index, reach, archive, admin, rebuilt, membership } = standing;
        let credential = form(&directories, &settings, &*reach.index, &*world.entropy).await?;
        // The layout: which disks and placement groups there are.
        let wanted = settings.wanted();
        let of_classes = settings.storage_classes.iter().map(|(_, profile)| *profile).collect();
        let layout = LayoutKeeper::open(reach.index.clone(), Some(shards.clone()), wanted, of_classes).await?;
        let layout = Arc::new(layout);
        let is_alone = membership.is_none();
        if is_alone {
            raise_level(&layout).await?;
        }
        // A cluster keeps the profile that it was formed with; a process by itself goes by what it is told.
        let is_told = membership.is_none() && settings.profile.is_some();
        layout.set_wanted(wanted, !is_told).await?;
        if membership.is_none() && !is_told {
            // How many shards there are stays as it was at the founding; what they are like is as it is set.
            layout.set_wanted(settings.with_own_shards(layout.wanted()), false).await?;
        }
        let wanted = layout.wanted();
        if let Some(membership) = &membership {
            membership.own_shards.follow(layout.clone());
            membership.directory.follow(layout.watch());
            layout.settle_node(membership.node.clone()).await?;
            membership.greeter.serve(layout.clone());
        }
        // The data path, and S3's operations over it.
        let side = DataSide::new(&settings, &world, &reach, layout.watch(), layout.clone());
        let DataSide { data, repairs, bad_shards, given_up } = side;
        let care = Arc::new(DiskCare {
            cluster: directories.cluster,
            node: directories.node,
            is_alone,
            shards: shards.clone(),
            layout: layout.clone(),
            index: index.clone(),
            data: data.clone(),
            clock: world.clock.clone(),
            entropy: world.entropy.clone(),
            credential: credential.clone(),
            places: Mutex::new(places(&directories)),
            replaced: watch::Sender::new(0),
            locks: Mutex::new(directories.known.iter().map(|known| (known.path.clone(), known.lock.clone())).collect()),
            shards_due: Mutex::default(),
            scrub_wanted: watch::Sender::new(0),
            restripe_wanted: Arc::new(watch::Sender::new(false)),
        });
        settle_disks(&care, &directories).await?;
        let node = directories.node;
        let objects = s3_side::start_objects(&settings, &world, &reach, &data, given_up, node, wanted).await?;
        create_first_bucket(&objects, &settings, &credential).await?;
        // What serves: S3, admin, and the duties behind them.
        let (readiness, ready) = watch::channel(Readiness::Ready);
        let credentials: watch::Sender<Arc<[Credential]>> = watch::Sender::new(Arc::new([credential.clone()]));
        let keys = Arc::new(KnownKeys::new(reach.index.clone(), world.clock.clone()));
        let serve = |port| {
            let callers = Callers { credentials: credentials.subscribe(), keys: keys.clone() };
            s3_side::serve(port, &settings, tls.clone(), &world, objects.clone(), callers, ready.clone())
        };
        let gateway = s3.map(serve).transpose()?;
        let changes = Arc::new(NodeChanges::new(layout.clone(), shards.clone(), world.entropy.clone()));
        let (duties, progress) = duties::assemble(
            settings.duties(),
            DutyServices {
                clock: world.clock.clone(),
                node,
                index: reach.index.clone(),
                all_shards: reach.shards.clone(),
                shards: shards.clone(),
                data,
                objects: objects.clone(),
                layout: layout.clone(),
                changes: changes.clone(),
                repairs: repairs.clone(),
                bad_shards,
                replaced: care.replaced.subscribe(),
                scrub_wanted: care.scrub_wanted.subscribe(),
                restripe_wanted: care.restripe_wanted.clone(),
                entropy: world.entropy.clone(),
                led: {
                    let own = index.clone();
                    Arc::new(move || own.descriptors().into_iter().filter(|range| own.leads(range.id)).collect())
                },
            },
        );
        let duties = match &membership {
            Some(_) => duties::shared_out(duties, node, &index.leaders()),
            None => duties,
        };
        let archiver = Archiver::new(ArchiverParts {
            index: index.clone(),
            disks: archive,
            layout: layout.watch(),
            clock: world.clock.clone(),
            settings: ArchiveSettings {
                copies: crate::index::copies(&settings),
                period: settings.archive_period,
                log_bytes_min: settings.archive_log_bytes,
            },
        });
        let scheme = front::scheme(tls.as_ref());
        let endpoint = gateway.as_ref().map(|gateway| format!("{scheme}://{}", gateway.local_addr()));
        let row = membership.as_ref().map(|membership| membership.node.clone());
        let reporter = Arc::new(NodeReporter {
            cluster: directories.cluster,
            node: row.unwrap_or_else(|| lone_node(node)),
            endpoint: endpoint.clone().unwrap_or_default(),
            admin_endpoint: format!("{scheme}://{}", admin.address()),
            started: world.clock.monotonic(),
            clock: world.clock.clone(),
            shards: shards.clone(),
            index: index.clone(),
            archive: archiver.status(),
            care: care.clone(),
        });
        let lookout = membership.as_ref().map(|membership| membership.lookout(&index, &care, reporter.clone()));
        if let Some(lookout) = &lookout {
            changes.listen(lookout.clone());
        }
        let splits = Arc::new(Ranges::new(
            index.clone(),
            reach.index.clone(),
            layout.clone(),
            settings.range_bytes_max,
            world.clock.clone(),
        ));
        let node_admin = NodeAdmin {
            splits: splits.clone(),
            changes,
            cluster: directories.cluster,
            node: directories.node,
            endpoint: endpoint.clone().unwrap_or_default(),
            started: world.clock.monotonic(),
            clock: world.clock.clone(),
            metrics,
            readiness: ready,
            traces: gateway.as_ref().map(|gateway| gateway.traces().clone()),
            shards: shards.clone(),
            index: index.clone(),
            ranges: reach.index.clone(),
            all_shards: reach.shards.clone(),
            archive: archiver.status(),
            reporter,
            lookout: lookout.clone(),
            care: care.clone(),
            budget: world.budget.clone(),
            progress,
            repairs,
            rebuilt,
            totals: tokio::sync::Mutex::default(),
            spans: settings.duties(),
            moves_seen: Mutex::default(),
            disks_shown: Mutex::default(),
        };
        let node_admin = Arc::new(node_admin);
        let admin = match admin {
            AdminSide::Served(admin) => {
                admin.switch(node_admin);
                admin
            }
            AdminSide::Taken(port) => AdminFront::start(
                port,
                &settings,
                tls.clone(),
                world.clock.clone(),
                credentials.subscribe(),
                node_admin,
            )?,
        };
        admin.know(keys.clone());
        // In a cluster the others may be as young.
        let unreadable = match is_alone {
            true => shortfall::find(&care, &*shards).await,
            false => None,
        };
        let summary = Summary {
            cluster: directories.cluster.to_string(),
            disks: summary::disk_summaries(&directories, &layout.current()),
            protection: Protection { is_short: unreadable.is_some(), ..care.protection(wanted) },
            unreadable,
            classes: settings
                .storage_classes
                .iter()
                .map(|(class, profile)| (class.clone(), care.protection(*profile)))
                .collect(),
            endpoint,
            admin_endpoint: format!("{scheme}://{}", admin.address()),
            region: settings.region.clone().unwrap_or_else(|| gateway::REGION_DEFAULT.to_owned()),
            access_key: credential.access_key_id.to_string(),
            secret_key: credential.secret_key.clone(),
            credential_file: directories.known.first().map(|disk| disk.path.join(admin::client::CREDENTIAL_FILE)),
        };
        let (stop, stopped) = watch::channel(false);
        let mut tasks = vec![
            tokio::spawn(splits.run(stopped.clone())),
            tokio::spawn(care.clone().run(stopped.clone())),
            tokio::spawn(archiver.run(stopped.clone())),
        ];
        let readiness = ReadinessWatch::start(reach.index.clone(), readiness);
        tasks.push(tokio::spawn(follow_profile(layout.watch_wanted(), objects.clone(), stopped.clone())));
        if let Some(membership) = &membership {
            tasks.push(tokio::spawn(credential::follow_root(reach.index.clone(), credentials, stopped.clone())));
            let gateways = membership.gateways.clone();
            if let Some(lookout) = lookout {
                let voting = membership.voting(lookout.clone(), &index, &care);
                tasks.push(tokio::spawn(voting.run(stopped.clone())));
                tasks.push(tokio::spawn(lookout.run(stopped.clone())));
            }
            tasks.push(tokio::spawn(gateways.follow(reach.index.clone(), stopped.clone())));
            tasks.push(tokio::spawn(layout.clone().follow(stopped.clone())));
        }
        let rpc = membership.map(|membership| (membership.server, membership.serving));
        // The reloader ends with the process; it owns nothing that a stop would have to save.
        tasks.extend(tls.map(|tls| tokio::spawn(until(stopped.clone(), tls.follow_files()))));
        let duties = Duties::start(duties);
        let drain_timeout = settings.drain_timeout;
        Ok(Self {
            summary,
            gateway,
            admin,
            readiness,
            duties,
            tasks,
            stop,
            objects,
            index,
            shards,
            rpc,
            layout,
            drain_timeout,
        })
    }

    /// What it serves and where.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Waits until the cluster has risen above what this build knows, if ever: then it must not go on.
    pub async fn outgrown(&self) -> NewerLevel {
        self.layout.outgrown().await
    }

    /// Takes no more requests, waits for those under way, and leaves everything so that the next start is quick.
    pub async fn shutdown(self) {
        self.readiness.drain().await;
        if let Some(gateway) = self.gateway
            && !gateway.drain(self.drain_timeout).await
        {
            tracing::warn!("requests were broken off: they took longer than the drain timeout");
        }
        self.duties.stop().await;
        self.stop.send_replace(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task ended badly");
            }
        }
        self.objects.stop().await;
        self.admin.stop().await;
        self.index.shutdown().await;
        if let Some((server, serving)) = self.rpc {
            server.close();
            if let Err(error) = serving.await {
                tracing::error!(%error, "the port for other nodes ended badly");
            }
        }
        self.shards.close().await;
    }
}

/// Gives new objects the profile that is wanted, as that changes, until `stopped` does.
pub(crate) async fn follow_profile(
    mut wanted: watch::Receiver<Profile>,
    objects: Objects,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        let profile = *wanted.borrow_and_update();
        objects.set_standard(profile);
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            _ = stopped.changed() => return,
        }
    }
}

/// Runs `work` until `stopped` changes.
async fn until(mut stopped: watch::Receiver<bool>, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        _ = stopped.changed() => {}
    }
}

/// Opens the stores of all known disks, side by side; one that cannot be opened is down.
pub(crate) async fn open_stores(
    directories: &Directories,
    settings: &ServerSettings,
    world: &World,
) -> Result<Arc<LocalShards>, StartError> {
    let store_settings = ShardSettings { free_bytes_min: settings.disk_reserve_bytes, ..ShardSettings::default() };
    let shards = Arc::new(LocalShards::new(StoreEnvironment {
        workers: world.workers.clone(),
        pool: world.buffers.clone(),
        settings: store_settings,
    }));
    let mut failures: Vec<String> = Vec::new();
    let opening = directories.known.iter().map(async |known| (known, shards.add_disk(known.disk.clone()).await));
    for (known, opened) in futures::future::join_all(opening).await {
        if let Err(error) = opened {
            let path = known.path.display();
            tracing::error!(disk = %known.id, %path, error = %with_causes(&error), "a disk cannot be opened and is down");
            failures.push(format!("{path}: {}", with_causes(&error)));
        }
    }
    if failures.len() == directories.known.len() {
        failures.extend(directories.unusable.iter().map(|(path, reason)| format!("{}: {reason}", path.display())));
        return Err(StartError::NoDisk(failures.join("; ")));
    }
    Ok(shards)
}

/// Writes the cluster's first rows where they are missing, and settles which root credential counts.
async fn form(
    directories: &Directories,
    settings: &ServerSettings,
    index: &dyn IndexService,
    entropy: &dyn Entropy,
) -> Result<Credential, StartError> {
    let given = settings.root.clone().map(|(access, secret)| credential::root_credential(access, secret));
    let copy = || directories.known.iter().find_map(|known| credential::read_copy(&*known.disk));
    let formed = matches!(index.query(Query::Cluster).await?, QueryAnswer::Cluster(Some(_)));
    let credential = if formed {
        let root = credential::held_root(index).await?;
        match given {
            Some(given) if root.as_ref() != Some(&given) => {
                propose(index, CommandBody::PutCredential(given.clone())).await?;
                given
            }
            _ => root.or_else(copy).unwrap_or_else(|| credential::generate(entropy)),
        }
    } else {
        let root = given.or_else(copy).unwrap_or_else(|| credential::generate(entropy));
        let layout = first_layout(directories);
        let first = index::command::FormCluster {
            cluster: directories.cluster,
            // It rises once all nodes are known to know more.
            feature_level: FIRST_FEATURE_LEVEL,
            root: root.clone(),
            layout,
        };
        propose(index, CommandBody::Form(Box::new(first))).await?;
        root
    };
    for known in &directories.known {
        if let Err(error) = credential::write_copy(&*known.disk, &credential) {
            tracing::warn!(disk = %known.id, %error, "a disk did not take the copy of the root credential");
        }
    }
    Ok(credential)
}

/// A process that is a cluster by itself need not ask others what they know.
async fn raise_level(layout: &LayoutKeeper) -> Result<(), StartError> {
    while layout.feature_level() < FEATURE_LEVEL {
        let next = FeatureLevel(layout.feature_level().0 + 1);
        tracing::info!(level = %next, "the feature level rises: older releases cannot serve these disks any more");
        propose(&**layout.index(), CommandBody::RaiseFeatureLevel(next)).await?;
        layout.refresh().await?;
    }
    Ok(())
}

async fn propose(index: &dyn IndexService, body: CommandBody) -> Result<(), IndexError> {
    index.propose(Command { request: None, answered: RequestNumber(0), body }).await.map(drop)
}

/// A node that is a cluster by itself has no address for others.
fn lone_node(id: types::NodeId) -> types::Node {
    types::Node { id, address: String::new(), rack: None, zone: None }
}

fn first_layout(directories: &Directories) -> Layout {
    let node = lone_node(directories.node);
    let rows = directories.known.iter().filter_map(|known| disks::layout_row(known, directories.node).ok());
    Layout { nodes: vec![node], disks: rows.collect(), ..Layout::default() }
}

/// Brings the layout in line with the directories that were found.
async fn settle_disks(care: &Arc<DiskCare>, directories: &Directories) -> Result<(), StartError> {
    let layout = &care.layout;
    let healthy =
        |known: &&disks::KnownDisk| care.shards.disk_states().get(&known.id).is_some_and(|health| !health.is_down());
    let serving: Vec<&disks::KnownDisk> = directories.known.iter().filter(healthy).collect();
    let present: Vec<_> = serving.iter().map(|known| known.id).collect();
    for known in &serving {
        match layout.current().disk(known.id).map(|row| row.state) {
            None => {
                let replaced = replaced_by(known, &layout.current(), directories.node, &present);
                care.admit(known, replaced).await.map_err(StartError::NoDisk)?;
            }
            // One that failed before stays down until it is readmitted.
            Some(_) => {
                if let Ok(row) = disks::layout_row(known, directories.node) {
                    layout.relabel_disk(known.id, &row.path, row.capacity_bytes).await?;
                }
            }
        }
    }
    care.take_back(&present).await?;
    for path in &directories.blank {
        if let Err(reason) = settle_blank(care, path, directories.node, &present).await {
            tracing::error!(path = %path.display(), %reason, "a blank directory is not served");
        }
    }
    let missing: Vec<_> = {
        let layout = layout.current();
        let serves =
            |id| care.shards.disk_states().get(&id).is_some_and(|health: &shards::DiskHealth| !health.is_down());
        let own = |row: &&types::Disk| row.node == directories.node && row.state.is_read();
        layout.disks.iter().filter(own).filter(|row| !serves(row.id)).map(|row| (row.id, row.path.clone())).collect()
    };
    let unusable: Vec<String> = directories.unusable.iter().map(|(path, _)| path.display().to_string()).collect();
    let (failed, absent): (Vec<_>, Vec<_>) = missing.into_iter().partition(|(disk, path)| {
        tracing::error!(%disk, path, "a disk is missing and is down");
        care.shards.disk_states().contains_key(disk) || unusable.contains(path)
    });
    let ids = |disks: Vec<(types::DiskId, String)>| disks.into_iter().map(|(disk, _)| disk).collect::<Vec<_>>();
    layout.set_disk_states(&ids(failed), DiskState::Down).await?;
    care.miss(ids(absent)).await?;
    Ok(layout.make_missing_groups(&[]).await?)
}

/// Makes a directory that is blank or missing a disk, where that is safe.
async fn settle_blank(
    care: &Arc<DiskCare>,
    path: &std::path::Path,
    node: types::NodeId,
    present: &[types::DiskId],
) -> Result<(), String> {
    disks::make(path).map_err(|error| with_causes(&error))?;
    let mount_point = platform::RealDisk::open(path).and_then(|disk| platform::Disk::is_mount_point(&disk));
    let mount_point = mount_point.map_err(|error| error.to_string())?;
    match disks::judge_blank(&care.layout.current(), node, path, mount_point, present) {
        Blank::New => care.replace(path, None).await,
        Blank::Replaces(old) => care.replace(path, Some(old)).await,
        Blank::NotMounted(old) => Err(format!("disk {old} is not mounted there")),
    }
}

/// The disk whose place a formatted one takes that the layout doesn't know: a crash came between formatting it and
/// telling the layout.
fn replaced_by(
    known: &disks::KnownDisk,
    layout: &Layout,
    node: types::NodeId,
    present: &[types::DiskId],
) -> Option<types::DiskId> {
    let mount_point = known.disk.is_mount_point().ok()?;
    match disks::judge_blank(layout, node, &known.path, mount_point, present) {
        Blank::Replaces(old) => Some(old),
        Blank::New | Blank::NotMounted(_) => None,
    }
}

fn places(directories: &Directories) -> BTreeMap<PathBuf, Option<types::DiskId>> {
    let known = directories.known.iter().map(|known| (known.path.clone(), Some(known.id)));
    // Looked at again and again: what is blank may be a mount point later.
    let others = directories.unusable.iter().map(|(path, _)| path).chain(&directories.blank);
    known.chain(others.map(|path| (path.clone(), None))).collect()
}

pub(crate) fn classes(wanted: Profile, settings: &ServerSettings) -> BTreeMap<StorageClass, Profile> {
    let standard = std::iter::once((StorageClass::default(), wanted));
    standard.chain(settings.storage_classes.iter().cloned()).collect()
}

pub(crate) async fn create_first_bucket(
    objects: &Objects,
    settings: &ServerSettings,
    credential: &Credential,
) -> Result<(), StartError> {
    let Some(name) = settings.bucket.clone() else { return Ok(()) };
    let request = CreateBucketRequest {
        bucket: name,
        owner: credential.owner.clone(),
        region: gateway::location_default(settings.region.as_deref()),
        object_lock: false,
    };
    match objects.create_bucket(request).await {
        Ok(_) | Err(ObjectsError::BucketAlreadyOwnedByYou { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
