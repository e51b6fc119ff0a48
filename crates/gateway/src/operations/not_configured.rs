//! Sub-resources that Cairn doesn't have yet: AWS's answer for one where nothing of the kind was ever set; setting one
//! is 501.

use objects::{GetObjectRequest, ReadConditions, Selection};
use s3_wire::not_configured::{answer, not_implemented};
use s3_wire::{Level, S3Error};

use crate::answer::{Answer, whole};
use crate::call::{Call, which};

/// Answers an operation that no other file does. The bucket, and the object, must be there all the same.
pub(crate) async fn not_configured(call: &Call<'_>) -> Result<Answer, S3Error> {
    let operation = call.operation;
    let bucket = call.head.bucket()?;
    let found = call.objects().bucket(&bucket).await.map_err(|error| call.refusal(error))?;
    let mut owner = found.owner;
    if operation.is_read() && operation.level() == Level::Object {
        let key = call.head.key()?;
        let request = GetObjectRequest {
            bucket: bucket.clone(),
            key: key.clone(),
            which: which(call.head.version()?),
            conditions: ReadConditions::default(),
            selection: Selection::Whole,
        };
        owner = match call.objects().head_object(request).await {
            Ok(object) => object.head.owner,
            Err(error) => return Err(call.read_refusal(error, &bucket, &key).await),
        };
    }
    match answer(operation, &bucket, &owner) {
        Some(answered) => answered.map(whole),
        None => Err(not_implemented(operation)),
    }
}
