//! PutObjectLockConfiguration.

use authz::Action;
use s3_wire::S3Error;
use s3_wire::object_lock_configuration::{parse, put_answer};

use crate::answer::{Answer, whole};
use crate::call::Call;
use crate::rights::{LockWish, Wish};

/// Turns object lock on, and sets what new versions are given.
pub(crate) async fn put_object_lock_configuration(call: &mut Call<'_>, bytes_max: usize) -> Result<Answer, S3Error> {
    let document = call.document(bytes_max).await?;
    let default = parse(&document)?;
    let bucket = call.head.bucket()?;
    let wish = Wish::of_bucket(Action::PutBucketObjectLockConfiguration, &bucket);
    call.demand(wish.locking(LockWish::of_default(default))).await?;
    let set = call.objects().put_object_lock_configuration(&bucket, default).await;
    set.map_err(|error| call.refusal(error))?;
    Ok(whole(put_answer()))
}
