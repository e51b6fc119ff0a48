//! ListObjects, versions 1 and 2.

use bytes::Bytes;
use index::query::ListRange;
use index::{Query, QueryAnswer};
use types::BucketName;

use crate::listing::position_after;
use crate::tokens::{self, Listing};
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
        let ListObjectsRequest { bucket, prefix, delimiter, start, max_keys } = request;
        let after = match start {
            ListStart::Beginning => Bytes::new(),
            ListStart::After(after) => after,
            ListStart::Token(token) => tokens::decode(Listing::Objects, &token)?.into(),
        };
        let page = if max_keys == 0 {
            self.empty_page(&bucket).await?
        } else {
            let question = |id| {
                let (prefix, delimiter, after) = (prefix.clone(), delimiter.clone(), after.clone());
                Query::Objects(ListRange { bucket: id, prefix, delimiter, after, limit: max_keys })
            };
            let take = |answer| match answer {
                QueryAnswer::Objects(page) => Ok(page),
                other => Err(other),
            };
            self.page(&bucket, question, take).await?
        };
        let next = position_after(&page, |version| Bytes::copy_from_slice(version.key.as_bytes()));
        let next_token = next.as_ref().map(|position| tokens::encode(Listing::Objects, position));
        let next_marker = next.filter(|_| !delimiter.is_empty());
        Ok(ObjectsPage { entries: page.entries, truncated: page.truncated, next_marker, next_token })
    }
}
