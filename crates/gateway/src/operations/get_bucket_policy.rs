//! GetBucketPolicy.

use objects::DocumentKind;
use s3_wire::bucket_policy::get_answer;
use s3_wire::{ErrorCode, S3Error};

use crate::answer::{Answer, whole};
use crate::call::Call;

/// The bucket's policy, as it came.
pub(crate) async fn get_bucket_policy(call: &Call<'_>) -> Result<Answer, S3Error> {
    let bucket = call.head.bucket()?;
    let found = call.objects().get_bucket_document(&bucket, DocumentKind::Policy).await;
    match found.map_err(|error| call.refusal(error))? {
        Some(policy) => Ok(whole(get_answer(policy))),
        None => Err(S3Error::new(ErrorCode::NoSuchBucketPolicy).with("BucketName", bucket.as_str())),
    }
}
