//! What a server is started with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use types::{AccessKeyId, BucketName, Integrity, Profile, SecretKey, StorageClass};

use crate::duties::DutySettings;

/// What a node among others is told beside, checked.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// Addresses of the cluster's nodes, this one's among them; the same on every node.
    pub named: Vec<String>,
    /// Where other nodes and gateways are let in.
    pub rpc_listen: SocketAddr,
    /// Under which address others reach this node; empty: the named one that leads here.
    pub rpc_address: String,
    /// What all nodes of the cluster know.
    pub secret: rpc::ClusterSecret,
    /// Found a cluster of those that answer.
    pub is_forced: bool,
    /// The rack that the node is in.
    pub rack: Option<String>,
    /// The zone that the node is in.
    pub zone: Option<String>,
    /// How many voters each range of a new cluster has, unless that follows the number of nodes.
    pub voters: Option<usize>,
    /// Whether this process serves S3 too.
    pub serves_s3: bool,
    /// After how much silence a node is down: its disks are neither read nor written.
    pub down_after: Duration,
    /// After how much silence a node, or a disk that is down, is given up.
    pub out_after: Duration,
}

/// Everything that `cairn server` is told, checked.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// One directory a disk; made where they are missing.
    pub directories: Vec<PathBuf>,
    /// Where S3 is served.
    pub listen: SocketAddr,
    /// Where the admin API is served.
    pub admin_listen: SocketAddr,
    /// A bucket that must be there once the server is ready.
    pub bucket: Option<BucketName>,
    /// The root credential; generated when neither this nor any disk has one.
    pub root: Option<(AccessKeyId, SecretKey)>,
    /// Domains under which a bucket is a host name, beside `localhost`.
    pub domains: Vec<String>,
    /// The only region that signatures may name.
    pub region: Option<String>,
    /// Whose answers to give where AWS and public suites differ.
    pub compat: gateway::Compat,
    /// Whether Signature Version 2 counts, too.
    pub signature_v2: bool,
    /// Certificate and key, to serve by TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The wanted profile; follows the number of disks unless given.
    pub profile: Option<Profile>,
    /// The length of a shard where the profile is not given, in bytes: a power of two from 64 KiB to 4 MiB.
    pub shard_bytes: u32,
    /// How shards are verified where the profile is not given.
    pub integrity: Integrity,
    /// Storage classes beside STANDARD.
    pub storage_classes: Vec<(StorageClass, Profile)>,
    /// Objects up to so many bytes are kept in the index.
    pub inline_bytes_max: usize,
    /// Objects up to so many bytes take the small form.
    pub small_bytes_max: usize,
    /// How long a slot may take for a shard.
    pub slot_patience: Duration,
    /// The memory budget in bytes.
    pub memory_bytes: u64,
    /// How long a transfer waits for memory.
    pub memory_patience: Duration,
    /// Free bytes left on each disk.
    pub disk_reserve_bytes: u64,
    /// Bytes of log between two checkpoints of the index.
    pub checkpoint_bytes: u64,
    /// Bytes of a range of the index at which it is split.
    pub range_bytes_max: u64,
    /// How often what is new in the index is archived.
    pub archive_period: Duration,
    /// Bytes of log that the archive gathers at least before it begins anew.
    pub archive_log_bytes: u64,
    /// How long freed runs wait.
    pub garbage_grace: Duration,
    /// After how long without renewal a writer's ticket is over.
    pub ticket_idle_max: Duration,
    /// In what time every shard is verified once.
    pub scrub_period: Duration,
    /// How long a day of lifecycle rules is: 24 hours, but where suites wait for days.
    pub lifecycle_day: Duration,
    /// How long a client may take for its headers.
    pub header_timeout: Duration,
    /// How long a client may send nothing of a body.
    pub body_timeout: Duration,
    /// How long requests under way may take after the stop was asked for.
    pub drain_timeout: Duration,
    /// The bearer token of `/metrics`.
    pub metrics_token: Option<String>,
    /// The cluster that the process is a node of; without, it is one by itself.
    pub cluster: Option<ClusterSettings>,
}

impl ServerSettings {
    /// What the background duties go by.
    pub(crate) fn duties(&self) -> DutySettings {
        DutySettings {
            ticket_idle_max: self.ticket_idle_max,
            garbage_grace: self.garbage_grace,
            scrub_period: self.scrub_period,
            lifecycle_day: self.lifecycle_day,
        }
    }

    /// The profile of a cluster that is formed with these settings.
    pub(crate) fn wanted(&self) -> Profile {
        self.profile.unwrap_or_else(|| self.with_own_shards(Profile::for_domains(self.domains())))
    }

    /// As many shards as `profile` has, of the size and with the checksum that are set.
    pub(crate) fn with_own_shards(&self, profile: Profile) -> Profile {
        profile.with_shards(self.shard_bytes, self.integrity).expect("the size was checked as the settings were read")
    }

    /// Among how many failure domains data is spread: the named nodes, or the disks of a node that is alone.
    pub(crate) fn domains(&self) -> usize {
        match &self.cluster {
            Some(cluster) if cluster.named.len() > 1 => cluster.named.len(),
            _ => self.directories.len(),
        }
    }
}
