//! PutObjectTagging.

use objects::PutObjectTaggingRequest;
use s3_wire::S3Error;
use s3_wire::tagging::{Tagged, parse_document, put_object_answer};

use crate::answer::{Answer, whole};
use crate::call::{Call, shown, which};

/// Puts tags in place of a version's.
pub(crate) async fn put_object_tagging(call: &mut Call<'_>, bytes_max: usize) -> Result<Answer, S3Error> {
    let document = call.document(bytes_max).await?;
    let request = PutObjectTaggingRequest {
        bucket: call.head.bucket()?,
        key: call.head.key()?,
        which: which(call.head.version()?),
        tags: parse_document(&document, Tagged::Object)?,
    };
    let version = call.objects().put_object_tagging(request).await.map_err(|error| call.refusal(error))?;
    Ok(whole(put_object_answer(shown(version))))
}
