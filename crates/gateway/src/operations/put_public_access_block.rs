//! PutPublicAccessBlock.

use objects::DocumentKind;
use s3_wire::S3Error;
use s3_wire::public_access_block::PublicAccess;

use super::bucket_document;
use crate::answer::Answer;
use crate::call::Call;

/// Says what of the bucket is never public.
pub(crate) async fn put_public_access_block(call: &mut Call<'_>, bytes_max: usize) -> Result<Answer, S3Error> {
    let document = call.document(bytes_max).await?;
    bucket_document::store(call, DocumentKind::PublicAccessBlock, PublicAccess::parse(&document)?.document()).await
}
