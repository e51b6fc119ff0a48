//! Every noun of Cairn and its rule, checked when a value is made.
//!
//! This crate knows no I/O, no clock, no SQL and no HTTP. Its values are plain data that the index's rows, the shard
//! headers and the RPC messages are made of, so a change here is a change of a format: rows, records and messages carry
//! a version byte, and the golden files in their tests say when one is due. The words are those of `docs/glossary.md`.
//!
//! Where to go next: `index` for what happens to these values, `shards` for where the bytes lie.

mod checksum;
mod etag;
mod identity;
mod ids;
mod layout;
mod names;
mod object_lock;
mod profile;
mod range;
mod run;
mod stamp;
mod version;

pub use checksum::{Checksum, ChecksumAlgorithm, ChecksumError, ChecksumType};
pub use etag::{ETag, ETagError};
pub use identity::{AccessKeyId, AccountId, CanonicalId, Credential, Owner, SecretKey};
pub use ids::{
    BucketEpoch, BucketId, ClusterId, Code, DiskId, FeatureLevel, GatewayId, IdError, LayoutEpoch, MemberEpoch, NodeId,
    PlacementGroupId, RangeId, RequestId, RequestNumber, RunId, SlotEpoch, SlotIndex, SplitEpoch, TicketId, UploadId,
    VoterId,
};
pub use layout::{Disk, DiskState, Heir, Layout, Node, PlacementGroup, Slot};
pub use names::{BucketName, NameError, Namespace, ObjectKey, StorageClass};
pub use object_lock::{DefaultRetention, LegalHold, ObjectLock, Retention, RetentionMode, RetentionPeriod};
pub use profile::{Integrity, Profile, ProfileError};
pub use range::{RangeDescriptor, RangeInterval, RangeMap};
pub use run::{Extent, HomeKey, Run, RunForm};
pub use stamp::{CommitStamp, Timestamp};
pub use version::{
    BucketState, ObjectAttributes, Part, PartNumber, PartSummary, Transform, Version, VersionId, VersionIdError,
    VersionKind, Versioning,
};
