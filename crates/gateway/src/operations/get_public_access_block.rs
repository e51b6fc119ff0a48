//! GetPublicAccessBlock.

use objects::DocumentKind;
use s3_wire::S3Error;

use super::bucket_document;
use crate::answer::Answer;
use crate::call::Call;

/// What of the bucket is never public.
pub(crate) async fn get_public_access_block(call: &Call<'_>) -> Result<Answer, S3Error> {
    bucket_document::read(call, DocumentKind::PublicAccessBlock).await
}
