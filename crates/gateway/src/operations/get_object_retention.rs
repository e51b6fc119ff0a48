//! GetObjectRetention.

use s3_wire::S3Error;
use s3_wire::object_retention::get_answer;

use super::object_lock;
use crate::answer::{Answer, whole};
use crate::call::Call;

/// Until when a version is held.
pub(crate) async fn get_object_retention(call: &Call<'_>) -> Result<Answer, S3Error> {
    let attributes = object_lock::attributes_of_lockable(call).await?;
    get_answer(attributes.retention).map(whole)
}
