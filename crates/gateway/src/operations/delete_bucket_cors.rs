//! DeleteBucketCors.

use objects::DocumentKind;
use s3_wire::S3Error;

use super::bucket_document;
use crate::answer::Answer;
use crate::call::Call;

/// Removes the bucket's rules for other origins.
pub(crate) async fn delete_bucket_cors(call: &Call<'_>) -> Result<Answer, S3Error> {
    bucket_document::remove(call, DocumentKind::Cors).await
}
