//! UploadPartCopy.

use std::ops::Range;

use types::{BucketName, ObjectKey, PartNumber, Timestamp, UploadId};

use crate::upload_part::{PartOfUpload, WrittenPart};
use crate::{BodyFacts, CopySource, Objects, ObjectsError, ShownVersion};

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
        let UploadPartCopyRequest { source, range, bucket, key, upload, number } = request;
        let target = self.find_open_upload(&bucket, &key, upload).await?;
        let home = target.home.clone();
        let mut found = self.find_source(&source).await?;
        let head = found.take_head();
        let object_bytes = head.plain_bytes;
        let range = range.unwrap_or(0..object_bytes);
        if range.end > object_bytes || range.start > range.end {
            return Err(ObjectsError::InvalidCopyRange { object_bytes });
        }
        let said = BodyFacts { declared_bytes: Some(range.end - range.start), ..BodyFacts::default() };
        let mut body = self.open_source(found, range).await?;
        let checksum = target.view.checksum.map(|checksum| checksum.algorithm);
        let part = self.store_part(target, PartOfUpload { bucket, upload, number, checksum }, said, &mut body).await?;
        let rows = self.part_rows(&home, upload, number.get() - 1, 1).await?;
        // The upload may have been completed or aborted, or the part replaced, in between.
        let row = rows.first().filter(|row| row.number == number);
        let modified = row.map_or_else(|| self.clock().now(), |row| row.modified.time());
        Ok(CopiedPart { part, source_version: head.version, modified })
    }
}
