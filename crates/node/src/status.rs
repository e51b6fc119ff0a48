//! What the node says of itself: status, readiness, metrics.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use admin::{
    AddGateway, AdminError, AdminService, DiskStatus, IndexStatus, KnownGateway, NewGateway, RebuildOptions,
    RebuildReport, RebuildStatus, RepairStatus, ScrubStatus, Status, UsageStatus,
};
use archive::ArchiveStatus;
use async_trait::async_trait;
use consensus::ReplicatedIndex;
use gateway::Readiness;
use index::query::Totals;
use index::{IndexError, IndexService, Query, QueryAnswer};
use objects::data::RepairQueue;
use parking_lot::Mutex;
use platform::{Clock, MemoryBudget};
use shards::{DiskHealth, LocalShards};
use telemetry::Metrics;
use tokio::sync::watch;
use types::{ClusterId, DiskId, DiskState, NodeId, Profile};
use upkeep::progress::{Progress, read};

use crate::care::DiskCare;
use crate::gateway_credentials;

/// How often readiness is looked at.
const READINESS_PERIOD: Duration = Duration::from_secs(2);
/// How long the index may take to answer before the node is not ready.
const READINESS_PATIENCE: Duration = Duration::from_secs(5);

/// The admin API's view of the node.
pub(crate) struct NodeAdmin {
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    pub(crate) endpoint: String,
    pub(crate) profile: Profile,
    pub(crate) started: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: watch::Receiver<Readiness>,
    pub(crate) shards: Arc<LocalShards>,
    pub(crate) index: Arc<ReplicatedIndex>,
    /// All ranges, wherever they are led.
    pub(crate) ranges: Arc<dyn IndexService>,
    pub(crate) archive: ArchiveStatus,
    pub(crate) care: Arc<DiskCare>,
    pub(crate) budget: MemoryBudget,
    pub(crate) progress: Progress,
    pub(crate) repairs: RepairQueue,
    /// What came of the rebuild that made the index, where this process made it.
    pub(crate) rebuilt: Option<RebuildReport>,
    /// What the index counted last for the metrics page, and when.
    pub(crate) totals: tokio::sync::Mutex<Option<(Duration, u64, Totals)>>,
    /// Disks that the metrics page has shown.
    pub(crate) disks_shown: Mutex<BTreeSet<DiskId>>,
}

#[async_trait]
impl AdminService for NodeAdmin {
    fn readiness(&self) -> Readiness {
        self.readiness.borrow().clone()
    }

    async fn metrics_page(&self) -> String {
        self.refresh_metrics().await;
        self.metrics.fold();
        self.metrics.render()
    }

    async fn status(&self) -> Result<Status, AdminError> {
        let not_ready = match self.readiness() {
            Readiness::Ready => None,
            Readiness::NotReady { reason } => Some(reason),
        };
        let (buckets, totals) = self.ask_totals().await.map_err(|error| AdminError::Failed(error.to_string()))?;
        let usage = totals.usage;
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cluster: self.cluster.to_string(),
            node: self.node.to_string(),
            endpoint: self.endpoint.clone(),
            profile: self.profile.to_string(),
            protection: self.care.protection(self.profile).to_string(),
            uptime_seconds: (self.clock.monotonic() - self.started).as_secs(),
            not_ready,
            disks: self.disks().await,
            usage: UsageStatus {
                buckets,
                objects: usage.objects,
                versions: usage.versions,
                bytes: usage.bytes,
                uploads: usage.uploads,
                upload_bytes: usage.upload_bytes,
            },
            index: self.index_status(),
            repair: self.repair(totals.degraded_parts).await,
            scrub: self.scrub(),
        })
    }

    async fn start_scrub(&self) -> Result<(), AdminError> {
        self.progress.scrubbing.store(true, Ordering::Relaxed);
        self.care.scrub_wanted.send_modify(|count| *count += 1);
        Ok(())
    }

    async fn readmit_disk(&self, disk: &str) -> Result<(), AdminError> {
        let id = disk.parse().map_err(|_| AdminError::NotFound(format!("{disk} is no disk's id")))?;
        self.care.readmit(id).await.map_err(AdminError::Refused)
    }

    async fn add_gateway(&self, gateway: AddGateway) -> Result<NewGateway, AdminError> {
        gateway_credentials::add(&**self.care.layout.index(), &*self.care.entropy, gateway).await
    }

    async fn gateways(&self) -> Result<Vec<KnownGateway>, AdminError> {
        gateway_credentials::list(&**self.care.layout.index()).await
    }

    async fn remove_gateway(&self, id: &str) -> Result<(), AdminError> {
        gateway_credentials::remove(&**self.care.layout.index(), id).await
    }

    async fn rebuild_index(&self, _options: RebuildOptions) -> Result<(), AdminError> {
        let reason = "the index stands: there is nothing to rebuild, and a rebuild would lose what it has";
        Err(AdminError::Refused(reason.to_owned()))
    }

    fn index_rebuild(&self) -> RebuildStatus {
        let state = if self.rebuilt.is_some() { "done" } else { "none" };
        RebuildStatus { state: state.to_owned(), report: self.rebuilt.clone(), ..RebuildStatus::default() }
    }
}

