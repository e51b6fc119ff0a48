//! GetBucketVersioning.

use types::{BucketName, Versioning};

use crate::{Objects, ObjectsError};

impl Objects {
    /// The bucket's versioning.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`].
    pub async fn get_bucket_versioning(&self, bucket: &BucketName) -> Result<Versioning, ObjectsError> {
        Ok(self.buckets().resolve_anew(self.index(), bucket).await?.row.config.versioning)
    }
}
