//! PutObjectRetention.

use index::CommandBody;
use index::command::{LockChange, SetObjectLock};
use types::{BucketName, ObjectKey, Retention};

use crate::{Objects, ObjectsError, ShownVersion, WhichVersion};

/// Sets until when a version is held.
#[derive(Debug, Clone)]
pub struct PutObjectRetentionRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Which version.
    pub which: WhichVersion,
    /// From now on; `None` removes it.
    pub retention: Option<Retention>,
    /// Whether a retention in governance mode may be shortened, replaced or removed.
    pub bypass_governance: bool,
}

impl Objects {
    /// Sets until when a version is held, and says which one it was. Whether it may be is decided at commit.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`], [`ObjectsError::NoSuchKey`], [`ObjectsError::NoSuchVersion`];
    /// [`ObjectsError::NamedIsMarker`], also where the newest one is; [`ObjectsError::NoObjectLock`];
    /// [`ObjectsError::Locked`] for less than holds now; [`ObjectsError::RetainUntilPassed`]; [`ObjectsError::Unavailable`].
    pub async fn put_object_retention(&self, request: PutObjectRetentionRequest) -> Result<ShownVersion, ObjectsError> {
        let PutObjectRetentionRequest { bucket, key, which, retention, bypass_governance } = request;
        let resolved = self.resolve(&bucket).await?;
        let resolved = self.with_object_lock(&bucket, resolved).await?;
        let change = LockChange::Retention { retention, bypass_governance };
        let set = SetObjectLock { bucket: resolved.at(), key: key.clone(), version: which, change };
        let body = CommandBody::SetObjectLock(Box::new(set));
        self.change_version(&bucket, resolved, &key, which, body).await
    }
}
