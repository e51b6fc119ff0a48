//! What `cairn admin status` shows: the body of `GET /v1/status`.

use serde::{Deserialize, Serialize};

use crate::changes::MovesStatus;
use crate::nodes::{NodeStatus, RangeStatus};

/// A cluster at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Cairn's version.
    pub version: String,
    /// The cluster's id.
    pub cluster: String,
    /// The answering node's id.
    pub node: String,
    /// Where S3 is served; empty for a node that does not.
    pub endpoint: String,
    /// The profile that new objects get when they name no storage class, K+M.
    pub profile: String,
    /// What its nodes agree to read and write.
    #[serde(default)]
    pub feature_level: FeatureLevelStatus,
    /// How objects are stored with the disks at hand, and how many of them may be lost, in words.
    pub protection: String,
    /// Seconds since the node started.
    pub uptime_seconds: u64,
    /// `None` when requests should come to the answering node, else why not.
    pub not_ready: Option<String>,
    /// `ready`; `degraded` while disks are missing or not whole; `unreadable` while more are missing than what is stored may
    /// lose; `not ready`.
    #[serde(default)]
    pub condition: String,
    /// What cannot be read now, and which disks to bring back, in words.
    #[serde(default)]
    pub unreadable: Option<String>,
    /// The profile that the cluster's nodes, or this node's disks, could hold by now, where it is wider than `profile`.
    #[serde(default)]
    pub proposed_profile: Option<String>,
    /// Its nodes; none where one is the whole cluster, and always will be.
    #[serde(default)]
    pub nodes: Vec<NodeStatus>,
    /// Why it is not known how other nodes are, where it is not.
    #[serde(default)]
    pub nodes_unknown: Option<String>,
    /// The ranges of its index; none where it has one node.
    #[serde(default)]
    pub ranges: Vec<RangeStatus>,
    /// Its disks.
    pub disks: Vec<DiskStatus>,
    /// What is stored.
    pub usage: UsageStatus,
    /// The index.
    pub index: IndexStatus,
    /// Repair, re-striping and the rebuilding of disks.
    pub repair: RepairStatus,
    /// The pass of the asked node that writes what is stored anew in its wanted profile.
    #[serde(default)]
    pub restripe: RestripeStatus,
    /// Slots that move from disk to disk.
    #[serde(default)]
    pub moves: MovesStatus,
    /// Scrub.
    pub scrub: ScrubStatus,
}

/// The cluster's feature level: formats and commands above it are neither written nor proposed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FeatureLevelStatus {
    /// The cluster's.
    pub level: u32,
    /// The highest that a node's release knows, as far as nodes were heard.
    pub known: u32,
    /// While some node knows more than `level`: the ids of those that keep it from rising, for their release is older, or
    /// because they were not heard a moment ago.
    pub held_back_by: Vec<String>,
}

/// One disk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DiskStatus {
    /// Its id.
    pub id: String,
    /// Its node's id.
    #[serde(default)]
    pub node: String,
    /// Where the node has it.
    pub path: String,
    /// `up`, `full`, `draining`, `down` or `out`.
    pub state: String,
    /// Why it isn't up.
    pub reason: Option<String>,
    /// Bytes of its file system.
    pub total_bytes: u64,
    /// Free bytes of its file system.
    pub free_bytes: u64,
    /// Bytes of live shards.
    pub shard_bytes: u64,
    /// Live shards.
    pub shards: u64,
    /// Shards that were found corrupt or unreadable since the start.
    pub read_errors: u64,
    /// What it holds of the index: `log`, `database`, `copy`.
    pub index_roles: Vec<String>,
}

/// What is stored, from counters that transactions keep.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageStatus {
    /// Buckets.
    pub buckets: u64,
    /// Current objects.
    pub objects: u64,
    /// All versions with bytes.
    pub versions: u64,
    /// Plain bytes of all versions.
    pub bytes: u64,
    /// Uploads under way.
    pub uploads: u64,
    /// Plain bytes of their parts.
    pub upload_bytes: u64,
    /// What was deleted or replaced and is still on the disks.
    #[serde(default)]
    pub deleted: DeletedStatus,
}

