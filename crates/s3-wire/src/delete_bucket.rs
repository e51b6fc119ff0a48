//! DeleteBucket.

use bytes::Bytes;
use http::{Response, StatusCode};
use types::BucketName;

use crate::answer;
use crate::error::{ErrorCode, S3Error};

/// The bucket is gone.
pub fn answer() -> Response<Bytes> {
    answer::empty(StatusCode::NO_CONTENT)
}

/// The bucket has objects, or, with `versions_only`, nothing current but noncurrent versions or markers.
pub fn not_empty(bucket: &BucketName, versions_only: bool) -> S3Error {
    let error = S3Error::new(ErrorCode::BucketNotEmpty).with("BucketName", bucket.as_str());
    if versions_only {
        let words = "The bucket you tried to delete is not empty. You must delete all versions in the bucket.";
        return error.with_message(words);
    }
    error
}
