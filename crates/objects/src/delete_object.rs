//! DeleteObject.

use types::{BucketName, ObjectKey, Owner};

use crate::{Objects, ObjectsError, ShownVersion, WhichVersion, WriteConditions};

/// Deletes an object, or one version for good.
#[derive(Debug, Clone)]
pub struct DeleteObjectRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Which version to remove for good; `None`: what the bucket's versioning says (the object, or a marker is added).
    pub version: Option<WhichVersion>,
    /// What must hold at commit.
    pub conditions: WriteConditions,
    /// Who will own a marker.
    pub owner: Owner,
    /// Whether retention in governance mode may be passed over.
    pub bypass_governance: bool,
}

/// What a delete did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletedObject {
    /// Whether `version` is a delete marker: one that was added, or the one that was removed.
    pub marker: bool,
    /// The marker added or the version named; [`ShownVersion::Unversioned`] where the answer names none.
    pub version: ShownVersion,
}

impl Objects {
    /// Deletes an object or a version. Deleting what isn't there succeeds.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`], [`ObjectsError::PreconditionFailed`], [`ObjectsError::NoSuchKey`] (If-Match
    /// without an object), [`ObjectsError::Locked`], [`ObjectsError::Unavailable`].
    pub async fn delete_object(&self, request: DeleteObjectRequest) -> Result<DeletedObject, ObjectsError> {
        todo!()
    }
}
