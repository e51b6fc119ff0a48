//! CopyObject.

use types::{BucketName, Checksum, ChecksumAlgorithm, ETag, ObjectKey, Owner, Retention, StorageClass, Timestamp};

use crate::{Objects, ObjectsError, ReadConditions, ShownVersion, WhichVersion, WriteConditions};

/// Copies an object of up to 5 GiB.
#[derive(Debug, Clone)]
pub struct CopyObjectRequest {
    /// What is copied.
    pub source: CopySource,
    /// Where to.
    pub bucket: BucketName,
    /// Where to.
    pub key: ObjectKey,
    /// Who will own the copy.
    pub owner: Owner,
    /// What must hold of the target's key at commit.
    pub conditions: WriteConditions,
    /// Headers and user metadata in place of the source's (`x-amz-metadata-directive: REPLACE`).
    pub metadata: Option<CopyMetadata>,
    /// Tags in place of the source's (`x-amz-tagging-directive: REPLACE`).
    pub tags: Option<Vec<(String, String)>>,
    /// The copy's class; `None` is STANDARD, whatever the source's.
    pub storage_class: Option<StorageClass>,
    /// The copy's checksum algorithm; `None`: the source's.
    pub checksum: Option<ChecksumAlgorithm>,
    /// The copy's retention, whatever the source's.
    pub retention: Option<Retention>,
    /// The copy's legal hold, whatever the source's.
    pub legal_hold: bool,
}

/// The object that a copy reads.
#[derive(Debug, Clone)]
pub struct CopySource {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its key.
    pub key: ObjectKey,
    /// Which version.
    pub which: WhichVersion,
    /// What must hold of it; all failures are [`ObjectsError::PreconditionFailed`].
    pub conditions: ReadConditions,
}

/// Headers and user metadata that replace the source's.
#[derive(Debug, Clone, Default)]
pub struct CopyMetadata {
    /// As `types::ObjectAttributes::headers`.
    pub headers: Vec<(String, bytes::Bytes)>,
    /// As `types::ObjectAttributes::metadata`.
    pub metadata: Vec<(String, bytes::Bytes)>,
}

/// A copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedObject {
    /// The copy's id.
    pub version: ShownVersion,
    /// The source's.
    pub source_version: ShownVersion,
    /// The copy's entity tag.
    pub etag: ETag,
    /// The copy's Last-Modified.
    pub modified: Timestamp,
    /// The copy's checksum.
    pub checksum: Option<Checksum>,
}

impl Objects {
    /// Copies an object's bytes; the copy has one part, whatever the source has.
    ///
    /// # Errors
    /// Of the source as [`Objects::get_object`] (never [`ObjectsError::NotModified`]),
    /// [`ObjectsError::CopySourceTooLarge`]; [`ObjectsError::CopyChangesNothing`]; of the target as
    /// [`Objects::put_object`].
    pub async fn copy_object(&self, request: CopyObjectRequest) -> Result<CopiedObject, ObjectsError> {
        todo!()
    }
}
