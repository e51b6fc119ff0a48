//! What is answered to operations on what S3 keeps with a bucket as documents: they are stored as they are answered.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use types::BucketName;

use crate::answer;
use crate::bucket_request_payment::Payer;
use crate::error::{ErrorCode, S3Error};
use crate::operation::Operation;
use crate::xml::XmlWriter;

/// The document that was read.
pub fn get_answer(document: Bytes) -> Response<Bytes> {
    let length = HeaderValue::from(document.len());
    let mut response = Response::new(document);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// What reading answers where the document was never set, or was removed.
///
/// # Errors
/// AWS's code for what isn't there.
///
/// # Panics
/// For an operation that reads no such document.
pub fn get_answer_without(operation: Operation, bucket: &BucketName) -> Result<Response<Bytes>, S3Error> {
    let code = match operation {
        Operation::GetBucketTagging => ErrorCode::NoSuchTagSet,
        Operation::GetBucketCors => ErrorCode::NoSuchCORSConfiguration,
        Operation::GetBucketLifecycleConfiguration => ErrorCode::NoSuchLifecycleConfiguration,
        Operation::GetPublicAccessBlock => ErrorCode::NoSuchPublicAccessBlockConfiguration,
        Operation::GetBucketRequestPayment => return Ok(get_answer(Payer::default().document())),
        Operation::GetBucketAccelerateConfiguration => {
            let mut xml = XmlWriter::document();
            xml.open_root("AccelerateConfiguration");
            xml.close("AccelerateConfiguration");
            return Ok(answer::document(xml));
        }
        other => unreachable!("{} reads no document of a bucket", other.name()),
    };
    Err(S3Error::new(code).with("BucketName", bucket.as_str()))
}

/// The document is set: 204 for tags, as S3 answers, else 200.
pub fn put_answer(operation: Operation) -> Response<Bytes> {
    match operation {
        Operation::PutBucketTagging => answer::empty(StatusCode::NO_CONTENT),
        _ => answer::empty(StatusCode::OK),
    }
}

/// The document is removed, or never was there.
pub fn delete_answer() -> Response<Bytes> {
    answer::empty(StatusCode::NO_CONTENT)
}
