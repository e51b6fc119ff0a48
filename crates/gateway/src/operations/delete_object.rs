//! DeleteObject.

use authz::Action;
use objects::{DeletedObject, GetObjectRequest, ObjectsError, ReadConditions, Selection, WhichVersion};
use s3_wire::S3Error;
use s3_wire::conditions::{ETagList, WriteConditions, precondition_failed};
use s3_wire::delete_object::{DeleteObjectRequest, Deleted, answer};
use types::{BucketName, ObjectKey};

use crate::answer::{Answer, whole};
use crate::call::{Call, named, shown};
use crate::compat::Compat;
use crate::conditions;
use crate::rights::Wish;

/// Deletes an object, or one version for good.
pub(crate) async fn delete_object(call: &Call<'_>) -> Result<Answer, S3Error> {
    let request = DeleteObjectRequest::parse(&call.head)?;
    let DeleteObjectRequest { bucket, key, version, conditions, bypass_governance } = request;
    let wish = Wish::of_object(Action::BypassGovernanceRetention, &bucket, &key);
    let bypass_governance = bypass_governance && call.may(wish).await?;
    let owner = call.owner_in(&bucket).await?;
    let is_conditional = !conditions.is_empty();
    let absent = Absent { bucket: bucket.clone(), key: key.clone(), conditions: conditions.clone() };
    let request = objects::DeleteObjectRequest {
        bucket,
        key,
        version: version.map(named),
        conditions: conditions::of_write(conditions),
        owner,
        bypass_governance,
    };
    match call.objects().delete_object(request).await {
        Ok(deleted) => Ok(whole(answer(told(&deleted)))),
        Err(error) if is_conditional => match absent.forgiven(call, error).await {
            Ok(()) => Ok(whole(answer(Deleted::default()))),
            Err(error) => Err(error),
        },
        Err(error) => Err(call.refusal(error)),
    }
}

/// What a conditional delete named, where it isn't there.
pub(super) struct Absent {
    pub(super) bucket: BucketName,
    pub(super) key: ObjectKey,
    pub(super) conditions: WriteConditions,
}

impl Absent {
    /// RGW: a condition on an object that isn't there is no obstacle to its absence; a delete marker, though, is there
    /// and has no tag.
    ///
    /// # Errors
    /// The error as it is answered, where it counts.
    pub(super) async fn forgiven(&self, call: &Call<'_>, error: ObjectsError) -> Result<(), S3Error> {
        if call.core.settings.compat != Compat::Rgw {
            return Err(call.refusal(error));
        }
        match error {
            ObjectsError::NoSuchVersion { .. } => Ok(()),
            ObjectsError::NoSuchKey { .. } if self.conditions.if_match == Some(ETagList::Any) => Ok(()),
            ObjectsError::NoSuchKey { .. } => {
                let request = GetObjectRequest {
                    bucket: self.bucket.clone(),
                    key: self.key.clone(),
                    which: WhichVersion::Newest,
                    conditions: ReadConditions::default(),
                    selection: Selection::Whole,
                };
                match call.objects().head_object(request).await {
                    Err(ObjectsError::NewestIsMarker { .. }) => Err(precondition_failed("If-Match")),
                    _ => Ok(()),
                }
            }
            error => Err(call.refusal(error)),
        }
    }
}

/// What a delete did, as answers tell it.
pub(super) fn told(deleted: &DeletedObject) -> Deleted {
    Deleted { version: shown(deleted.version), marker: deleted.marker }
}
