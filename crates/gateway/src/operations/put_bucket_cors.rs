//! PutBucketCors.

use objects::DocumentKind;
use s3_wire::S3Error;
use s3_wire::bucket_cors::CorsConfiguration;

use super::bucket_document;
use crate::answer::Answer;
use crate::call::Call;
use crate::document::too_long;

/// Puts rules for other origins in place of the bucket's.
pub(crate) async fn put_bucket_cors(call: &mut Call<'_>, bytes_max: usize) -> Result<Answer, S3Error> {
    let document = call.document(bytes_max).await?;
    let rules = CorsConfiguration::parse(&document)?.document();
    if rules.len() > bytes_max {
        // Escaped, it may be longer than it came; what is stored must be readable.
        return Err(too_long(bytes_max));
    }
    bucket_document::store(call, DocumentKind::Cors, rules).await
}
