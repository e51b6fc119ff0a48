//! GetBucketLocation.

use types::BucketName;

use crate::{Objects, ObjectsError};

impl Objects {
    /// The LocationConstraint that the bucket was made with; empty is us-east-1.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`].
    pub async fn get_bucket_location(&self, bucket: &BucketName) -> Result<String, ObjectsError> {
        Ok(self.head_bucket(bucket).await?.region)
    }
}
