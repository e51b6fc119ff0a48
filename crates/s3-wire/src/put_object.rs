//! PutObject.

use bytes::Bytes;
use http::{Response, StatusCode, header};
use types::{BucketName, Checksum, ETag, ObjectAttributes, ObjectKey};

use crate::answer;
use crate::body::ObjectBody;
use crate::checksum;
use crate::conditions::WriteConditions;
use crate::error::S3Error;
use crate::head::{RequestHead, VersionRef};
use crate::{object_attributes, object_lock};

/// An object is to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct PutObjectRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Headers, metadata, tags, storage class, locks.
    pub attributes: ObjectAttributes,
    /// The bytes that follow.
    pub body: ObjectBody,
    /// What must hold when it is committed.
    pub conditions: WriteConditions,
}

impl PutObjectRequest {
    /// Reads the head.
    ///
    /// # Errors
    /// Those of [`object_attributes::parse`], [`ObjectBody::parse`] and [`WriteConditions::of_write`]; `InvalidArgument` for a
    /// version; `InvalidRequest` for a lock on a body without a digest.
    pub fn parse(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        head.refuse_version()?;
        let request = Self {
            bucket: head.bucket()?,
            key: head.key()?,
            attributes: object_attributes::parse(head)?,
            conditions: WriteConditions::of_write(head.headers),
            body: ObjectBody::parse(head)?,
        };
        if request.attributes.names_lock() && request.body.integrity.is_empty() {
            return Err(object_lock::needs_integrity());
        }
        Ok(request)
    }
}

/// The object is stored.
#[derive(Debug, Clone, Copy)]
pub struct StoredAnswer<'a> {
    /// Its tag.
    pub etag: &'a ETag,
    /// Its version, in a bucket with versioning enabled.
    pub version: Option<VersionRef>,
    /// The checksum that clients are shown.
    pub checksum: Option<&'a Checksum>,
}

impl StoredAnswer<'_> {
    /// Writes the answer.
    pub fn write(&self) -> Response<Bytes> {
        let mut response = answer::empty(StatusCode::OK);
        let headers = response.headers_mut();
        headers.insert(header::ETAG, answer::etag_header(self.etag));
        if let Some(version) = self.version {
            answer::set(headers, "x-amz-version-id", version);
        }
        if let Some(checksum) = self.checksum {
            checksum::set_headers(headers, checksum, None);
        }
        response
    }
}
