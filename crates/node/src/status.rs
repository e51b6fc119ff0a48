//! What the node says of itself: status, readiness, metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use admin::{
    AddGateway, AdminError, AdminService, Change, ChangeOptions, ChangePlan, DiskStatus, IdentityWish, IndexStatus,
    KnownGateway, Listed, ListedIdentity, ListedOf, MadeIdentity, MovesStatus, NewGateway, NodeStatus, RangeStatus,
    RebalanceWish, RebuildOptions, RebuildReport, RebuildStatus, RestripeStatus, RestripeWish, ScrubStatus, SplitPoint,
    Status, UsageStatus, WantedProfile,
};
use archive::ArchiveStatus;
use async_trait::async_trait;
use consensus::ReplicatedIndex;
use gateway::{Readiness, TraceFeed, Traces};
use index::query::Totals;
use index::{IndexError, IndexService, Query, QueryAnswer};
use objects::data::{RepairQueue, TransferMemoryNeeds};
use parking_lot::Mutex;
use platform::{Clock, MemoryBudget};
use shards::{LocalShards, ShardService};
use telemetry::Metrics;
use tokio::sync::watch;
use types::{ClusterId, DiskId, DiskState, HomeKey, Layout, NodeId, Profile};
use upkeep::progress::{Progress, read};

use iam::Identities;

use crate::care::DiskCare;
use crate::changes::NodeChanges;
use crate::duties::DutySettings;
use crate::named_disks::named_disk;
use crate::overview::{Overview, proposed_profile};
use crate::protection::Protection;
use crate::ranges::{Ranges, SplitError};
use crate::report::NodeReporter;
use crate::watch::{Lookout, NodeReport, NodeState, Reporter};
use crate::{gateway_credentials, identities, shortfall};

/// The admin API's view of the node.
pub(crate) struct NodeAdmin {
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    pub(crate) endpoint: String,
    pub(crate) started: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: watch::Receiver<Readiness>,
    /// The S3 requests of this process, where it serves S3.
    pub(crate) traces: Option<Traces>,
    pub(crate) shards: Arc<LocalShards>,
    pub(crate) index: Arc<ReplicatedIndex>,
    /// All disks, wherever they are.
    pub(crate) all_shards: Arc<dyn ShardService>,
    /// All ranges, wherever they are led.
    pub(crate) ranges: Arc<dyn IndexService>,
    pub(crate) archive: ArchiveStatus,
    /// What this node says of itself.
    pub(crate) reporter: Arc<NodeReporter>,
    /// In a cluster, who knows of the other nodes.
    pub(crate) lookout: Option<Arc<Lookout>>,
    pub(crate) care: Arc<DiskCare>,
    pub(crate) changes: Arc<NodeChanges>,
    pub(crate) splits: Arc<Ranges>,
    pub(crate) budget: MemoryBudget,
    pub(crate) progress: Progress,
    pub(crate) repairs: RepairQueue,
    /// What came of the rebuild that made the index, where this process made it.
    pub(crate) rebuilt: Option<RebuildReport>,
    /// What the index counted last for the metrics page, and when.
    pub(crate) totals: tokio::sync::Mutex<Option<(Duration, u64, Totals)>>,
    /// How long what was freed, and a silent writer, is waited for.
    pub(crate) spans: DutySettings,
    /// When slots were first seen to move, and how many at most since.
    pub(crate) moves_seen: Mutex<Option<(Duration, u64)>>,
    /// Disks that the metrics page has shown.
    pub(crate) disks_shown: Mutex<BTreeSet<DiskId>>,
}

/// How long the map of ranges is waited for.
const MAP_PATIENCE: Duration = Duration::from_secs(2);

impl NodeAdmin {
    fn iam(&self) -> Identities {
        Identities::new(self.care.layout.index().clone(), self.care.entropy.clone())
    }
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

    fn trace(&self) -> Result<TraceFeed, AdminError> {
        let elsewhere = || AdminError::Refused("this node serves no S3: ask a gateway, with --admin-url".to_owned());
        Ok(self.traces.as_ref().ok_or_else(elsewhere)?.watch())
    }

