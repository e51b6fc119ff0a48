//! UploadPart.

use types::{BucketName, Checksum, ETag, ObjectKey, PartNumber, UploadId};

use crate::body::BodyFacts;
use crate::data::BodySource;
use crate::{Objects, ObjectsError};

/// Stores one part of an upload.
#[derive(Debug, Clone)]
pub struct UploadPartRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// The part's number; a part that has it is replaced.
    pub number: PartNumber,
    /// What the client said of the body.
    pub said: BodyFacts,
}

/// A stored part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenPart {
    /// Its entity tag.
    pub etag: ETag,
    /// Its checksum of the upload's algorithm (without one: the client's, if it sent one).
    pub checksum: Option<Checksum>,
}

impl Objects {
    /// Stores one part; durable once this returns.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchUpload`]; [`ObjectsError::ChecksumKindMismatch`] when the client's checksum is of another
    /// algorithm than the upload's; of the body and the store as [`Objects::put_object`].
    pub async fn upload_part(
        &self,
        request: UploadPartRequest,
        body: &mut dyn BodySource,
    ) -> Result<WrittenPart, ObjectsError> {
        todo!()
    }
}
