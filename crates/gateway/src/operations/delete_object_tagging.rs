//! DeleteObjectTagging.

use objects::PutObjectTaggingRequest;
use s3_wire::S3Error;
use s3_wire::tagging::delete_object_answer;

use crate::answer::{Answer, whole};
use crate::call::{Call, shown, which};

/// Removes the tags of a version.
pub(crate) async fn delete_object_tagging(call: &Call<'_>) -> Result<Answer, S3Error> {
    let request = PutObjectTaggingRequest {
        bucket: call.head.bucket()?,
        key: call.head.key()?,
        which: which(call.head.version()?),
        tags: Vec::new(),
    };
    let version = call.objects().put_object_tagging(request).await.map_err(|error| call.refusal(error))?;
    Ok(whole(delete_object_answer(shown(version))))
}
