//! GetBucketRequestPayment.

use objects::DocumentKind;
use s3_wire::S3Error;

use super::bucket_document;
use crate::answer::Answer;
use crate::call::Call;

/// Who pays for requests.
pub(crate) async fn get_bucket_request_payment(call: &Call<'_>) -> Result<Answer, S3Error> {
    bucket_document::read(call, DocumentKind::RequestPayment).await
}
