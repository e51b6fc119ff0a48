//! CreateMultipartUpload.

use index::command::CreateUpload;
use index::{Answer, CommandBody};
use types::{BucketName, ObjectAttributes, ObjectKey, Owner, Timestamp, UploadId};

use crate::commit::unexpected;
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

/// An upload that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BegunUpload {
    /// Its name.
    pub upload: UploadId,
    /// When it began.
    pub began: Timestamp,
}

impl Objects {
    /// Begins an upload and names it.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`], [`ObjectsError::NoObjectLock`], [`ObjectsError::InvalidStorageClass`].
    pub async fn create_multipart_upload(
        &self,
        request: CreateMultipartUploadRequest,
    ) -> Result<BegunUpload, ObjectsError> {
        self.profile_of(&request.attributes.storage_class)?;
        let mut transfer = self.begin();
        let resolved = self.resolve_for(&request.bucket, &request.attributes).await?;
        let CreateMultipartUploadRequest { bucket, key, attributes, owner, checksum } = request;
        let upload = UploadId::from_bytes(self.entropy().id());
        let create = CreateUpload { bucket: resolved.at(), key, upload, attributes, owner, checksum };
        let body = CommandBody::CreateUpload(Box::new(create));
        match self.change(&mut transfer, &bucket, resolved, body).await?.answer {
            Answer::UploadCreated { stamp } => Ok(BegunUpload { upload, began: stamp.time() }),
            other => Err(unexpected("the beginning of an upload", &other)),
        }
    }
}
