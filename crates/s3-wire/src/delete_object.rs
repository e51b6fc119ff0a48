//! DeleteObject.

use bytes::Bytes;
use http::{Response, StatusCode};
use types::{BucketName, ObjectKey};

use crate::answer;
use crate::conditions::WriteConditions;
use crate::error::S3Error;
use crate::head::{RequestHead, VersionRef};

/// An object, or one version of it, is to be deleted.
#[derive(Debug, Clone, PartialEq)]
pub struct DeleteObjectRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The version to remove for good; `None` deletes as the bucket's versioning says.
    pub version: Option<VersionRef>,
    /// What must hold when it is committed.
    pub conditions: WriteConditions,
    /// Whether retention in governance mode may be passed over, if the caller has the right.
    pub bypass_governance: bool,
}

impl DeleteObjectRequest {
    /// Reads the request.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn parse(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        let version = head.version()?;
        Ok(Self {
            bucket: head.bucket()?,
            key: head.key()?,
            version,
            conditions: WriteConditions::of_delete(head.headers),
            bypass_governance: head.bypasses_governance(),
        })
    }
}

/// What a delete did; also an entry of DeleteObjects' answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deleted {
    /// The version that was removed, or the marker that was added, where the bucket is or was versioned.
    pub version: Option<VersionRef>,
    /// Whether that is a delete marker.
    pub marker: bool,
}

/// It is deleted, or was not there.
pub fn answer(deleted: Deleted) -> Response<Bytes> {
    let mut response = answer::empty(StatusCode::NO_CONTENT);
    if deleted.marker {
        answer::set(response.headers_mut(), "x-amz-delete-marker", "true");
    }
    if let Some(version) = deleted.version {
        answer::set(response.headers_mut(), "x-amz-version-id", version);
    }
    response
}
