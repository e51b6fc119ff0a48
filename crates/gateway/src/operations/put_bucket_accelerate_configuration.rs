//! PutBucketAccelerateConfiguration.

use objects::DocumentKind;
use s3_wire::S3Error;
use s3_wire::bucket_accelerate::Acceleration;

use super::bucket_document;
use crate::answer::Answer;
use crate::call::Call;

/// Says whether transfers are accelerated.
pub(crate) async fn put_bucket_accelerate_configuration(
    call: &mut Call<'_>,
    bytes_max: usize,
) -> Result<Answer, S3Error> {
    let document = call.document(bytes_max).await?;
    let status = Acceleration::parse(&document, &call.head.bucket()?)?;
    bucket_document::store(call, DocumentKind::Accelerate, status.document()).await
}
