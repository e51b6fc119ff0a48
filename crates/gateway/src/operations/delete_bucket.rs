//! DeleteBucket.

use s3_wire::S3Error;
use s3_wire::delete_bucket::answer;

use crate::answer::{Answer, whole};
use crate::call::Call;

/// Deletes an empty bucket.
pub(crate) async fn delete_bucket(call: &Call<'_>) -> Result<Answer, S3Error> {
    let bucket = call.head.bucket()?;
    call.objects().delete_bucket(&bucket).await.map_err(|error| call.refusal(error))?;
    Ok(whole(answer()))
}
