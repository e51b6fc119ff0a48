//! PutBucketVersioning.

use index::command::BucketConfig;
use types::{BucketName, Versioning};

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
        let versioning = match status {
            VersioningStatus::Enabled => Versioning::Enabled,
            VersioningStatus::Suspended => Versioning::Suspended,
        };
        self.change_config(bucket, |config| {
            if config.object_lock.is_on() && status == VersioningStatus::Suspended {
                return Err(ObjectsError::InvalidBucketState { bucket: bucket.clone() });
            }
            Ok(BucketConfig { versioning, ..config.clone() })
        })
        .await
    }
}
