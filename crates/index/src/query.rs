//! Queries: what is asked of the index. All are answered from one read transaction.
//!
//! Between nodes they go as they are encoded here (rpc's tests/golden): new ones come last.

mod identity;
mod lifecycle;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use types::{
    AccessKeyId, BucketId, BucketName, Checksum, ClusterId, CommitStamp, Credential, DiskId, ETag, FeatureLevel,
    Layout, Namespace, ObjectAttributes, ObjectKey, Owner, Part, PartNumber, Profile, RangeDescriptor, Run, SplitEpoch,
    StorageClass, TicketId, UploadId, Version, VersionId,
};

pub use identity::{
    AccessKeyAnswer, AccessKeyView, HeldPolicy, IdentityAnswer, IdentityQuery, InlinePolicy, KeyHolder, KeyUser,
};

pub use lifecycle::{DueRow, KeyFacts, KeyUpload, KeyVersion};

use crate::command::{
    BucketDocument, BucketRecord, BucketRow, FollowedLifecycle, GatewayRow, Rebalancing, TicketRow, UploadChecksum,
    WhichVersion,
};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Query {
    // The system range.
    /// The cluster's id, feature level and layout: [`QueryAnswer::Cluster`].
    Cluster,
    /// All credentials.
    Credentials,
    /// The live tickets and the floor.
    Tickets,
    /// The record of a name, in any state: [`QueryAnswer::BucketRecord`].
    BucketByName {
        /// The space of the name.
        namespace: Namespace,
        /// The name.
        name: BucketName,
    },
    /// Records in order of name: [`QueryAnswer::BucketRecords`].
    Buckets {
        /// The space of the names.
        namespace: Namespace,
        /// Only names that begin so.
        prefix: String,
        /// Only names after this one.
        after: Option<BucketName>,
        /// At most so many.
        limit: usize,
    },
    /// Records of all buckets that are being made or deleted.
    UnfinishedBuckets,
    /// How many names of buckets there are, in any state: [`QueryAnswer::BucketCount`].
    BucketCount,

    // A data range.
    /// [`QueryAnswer::BucketRow`].
    BucketRow(BucketId),
    /// Objects and bytes of a bucket: [`QueryAnswer::Usage`].
    Usage(BucketId),
    /// What all buckets hold together, and how many parts wait for re-striping, of which at most
    /// [`DEGRADED_COUNT_MAX`] are counted: [`QueryAnswer::Totals`]. It reads one counter row a bucket.
    Totals,
    /// One version, and the bucket's row as it is in the same transaction: [`QueryAnswer::Version`].
    Version {
        /// The bucket.
        bucket: BucketId,
        /// The key.
        key: ObjectKey,
        /// Which.
        which: WhichVersion,
    },
    /// As [`Query::Version`], without the bytes that lie in the index: its part has no inline extents.
    VersionHead {
        /// The bucket.
        bucket: BucketId,
        /// The key.
        key: ObjectKey,
        /// Which.
        which: WhichVersion,
    },
    /// Part rows of an upload, completed or not, in order: [`QueryAnswer::Parts`].
    Parts {
        /// The bucket.
        bucket: BucketId,
        /// The key.
        key: ObjectKey,
        /// The upload.
        upload: UploadId,
        /// Only parts after this number (0: all).
        after: u16,
        /// At most so many.
        limit: usize,
    },
    /// The manifest of a completed upload, or none: [`QueryAnswer::Parts`].
    Manifest {
        /// The bucket.
        bucket: BucketId,
        /// The key.
        key: ObjectKey,
        /// The upload.
        upload: UploadId,
    },
    /// An upload under way, or the version that it became: [`QueryAnswer::Upload`].
    Upload {
        /// The bucket.
        bucket: BucketId,
        /// The key.
        key: ObjectKey,
        /// The upload.
        upload: UploadId,
    },
    /// Current objects in byte order of key: [`QueryAnswer::Objects`].
    Objects(ListRange),
    /// All versions and markers, newest first within a key: [`QueryAnswer::Versions`].
    Versions {
        /// Which keys.
        range: ListRange,
        /// Within the first key (`range.after`, then inclusive): only versions older than this one.
        after_version: Option<WhichVersion>,
    },
    /// Uploads under way in order of key, then of time: [`QueryAnswer::Uploads`].
    Uploads {
        /// Which keys.
        range: ListRange,
        /// Within the first key (`range.after`, then inclusive): only uploads after this one.
        after_upload: Option<UploadId>,
    },
    /// Garbage whose grace time is over: [`QueryAnswer::Garbage`].
    Garbage {
        /// Freed before this.
        freed_before: CommitStamp,
        /// Only rows after this one: what waits for a disk that is down must not hold up the rest.
        after: Option<Vec<u8>>,
        /// At most so many.
        limit: usize,
    },
    /// Parts in narrower runs than wanted: [`QueryAnswer::Degraded`].
    Degraded {
        /// Only rows after this one.
        after: Option<Vec<u8>>,
        /// At most so many.
        limit: usize,
    },
    /// Whether any version or upload under the run's home key names it: [`QueryAnswer::RunLives`].
    RunLives {
        /// Home.
        bucket: BucketId,
        /// Home.
        key: ObjectKey,
        /// The run.
        run: types::RunId,
    },
    /// All that a [`Query::Objects`] page would name, whole: for upkeep. Versions after `(key, id)`, current and
    /// noncurrent, of all buckets in order: [`QueryAnswer::VersionRows`].
    VersionRows {
        /// An opaque position: the last answer's `next`.
        after: Option<Vec<u8>>,
        /// At most so many.
        limit: usize,
    },

    // The system range again: what is added later stands last.
    /// All gateways' credentials: [`QueryAnswer::Gateways`].
    Gateways,
    /// The profile of objects that name no storage class: [`QueryAnswer::WantedProfile`].
    WantedProfile,
    /// The disks that are down because their node is silent: [`QueryAnswer::AwayDisks`].
    AwayDisks,
    /// Whether slots are moved for disks' shares: [`QueryAnswer::Rebalancing`].
    Rebalancing,
    /// Which ranges have which places, as far as the ranges' leaders have told: [`QueryAnswer::Ranges`].
    Ranges,

    // A data range again.
    /// A query about many keys, as one range answers it: only at this epoch, for at another it has other places. Else
    /// [`QueryAnswer::NotInRange`].
    Within {
        /// The epoch of the range's interval.
        epoch: SplitEpoch,
        /// The query.
        #[serde(deserialize_with = "crate::nesting::only_level")]
        query: Box<Query>,
    },

    // The system range again.
    /// A bucket's documents: [`QueryAnswer::BucketDocuments`].
    BucketDocuments {
        /// The bucket.
        bucket: BucketId,
        /// Those as of this last change are known already.
        known: Option<CommitStamp>,
    },
    /// An access key, whom it stands for, and what bears on what they may do: [`QueryAnswer::AccessKey`].
    AccessKey {
        /// What a request names.
        id: AccessKeyId,
        /// It is known as of this last change of any identity.
        known: Option<CommitStamp>,
    },
    /// [`QueryAnswer::Identities`].
    Identities(Box<IdentityQuery>),
    /// Which buckets have lifecycle rules: [`QueryAnswer::LifecycleBuckets`].
    LifecycleBuckets {
        /// Those as of this last change are known already.
        known: Option<CommitStamp>,
    },

    // A data range again.
    /// The buckets whose keys the range notes for being looked at by lifecycle rules: [`QueryAnswer::Followed`].
    Followed,
    /// The range's first notes of keys to look at, the earliest first, whether it is time or not:
    /// [`QueryAnswer::Due`].
    Due {
        /// Only rows after this one.
        after: Option<Vec<u8>>,
        /// At most so many.
        limit: usize,
    },
    /// Keys of a bucket that have a version or an upload under way, in order: [`QueryAnswer::Places`].
    Places {
        /// The bucket.
        bucket: BucketId,
        /// Only keys after this place; empty: all.
        after: Vec<u8>,
        /// At most so many.
        limit: usize,
    },
    /// All that lifecycle rules look at of a key: [`QueryAnswer::KeyFacts`].
    KeyFacts {
        /// The bucket.
        bucket: BucketId,
        /// The key.
        key: ObjectKey,
        /// Only versions older than this one, and no uploads.
        after: Option<CommitStamp>,
        /// At most so many versions.
        limit: usize,
    },
}

