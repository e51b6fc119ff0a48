//! What a rebuild tells.

use types::{BucketId, HomeKey, RangeId};

use crate::restore::RestoredRange;

/// Keys that a list names; more are counted alone.
const KEYS_MAX: usize = 1000;

/// What came of a rebuild.
#[derive(Debug, Clone, Default)]
pub struct RebuildReport {
    /// The ranges that were restored from the archive.
    pub restored: Vec<RestoredRange>,
    /// The ranges that have no archive, and why.
    pub without_archive: Vec<(RangeId, String)>,
    /// What the index holds now.
    pub totals: Totals,
    /// Versions and parts that were added from shard headers: written, but not known to have been committed.
    pub unproven: Keys,
    /// Bodies of which too little is there.
    pub incomplete: Keys,
    /// Bodies that are whole and were not added.
    pub left_out: Keys,
    /// Whatever else an operator should know.
    pub notes: Vec<String>,
}

/// What an index holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Buckets.
    pub buckets: u64,
    /// Current objects.
    pub objects: u64,
    /// Versions with bytes.
    pub versions: u64,
    /// Delete markers.
    pub markers: u64,
    /// Plain bytes of all versions.
    pub bytes: u64,
    /// Uploads under way.
    pub uploads: u64,
}

/// Keys, counted and, up to a bound, named.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// How many.
    pub count: u64,
    /// Their plain bytes, as far as known.
    pub bytes: u64,
    /// The first of them.
    pub named: Vec<NamedKey>,
}

/// A key in a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedKey {
    /// The bucket.
    pub bucket: BucketId,
    /// Its name, where it is known.
    pub bucket_name: Option<String>,
    /// The key, with what is not UTF-8 replaced.
    pub key: String,
    /// Its plain bytes, as far as known.
    pub bytes: Option<u64>,
    /// Why it stands here.
    pub reason: String,
}

impl Keys {
    pub(super) fn add(&mut self, home: &HomeKey, bytes: Option<u64>, reason: &str) {
        self.count += 1;
        self.bytes += bytes.unwrap_or(0);
        if self.named.len() < KEYS_MAX {
            self.named.push(NamedKey {
                bucket: home.bucket,
                bucket_name: None,
                key: String::from_utf8_lossy(home.key.as_bytes()).into_owned(),
                bytes,
                reason: reason.to_owned(),
            });
        }
    }

    pub(super) fn name_buckets(&mut self, name_of: impl Fn(BucketId) -> Option<String>) {
        for named in &mut self.named {
            named.bucket_name = name_of(named.bucket);
        }
    }
}
