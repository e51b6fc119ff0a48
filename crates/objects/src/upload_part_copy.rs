//! UploadPartCopy.

use std::ops::Range;

use types::{BucketName, ObjectKey, PartNumber, Timestamp, UploadId};

use crate::upload_part::WrittenPart;
use crate::{CopySource, Objects, ObjectsError, ShownVersion};

/// Stores bytes of an object as a part of an upload.
#[derive(Debug, Clone)]
pub struct UploadPartCopyRequest {
    /// What is copied.
    pub source: CopySource,
    /// Which of its bytes; `None`: all. It must lie within the object.
    pub range: Option<Range<u64>>,
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// The part's number.
    pub number: PartNumber,
}

/// A part made of an object's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedPart {
    /// The part.
    pub part: WrittenPart,
    /// The source's version.
    pub source_version: ShownVersion,
    /// When the part was stored.
    pub modified: Timestamp,
}

impl Objects {
    /// Copies bytes of an object into a part.
    ///
    /// # Errors
    /// Of the source as [`Objects::copy_object`], [`ObjectsError::InvalidCopyRange`]; of the target as
    /// [`Objects::upload_part`].
    pub async fn upload_part_copy(&self, request: UploadPartCopyRequest) -> Result<CopiedPart, ObjectsError> {
        todo!()
    }
}
