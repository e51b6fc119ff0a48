//! GetObjectLegalHold.

use s3_wire::S3Error;
use s3_wire::object_legal_hold::get_answer;

use super::object_lock;
use crate::answer::{Answer, whole};
use crate::call::Call;

/// A version's legal hold.
pub(crate) async fn get_object_legal_hold(call: &Call<'_>) -> Result<Answer, S3Error> {
    let attributes = object_lock::attributes_of_lockable(call).await?;
    get_answer(attributes.legal_hold).map(whole)
}
