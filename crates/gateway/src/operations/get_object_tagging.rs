//! GetObjectTagging.

use objects::{GetObjectRequest, ReadConditions, Selection};
use s3_wire::{S3Error, tagging};

use crate::answer::{Answer, whole};
use crate::call::{Call, shown, which};

/// An object's tags.
pub(crate) async fn get_object_tagging(call: &Call<'_>) -> Result<Answer, S3Error> {
    let bucket = call.head.bucket()?;
    let request = GetObjectRequest {
        bucket: bucket.clone(),
        key: call.head.key()?,
        which: which(call.head.version()?),
        conditions: ReadConditions::default(),
        selection: Selection::Whole,
    };
    let found = call.objects().head_object(request).await.map_err(|error| call.read_refusal(error, &bucket))?;
    Ok(whole(tagging::object_tagging(&found.head.attributes.tags, shown(found.head.version))))
}
