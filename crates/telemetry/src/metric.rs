//! The names of metrics, and the page that shows them.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Requests by `operation` and `status`.
pub const REQUESTS: &str = "cairn_requests_total";
/// Seconds a request took, by `operation`.
pub const REQUEST_SECONDS: &str = "cairn_request_duration_seconds";
/// Bytes of request bodies, by `operation`.
pub const RECEIVED_BYTES: &str = "cairn_received_bytes_total";
/// Bytes of response bodies, by `operation`.
pub const SENT_BYTES: &str = "cairn_sent_bytes_total";
/// Requests under way.
pub const REQUESTS_UNDER_WAY: &str = "cairn_requests_under_way";
/// Buckets.
pub const BUCKETS: &str = "cairn_buckets";
/// Current objects.
pub const OBJECTS: &str = "cairn_objects";
/// Versions with bytes, current ones included.
pub const OBJECT_VERSIONS: &str = "cairn_object_versions";
/// Plain bytes of all versions.
pub const OBJECT_BYTES: &str = "cairn_object_bytes";
/// Uploads under way.
pub const UPLOADS_UNDER_WAY: &str = "cairn_uploads_under_way";
/// Plain bytes of the parts of uploads under way.
pub const UPLOAD_BYTES: &str = "cairn_upload_bytes";
/// How many more disks may be lost with nothing lost.
pub const LOSSES_BORNE: &str = "cairn_losses_borne";
/// Parts that are stored narrower than their profile and wait for re-striping; counted up to 100,000.
pub const DEGRADED_PARTS: &str = "cairn_degraded_parts";
/// Parts that were re-striped.
pub const RESTRIPED_PARTS: &str = "cairn_restriped_parts_total";
/// Objects that lifecycle rules have deleted.
pub const LIFECYCLE_EXPIRED_OBJECTS: &str = "cairn_lifecycle_expired_objects_total";
/// Versions that were not the newest, which lifecycle rules have removed.
pub const LIFECYCLE_EXPIRED_NONCURRENT: &str = "cairn_lifecycle_expired_noncurrent_versions_total";
/// Delete markers that lifecycle rules have removed.
pub const LIFECYCLE_EXPIRED_MARKERS: &str = "cairn_lifecycle_expired_markers_total";
/// Uploads that lifecycle rules have ended.
pub const LIFECYCLE_ABORTED_UPLOADS: &str = "cairn_lifecycle_aborted_uploads_total";
/// Versions that lifecycle rules have moved to another storage class.
pub const LIFECYCLE_MOVED_VERSIONS: &str = "cairn_lifecycle_moved_versions_total";
/// Shards that are missing because their disk is down or not rebuilt yet; NaN while that is not known.
pub const MISSING_SHARDS: &str = "cairn_missing_shards";
/// Bad shards that wait for repair.
pub const REPAIR_WAITING_SHARDS: &str = "cairn_repair_waiting_shards";
/// Whether a disk is up (1) or not (0), by `disk`.
pub const DISK_UP: &str = "cairn_disk_up";
/// Free bytes of a disk's file system, by `disk`.
pub const DISK_FREE_BYTES: &str = "cairn_disk_free_bytes";
/// Bytes of a disk's file system, by `disk`.
pub const DISK_TOTAL_BYTES: &str = "cairn_disk_total_bytes";
/// Live shards of a disk, by `disk`.
pub const DISK_SHARDS: &str = "cairn_disk_shards";
/// Bytes of a disk's live shards, by `disk`.
pub const DISK_SHARD_BYTES: &str = "cairn_disk_shard_bytes";
/// How much of a disk is rebuilt, from 0 to 1; 1 for one that is whole, by `disk`.
pub const DISK_REBUILT_RATIO: &str = "cairn_disk_rebuilt_ratio";
/// Shards that were rebuilt.
pub const REPAIRED_SHARDS: &str = "cairn_repaired_shards_total";
/// Bytes of shards that were rebuilt.
pub const REPAIRED_BYTES: &str = "cairn_repaired_bytes_total";
/// Shards that were brought to heirs of slots.
pub const MOVED_SHARDS: &str = "cairn_moved_shards_total";
/// Bytes of shards that were brought to heirs of slots.
pub const MOVED_BYTES: &str = "cairn_moved_bytes_total";
/// Shards that could not be rebuilt: too few others are whole.
pub const LOST_SHARDS: &str = "cairn_lost_shards_total";
/// Shards that were verified by scrub.
pub const SCRUBBED_SHARDS: &str = "cairn_scrubbed_shards_total";
/// Bytes of shards that were verified by scrub.
pub const SCRUBBED_BYTES: &str = "cairn_scrubbed_bytes_total";
/// How far scrub's pass is, from 0 to 1; 0 between passes.
pub const SCRUB_RATIO: &str = "cairn_scrub_ratio";
/// Seconds since 1970 at which scrub's last whole pass ended; absent before the first one.
pub const SCRUB_ENDED_SECONDS: &str = "cairn_scrub_last_end_timestamp_seconds";
/// Shards that were found corrupt or missing, by `cause`.
pub const DAMAGED_SHARDS: &str = "cairn_damaged_shards_total";
/// Seconds by which a range's archive is behind the range, by `range`.
pub const ARCHIVE_LAG_SECONDS: &str = "cairn_archive_lag_seconds";
/// Seconds that a commit took on the node that leads its range, by `range`.
pub const COMMIT_SECONDS: &str = "cairn_commit_duration_seconds";
/// Whether this node leads a range (1) or not (0), by `range`.
pub const RANGE_LEADS: &str = "cairn_range_leads";
/// Whether a range has a leader (1) by this node's word, or not (0), by `range`.
pub const RANGE_HAS_LEADER: &str = "cairn_range_has_leader";
/// The term of a range's last vote, by `range`.
pub const RANGE_TERM: &str = "cairn_range_term";
/// The voters of a range, by `range`.
pub const RANGE_VOTERS: &str = "cairn_range_voters";
/// Committed entries that readers here don't see yet, by `range`.
pub const RANGE_LAG_ENTRIES: &str = "cairn_range_lag_entries";
/// Committed entries that the voter that is furthest behind lacks, by `range`; 0 where this node does not lead.
pub const RANGE_VOTER_LAG_ENTRIES: &str = "cairn_range_voter_lag_entries";
/// About how many bytes of rows a data range has on this node, by `range`.
pub const RANGE_BYTES: &str = "cairn_range_bytes";
/// Nodes, by `state`.
pub const NODES: &str = "cairn_nodes";
/// Calls to other nodes, by `service` and `outcome`.
pub const RPC_CALLS: &str = "cairn_rpc_calls_total";
/// Microseconds that calls to other nodes were waited for, by `service`.
pub const RPC_WAIT_MICROS: &str = "cairn_rpc_wait_microseconds_total";
/// Bytes reserved of the memory budget.
pub const MEMORY_RESERVED_BYTES: &str = "cairn_memory_reserved_bytes";

/// Bounds of [`REQUEST_SECONDS`]'s buckets, in seconds.
const REQUEST_SECONDS_BOUNDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Why metrics are not collected.
#[derive(Debug, thiserror::Error)]
#[error("metrics cannot be collected")]
pub struct MetricsError(#[from] metrics_exporter_prometheus::BuildError);

/// What has been counted in this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Collects from here on; once a process.
    ///
    /// # Errors
    /// [`MetricsError`] when metrics are collected already.
    pub fn install() -> Result<Self, MetricsError> {
        let builder = PrometheusBuilder::new().set_buckets(&REQUEST_SECONDS_BOUNDS)?;
        Ok(Self(builder.install_recorder()?))
    }

    /// The page of `/metrics`, in Prometheus's text format.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Folds what histograms have gathered; to be called every few seconds, else they grow.
    pub fn fold(&self) {
        self.0.run_upkeep();
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}
