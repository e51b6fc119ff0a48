//! GetBucketLocation.

use s3_wire::S3Error;
use s3_wire::get_bucket_location::answer;

use crate::answer::{Answer, whole};
use crate::call::Call;

/// The LocationConstraint that the bucket was made with.
pub(crate) async fn get_bucket_location(call: &Call<'_>) -> Result<Answer, S3Error> {
    let bucket = call.head.bucket()?;
    let region = call.objects().get_bucket_location(&bucket).await.map_err(|error| call.refusal(error))?;
    Ok(whole(answer(&region)))
}
