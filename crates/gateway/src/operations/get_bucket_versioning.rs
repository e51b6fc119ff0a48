//! GetBucketVersioning.

use s3_wire::S3Error;
use s3_wire::bucket_versioning::get_answer;

use crate::answer::{Answer, whole};
use crate::call::Call;

/// The bucket's versioning.
pub(crate) async fn get_bucket_versioning(call: &Call<'_>) -> Result<Answer, S3Error> {
    let bucket = call.head.bucket()?;
    let versioning = call.objects().get_bucket_versioning(&bucket).await.map_err(|error| call.refusal(error))?;
    Ok(whole(get_answer(versioning)))
}
