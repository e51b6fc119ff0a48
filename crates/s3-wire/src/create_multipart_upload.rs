//! CreateMultipartUpload.

use bytes::Bytes;
use http::Response;
use types::{BucketName, ChecksumAlgorithm, ChecksumType, ObjectAttributes, ObjectKey, UploadId};

use crate::answer;
use crate::checksum;
use crate::error::S3Error;
use crate::head::RequestHead;
use crate::object_attributes;
use crate::xml::XmlWriter;

/// An upload is to begin.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateMultipartUploadRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Headers, metadata, tags, storage class of the object that it will make.
    pub attributes: ObjectAttributes,
    /// The checksum of all parts and of the object, if the client chose one.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
}

impl CreateMultipartUploadRequest {
    /// Reads the request.
    ///
    /// # Errors
    /// Those of [`object_attributes::parse`]; `InvalidRequest` for a checksum that an upload can't have;
    /// `InvalidArgument` for a version.
    pub fn parse(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        head.refuse_version()?;
        let algorithm = head.header("x-amz-checksum-algorithm")?.map(checksum::parse_algorithm).transpose()?;
        let checksum_type = head.header("x-amz-checksum-type")?.map(checksum::parse_type).transpose()?;
        let checksum = match (algorithm, checksum_type) {
            (None, None) => None,
            (None, Some(_)) => {
                let words = "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.";
                return Err(S3Error::invalid_request(words));
            }
            (Some(algorithm), checksum_type) => {
                let checksum_type = checksum_type.unwrap_or(algorithm.default_type_of_upload());
                checksum::check_type_of_upload(algorithm, checksum_type)?;
                Some((algorithm, checksum_type))
            }
        };
        Ok(Self { bucket: head.bucket()?, key: head.key()?, attributes: object_attributes::parse(head)?, checksum })
    }
}

/// The upload has begun.
pub fn answer(request: &CreateMultipartUploadRequest, upload: UploadId) -> Response<Bytes> {
    let mut xml = XmlWriter::document();
    xml.open_root("InitiateMultipartUploadResult");
    xml.text("Bucket", request.bucket.as_str());
    xml.text("Key", request.key.as_bytes());
    xml.plain("UploadId", upload);
    xml.close("InitiateMultipartUploadResult");
    let mut response = answer::document(xml);
    if let Some((algorithm, checksum_type)) = request.checksum {
        answer::set(response.headers_mut(), "x-amz-checksum-algorithm", algorithm.name());
        answer::set(response.headers_mut(), "x-amz-checksum-type", checksum_type.name());
    }
    response
}
