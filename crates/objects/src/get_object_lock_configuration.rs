//! GetObjectLockConfiguration.

use types::{BucketName, ObjectAttributes, ObjectLock};

use crate::buckets::Resolved;
use crate::{Objects, ObjectsError};

impl Objects {
    /// The bucket's object lock.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`].
    pub async fn get_object_lock_configuration(&self, bucket: &BucketName) -> Result<ObjectLock, ObjectsError> {
        Ok(self.buckets().resolve_anew(self.index(), bucket).await?.row.config.object_lock)
    }

    /// The bucket that is to take a version with these attributes.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`]; [`ObjectsError::NoObjectLock`] where they name a lock.
    pub(crate) async fn resolve_for(
        &self,
        bucket: &BucketName,
        attributes: &ObjectAttributes,
    ) -> Result<Resolved, ObjectsError> {
        let resolved = self.resolve(bucket).await?;
        if attributes.names_lock() { self.with_object_lock(bucket, resolved).await } else { Ok(resolved) }
    }

    /// The bucket, which must have object lock. It never goes off: only one that is not known to have it is asked for
    /// anew.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`], [`ObjectsError::NoObjectLock`].
    pub(crate) async fn with_object_lock(
        &self,
        bucket: &BucketName,
        mut resolved: Resolved,
    ) -> Result<Resolved, ObjectsError> {
        if !resolved.row.config.object_lock.is_on() {
            resolved = self.buckets().resolve_anew(self.index(), bucket).await?;
        }
        if resolved.row.config.object_lock.is_on() {
            Ok(resolved)
        } else {
            Err(ObjectsError::NoObjectLock { bucket: bucket.clone() })
        }
    }
}
