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
/// Whether a disk is up (1) or not (0), by `disk`.
pub const DISK_UP: &str = "cairn_disk_up";
/// Free bytes of a disk's file system, by `disk`.
pub const DISK_FREE_BYTES: &str = "cairn_disk_free_bytes";
/// Bytes of a disk's file system, by `disk`.
pub const DISK_TOTAL_BYTES: &str = "cairn_disk_total_bytes";
/// Shards that were rebuilt.
pub const REPAIRED_SHARDS: &str = "cairn_repaired_shards_total";
/// Shards that were verified by scrub.
pub const SCRUBBED_SHARDS: &str = "cairn_scrubbed_shards_total";
/// Shards that were found corrupt or missing, by `cause`.
pub const DAMAGED_SHARDS: &str = "cairn_damaged_shards_total";
/// Seconds by which a range's archive is behind the range, by `range`.
pub const ARCHIVE_LAG_SECONDS: &str = "cairn_archive_lag_seconds";
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
