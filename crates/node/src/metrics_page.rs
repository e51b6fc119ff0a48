//! What the metrics page shows beside what is counted where it happens: how things stand when the page is asked for.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use index::query::Totals;
use metrics::{counter, gauge};
use rpc::client::ServiceCalls;
use shards::DiskHealth;
use telemetry::metric;
use types::{Disk, DiskId};
use upkeep::progress::read;

use crate::status::NodeAdmin;
use crate::watch::NodeState;

/// How old the index's sums may be: scrapers may be many, and each sum reads a row a bucket.
const TOTALS_AGE: Duration = Duration::from_secs(5);
/// How long the index may take for its sums before the page is shown with the last ones.
const TOTALS_PATIENCE: Duration = Duration::from_secs(2);

impl NodeAdmin {
    /// Sets all gauges to what is now.
    pub(crate) async fn refresh_metrics(&self) {
        gauge!(metric::MEMORY_RESERVED_BYTES).set(self.budget.reserved_bytes() as f64);
        for (range, lag) in self.archive.lags() {
            // While a range has no archive, all that there is of it is behind: since the start.
            let lag = lag.unwrap_or_else(|| self.clock.monotonic() - self.started);
            gauge!(metric::ARCHIVE_LAG_SECONDS, "range" => range.to_string()).set(lag.as_secs_f64());
        }
        self.refresh_ranges().await;
        self.refresh_nodes();
        let calls = self.lookout.as_ref().map_or_else(ServiceCalls::none, |lookout| lookout.calls());
        show_calls(&calls);
        self.refresh_disks().await;
        self.refresh_duties().await;
        if let Some((buckets, totals)) = self.recent_totals().await {
            let usage = totals.usage;
            for (name, value) in [
                (metric::BUCKETS, buckets),
                (metric::OBJECTS, usage.objects),
                (metric::OBJECT_VERSIONS, usage.versions),
                (metric::OBJECT_BYTES, usage.bytes),
                (metric::UPLOADS_UNDER_WAY, usage.uploads),
                (metric::UPLOAD_BYTES, usage.upload_bytes),
                (metric::DEGRADED_PARTS, totals.degraded_parts),
            ] {
                gauge!(name).set(value as f64);
            }
        }
    }

    async fn refresh_ranges(&self) {
        let bytes = tokio::time::timeout(TOTALS_PATIENCE, self.splits.bytes()).await;
        for (range, bytes) in bytes.ok().and_then(Result::ok).unwrap_or_default() {
            gauge!(metric::RANGE_BYTES, "range" => range.to_string()).set(bytes as f64);
        }
        for (range, status) in self.index.status().ranges {
            let show = |name: &'static str, value: f64| gauge!(name, "range" => range.to_string()).set(value);
            let whether = |is_so: bool| f64::from(u8::from(is_so));
            show(metric::RANGE_LEADS, whether(status.leads));
            show(metric::RANGE_HAS_LEADER, whether(status.leader.is_some()));
            show(metric::RANGE_TERM, status.term as f64);
            show(metric::RANGE_VOTERS, status.voters.len() as f64);
            show(metric::RANGE_LAG_ENTRIES, status.committed.saturating_sub(status.applied) as f64);
            let behind = status.matched.iter().filter(|(voter, _)| status.voters.contains_key(voter));
            let behind = behind.map(|(_, has)| status.committed.saturating_sub(*has)).max();
            show(metric::RANGE_VOTER_LAG_ENTRIES, behind.unwrap_or_default() as f64);
        }
    }

    fn refresh_nodes(&self) {
        let glance = self.lookout.as_ref().map(|lookout| lookout.glance());
        for state in [NodeState::Up, NodeState::Suspect, NodeState::Down, NodeState::Out] {
            let count = match &glance {
                // Alone, this node is up: it answers.
                None => f64::from(u8::from(state == NodeState::Up)),
                Some(None) => f64::NAN,
                Some(Some(glance)) => glance.nodes.iter().filter(|node| node.state == state).count() as f64,
            };
            gauge!(metric::NODES, "state" => state.to_string()).set(count);
        }
    }

    async fn recent_totals(&self) -> Option<(u64, Totals)> {
        let mut kept = self.totals.lock().await;
        let now = self.clock.monotonic();
        match *kept {
            Some((asked, buckets, totals)) if now - asked < TOTALS_AGE => Some((buckets, totals)),
            _ => {
                let (buckets, totals) = tokio::time::timeout(TOTALS_PATIENCE, self.ask_totals()).await.ok()?.ok()?;
                *kept = Some((now, buckets, totals));
                Some((buckets, totals))
            }
        }
    }

