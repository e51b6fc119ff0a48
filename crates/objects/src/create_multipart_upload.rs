//! CreateMultipartUpload.

use types::{BucketName, ObjectAttributes, ObjectKey, Owner, UploadId};

use crate::{Objects, ObjectsError, UploadChecksum};

/// Begins an upload.
#[derive(Debug, Clone)]
pub struct CreateMultipartUploadRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// What the object will have.
    pub attributes: ObjectAttributes,
    /// Who will own it.
    pub owner: Owner,
    /// The checksum that the client chose. The caller has checked that algorithm and type go together
    /// (`types::ChecksumAlgorithm::allows_for_upload`).
    pub checksum: Option<UploadChecksum>,
}

impl Objects {
    /// Begins an upload and names it.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`], [`ObjectsError::InvalidStorageClass`].
    pub async fn create_multipart_upload(
        &self,
        request: CreateMultipartUploadRequest,
    ) -> Result<UploadId, ObjectsError> {
        todo!()
    }
}
