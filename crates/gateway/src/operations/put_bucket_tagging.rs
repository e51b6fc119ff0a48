//! PutBucketTagging.

use objects::DocumentKind;
use s3_wire::S3Error;
use s3_wire::tagging::{self, Tagged};

use super::bucket_document;
use crate::answer::Answer;
use crate::call::Call;

/// Puts tags in place of the bucket's.
pub(crate) async fn put_bucket_tagging(call: &mut Call<'_>, bytes_max: usize) -> Result<Answer, S3Error> {
    let document = call.document(bytes_max).await?;
    let tags = tagging::parse_document(&document, Tagged::Bucket)?;
    bucket_document::store(call, DocumentKind::Tagging, tagging::document(&tags)).await
}
