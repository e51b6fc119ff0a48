//! What the duties have done so far, for status and metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counters of all duties since the start; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Counters>);

/// The counters themselves.
#[derive(Debug, Default)]
pub struct Counters {
    /// Shards rebuilt.
    pub repaired_shards: AtomicU64,
    /// Bytes rebuilt.
    pub repaired_bytes: AtomicU64,
    /// Shards brought to heirs of slots.
    pub moved_shards: AtomicU64,
    /// Their bytes.
    pub moved_bytes: AtomicU64,
    /// Shards that could not be rebuilt: too few others are whole.
    pub lost_shards: AtomicU64,
    /// Parts re-striped.
    pub restriped_parts: AtomicU64,
    /// Versions that the pass which writes what is stored anew has looked at.
    pub versions_looked_at: AtomicU64,
    /// Versions that there were when it began.
    pub versions_to_restripe: AtomicU64,
    /// Parts that it has written anew.
    pub parts_written_anew: AtomicU64,
    /// Parts that it had to leave as they were: disks were missing, or they could not be read.
    pub parts_left: AtomicU64,
    /// Objects that lifecycle rules have deleted.
    pub expired_objects: AtomicU64,
    /// Versions that were not the newest, which lifecycle rules have removed.
    pub expired_noncurrent: AtomicU64,
    /// Delete markers that lifecycle rules have removed.
    pub expired_markers: AtomicU64,
    /// Uploads that lifecycle rules have ended.
    pub aborted_uploads: AtomicU64,
    /// Versions that lifecycle rules have moved to another storage class.
    pub moved_versions: AtomicU64,
    /// Whether a scrub pass is under way.
    pub scrubbing: AtomicBool,
    /// Shards verified in this pass.
    pub scrubbed_shards: AtomicU64,
    /// Bytes verified in this pass.
    pub scrubbed_bytes: AtomicU64,
    /// Shards that this pass has to verify, as counted at its start.
    pub shards_to_scrub: AtomicU64,
    /// Shards found bad in this pass.
    pub damaged_shards: AtomicU64,
    /// Seconds since 1970 at which the last whole pass ended; 0: none did.
    pub last_pass_ended: AtomicU64,
}

impl std::ops::Deref for Progress {
    type Target = Counters;

    fn deref(&self) -> &Counters {
        &self.0
    }
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// Reads a counter.
pub fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
