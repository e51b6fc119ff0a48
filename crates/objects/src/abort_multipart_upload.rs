//! AbortMultipartUpload.

use index::{Answer, CommandBody, Refusal};
use types::{BucketName, ObjectKey, UploadId};

use crate::commit::unexpected;
use crate::{Objects, ObjectsError};

impl Objects {
    /// Ends an upload; its parts are freed.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchUpload`].
    pub async fn abort_multipart_upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: UploadId,
    ) -> Result<(), ObjectsError> {
        let mut transfer = self.begin();
        let resolved = self.resolve(bucket).await?;
        let body = CommandBody::AbortUpload { bucket: resolved.at(), key: key.clone(), upload };
        match self.change(&mut transfer, bucket, resolved, body).await?.answer {
            Answer::Done => Ok(()),
            Answer::Refused(Refusal::NoSuchUpload) => Err(ObjectsError::NoSuchUpload { upload }),
            other => Err(unexpected("the end of an upload", &other)),
        }
    }
}
