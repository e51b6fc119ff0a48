//! DeleteObject.

use index::command::DeleteObject;
use index::{Answer, CommandBody, Refusal};
use types::{BucketName, ObjectKey, Owner, VersionId};

use crate::commit::unexpected;
use crate::writes::error_of_refusal;
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
    /// without an object), [`ObjectsError::NoSuchVersion`] (a condition on a version that isn't there), [`ObjectsError::Locked`], [`ObjectsError::Unavailable`].
    pub async fn delete_object(&self, request: DeleteObjectRequest) -> Result<DeletedObject, ObjectsError> {
        let mut transfer = self.begin();
        let resolved = self.resolve(&request.bucket).await?;
        let DeleteObjectRequest { bucket, key, version, conditions, owner, bypass_governance } = request;
        let delete = DeleteObject {
            bucket: resolved.at(),
            key: key.clone(),
            version,
            conditions: conditions.clone(),
            random: self.entropy().number(),
            owner,
            bypass_governance,
        };
        let body = CommandBody::DeleteObject(Box::new(delete));
        let committed = self.change(&mut transfer, &bucket, resolved, body).await?;
        let versioning = committed.row.config.versioning;
        match committed.answer {
            Answer::Deleted { marker, version: affected } => {
                let version = match version {
                    Some(named) => shown_as_named(named, affected),
                    None if marker => affected.map(|(id, null)| ShownVersion::new(id, null, versioning)),
                    None => None,
                };
                Ok(DeletedObject { marker, version: version.unwrap_or(ShownVersion::Unversioned) })
            }
            // Without a condition, a version that isn't there is deleted already.
            Answer::Refused(Refusal::NoSuchVersion) => {
                let version = version.and_then(|named| shown_as_named(named, None)).unwrap_or(ShownVersion::Null);
                Err(ObjectsError::NoSuchVersion { key, version })
            }
            Answer::Refused(refusal) => Err(error_of_refusal(refusal, &key, &conditions)),
            other => Err(unexpected("a delete", &other)),
        }
    }
}

/// S3 answers the version that was named, also when there was none.
fn shown_as_named(named: WhichVersion, affected: Option<(VersionId, bool)>) -> Option<ShownVersion> {
    match named {
        WhichVersion::Null => Some(ShownVersion::Null),
        WhichVersion::Id(id) => Some(ShownVersion::Id(id)),
        WhichVersion::Newest => affected.map(|(id, null)| if null { ShownVersion::Null } else { ShownVersion::Id(id) }),
    }
}
