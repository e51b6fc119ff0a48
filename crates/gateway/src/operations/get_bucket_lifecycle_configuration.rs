//! GetBucketLifecycleConfiguration.

use objects::DocumentKind;
use s3_wire::S3Error;
use s3_wire::bucket_document::get_answer_without;
use s3_wire::bucket_lifecycle::LifecycleConfiguration;

use crate::answer::{Answer, whole};
use crate::call::Call;

/// The bucket's rules of what becomes of objects.
pub(crate) async fn get_bucket_lifecycle_configuration(call: &Call<'_>) -> Result<Answer, S3Error> {
    let bucket = call.head.bucket()?;
    let found = call.objects().get_bucket_document(&bucket, DocumentKind::Lifecycle).await;
    match found.map_err(|error| call.refusal(error))? {
        Some(document) => LifecycleConfiguration::get_answer(&document).map(whole),
        None => get_answer_without(call.operation, &bucket).map(whole),
    }
}
