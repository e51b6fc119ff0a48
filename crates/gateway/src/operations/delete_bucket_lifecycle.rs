//! DeleteBucketLifecycle.

use objects::DocumentKind;
use s3_wire::S3Error;

use super::bucket_document;
use crate::answer::Answer;
use crate::call::Call;

/// Removes the bucket's rules of what becomes of objects.
pub(crate) async fn delete_bucket_lifecycle(call: &Call<'_>) -> Result<Answer, S3Error> {
    bucket_document::remove(call, DocumentKind::Lifecycle).await
}
