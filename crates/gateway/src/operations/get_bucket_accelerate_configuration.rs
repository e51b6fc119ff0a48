//! GetBucketAccelerateConfiguration.

use objects::DocumentKind;
use s3_wire::S3Error;

use super::bucket_document;
use crate::answer::Answer;
use crate::call::Call;

/// Whether transfers are said to be accelerated.
pub(crate) async fn get_bucket_accelerate_configuration(call: &Call<'_>) -> Result<Answer, S3Error> {
    bucket_document::read(call, DocumentKind::Accelerate).await
}
