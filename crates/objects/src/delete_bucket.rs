//! DeleteBucket.

use types::BucketName;

use crate::{Objects, ObjectsError};

impl Objects {
    /// Deletes an empty bucket.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`]; [`ObjectsError::BucketNotEmpty`] when it has a version, a marker or an upload;
    /// [`ObjectsError::BucketBusy`] while another request makes or deletes it.
    pub async fn delete_bucket(&self, bucket: &BucketName) -> Result<(), ObjectsError> {
        todo!()
    }
}
