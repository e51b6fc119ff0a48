//! PutBucketVersioning.

use types::BucketName;

use crate::{Objects, ObjectsError};

/// What PutBucketVersioning sets: versioning once enabled never goes off again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersioningStatus {
    /// Every write adds a version.
    Enabled,
    /// Writes replace the `null` version.
    Suspended,
}

impl Objects {
    /// Sets the bucket's versioning, for every write that commits after this.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`]; [`ObjectsError::InvalidBucketState`] for suspending a bucket with object lock.
    pub async fn put_bucket_versioning(
        &self,
        bucket: &BucketName,
        status: VersioningStatus,
    ) -> Result<(), ObjectsError> {
        todo!()
    }
}
