//! What `cairn admin index rebuild` asks for and shows: the bodies of `/v1/index/rebuild`.

use serde::{Deserialize, Serialize};

/// How a rebuild is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RebuildOptions {
    /// Find out what it would do, and change nothing.
    pub dry_run: bool,
    /// Go on although disks are missing: what only they have is lost.
    pub accept_loss: bool,
}

/// How far a rebuild is, and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RebuildStatus {
    /// `none`, `running`, `failed` or `done`; done means that the server serves, unless it was a dry run.
    pub state: String,
    /// What it does now.
    pub phase: String,
    /// Records, shards or bodies that are done in this phase.
    pub done: u64,
    /// All of them, 0 where that is not known.
    pub all: u64,
    /// Bytes of bodies that were read and verified.
    pub read_bytes: u64,
    /// Why it failed.
    pub failure: Option<String>,
    /// What came of it.
    pub report: Option<RebuildReport>,
}

/// What came of a rebuild.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RebuildReport {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// The parts of the index that the archive had.
    pub archive: Vec<ArchivedRange>,
    /// The parts that it had not, and why.
    pub without_archive: Vec<String>,
    /// Buckets that there are now.
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
    /// Added from shard headers: written, not known to have been committed.
    pub unproven: ReportedKeys,
    /// Not all there.
    pub incomplete: ReportedKeys,
    /// All there, and not added.
    pub left_out: ReportedKeys,
    /// What else there is to know.
    pub notes: Vec<String>,
}

/// One range of the index as the archive had it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ArchivedRange {
    /// The range: 0 has buckets' names and the layout, others have objects.
    pub range: u64,
    /// Everything that was answered before is in it: a date.
    pub complete_to: String,
    /// The same in seconds since 1970.
    pub complete_to_unix_seconds: u64,
    /// Commands' entries that were applied on top of the archived state.
    pub entries: u64,
}

/// Keys, counted and, up to a bound, named.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReportedKeys {
    /// How many.
    pub count: u64,
    /// Their plain bytes, as far as known.
    pub bytes: u64,
    /// The first thousand.
    pub keys: Vec<ReportedKey>,
}

/// One key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReportedKey {
    /// The bucket's name, or its number.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// Plain bytes, where known.
    pub bytes: Option<u64>,
    /// Why it is listed.
    pub reason: String,
}
