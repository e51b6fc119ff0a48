//! PutObjectTagging.

use authz::Action;
use objects::{PutObjectTaggingRequest, WhichVersion};
use s3_wire::S3Error;
use s3_wire::tagging::{Tagged, parse_document, put_object_answer};

use crate::answer::{Answer, whole};
use crate::call::{Call, shown, which};
use crate::rights::Wish;

/// Puts tags in place of a version's.
pub(crate) async fn put_object_tagging(call: &mut Call<'_>, bytes_max: usize) -> Result<Answer, S3Error> {
    let document = call.document(bytes_max).await?;
    let tags = parse_document(&document, Tagged::Object)?;
    let (bucket, key, which) = (call.head.bucket()?, call.head.key()?, which(call.head.version()?));
    let is_of_version = !matches!(which, WhichVersion::Newest);
    let action = if is_of_version { Action::PutObjectVersionTagging } else { Action::PutObjectTagging };
    call.demand(Wish::of_object(action, &bucket, &key).of_version(which).giving(&tags)).await?;
    let request = PutObjectTaggingRequest { bucket, key, which, tags };
    let version = call.objects().put_object_tagging(request).await.map_err(|error| call.refusal(error))?;
    Ok(whole(put_object_answer(shown(version))))
}
