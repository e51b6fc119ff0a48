//! GetBucketCors.

use objects::DocumentKind;
use s3_wire::S3Error;

use super::bucket_document;
use crate::answer::Answer;
use crate::call::Call;

/// The bucket's rules for other origins.
pub(crate) async fn get_bucket_cors(call: &Call<'_>) -> Result<Answer, S3Error> {
    bucket_document::read(call, DocumentKind::Cors).await
}
