//! ListObjectVersions.

use bytes::Bytes;
use types::{BucketName, ObjectKey};

use crate::{ListEntry, ListedVersion, Objects, ObjectsError, WhichVersion};

/// Lists all versions and delete markers.
#[derive(Debug, Clone)]
pub struct ListObjectVersionsRequest {
    /// The bucket; it need never have been versioned.
    pub bucket: BucketName,
    /// Only keys that begin so; may be empty.
    pub prefix: Bytes,
    /// Keys are rolled up at its first occurrence after the prefix; empty: not at all.
    pub delimiter: Bytes,
    /// Only keys behind this one (`key-marker`); empty: from the first.
    pub key_marker: Bytes,
    /// Of `key_marker` itself only versions behind this one (`version-id-marker`).
    pub version_marker: Option<WhichVersion>,
    /// At most so many entries and common prefixes together; 0 answers an empty, complete page.
    pub max_keys: usize,
}

/// A page of versions.
#[derive(Debug, Clone)]
pub struct VersionsPage {
    /// Versions, markers and common prefixes: in byte order of key, newest first within a key.
    pub entries: Vec<ListEntry<ListedVersion>>,
    /// Whether more follow.
    pub truncated: bool,
    /// Of a truncated page: `NextKeyMarker`.
    pub next_key_marker: Option<Bytes>,
    /// Of a truncated page that ended with a version: `NextVersionIdMarker`.
    pub next_version_marker: Option<WhichVersion>,
}

impl Objects {
    /// One page of a bucket's versions.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`].
    pub async fn list_object_versions(&self, request: ListObjectVersionsRequest) -> Result<VersionsPage, ObjectsError> {
        todo!()
    }
}
