//! GetBucketPolicyStatus.

use objects::DocumentKind;
use s3_wire::bucket_policy::status_answer;
use s3_wire::{ErrorCode, S3Error};

use crate::answer::{Answer, whole};
use crate::call::Call;

/// Whether the bucket's policy is public.
pub(crate) async fn get_bucket_policy_status(call: &Call<'_>) -> Result<Answer, S3Error> {
    let bucket = call.head.bucket()?;
    let found = call.objects().get_bucket_document(&bucket, DocumentKind::Policy).await;
    let Some(text) = found.map_err(|error| call.refusal(error))? else {
        return Err(S3Error::new(ErrorCode::NoSuchBucketPolicy).with("BucketName", bucket.as_str()));
    };
    let policy = authz::Policy::bucket(&text, &bucket).map_err(|error| {
        tracing::error!(%error, "a stored bucket policy is unreadable");
        S3Error::from(ErrorCode::InternalError)
    })?;
    Ok(whole(status_answer(policy.is_public())))
}