impl Query {
    /// Whether the query goes to the system range; all others go to a data range.
    pub const fn is_of_system_range(&self) -> bool {
        matches!(
            self,
            Self::Cluster
                | Self::Credentials
                | Self::Tickets
                | Self::BucketByName { .. }
                | Self::Buckets { .. }
                | Self::UnfinishedBuckets
                | Self::BucketCount
                | Self::Gateways
                | Self::WantedProfile
                | Self::AwayDisks
                | Self::Rebalancing
                | Self::Ranges
                | Self::BucketDocuments { .. }
                | Self::AccessKey { .. }
                | Self::Identities(_)
                | Self::LifecycleBuckets { .. }
        )
    }

    /// The key that the query is about; `None` for one that is about many or none.
    pub fn key(&self) -> Option<(BucketId, &ObjectKey)> {
        match self {
            Self::Version { bucket, key, .. }
            | Self::VersionHead { bucket, key, .. }
            | Self::Parts { bucket, key, .. }
            | Self::Manifest { bucket, key, .. }
            | Self::Upload { bucket, key, .. }
            | Self::RunLives { bucket, key, .. }
            | Self::KeyFacts { bucket, key, .. } => Some((*bucket, key)),
            _ => None,
        }
    }

    /// The query itself, where it is one [`Query::Within`] a range.
    pub fn bare(&self) -> &Self {
        if let Self::Within { query, .. } = self { query.bare() } else { self }
    }
}

