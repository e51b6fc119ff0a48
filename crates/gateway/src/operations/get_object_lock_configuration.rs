//! GetObjectLockConfiguration.

use s3_wire::S3Error;
use s3_wire::object_lock_configuration::get_answer;

use crate::answer::{Answer, whole};
use crate::call::Call;

/// Whether the bucket has object lock, and what new versions are given.
pub(crate) async fn get_object_lock_configuration(call: &Call<'_>) -> Result<Answer, S3Error> {
    let bucket = call.head.bucket()?;
    let object_lock = call.objects().get_object_lock_configuration(&bucket).await;
    get_answer(&bucket, object_lock.map_err(|error| call.refusal(error))?).map(whole)
}
