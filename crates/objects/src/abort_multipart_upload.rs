//! AbortMultipartUpload.

use types::{BucketName, ObjectKey, UploadId};

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
        todo!()
    }
}
