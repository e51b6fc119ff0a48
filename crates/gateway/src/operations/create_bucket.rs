//! CreateBucket.

use authz::Action;
use objects::ObjectsError;
use s3_wire::create_bucket::{CreateBucketRequest, answer};
use s3_wire::{ErrorCode, S3Error};

use crate::answer::{Answer, whole};
use crate::call::Call;
use crate::compat::Compat;
use crate::health;
use crate::rights::Wish;

/// Makes a bucket of the caller.
pub(crate) async fn create_bucket(call: &mut Call<'_>, bytes_max: usize) -> Result<Answer, S3Error> {
    let document = call.document(bytes_max).await?;
    let CreateBucketRequest { bucket, region, object_lock } = CreateBucketRequest::parse(&call.head, &document)?;
    if bucket.as_str() == health::RESERVED_BUCKET {
        return Err(S3Error::new(ErrorCode::InvalidBucketName).with("BucketName", bucket.as_str()));
    }
    let location = Some(region.as_str()).filter(|region| !region.is_empty());
    call.demand(Wish::of_new_bucket(&bucket, location)).await?;
    if object_lock {
        for action in [Action::PutBucketObjectLockConfiguration, Action::PutBucketVersioning] {
            call.demand(Wish::of_bucket(action, &bucket)).await?;
        }
    }
    let request = objects::CreateBucketRequest {
        bucket: bucket.clone(),
        owner: call.owner()?.clone(),
        region: if region.is_empty() { call.core.settings.location_default() } else { region },
        object_lock,
    };
    match call.objects().create_bucket(request).await {
        Ok(_) => Ok(whole(answer(&bucket))),
        Err(ObjectsError::BucketAlreadyOwnedByYou { .. }) if call.core.settings.compat == Compat::Rgw => {
            Ok(whole(answer(&bucket)))
        }
        Err(error) => Err(call.refusal(error)),
    }
}
