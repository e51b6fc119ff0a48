//! What lifecycle rules look at.

use serde::{Deserialize, Serialize};
use types::{BucketId, CommitStamp, ObjectKey, Retention, StorageClass, Timestamp, UploadId, VersionId};

use crate::command::BucketRow;

/// A note that a key is to be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueRow {
    /// The row's key, for [`crate::CommandBody::DropDue`].
    pub row: Vec<u8>,
    /// When.
    pub at: Timestamp,
    /// The bucket.
    pub bucket: BucketId,
    /// The key.
    pub key: ObjectKey,
}

/// What there is of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFacts {
    /// Its versions, newest first.
    pub versions: Vec<KeyVersion>,
    /// Whether older ones follow.
    pub truncated: bool,
    /// Its uploads under way.
    pub uploads: Vec<KeyUpload>,
    /// The bucket's row, of the same transaction.
    pub row: Option<BucketRow>,
}

/// A version as lifecycle rules see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyVersion {
    /// Its id.
    pub id: VersionId,
    /// When a newer one came; `None`: it is the newest.
    pub superseded: Option<CommitStamp>,
    /// Whether it is a delete marker.
    pub marker: bool,
    /// Its plain bytes.
    pub plain_bytes: u64,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// Its storage class.
    pub storage_class: StorageClass,
    /// Until when it is retained.
    pub retention: Option<Retention>,
    /// Whether it is held.
    pub legal_hold: bool,
}

/// An upload under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUpload {
    /// Its id.
    pub id: UploadId,
    /// When it began.
    pub began: Timestamp,
}
