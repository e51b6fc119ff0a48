//! UploadPartCopy.

use bytes::Bytes;
use http::Response;
use types::{AccountId, BucketName, ObjectKey, PartNumber, UploadId};

use crate::conditions::ReadConditions;
use crate::copy_object::CopiedAnswer;
use crate::copy_source::CopySource;
use crate::error::S3Error;
use crate::head::RequestHead;
use crate::object_attributes::refuse_unbuilt;
use crate::range::{ByteRange, parse_copy_source_range};
use crate::upload_part::required_part_number;

/// A part is to be copied from an object.
#[derive(Debug, Clone, PartialEq)]
pub struct UploadPartCopyRequest {
    /// The bucket of the upload.
    pub bucket: BucketName,
    /// The key of the upload.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// The part's number.
    pub number: PartNumber,
    /// What to copy.
    pub source: CopySource,
    /// Which bytes of it; all where none are named. [`crate::range::check_copy_source_range`] checks them against the
    /// source.
    pub range: Option<ByteRange>,
    /// What must hold of the source.
    pub source_conditions: ReadConditions,
    /// The account that must own the source's bucket.
    pub source_owner: Option<AccountId>,
}

impl UploadPartCopyRequest {
    /// Reads the request.
    ///
    /// # Errors
    /// `InvalidArgument` for part number, source or range, and for a version; `NoSuchUpload` for what is no upload id.
    pub fn parse(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        head.refuse_version()?;
        refuse_unbuilt(head)?;
        Ok(Self {
            bucket: head.bucket()?,
            key: head.key()?,
            number: required_part_number(head)?,
            upload: head.upload()?,
            source: CopySource::parse(head)?,
            range: head.header("x-amz-copy-source-range")?.map(parse_copy_source_range).transpose()?,
            source_conditions: ReadConditions::of_copy_source(head.headers),
            source_owner: head.expected_source_bucket_owner()?,
        })
    }
}

/// The part is stored.
pub fn answer(copied: &CopiedAnswer<'_>) -> Response<Bytes> {
    copied.write_as("CopyPartResult")
}
