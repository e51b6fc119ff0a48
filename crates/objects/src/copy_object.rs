//! CopyObject.

use bytes::Bytes;
use types::{
    BucketName, Checksum, ChecksumAlgorithm, ETag, LegalHold, ObjectAttributes, ObjectKey, Owner, Retention,
    StorageClass, Timestamp,
};

use crate::put_object::{PutObjectRequest, WrittenVersion};
use crate::{BodyFacts, Objects, ObjectsError, ReadConditions, ShownVersion, WhichVersion, WriteConditions};

/// Kept word for word like a standard header, but never taken over by a copy.
const WEBSITE_REDIRECT: &str = "x-amz-website-redirect-location";

/// Copies an object of up to 5 GiB.
#[derive(Debug, Clone)]
pub struct CopyObjectRequest {
    /// What is copied.
    pub source: CopySource,
    /// Where to.
    pub bucket: BucketName,
    /// Where to.
    pub key: ObjectKey,
    /// Who will own the copy.
    pub owner: Owner,
    /// What must hold of the target's key at commit.
    pub conditions: WriteConditions,
    /// Headers and user metadata in place of the source's (`x-amz-metadata-directive: REPLACE`).
    pub metadata: Option<CopyMetadata>,
    /// `x-amz-website-redirect-location` of the copy, whatever the source's.
    pub website_redirect: Option<Bytes>,
    /// Tags in place of the source's (`x-amz-tagging-directive: REPLACE`).
    pub tags: Option<Vec<(String, String)>>,
    /// The copy's class; `None` is STANDARD, whatever the source's.
    pub storage_class: Option<StorageClass>,
    /// The copy's checksum algorithm; `None`: the source's.
    pub checksum: Option<ChecksumAlgorithm>,
    /// The copy's retention, whatever the source's.
    pub retention: Option<Retention>,
    /// The copy's legal hold, whatever the source's.
    pub legal_hold: LegalHold,
}

/// The object that a copy reads.
#[derive(Debug, Clone)]
pub struct CopySource {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its key.
    pub key: ObjectKey,
    /// Which version.
    pub which: WhichVersion,
    /// What must hold of it; all failures are [`ObjectsError::PreconditionFailed`].
    pub conditions: ReadConditions,
}

/// Headers and user metadata that replace the source's.
#[derive(Debug, Clone, Default)]
pub struct CopyMetadata {
    /// As `types::ObjectAttributes::headers`, without `x-amz-website-redirect-location`.
    pub headers: Vec<(String, Bytes)>,
    /// As `types::ObjectAttributes::metadata`.
    pub metadata: Vec<(String, Bytes)>,
}

/// A copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedObject {
    /// The copy's id.
    pub version: ShownVersion,
    /// The source's.
    pub source_version: ShownVersion,
    /// The copy's entity tag.
    pub etag: ETag,
    /// The copy's Last-Modified.
    pub modified: Timestamp,
    /// The copy's checksum.
    pub checksum: Option<Checksum>,
    /// The copy's plain bytes.
    pub plain_bytes: u64,
    /// The copy's tags.
    pub tags: Vec<(String, String)>,
}

impl Objects {
    /// Copies an object's bytes; the copy has one part, whatever the source has.
    ///
    /// # Errors
    /// Of the source as [`Objects::get_object`] (never [`ObjectsError::NotModified`]),
    /// [`ObjectsError::CopySourceTooLarge`]; [`ObjectsError::CopyChangesNothing`]; of the target as
    /// [`Objects::put_object`].
    pub async fn copy_object(&self, request: CopyObjectRequest) -> Result<CopiedObject, ObjectsError> {
        let mut found = self.find_source(&request.source).await?;
        if changes_nothing(&request) {
            return Err(ObjectsError::CopyChangesNothing);
        }
        let head = found.take_head();
        let mut body = self.open_source(found, 0..head.plain_bytes).await?;
        let attributes = attributes_of_copy(&request, head.attributes);
        let checksum = request.checksum.or_else(|| head.checksum.map(|checksum| checksum.algorithm));
        let put = PutObjectRequest {
            bucket: request.bucket,
            key: request.key,
            attributes,
            owner: request.owner,
            conditions: request.conditions,
            said: BodyFacts { declared_bytes: Some(head.plain_bytes), checksum, ..BodyFacts::default() },
        };
        let written = self.put_object(put, &mut body).await?;
        let WrittenVersion { version, etag, checksum, modified, plain_bytes, tags } = written;
        Ok(CopiedObject { version, source_version: head.version, etag, modified, checksum, plain_bytes, tags })
    }
}

/// Whether the copy would replace an object by itself.
fn changes_nothing(request: &CopyObjectRequest) -> bool {
    let CopySource { bucket, key, which, .. } = &request.source;
    *bucket == request.bucket
        && *key == request.key
        && *which == WhichVersion::Newest
        && request.metadata.is_none()
        && request.tags.is_none()
        && request.storage_class.is_none()
        && request.checksum.is_none()
        && request.website_redirect.is_none()
        && request.retention.is_none()
        && request.legal_hold == LegalHold::Unset
}

fn attributes_of_copy(request: &CopyObjectRequest, source: ObjectAttributes) -> ObjectAttributes {
    let CopyMetadata { mut headers, metadata } =
        request.metadata.clone().unwrap_or(CopyMetadata { headers: source.headers, metadata: source.metadata });
    headers.retain(|(name, _)| name != WEBSITE_REDIRECT);
    if let Some(target) = &request.website_redirect {
        headers.push((WEBSITE_REDIRECT.to_owned(), target.clone()));
    }
    ObjectAttributes {
        headers,
        metadata,
        tags: request.tags.clone().unwrap_or(source.tags),
        storage_class: request.storage_class.clone().unwrap_or_default(),
        retention: request.retention,
        legal_hold: request.legal_hold,
    }
}
