//! AbortMultipartUpload.

use bytes::Bytes;
use http::{Response, StatusCode};
use types::{BucketName, ObjectKey, UploadId};

use crate::answer;
use crate::error::S3Error;
use crate::head::RequestHead;

/// An upload is to be thrown away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbortMultipartUploadRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
}

impl AbortMultipartUploadRequest {
    /// Reads the request.
    ///
    /// # Errors
    /// `NoSuchUpload` for what is no upload id; `NotImplemented` for a condition on the time at which it began.
    pub fn parse(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        let condition = "x-amz-if-match-initiated-time";
        if head.headers.contains_key(condition) {
            return Err(S3Error::header_not_implemented(condition));
        }
        Ok(Self { bucket: head.bucket()?, key: head.key()?, upload: head.upload()? })
    }
}

/// It is gone.
pub fn answer() -> Response<Bytes> {
    answer::empty(StatusCode::NO_CONTENT)
}
