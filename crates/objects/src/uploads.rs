//! Uploads under way: what the multipart operations share.

use index::query::UploadView;
use index::{Query, QueryAnswer};
use types::{BucketName, HomeKey, ObjectKey, UploadId};

use crate::buckets::{Resolved, row_of};
use crate::commit::unexpected;
use crate::{Objects, ObjectsError};

/// An upload, and its bucket.
pub(crate) struct FoundUpload {
    pub(crate) resolved: Resolved,
    pub(crate) home: HomeKey,
    pub(crate) view: UploadView,
}

impl Objects {
    /// Finds an upload, under way or completed.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`], [`ObjectsError::NoSuchUpload`].
    pub(crate) async fn find_upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: UploadId,
    ) -> Result<FoundUpload, ObjectsError> {
        let mut resolved = self.resolve(bucket).await?;
        loop {
            let home = HomeKey { bucket: resolved.row.id, key: key.clone() };
            let query = Query::Upload { bucket: home.bucket, key: key.clone(), upload };
            match self.index().ask(query).await? {
                QueryAnswer::Upload(Some(view)) => return Ok(FoundUpload { resolved, home, view: *view }),
                QueryAnswer::Upload(None) => {}
                other => return Err(unexpected("an upload", &other)),
            }
            // The name may mean another bucket by now, or none.
            if row_of(self.index(), home.bucket).await?.is_some() {
                return Err(ObjectsError::NoSuchUpload { upload });
            }
            resolved = self.buckets().resolve_anew(self.index(), bucket).await?;
        }
    }

    /// Finds an upload under way.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`]; [`ObjectsError::NoSuchUpload`] also of a completed one.
    pub(crate) async fn find_open_upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: UploadId,
    ) -> Result<FoundUpload, ObjectsError> {
        let found = self.find_upload(bucket, key, upload).await?;
        if found.view.completed.is_some() {
            return Err(ObjectsError::NoSuchUpload { upload });
        }
        Ok(found)
    }
}