impl NodeAdmin {
    async fn disks(&self) -> Vec<DiskStatus> {
        let layout = self.care.layout.current();
        let states = self.shards.disk_states();
        let roles = self.index.status();
        let mut disks = Vec::new();
        for row in &layout.disks {
            let health = states.get(&row.id);
            let (state, reason) = match (row.state, health) {
                (DiskState::Out, _) => ("out", None),
                (_, None) => ("down", Some("the directory is missing or no disk".to_owned())),
                (_, Some(DiskHealth::Down { reason })) => ("down", Some(reason.to_string())),
                (DiskState::Down, _) => ("down", Some("it failed before; readmit or replace it".to_owned())),
                (_, Some(DiskHealth::Full)) => ("full", None),
                (_, Some(DiskHealth::Up)) => ("up", None),
            };
            let usage = self.care.usage(row.id).await.unwrap_or_default();
            disks.push(DiskStatus {
                id: row.id.to_string(),
                path: row.path.clone(),
                state: state.to_owned(),
                reason,
                total_bytes: usage.total_bytes,
                free_bytes: usage.free_bytes,
                shard_bytes: usage.live_bytes,
                shards: usage.shards,
                read_errors: usage.bad_reads,
                index_roles: crate::index::roles_of(&roles, &self.archive, row.id),
            });
        }
        disks
    }

    /// What the index counts: some counter rows, no walk over what is stored.
    pub(crate) async fn ask_totals(&self) -> Result<(u64, Totals), IndexError> {
        let misanswered = || IndexError::Damaged { reason: "a question for sums was misunderstood".to_owned() };
        let QueryAnswer::BucketCount(buckets) = self.ranges.query(Query::BucketCount).await? else {
            return Err(misanswered());
        };
        let QueryAnswer::Totals(totals) = self.ranges.query(Query::Totals).await? else { return Err(misanswered()) };
        Ok((buckets, totals))
    }

    fn index_status(&self) -> IndexStatus {
        crate::index::status_of(&self.index.status(), &self.archive)
    }

    async fn repair(&self, degraded_parts: u64) -> RepairStatus {
        let progress = &self.progress;
        RepairStatus {
            waiting_shards: self.repairs.waiting(),
            repaired_shards: read(&progress.repaired_shards),
            repaired_bytes: read(&progress.repaired_bytes),
            lost_shards: read(&progress.lost_shards),
            degraded_parts,
            missing_shards: self.care.missing_shards().await,
            restriped_parts: read(&progress.restriped_parts),
            rebuilding: self.rebuilding(),
        }
    }

    /// The disks that are not whole yet, by their superblocks, and how far the pass over the others is.
    pub(crate) fn rebuilding(&self) -> Vec<(String, f64)> {
        let shares = self.progress.rebuilding.lock().clone();
        let share_of = |disk| shares.iter().find(|(of, _)| *of == disk).map_or(0.0, |(_, share)| *share);
        let states = self.shards.disk_states();
        states
            .keys()
            .filter(|disk| self.care.is_unfinished(**disk))
            .map(|disk| (disk.to_string(), share_of(*disk)))
            .collect()
    }

    fn scrub(&self) -> ScrubStatus {
        let progress = &self.progress;
        let (done, all) = (read(&progress.scrubbed_shards), read(&progress.shards_to_scrub));
        ScrubStatus {
            running: progress.scrubbing.load(Ordering::Relaxed),
            progress: if all == 0 { 0.0 } else { (done as f64 / all as f64).min(1.0) },
            verified_shards: done,
            verified_bytes: read(&progress.scrubbed_bytes),
            damaged_shards: read(&progress.damaged_shards),
            last_pass_ended: Some(read(&progress.last_pass_ended)).filter(|ended| *ended > 0),
        }
    }
}

/// Keeps readiness true to the index: a node that cannot ask it can neither read nor write.
pub(crate) async fn watch_readiness(
    index: Arc<dyn IndexService>,
    readiness: watch::Sender<Readiness>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut ticks = tokio::time::interval(READINESS_PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.changed() => return,
        }
        let asked = tokio::time::timeout(READINESS_PATIENCE, index.query(Query::Cluster)).await;
        let now = match asked {
            Ok(Ok(_)) => Readiness::Ready,
            Ok(Err(error)) => Readiness::NotReady { reason: error.to_string() },
            Err(_) => Readiness::NotReady { reason: "the index does not answer".to_owned() },
        };
        readiness.send_if_modified(|before| {
            let changed = *before != now;
            if changed {
                *before = now;
            }
            changed
        });
    }
}
