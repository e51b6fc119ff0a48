//! PutObjectLockConfiguration.

use index::command::BucketConfig;
use types::{BucketName, DefaultRetention, ObjectLock, Versioning};

use crate::{Objects, ObjectsError};

impl Objects {
    /// Turns object lock on, for good, and sets what versions get that come without a retention of their own: those that
    /// commit after this.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`]; [`ObjectsError::VersioningNotEnabled`].
    pub async fn put_object_lock_configuration(
        &self,
        bucket: &BucketName,
        default: Option<DefaultRetention>,
    ) -> Result<(), ObjectsError> {
        let object_lock = default.map_or(ObjectLock::On, ObjectLock::Default);
        self.change_config(bucket, |config| {
            if config.versioning != Versioning::Enabled {
                return Err(ObjectsError::VersioningNotEnabled { bucket: bucket.clone() });
            }
            Ok(BucketConfig { object_lock, ..config.clone() })
        })
        .await
    }
}