/// A stretch of keys to list, with S3's prefix and delimiter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListRange {
    /// The bucket.
    pub bucket: BucketId,
    /// Only keys that begin so; may be empty.
    pub prefix: Bytes,
    /// Keys are rolled up at the first of these after the prefix; empty: not at all.
    pub delimiter: Bytes,
    /// Only keys after this one, and only common prefixes after it. When `after` itself ends with the delimiter and is
    /// a common prefix, all keys below it are passed over.
    pub after: Bytes,
    /// At most so many entries and common prefixes together.
    pub limit: usize,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum QueryAnswer {
    /// The cluster; `None` before it was formed.
    Cluster(Option<Box<ClusterView>>),
    /// All credentials.
    Credentials(Vec<Credential>),
    /// The live tickets.
    Tickets {
        /// In order.
        tickets: Vec<TicketRow>,
        /// The lowest live one, or the next to be granted.
        floor: TicketId,
    },
    /// One record.
    BucketRecord(Option<Box<BucketRecord>>),
    /// Records.
    BucketRecords(Vec<BucketRecord>),
    /// A bucket's row.
    BucketRow(Option<BucketRow>),
    /// How many buckets there are.
    BucketCount(u64),
    /// A bucket's usage.
    Usage(Usage),
    /// Sums over all buckets.
    Totals(Totals),
    /// A version, and its bucket's row.
    Version {
        /// The version.
        version: Option<Box<Version>>,
        /// The row.
        row: Option<BucketRow>,
    },
    /// Parts.
    Parts(Vec<Part>),
    /// An upload.
    Upload(Option<Box<UploadView>>),
    /// A page of objects.
    Objects(ListPage<ListedVersion>),
    /// A page of versions.
    Versions(ListPage<ListedVersion>),
    /// A page of uploads.
    Uploads(ListPage<ListedUpload>),
    /// Garbage.
    Garbage(Vec<GarbageRow>),
    /// Degraded parts.
    Degraded(Vec<DegradedRow>),
    /// Whether a run lives.
    RunLives(bool),
    /// Whole versions with their parts.
    VersionRows {
        /// The versions.
        rows: Vec<VersionRow>,
        /// Where the next page begins; `None` at the end.
        next: Option<Vec<u8>>,
    },
    /// All gateways' credentials, in order of id.
    Gateways(Vec<GatewayRow>),
    /// The profile; `None` where none was noted yet.
    WantedProfile(Option<Profile>),
    /// Disks, in order of id.
    AwayDisks(Vec<DiskId>),
    /// Whether slots are moved.
    Rebalancing(Rebalancing),
    /// Ranges, in order of id.
    Ranges(Vec<RangeDescriptor>),
    /// The range does not have the key, or does not stand at the epoch that the query names.
    NotInRange(Box<RangeDescriptor>),
    /// A bucket's documents.
    BucketDocuments {
        /// When any of them was set or removed last; 0 where none ever was.
        changed: CommitStamp,
        /// All of them, in order of kind; `None` where they are those that are known.
        documents: Option<Vec<BucketDocument>>,
    },
    /// An access key.
    AccessKey {
        /// When any identity was changed last; 0 where none ever was.
        changed: CommitStamp,
        /// What is to be known of it.
        key: AccessKeyAnswer,
    },
    /// Identities.
    Identities(IdentityAnswer),
    /// Buckets with lifecycle rules.
    LifecycleBuckets {
        /// When any bucket's rules were set or removed last; 0 where none ever were.
        changed: CommitStamp,
        /// The buckets in order, and when any document of each was changed last; `None` where they are those that are
        /// known.
        buckets: Option<Vec<(BucketId, CommitStamp)>>,
    },
    /// Buckets, in order.
    Followed(Vec<(BucketId, FollowedLifecycle)>),
    /// Keys to look at.
    Due(Vec<DueRow>),
    /// Keys.
    Places(Vec<ObjectKey>),
    /// What there is of a key.
    KeyFacts(Box<KeyFacts>),
}

/// The system range's view of the cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterView {
    /// Its id.
    pub cluster: ClusterId,
    /// What all nodes read.
    pub feature_level: FeatureLevel,
    /// Nodes, disks, groups.
    pub layout: Layout,
}

