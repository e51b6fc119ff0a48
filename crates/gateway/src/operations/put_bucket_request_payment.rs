//! PutBucketRequestPayment.

use objects::DocumentKind;
use s3_wire::S3Error;
use s3_wire::bucket_request_payment::Payer;

use super::bucket_document;
use crate::answer::Answer;
use crate::call::Call;

/// Says who pays for requests.
pub(crate) async fn put_bucket_request_payment(call: &mut Call<'_>, bytes_max: usize) -> Result<Answer, S3Error> {
    let document = call.document(bytes_max).await?;
    let payer = Payer::parse(&document)?;
    bucket_document::store(call, DocumentKind::RequestPayment, payer.document()).await
}
