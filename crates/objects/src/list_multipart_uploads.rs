//! ListMultipartUploads.

use bytes::Bytes;
use index::query::ListRange;
use index::{Query, QueryAnswer};
use types::{BucketName, UploadId};

use crate::listing::position_after;
use crate::{ListEntry, ListedUpload, Objects, ObjectsError};

/// Lists uploads under way.
#[derive(Debug, Clone)]
pub struct ListMultipartUploadsRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// Only keys that begin so; may be empty.
    pub prefix: Bytes,
    /// Keys are rolled up at its first occurrence after the prefix; empty: not at all.
    pub delimiter: Bytes,
    /// Only keys behind this one (`key-marker`); empty: from the first.
    pub key_marker: Bytes,
    /// Of `key_marker` itself only uploads behind this one (`upload-id-marker`).
    pub upload_marker: Option<UploadId>,
    /// At most so many uploads and common prefixes together; 0 answers an empty, complete page.
    pub max_uploads: usize,
}

/// A page of uploads.
#[derive(Debug, Clone)]
pub struct UploadsPage {
    /// Uploads and common prefixes: in byte order of key, then of time.
    pub entries: Vec<ListEntry<ListedUpload>>,
    /// Whether more follow.
    pub truncated: bool,
    /// Of a truncated page: `NextKeyMarker`.
    pub next_key_marker: Option<Bytes>,
    /// Of a truncated page that ended with an upload: `NextUploadIdMarker`.
    pub next_upload_marker: Option<UploadId>,
}

impl Objects {
    /// One page of a bucket's uploads.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`].
    pub async fn list_multipart_uploads(
        &self,
        request: ListMultipartUploadsRequest,
    ) -> Result<UploadsPage, ObjectsError> {
        let ListMultipartUploadsRequest { bucket, prefix, delimiter, key_marker, upload_marker, max_uploads } = request;
        let page = if max_uploads == 0 {
            self.empty_page(&bucket).await?
        } else {
            // S3 ignores an upload marker without a key marker.
            let after_upload = upload_marker.filter(|_| !key_marker.is_empty());
            let question = |id| {
                let (prefix, delimiter, after) = (prefix.clone(), delimiter.clone(), key_marker.clone());
                let range = ListRange { bucket: id, prefix, delimiter, after, limit: max_uploads };
                Query::Uploads { range, after_upload }
            };
            let take = |answer| match answer {
                QueryAnswer::Uploads(page) => Ok(page),
                other => Err(other),
            };
            self.page(&bucket, question, take).await?
        };
        let next_key_marker = position_after(&page, |upload| Bytes::copy_from_slice(upload.key.as_bytes()));
        let next_upload_marker = match page.entries.last() {
            Some(ListEntry::Entry(last)) if page.truncated => Some(last.upload),
            _ => None,
        };
        Ok(UploadsPage { entries: page.entries, truncated: page.truncated, next_key_marker, next_upload_marker })
    }
}