/// What was deleted or replaced, and is freed once its grace time is over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DeletedStatus {
    /// Bytes on all disks, parity included.
    pub bytes: u64,
    /// Whether there is more, which was not counted.
    pub is_more: bool,
    /// How long it stays at most while no disk is full or down.
    pub grace_seconds: u64,
}

/// The index on this node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IndexStatus {
    /// Whether this node leads its ranges.
    pub leader: bool,
    /// Log entries that are applied, all ranges together.
    pub applied: u64,
    /// Bytes of log that a start would replay at most.
    pub log_bytes: u64,
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Seconds by which the archive is behind; `None` when there is none yet.
    pub archive_lag_seconds: Option<f64>,
}

/// Repair since the start of the node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RepairStatus {
    /// Shards that reads or scrub found missing or corrupt and that wait.
    pub waiting_shards: u64,
    /// Shards rebuilt.
    pub repaired_shards: u64,
    /// Bytes rebuilt.
    pub repaired_bytes: u64,
    /// Shards that could not be rebuilt: too few others are whole.
    pub lost_shards: u64,
    /// Parts in narrower runs than wanted that wait for re-striping; counted up to 100,000.
    pub degraded_parts: u64,
    /// Shards that are missing because their disk is down or not rebuilt yet; `None` where this process has not seen
    /// how many such a disk had.
    pub missing_shards: Option<u64>,
    /// Parts re-striped.
    pub restriped_parts: u64,
    /// What lifecycle rules have done.
    #[serde(default)]
    pub lifecycle: LifecycleStatus,
    /// A disk that is being rebuilt, and what share of its shards it has, from 0 to 1.
    pub rebuilding: Vec<(String, f64)>,
    /// Disks that are rebuilt, and are looked over once more when the writers of before are done: until then a shard of
    /// theirs may be lacking still.
    #[serde(default)]
    pub settling: Vec<String>,
    /// While disks settle: in how many seconds the writers of before are over at the latest that have died; those that live end
    /// with their uploads.
    #[serde(default)]
    pub settling_seconds_max: Option<u64>,
}

/// What lifecycle rules have done since the asked process started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleStatus {
    /// Objects deleted.
    pub expired_objects: u64,
    /// Versions removed that were not the newest.
    pub expired_noncurrent: u64,
    /// Delete markers removed.
    pub expired_markers: u64,
    /// Uploads ended.
    pub aborted_uploads: u64,
    /// Versions moved to another storage class.
    pub moved_versions: u64,
}

/// A pass that writes what is stored anew where it has another profile than its storage class; zeros before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestripeStatus {
    /// Whether a pass is under way.
    pub running: bool,
    /// Versions that there were when it began.
    pub versions: u64,
    /// Versions that it has looked at.
    pub versions_looked_at: u64,
    /// Parts that it has written anew.
    pub parts_written_anew: u64,
    /// Parts that it had to leave as they were: disks were missing, or they could not be read.
    pub parts_left: u64,
}

impl RestripeStatus {
    /// How far the pass is, from 0 to 1.
    pub fn share(&self) -> f64 {
        if self.versions == 0 { 1.0 } else { (self.versions_looked_at as f64 / self.versions as f64).min(1.0) }
    }

    /// In words.
    pub(crate) fn line(&self) -> String {
        let state = if self.running { format!("{:.1} %", self.share() * 100.0) } else { "ended".to_owned() };
        let Self { versions, versions_looked_at, parts_written_anew, parts_left, .. } = self;
        let left = if *parts_left > 0 { format!(", {parts_left} left as they were") } else { String::new() };
        let looked_at = format!("{versions_looked_at} of {versions} versions looked at");
        format!("{state}, {looked_at}, {parts_written_anew} parts written anew{left}")
    }
}

/// Scrub.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ScrubStatus {
    /// Whether a pass is under way.
    pub running: bool,
    /// How far the pass is, from 0 to 1.
    pub progress: f64,
    /// Shards verified in this pass.
    pub verified_shards: u64,
    /// Bytes verified in this pass.
    pub verified_bytes: u64,
    /// Shards found corrupt or missing in this pass.
    pub damaged_shards: u64,
    /// Seconds since 1970 at which the last whole pass ended.
    pub last_pass_ended: Option<u64>,
}