    async fn refresh_disks(&self) {
        let layout = self.care.layout.current();
        let present: BTreeSet<DiskId> = layout.disks.iter().map(|row| row.id).collect();
        for row in &layout.disks {
            self.refresh_disk(row).await;
        }
        let mut shown = self.disks_shown.lock();
        for gone in shown.difference(&present) {
            // A gauge cannot be taken back; one that is no number raises no alarm for a disk that was replaced.
            for name in DISK_GAUGES {
                gauge!(name, "disk" => gone.to_string()).set(f64::NAN);
            }
        }
        *shown = present;
    }

    async fn refresh_disk(&self, row: &Disk) {
        let health = self.shards.disk_states().get(&row.id).cloned();
        let up = row.state.is_read() && health.is_some_and(|health: DiskHealth| !health.is_down());
        let show = |name: &'static str, value: f64| gauge!(name, "disk" => row.id.to_string()).set(value);
        show(metric::DISK_UP, f64::from(u8::from(up)));
        let rebuilt = self.rebuilding().await.into_iter().find(|(disk, _)| *disk == row.id.to_string());
        show(metric::DISK_REBUILT_RATIO, rebuilt.map_or(1.0, |(_, share)| share));
        // Of a disk that does not answer, what it said last stays.
        if let Ok(usage) = self.care.usage(row.id).await {
            show(metric::DISK_TOTAL_BYTES, usage.total_bytes as f64);
            show(metric::DISK_FREE_BYTES, usage.free_bytes as f64);
            show(metric::DISK_SHARDS, usage.shards as f64);
            show(metric::DISK_SHARD_BYTES, usage.live_bytes as f64);
        }
    }

    async fn refresh_duties(&self) {
        // Counters are there from the start, so that the first of something can be seen as a change.
        for name in COUNTERS {
            counter!(name).increment(0);
        }
        counter!(metric::DAMAGED_SHARDS, "cause" => "scrub").increment(0);
        gauge!(metric::LOSSES_BORNE).set(self.care.protection(self.care.layout.wanted()).losses_borne() as f64);
        gauge!(metric::REPAIR_WAITING_SHARDS).set(self.repairs.waiting() as f64);
        match self.care.missing_shards().await {
            Some(missing) => gauge!(metric::MISSING_SHARDS).set(missing as f64),
            None => gauge!(metric::MISSING_SHARDS).set(f64::NAN),
        }
        let progress = &self.progress;
        let all = read(&progress.shards_to_scrub);
        let running = progress.scrubbing.load(Ordering::Relaxed) && all > 0;
        let ratio = if running { (read(&progress.scrubbed_shards) as f64 / all as f64).min(1.0) } else { 0.0 };
        gauge!(metric::SCRUB_RATIO).set(ratio);
        let ended = read(&progress.last_pass_ended);
        if ended > 0 {
            gauge!(metric::SCRUB_ENDED_SECONDS).set(ended as f64);
        }
    }
}

/// Shows what became of calls to other nodes.
pub(crate) fn show_calls(calls: &[ServiceCalls]) {
    for of_service in calls {
        for (outcome, count) in of_service.outcomes {
            counter!(metric::RPC_CALLS, "service" => of_service.service, "outcome" => outcome).absolute(count);
        }
        let waited = u64::try_from(of_service.waited.as_micros()).unwrap_or(u64::MAX);
        counter!(metric::RPC_WAIT_MICROS, "service" => of_service.service).absolute(waited);
    }
}

/// Gauges that each disk has.
const DISK_GAUGES: [&str; 6] = [
    metric::DISK_UP,
    metric::DISK_REBUILT_RATIO,
    metric::DISK_TOTAL_BYTES,
    metric::DISK_FREE_BYTES,
    metric::DISK_SHARDS,
    metric::DISK_SHARD_BYTES,
];

/// Counters of what duties do.
const COUNTERS: [&str; 13] = [
    metric::REPAIRED_SHARDS,
    metric::REPAIRED_BYTES,
    metric::MOVED_SHARDS,
    metric::MOVED_BYTES,
    metric::LOST_SHARDS,
    metric::RESTRIPED_PARTS,
    metric::LIFECYCLE_EXPIRED_OBJECTS,
    metric::LIFECYCLE_EXPIRED_NONCURRENT,
    metric::LIFECYCLE_EXPIRED_MARKERS,
    metric::LIFECYCLE_ABORTED_UPLOADS,
    metric::LIFECYCLE_MOVED_VERSIONS,
    metric::SCRUBBED_SHARDS,
    metric::SCRUBBED_BYTES,
];
