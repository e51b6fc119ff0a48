//! DeletePublicAccessBlock.

use objects::DocumentKind;
use s3_wire::S3Error;

use super::bucket_document;
use crate::answer::Answer;
use crate::call::Call;

/// Nothing of the bucket is kept from being public any more.
pub(crate) async fn delete_public_access_block(call: &Call<'_>) -> Result<Answer, S3Error> {
    bucket_document::remove(call, DocumentKind::PublicAccessBlock).await
}
