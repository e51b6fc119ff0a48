//! Sub-resources that Cairn doesn't have yet: AWS's answer for one where nothing of the kind was ever set; setting one
//! is 501.

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use objects::{GetObjectRequest, ReadConditions, Selection};
use s3_wire::not_configured::{answer, not_implemented};
use s3_wire::{ErrorCode, Level, Operation, S3Error};

use crate::answer::{Answer, whole};
use crate::call::{Call, which};

/// Answers an operation that no other file does. The bucket, and the object, must be there all the same.
pub(crate) async fn not_configured(call: &Call<'_>) -> Result<Answer, S3Error> {
    let operation = call.operation;
    if matches!(operation, Operation::PreflightBucket | Operation::PreflightObject) {
        return Err(preflight(call));
    }
    let bucket = call.head.bucket()?;
    let found = call.objects().bucket(&bucket).await.map_err(|error| call.refusal(error))?;
    let mut owner = found.owner;
    if operation.is_read() && operation.level() == Level::Object {
        let request = GetObjectRequest {
            bucket: bucket.clone(),
            key: call.head.key()?,
            which: which(call.head.version()?),
            conditions: ReadConditions::default(),
            selection: Selection::Whole,
        };
        let object = call.objects().head_object(request).await.map_err(|error| call.read_refusal(error, &bucket))?;
        owner = object.head.owner;
    }
    match answer(operation, &bucket, &owner) {
        Some(answered) => answered.map(whole),
        None => Err(not_implemented(operation)),
    }
}

/// No bucket has a rule for another origin yet; the question must be one all the same.
fn preflight(call: &Call<'_>) -> S3Error {
    let header = |name| call.head.headers.get(name).and_then(|value| value.to_str().ok());
    let bad = |message: &str| S3Error::new(ErrorCode::BadRequest).with_message(message.to_owned());
    if header(ORIGIN).is_none_or(str::is_empty) {
        return bad("Insufficient information. Origin request header needed.");
    }
    let method = header(ACCESS_CONTROL_REQUEST_METHOD).unwrap_or("null");
    if !["GET", "PUT", "POST", "DELETE", "HEAD"].contains(&method) {
        return bad(&format!("Invalid Access-Control-Request-Method: {method}"));
    }
    let resource = if call.operation.level() == Level::Object { "OBJECT" } else { "BUCKET" };
    S3Error::new(ErrorCode::AccessForbidden).with("Method", method).with("ResourceType", resource)
}
