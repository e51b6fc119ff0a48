//! UploadPart.

use bytes::Bytes;
use http::{Response, StatusCode, header};
use types::{BucketName, Checksum, ChecksumAlgorithm, ETag, ObjectKey, PartNumber, UploadId};

use crate::answer;
use crate::body::ObjectBody;
use crate::checksum;
use crate::error::S3Error;
use crate::head::RequestHead;
use crate::object_attributes::refuse_unbuilt;

/// A part is to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct UploadPartRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// The part's number.
    pub number: PartNumber,
    /// The bytes that follow.
    pub body: ObjectBody,
}

impl UploadPartRequest {
    /// Reads the head.
    ///
    /// # Errors
    /// `InvalidArgument` for the part's number and for a version, `NoSuchUpload` for what is no upload id, and those of
    /// [`ObjectBody::parse`].
    pub fn parse(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        head.refuse_version()?;
        refuse_unbuilt(head)?;
        Ok(Self {
            bucket: head.bucket()?,
            key: head.key()?,
            number: required_part_number(head)?,
            upload: head.upload()?,
            body: ObjectBody::parse(head)?,
        })
    }
}

pub(crate) fn required_part_number(head: &RequestHead<'_>) -> Result<PartNumber, S3Error> {
    head.part_number()?.ok_or_else(|| {
        let message = "Part number must be an integer between 1 and 10000, inclusive";
        S3Error::invalid_argument(message, "partNumber", "")
    })
}

/// The part is stored. Its checksum comes without a type: that is the whole's.
pub fn answer(etag: &ETag, checksum: Option<&Checksum>) -> Response<Bytes> {
    let mut response = answer::empty(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(header::ETAG, answer::etag_header(etag));
    if let Some(checksum) = checksum {
        answer::set(headers, checksum::header_name(checksum.algorithm), checksum::checksum_text(checksum, None));
    }
    response
}

/// `InvalidRequest`: the part has another checksum than the upload was begun with.
pub fn other_checksum(expected: ChecksumAlgorithm, actual: Option<ChecksumAlgorithm>) -> S3Error {
    let expected = expected.name().to_ascii_lowercase();
    let actual = actual.map_or("null".to_owned(), |actual| actual.name().to_ascii_lowercase());
    S3Error::invalid_request(format!(
        "Checksum Type mismatch occurred, expected checksum Type: {expected}, actual checksum Type: {actual}"
    ))
}
