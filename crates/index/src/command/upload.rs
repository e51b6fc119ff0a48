//! Commands on multipart uploads.

use serde::{Deserialize, Serialize};
use types::{
    ChecksumAlgorithm, ChecksumType, CommitStamp, ETag, ObjectAttributes, ObjectKey, Owner, Part, PartNumber, UploadId,
};

use super::{BucketAt, NewVersion, WriteConditions};

/// The checksum that an upload was begun with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadChecksum {
    /// The algorithm of all parts.
    pub algorithm: ChecksumAlgorithm,
    /// Of the whole object.
    pub checksum_type: ChecksumType,
}

/// Begins an upload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreateUpload {
    /// The bucket.
    pub bucket: BucketAt,
    /// The key.
    pub key: ObjectKey,
    /// The upload's id, made by the sender.
    pub upload: UploadId,
    /// What the object will have.
    pub attributes: ObjectAttributes,
    /// Who owns it.
    pub owner: Owner,
    /// What the client chose, if it did.
    pub checksum: Option<UploadChecksum>,
}

/// Stores one part of an upload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PutPart {
    /// The bucket.
    pub bucket: BucketAt,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// The part. `modified` is set by `apply`.
    pub part: Part,
    /// Whether its runs are narrower than wanted.
    pub degraded: bool,
}

/// Makes an upload a version. The sender has read the parts and worked out tag and checksum; `apply` checks that the
/// parts are still those.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompleteUpload {
    /// The bucket.
    pub bucket: BucketAt,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// What must hold.
    pub conditions: WriteConditions,
    /// The parts, in ascending order; others of the upload become garbage.
    pub parts: Vec<CompletePart>,
    /// The manifest: the upload's part list and attributes as a rebuild from shard headers needs them, written to the
    /// disks before the commit.
    pub manifest: Option<UploadManifest>,
    /// What becomes visible; its attributes and owner are the upload's, whatever stands here.
    pub version: NewVersion,
}

/// One part that Complete names.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CompletePart {
    /// Its number.
    pub number: PartNumber,
    /// Its tag.
    pub etag: ETag,
    /// When it was stored, as the sender read it.
    pub modified: CommitStamp,
    /// Its plain bytes.
    pub plain_bytes: u64,
}

/// A manifest. It is kept as the upload's part row of number [`PartNumber::MANIFEST`]: freed with the version, moved by
/// `ReplacePart`, found by `RunLives`, and answered by no [`crate::Query::Parts`], but by [`crate::Query::Manifest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UploadManifest {
    /// Where it lies; its number is [`PartNumber::MANIFEST`].
    pub part: Part,
    /// Whether its runs are narrower than wanted.
    pub degraded: bool,
}
