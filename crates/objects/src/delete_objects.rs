//! DeleteObjects.

use types::{BucketName, ObjectKey, Owner};

use crate::{DeletedObject, Objects, ObjectsError, WhichVersion, WriteConditions};

/// Deletes up to 1,000 objects or versions.
#[derive(Debug, Clone)]
pub struct DeleteObjectsRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// What to delete, each on its own.
    pub entries: Vec<DeleteEntry>,
    /// Who will own markers.
    pub owner: Owner,
    /// Whether retention in governance mode may be passed over.
    pub bypass_governance: bool,
}

/// One object or version to delete.
#[derive(Debug, Clone)]
pub struct DeleteEntry {
    /// The key.
    pub key: ObjectKey,
    /// Which version to remove for good.
    pub version: Option<WhichVersion>,
    /// What must hold at commit.
    pub conditions: WriteConditions,
}

impl Objects {
    /// Deletes each entry; one answer for each, in the order of the request. Entries of one key take effect in that
    /// order, others at once.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`]; what befalls single entries is in their answers.
    pub async fn delete_objects(
        &self,
        request: DeleteObjectsRequest,
    ) -> Result<Vec<Result<DeletedObject, ObjectsError>>, ObjectsError> {
        todo!()
    }
}
