//! ListObjects, versions 1 and 2.

use bytes::Bytes;
use types::BucketName;

use crate::{ListEntry, ListedVersion, Objects, ObjectsError};

/// Lists current objects.
#[derive(Debug, Clone)]
pub struct ListObjectsRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// Only keys that begin so; may be empty.
    pub prefix: Bytes,
    /// Keys are rolled up at its first occurrence after the prefix; empty: not at all.
    pub delimiter: Bytes,
    /// Where to begin.
    pub start: ListStart,
    /// At most so many entries and common prefixes together (S3: up to 1,000); 0 answers an empty, complete page.
    pub max_keys: usize,
}

/// Where a listing begins.
#[derive(Debug, Clone, Default)]
pub enum ListStart {
    /// At the first key.
    #[default]
    Beginning,
    /// Behind this key or common prefix: v1's `marker`, v2's `start-after`.
    After(Bytes),
    /// Where a v2 page ended: its `continuation-token`.
    Token(String),
}

/// A page of objects.
#[derive(Debug, Clone)]
pub struct ObjectsPage {
    /// Keys and common prefixes, together in byte order.
    pub entries: Vec<ListEntry<ListedVersion>>,
    /// Whether more follow.
    pub truncated: bool,
    /// v1's `NextMarker`: only of a truncated page with a delimiter.
    pub next_marker: Option<Bytes>,
    /// v2's `NextContinuationToken`: only of a truncated page.
    pub next_token: Option<String>,
}

impl Objects {
    /// One page of a bucket's current objects in byte order of key.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`], [`ObjectsError::InvalidToken`].
    pub async fn list_objects(&self, request: ListObjectsRequest) -> Result<ObjectsPage, ObjectsError> {
        todo!()
    }
}
