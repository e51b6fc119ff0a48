//! ListObjectVersions.

use bytes::Bytes;
use index::query::ListRange;
use index::{Query, QueryAnswer};
use types::BucketName;

use crate::listing::position_after;
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
        let ListObjectVersionsRequest { bucket, prefix, delimiter, key_marker, version_marker, max_keys } = request;
        let page = if max_keys == 0 {
            self.empty_page(&bucket).await?
        } else {
            // S3 ignores a version marker without a key marker.
            let after_version = version_marker.filter(|_| !key_marker.is_empty());
            let question = |id| {
                let (prefix, delimiter, after) = (prefix.clone(), delimiter.clone(), key_marker.clone());
                let range = ListRange { bucket: id, prefix, delimiter, after, limit: max_keys };
                Query::Versions { range, after_version }
            };
            let take = |answer| match answer {
                QueryAnswer::Versions(page) => Ok(page),
                other => Err(other),
            };
            self.page(&bucket, question, take).await?
        };
        let next_key_marker = position_after(&page, |version| Bytes::copy_from_slice(version.key.as_bytes()));
        let next_version_marker = match page.entries.last() {
            Some(ListEntry::Entry(last)) if page.truncated => {
                Some(if last.null { WhichVersion::Null } else { WhichVersion::Id(last.id) })
            }
            _ => None,
        };
        Ok(VersionsPage { entries: page.entries, truncated: page.truncated, next_key_marker, next_version_marker })
    }
}
