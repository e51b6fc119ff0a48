//! PutBucketLifecycleConfiguration.

use objects::DocumentKind;
use s3_wire::bucket_lifecycle::{LifecycleConfiguration, MinimumSize};
use s3_wire::{ErrorCode, S3Error};

use crate::answer::{Answer, whole};
use crate::call::Call;
use crate::compat::Compat;
use crate::document::too_long;

/// Puts rules of what becomes of objects in place of the bucket's.
pub(crate) async fn put_bucket_lifecycle_configuration(
    call: &mut Call<'_>,
    bytes_max: usize,
) -> Result<Answer, S3Error> {
    let document = call.document(bytes_max).await?;
    let minimum_size = MinimumSize::of_request(&call.head)?;
    let mut rules = match call.core.settings.compat {
        Compat::Aws => LifecycleConfiguration::parse(&document, minimum_size),
        Compat::Rgw => LifecycleConfiguration::parse_leniently(&document, minimum_size),
    }?;
    if let Some(class) = rules.classes().find(|class| !call.objects().has_class(class)) {
        return Err(S3Error::new(ErrorCode::InvalidStorageClass).with("StorageClassRequested", class.as_str()));
    }
    rules.name_rules(call.core.services.entropy.id());
    let stored = rules.stored();
    if stored.len() > bytes_max {
        return Err(too_long(bytes_max));
    }
    let bucket = call.head.bucket()?;
    let put = call.objects().put_bucket_document(&bucket, DocumentKind::Lifecycle, Some(stored)).await;
    put.map_err(|error| call.refusal(error))?;
    Ok(whole(rules.put_answer()))
}
