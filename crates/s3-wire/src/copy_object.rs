//! CopyObject.

use bytes::Bytes;
use http::Response;
use types::{
    AccountId, BucketName, Checksum, ChecksumAlgorithm, ETag, LegalHold, ObjectAttributes, ObjectKey, Retention,
    StorageClass, Timestamp,
};

use crate::answer;
use crate::checksum;
use crate::conditions::{ReadConditions, WriteConditions};
use crate::copy_source::CopySource;
use crate::error::S3Error;
use crate::head::{RequestHead, VersionRef};
use crate::object_attributes;
use crate::xml::XmlWriter;

/// An object is to be copied.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyObjectRequest {
    /// The bucket to copy to.
    pub bucket: BucketName,
    /// The key to copy to.
    pub key: ObjectKey,
    /// What to copy.
    pub source: CopySource,
    /// What must hold of the source.
    pub source_conditions: ReadConditions,
    /// The account that must own the source's bucket.
    pub source_owner: Option<AccountId>,
    /// Headers and metadata of the copy; `None` copies the source's.
    pub metadata: Option<NewMetadata>,
    /// Tags of the copy; `None` copies the source's.
    pub tags: Option<Vec<(String, String)>>,
    /// The class that the request names; a copy never inherits its source's.
    pub storage_class: Option<StorageClass>,
    /// `x-amz-website-redirect-location`; a copy never inherits its source's.
    pub website_redirect: Option<Bytes>,
    /// What must hold of the key when the copy is committed.
    pub conditions: WriteConditions,
    /// The algorithm of a checksum that is to be computed; `None` keeps the source's.
    pub checksum_algorithm: Option<ChecksumAlgorithm>,
    /// The copy's retention; a copy never inherits its source's.
    pub retention: Option<Retention>,
    /// The copy's legal hold, likewise.
    pub legal_hold: LegalHold,
}

/// Headers and metadata instead of the source's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewMetadata {
    /// As [`ObjectAttributes::headers`], without the website redirect.
    pub headers: Vec<(String, Bytes)>,
    /// As [`ObjectAttributes::metadata`].
    pub metadata: Vec<(String, Bytes)>,
}

impl CopyObjectRequest {
    /// Reads the request.
    ///
    /// # Errors
    /// Those of [`CopySource::parse`], [`object_attributes::parse`] and [`WriteConditions::of_write`];
    /// `InvalidArgument` for directives that S3 doesn't have, and for a version.
    pub fn parse(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        head.refuse_version()?;
        let attributes = object_attributes::parse(head)?;
        let replaces = directive(head, "x-amz-metadata-directive", "Unknown metadata directive.")?;
        let replaces_tags = directive(head, "x-amz-tagging-directive", "Unknown tagging directive.")?;
        let ObjectAttributes { mut headers, metadata, tags, retention, legal_hold, .. } = attributes;
        let redirect = headers.iter().position(|(name, _)| name == "x-amz-website-redirect-location");
        let website_redirect = redirect.map(|at| headers.remove(at).1);
        Ok(Self {
            bucket: head.bucket()?,
            key: head.key()?,
            source: CopySource::parse(head)?,
            source_conditions: ReadConditions::of_copy_source(head.headers),
            source_owner: head.expected_source_bucket_owner()?,
            metadata: replaces.then_some(NewMetadata { headers, metadata }),
            tags: replaces_tags.then_some(tags),
            storage_class: object_attributes::storage_class(head)?,
            website_redirect,
            conditions: WriteConditions::of_write(head.headers),
            checksum_algorithm: head.header("x-amz-checksum-algorithm")?.map(checksum::parse_algorithm).transpose()?,
            retention,
            legal_hold,
        })
    }

    /// Whether the copy is its own source and would change nothing. [`changes_nothing`] refuses it.
    pub fn is_pointless(&self) -> bool {
        self.source.bucket == self.bucket
            && self.source.key == self.key
            && self.source.version.is_none()
            && self.metadata.is_none()
            && self.tags.is_none()
            && self.storage_class.is_none()
            && self.website_redirect.is_none()
            && self.checksum_algorithm.is_none()
            && self.retention.is_none()
            && self.legal_hold == LegalHold::Unset
    }
}

/// `InvalidRequest` for a copy that is its own source and changes nothing.
pub fn changes_nothing() -> S3Error {
    S3Error::invalid_request(
        "This copy request is illegal because it is trying to copy an object to itself without changing the object's \
         metadata, storage class, website redirect location or encryption attributes.",
    )
}

/// `InvalidRequest` for a source over 5 GiB.
pub fn source_too_large() -> S3Error {
    let limit = crate::body::OBJECT_BODY_BYTES_MAX;
    S3Error::invalid_request(format!(
        "The specified copy source is larger than the maximum allowable size for a copy source: {limit}"
    ))
}

/// `InvalidRequest` for a source that names a delete marker by its version.
pub fn source_is_marker() -> S3Error {
    S3Error::invalid_request(
        "The source of a copy request may not specifically refer to a delete marker by version id.",
    )
}

/// Whether the directive is REPLACE.
fn directive(head: &RequestHead<'_>, name: &'static str, unknown: &'static str) -> Result<bool, S3Error> {
    match head.header(name)? {
        None | Some("" | "COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(other) => Err(S3Error::invalid_argument(unknown, name, other)),
    }
}

/// The copy is stored: of CopyObject, and of UploadPartCopy.
#[derive(Debug, Clone, Copy)]
pub struct CopiedAnswer<'a> {
    /// The copy's tag.
    pub etag: &'a ETag,
    /// When it was stored.
    pub modified: Timestamp,
    /// The checksum that clients are shown.
    pub checksum: Option<&'a Checksum>,
    /// The copy's version, in a bucket with versioning enabled.
    pub version: Option<VersionRef>,
    /// The version that was read, where the source's bucket is or was versioned.
    pub source_version: Option<VersionRef>,
}

impl CopiedAnswer<'_> {
    /// Writes CopyObject's answer.
    pub fn write(&self) -> Response<Bytes> {
        self.write_as("CopyObjectResult")
    }

    pub(crate) fn write_as(&self, root: &str) -> Response<Bytes> {
        let mut xml = XmlWriter::document();
        xml.open_root(root);
        xml.time("LastModified", self.modified);
        xml.etag("ETag", self.etag);
        if let Some(checksum) = self.checksum {
            checksum::write_element(&mut xml, checksum, self.etag.parts);
            xml.text("ChecksumType", checksum.checksum_type.name());
        }
        xml.close(root);
        let mut response = answer::document(xml);
        if let Some(version) = self.version {
            answer::set(response.headers_mut(), "x-amz-version-id", version);
        }
        if let Some(version) = self.source_version {
            answer::set(response.headers_mut(), "x-amz-copy-source-version-id", version);
        }
        response
    }
}
