//! HeadBucket.

use s3_wire::S3Error;
use s3_wire::head_bucket::answer;

use crate::answer::{Answer, whole};
use crate::call::Call;

/// Whether the bucket is there, and its region.
pub(crate) async fn head_bucket(call: &Call<'_>) -> Result<Answer, S3Error> {
    let bucket = call.head.bucket()?;
    let found = call.objects().head_bucket(&bucket).await.map_err(|error| call.refusal(error))?;
    Ok(whole(answer(&found.region)))
}
