//! DeleteObject.

use authz::Action;
use objects::{DeletedObject, ObjectsError};
use s3_wire::S3Error;
use s3_wire::delete_object::{DeleteObjectRequest, Deleted, answer};

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
        // RGW: a condition on an object that isn't there is no obstacle to its absence.
        Err(ObjectsError::NoSuchKey { .. }) if is_conditional && call.core.settings.compat == Compat::Rgw => {
            Ok(whole(answer(Deleted::default())))
        }
        Err(error) => Err(call.refusal(error)),
    }
}

/// What a delete did, as answers tell it.
pub(super) fn told(deleted: &DeletedObject) -> Deleted {
    Deleted { version: shown(deleted.version), marker: deleted.marker }
}
