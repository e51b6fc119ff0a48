//! PutObjectLegalHold.

use index::CommandBody;
use index::command::{LockChange, SetObjectLock};
use types::{BucketName, LegalHold, ObjectKey};

use crate::{Objects, ObjectsError, ShownVersion, WhichVersion};

/// Sets or lifts a version's legal hold.
#[derive(Debug, Clone)]
pub struct PutObjectLegalHoldRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Which version.
    pub which: WhichVersion,
    /// From now on.
    pub hold: LegalHold,
}

impl Objects {
    /// Sets or lifts a version's legal hold, and says which one it was. Whether it may be is decided at commit.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`], [`ObjectsError::NoSuchKey`], [`ObjectsError::NoSuchVersion`];
    /// [`ObjectsError::NamedIsMarker`], also where the newest one is; [`ObjectsError::NoObjectLock`]; [`ObjectsError::Unavailable`].
    pub async fn put_object_legal_hold(
        &self,
        request: PutObjectLegalHoldRequest,
    ) -> Result<ShownVersion, ObjectsError> {
        let PutObjectLegalHoldRequest { bucket, key, which, hold } = request;
        let resolved = self.resolve(&bucket).await?;
        let resolved = self.with_object_lock(&bucket, resolved).await?;
        let change = LockChange::LegalHold(hold);
        let set = SetObjectLock { bucket: resolved.at(), key: key.clone(), version: which, change };
        let body = CommandBody::SetObjectLock(Box::new(set));
        self.change_version(&bucket, resolved, &key, which, body).await
    }
}
