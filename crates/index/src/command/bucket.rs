//! Buckets: the name's record in the system range, the row in each data range.

use serde::{Deserialize, Serialize};
use types::{BucketEpoch, BucketId, BucketName, BucketState, Namespace, ObjectLock, Owner, Timestamp, Versioning};

/// A bucket's name and what never changes, in the system range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketRecord {
    /// Decided when the name was taken.
    pub id: BucketId,
    /// The space of its name.
    pub namespace: Namespace,
    /// Its name.
    pub name: BucketName,
    /// Who owns it.
    pub owner: Owner,
    /// The LocationConstraint it was made with; empty is us-east-1.
    pub region: String,
    /// When its name was taken.
    pub created: Timestamp,
    /// Where it is in its life.
    pub state: BucketRecordState,
}

/// Where a bucket's record is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BucketRecordState {
    /// Its rows are being made.
    Creating {
        /// Of the maker.
        token: [u8; 16],
    },
    /// Visible.
    Live,
    /// Its rows are being removed.
    Deleting {
        /// Of the remover.
        token: [u8; 16],
    },
}

/// What of a bucket is decided under an epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketConfig {
    /// Whether writes add versions.
    pub versioning: Versioning,
    /// Whether object lock is on (it never goes off), and what new versions are given. Where it is on, versioning is.
    pub object_lock: ObjectLock,
}

/// A bucket in one data range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketRow {
    /// The bucket.
    pub id: BucketId,
    /// Rises with every change.
    pub epoch: BucketEpoch,
    /// Whether it takes writes.
    pub state: BucketState,
    /// Its settings.
    pub config: BucketConfig,
}