/// What a bucket holds, from counters that `apply` keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Current objects.
    pub objects: u64,
    /// All versions with bytes, current ones included.
    pub versions: u64,
    /// Delete markers.
    pub markers: u64,
    /// Plain bytes of all versions.
    pub bytes: u64,
    /// Uploads under way.
    pub uploads: u64,
    /// Plain bytes of their parts.
    pub upload_bytes: u64,
}

impl Usage {
    /// The sum, modulo 2^64: see [`Usage::settled`].
    pub fn plus(self, other: Self) -> Self {
        Self {
            objects: self.objects.wrapping_add(other.objects),
            versions: self.versions.wrapping_add(other.versions),
            markers: self.markers.wrapping_add(other.markers),
            bytes: self.bytes.wrapping_add(other.bytes),
            uploads: self.uploads.wrapping_add(other.uploads),
            upload_bytes: self.upload_bytes.wrapping_add(other.upload_bytes),
        }
    }

    /// A sum over ranges, without what is less than nothing: ranges are not read at the same moment.
    pub fn settled(self) -> Self {
        let settled = |count: u64| if count > u64::MAX / 2 { 0 } else { count };
        Self {
            objects: settled(self.objects),
            versions: settled(self.versions),
            markers: settled(self.markers),
            bytes: settled(self.bytes),
            uploads: settled(self.uploads),
            upload_bytes: settled(self.upload_bytes),
        }
    }
}

/// Up to how many degraded parts are counted, so that asking stays cheap.
pub const DEGRADED_COUNT_MAX: u64 = 100_000;

/// Sums over all buckets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// What they hold.
    pub usage: Usage,
    /// Parts in narrower runs than wanted, up to [`DEGRADED_COUNT_MAX`].
    pub degraded_parts: u64,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListPage<T> {
    /// Entries and common prefixes, together in byte order.
    pub entries: Vec<ListEntry<T>>,
    /// Whether more follow.
    pub truncated: bool,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ListEntry<T> {
    /// A key.
    Entry(T),
    /// Keys rolled up: prefix and delimiter included.
    CommonPrefix(Bytes),
}

/// A version as listings show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListedVersion {
    /// Its key.
    pub key: ObjectKey,
    /// Its id.
    pub id: VersionId,
    /// Whether it is the `null` version.
    pub null: bool,
    /// Whether it is the newest of its key.
    pub newest: bool,
    /// Whether it is a delete marker.
    pub marker: bool,
    /// Its plain bytes.
    pub plain_bytes: u64,
    /// Its tag.
    pub etag: ETag,
    /// Its class.
    pub storage_class: StorageClass,
    /// The algorithm and type of its checksum.
    pub checksum: Option<UploadChecksum>,
    /// Its owner.
    pub owner: Owner,
}

/// An upload as listings show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListedUpload {
    /// Its key.
    pub key: ObjectKey,
    /// Its id.
    pub upload: UploadId,
    /// When it began.
    pub began: CommitStamp,
    /// The class that it asked for.
    pub storage_class: StorageClass,
    /// The checksum that it was begun with.
    pub checksum: Option<UploadChecksum>,
    /// Its owner.
    pub owner: Owner,
}

/// An upload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UploadView {
    /// When it began.
    pub began: CommitStamp,
    /// What the object will have.
    pub attributes: ObjectAttributes,
    /// Its owner.
    pub owner: Owner,
    /// The checksum that it was begun with.
    pub checksum: Option<UploadChecksum>,
    /// What it became, once it was completed.
    pub completed: Option<CompletedUpload>,
}

/// What an upload became.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompletedUpload {
    /// The version's id.
    pub id: VersionId,
    /// Whether it was the `null` version.
    pub null: bool,
    /// Its tag.
    pub etag: ETag,
    /// Its checksum.
    pub checksum: Option<Checksum>,
}

/// A freed run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GarbageRow {
    /// The row's key, for [`crate::CommandBody::RemoveGarbage`].
    pub row: Vec<u8>,
    /// When it was freed.
    pub freed: CommitStamp,
    /// The run.
    pub run: Run,
}

/// A part in narrower runs than wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DegradedRow {
    /// The row's key.
    pub row: Vec<u8>,
    /// Its bucket.
    pub bucket: BucketId,
    /// Its key.
    pub key: ObjectKey,
    /// The version that has it, for a part of a single-part version.
    pub version: Option<VersionId>,
    /// The upload that has it, for others.
    pub upload: Option<UploadId>,
    /// Its number.
    pub number: PartNumber,
}

/// A version with its parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionRow {
    /// Its bucket.
    pub bucket: BucketId,
    /// Its key.
    pub key: ObjectKey,
    /// The version.
    pub version: Version,
}