    async fn status(&self) -> Result<Status, AdminError> {
        let not_ready = match self.readiness() {
            Readiness::Ready => None,
            Readiness::NotReady { reason } => Some(reason),
        };
        let (buckets, totals) = self.ask_totals().await.map_err(|error| AdminError::Failed(error.to_string()))?;
        let usage = totals.usage;
        let wanted = self.care.layout.wanted();
        let is_alone = self.lookout.is_none();
        let shown = |overview: &Overview<'_>, unknown: Option<String>| {
            let (nodes, ranges) = match is_alone {
                true => (Vec::new(), Vec::new()),
                false => (overview.nodes(), overview.ranges()),
            };
            (nodes, unknown, ranges, overview.disks(), overview.feature_level(self.care.layout.feature_level()))
        };
        let (nodes, nodes_unknown, ranges, disks, feature_level) = self.overview(shown).await;
        let unreadable = self.shortfall().await;
        let protection = Protection { is_short: unreadable.is_some(), ..self.care.protection(wanted) };
        let condition = match (&not_ready, &unreadable) {
            (Some(_), _) => "not ready",
            (None, Some(_)) => "unreadable",
            (None, None) if protection.is_degraded() => "degraded",
            (None, None) => "ready",
        };
        Ok(Status {
            condition: condition.to_owned(),
            unreadable,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cluster: self.cluster.to_string(),
            node: self.node.to_string(),
            endpoint: self.endpoint.clone(),
            profile: wanted.to_string(),
            proposed_profile: proposed_profile(&self.care.layout.current(), wanted).map(|profile| profile.to_string()),
            feature_level,
            protection: match all_full(&disks) {
                true => format!("{protection}; ALL DISKS ARE FULL: writes are refused"),
                false => protection.to_string(),
            },
            uptime_seconds: (self.clock.monotonic() - self.started).as_secs(),
            not_ready,
            nodes,
            nodes_unknown,
            ranges,
            disks,
            usage: UsageStatus {
                buckets,
                objects: usage.objects,
                versions: usage.versions,
                bytes: usage.bytes,
                uploads: usage.uploads,
                upload_bytes: usage.upload_bytes,
                deleted: self.deleted().await,
            },
            index: self.index_status(),
            repair: self.repair(totals.degraded_parts).await,
            restripe: self.restripe_status(),
            moves: self.moves_status().await,
            scrub: self.scrub(),
        })
    }

    async fn nodes(&self) -> Result<Vec<NodeStatus>, AdminError> {
        self.overview(|overview, unknown| match unknown {
            None => Ok(overview.nodes()),
            Some(reason) => Err(AdminError::Failed(reason)),
        })
        .await
    }

    async fn ranges(&self) -> Result<Vec<RangeStatus>, AdminError> {
        let ranges = self.overview(|overview, unknown| match unknown {
            None => Ok(overview.ranges()),
            Some(reason) => Err(AdminError::Failed(reason)),
        });
        let mut ranges = ranges.await?;
        let bytes = self.splits.bytes().await.unwrap_or_default();
        for range in &mut ranges {
            range.bytes = bytes.get(&types::RangeId(range.id)).copied();
        }
        // Who votes is told also while the index does not answer.
        let noted = tokio::time::timeout(MAP_PATIENCE, self.ranges.query(Query::Ranges)).await;
        let Ok(Ok(QueryAnswer::Ranges(noted))) = noted else { return Ok(ranges) };
        let shown = |place: &[u8]| {
            index::home_of(place).map_or_else(String::new, |home| {
                format!("{}/{}", home.bucket, String::from_utf8_lossy(home.key.as_bytes()))
            })
        };
        for range in &mut ranges {
            let Some(noted) = noted.iter().find(|noted| noted.id.0 == range.id) else { continue };
            range.start = shown(&noted.interval.start);
            range.end = noted.interval.end.as_deref().map(shown).unwrap_or_default();
        }
        Ok(ranges)
    }

    async fn split_range(&self, range: u64, at: Option<SplitPoint>) -> Result<(), AdminError> {
        let at = match at {
            Some(at) => Some(self.home_of(at).await?),
            None => None,
        };
        let split = self.splits.split(types::RangeId(range), at).await;
        split.map(drop).map_err(|error| match error {
            SplitError::Refused(reason) => AdminError::Refused(reason),
            SplitError::Index(error) => failed(error),
        })
    }

    async fn set_profile(&self, wanted: WantedProfile) -> Result<(), AdminError> {
        let profile = self.check_profile(wanted)?;
        tracing::info!(%profile, before = %self.care.layout.wanted(), "another profile is wanted");
        let set = self.care.layout.set_wanted(profile, false).await;
        set.map_err(|error| AdminError::Failed(telemetry::with_causes(&error)))
    }

    async fn shortfall(&self) -> Option<String> {
        shortfall::find(&self.care, &*self.all_shards).await
    }

    async fn start_scrub(&self) -> Result<(), AdminError> {
        self.progress.scrubbing.store(true, Ordering::Relaxed);
        self.care.scrub_wanted.send_modify(|count| *count += 1);
        Ok(())
    }

    async fn restripe(&self, wish: RestripeWish) -> Result<(), AdminError> {
        if wish == RestripeWish::Start {
            // Another node may have been told of another profile a moment ago.
            let seen = self.care.layout.refresh().await;
            seen.map_err(|error| AdminError::Failed(telemetry::with_causes(&error)))?;
            let wanted = self.care.layout.wanted();
            let live = placement::widest_live(&self.care.layout.current(), wanted, &[]);
            if live != Some(wanted) {
                let reason =
                    format!("the disks that are up do not hold {wanted} now: bring back what is missing first");
                return Err(AdminError::Refused(reason));
            }
        }
        self.care.restripe_wanted.send_replace(wish == RestripeWish::Start);
        Ok(())
    }

    #[cfg(feature = "next-level")]
    async fn probe(&self) -> Result<(), AdminError> {
        use index::{Answer, Command, CommandBody, Refusal};
        let command = Command { request: None, answered: types::RequestNumber(0), body: CommandBody::Probe };
        match self.care.layout.index().propose(command).await {
            Ok(Answer::Done) => Ok(()),
            Ok(Answer::Refused(Refusal::FeatureLevel { level })) => {
                let shown = self.overview(|overview, _| overview.feature_level(level)).await;
                let holds = match shown.held_back_by.len() {
                    0 => "it is about to rise".to_owned(),
                    _ => format!("nodes {} hold it back", shown.held_back_by.join(", ")),
                };
                Err(AdminError::Refused(format!("the cluster's feature level is {level}: {holds}")))
            }
            Ok(other) => Err(AdminError::Failed(format!("the index answered {other:?}"))),
            Err(error) => Err(AdminError::Failed(error.to_string())),
        }
    }

    async fn readmit_disk(&self, disk: &str) -> Result<(), AdminError> {
        let id = named_disk(&self.care.layout.current(), disk)?;
        self.care.readmit(id).await.map_err(AdminError::Refused)
    }

    async fn change_disk(&self, disk: &str, change: Change, options: ChangeOptions) -> Result<ChangePlan, AdminError> {
        self.change_one_disk(disk, change, options).await
    }

    async fn change_node(&self, node: &str, change: Change, options: ChangeOptions) -> Result<ChangePlan, AdminError> {
        self.change_whole_node(node, change, options).await
    }

    async fn rebalance(&self, wish: RebalanceWish, options: ChangeOptions) -> Result<ChangePlan, AdminError> {
        self.change_rebalancing(wish, options).await
    }

    async fn moves(&self) -> Result<MovesStatus, AdminError> {
        Ok(self.moves_status().await)
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

    async fn change_identities(&self, wish: IdentityWish) -> Result<MadeIdentity, AdminError> {
        identities::change(&self.iam(), wish).await
    }

    async fn identities(&self, what: Listed, of: ListedOf) -> Result<Vec<ListedIdentity>, AdminError> {
        identities::list(&self.iam(), what, of).await
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

fn failed(error: IndexError) -> AdminError {
    AdminError::Failed(error.to_string())
}

impl NodeAdmin {
    /// The key that an operator means.
    async fn home_of(&self, at: SplitPoint) -> Result<HomeKey, AdminError> {
        let no_bucket = || AdminError::NotFound(format!("there is no bucket {}", at.bucket));
        let name = types::BucketName::new(&at.bucket).map_err(|_| no_bucket())?;
        let query = Query::BucketByName { namespace: types::Namespace::default(), name };
        let QueryAnswer::BucketRecord(Some(record)) = self.ranges.query(query).await.map_err(failed)? else {
            return Err(no_bucket());
        };
        let key = types::ObjectKey::new(at.key.into_bytes());
        let key = key.map_err(|error| AdminError::Refused(format!("that is no key: {error}")))?;
        Ok(HomeKey { bucket: record.id, key })
    }

    /// All nodes by the word of whoever watches them; only this one, and why, where nobody says.
    pub(crate) async fn reports(&self) -> (BTreeMap<NodeId, NodeReport>, Option<String>) {
        let own = || async {
            let last = Some(Box::new(self.reporter.report().await));
            [(self.node, NodeReport { node: self.node, state: NodeState::Up, silent_ms: Some(0), last })].into()
        };
        let Some(lookout) = &self.lookout else { return (own().await, None) };
        match lookout.report().await {
            Ok(report) => (report.nodes.into_iter().map(|node| (node.node, node)).collect(), None),
            Err(reason) => (own().await, Some(reason)),
        }
    }

    /// The node and disks of whoever asks are as they are now, not as they were a second ago.
    pub(crate) async fn overview<T>(&self, read: impl FnOnce(&Overview<'_>, Option<String>) -> T) -> T {
        let (mut reports, unknown) = self.reports().await;
        if let Some(own) = reports.get_mut(&self.node) {
            own.last = Some(Box::new(self.reporter.report().await));
        }
        let layout = self.care.layout.current();
        read(&Overview { layout: &layout, reports }, unknown)
    }

    /// Refuses a profile that the cluster could not write.
    fn check_profile(&self, wanted: WantedProfile) -> Result<Profile, AdminError> {
        let standing = self.care.layout.wanted();
        let shard_bytes = u32::try_from(standing.shard_bytes()).expect("a shard has at most 4 MiB");
        let profile = Profile::new(wanted.k, wanted.m, shard_bytes, standing.integrity);
        let profile = profile.map_err(|error| AdminError::Refused(error.to_string()))?;
        // A node that is down for a moment is no reason against it.
        let mut layout = Layout::clone(&self.care.layout.current());
        layout.disks.retain(|disk| !disk.state.is_left());
        layout.disks.iter_mut().for_each(|disk| disk.state = DiskState::Up);
        if placement::widest_live(&layout, profile, &[]) != Some(profile) {
            let reason = format!("{profile} needs more nodes, or disks where there is one node, than there are");
            return Err(AdminError::Refused(reason));
        }
        let needs = TransferMemoryNeeds::of(profile);
        if needs.put_bytes + needs.get_bytes > self.budget.total_bytes() {
            let reason = format!("{profile} needs more memory for a transfer than this node has: set --memory higher");
            return Err(AdminError::Refused(reason));
        }
        Ok(profile)
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

    fn restripe_status(&self) -> RestripeStatus {
        let progress = &self.progress;
        RestripeStatus {
            running: *self.care.restripe_wanted.borrow(),
            versions: read(&progress.versions_to_restripe),
            versions_looked_at: read(&progress.versions_looked_at),
            parts_written_anew: read(&progress.parts_written_anew),
            parts_left: read(&progress.parts_left),
        }
    }

    fn index_status(&self) -> IndexStatus {
        crate::index::status_of(&self.index.status(), &self.archive)
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

/// Whether every disk that works is full.
fn all_full(disks: &[DiskStatus]) -> bool {
    let mut working = disks.iter().filter(|disk| matches!(&*disk.state, "up" | "full" | "draining")).peekable();
    working.peek().is_some() && working.all(|disk| disk.state == "full")
}
