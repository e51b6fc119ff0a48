//! GetObjectTagging.

use objects::{GetObjectRequest, ReadConditions, Selection};
use s3_wire::{S3Error, tagging};

use crate::answer::{Answer, whole};
use crate::call::{Call, shown, which};

/// An object's tags.
pub(crate) async fn get_object_tagging(call: &Call<'_>) -> Result<Answer, S3Error> {
    let (bucket, key) = (call.head.bucket()?, call.head.key()?);
    let request = GetObjectRequest {
        bucket: bucket.clone(),
        key: key.clone(),
        which: which(call.head.version()?),
        conditions: ReadConditions::default(),
        selection: Selection::Whole,
    };
    let found = match call.objects().head_object(request).await {
        Ok(found) => found,
        Err(error) => return Err(call.read_refusal(error, &bucket, &key).await),
    };
    Ok(whole(tagging::object_tagging(&found.head.attributes.tags, shown(found.head.version))))
}
