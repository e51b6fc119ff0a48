//! DeleteBucket.

use bytes::Bytes;
use index::{Answer, CommandBody, Query, QueryAnswer, Refusal};
use types::{BucketId, BucketName};

use crate::changes::Finished;
use crate::commit::unexpected;
use crate::unfinished_buckets::{Deletion, Settled};
use crate::{ListEntry, ListMultipartUploadsRequest, ListedUpload, Objects, ObjectsError};

/// How often uploads that begin meanwhile are ended, too.
const ROUNDS_MAX: usize = 3;
/// How many uploads are looked up at once.
const UPLOADS_PAGE: usize = 1000;

impl Objects {
    /// Deletes a bucket without versions and markers. Uploads under way go with it, as in S3: no client sees them among
    /// the objects. They are ended first, so one whose bucket turns out not to be empty after all is gone, too.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`]; [`ObjectsError::BucketNotEmpty`] when it has a version or a marker, or ever new
    /// uploads; [`ObjectsError::BucketBusy`] while another request makes or deletes it.
    pub async fn delete_bucket(&self, bucket: &BucketName) -> Result<(), ObjectsError> {
        let resolved = self.buckets().resolve_anew(self.index(), bucket).await?;
        let id = resolved.row.id;
        for _ in 0..ROUNDS_MAX {
            // Most buckets that are not empty are found so without fencing their writers.
            match self.contents(id).await? {
                Contents::Versions => break,
                Contents::UploadsAlone => self.abort_uploads(bucket).await?,
                Contents::Nothing => {}
            }
            let objects = self.clone();
            let name = bucket.clone();
            match Finished::new(async move { objects.remove_bucket(&name, id).await }).await? {
                Settled::Deleted => return Ok(()),
                Settled::NotEmpty => {}
            }
        }
        Err(ObjectsError::BucketNotEmpty { bucket: bucket.clone() })
    }

    async fn abort_uploads(&self, bucket: &BucketName) -> Result<(), ObjectsError> {
        loop {
            let first_page = ListMultipartUploadsRequest {
                bucket: bucket.clone(),
                prefix: Bytes::new(),
                delimiter: Bytes::new(),
                key_marker: Bytes::new(),
                upload_marker: None,
                max_uploads: UPLOADS_PAGE,
            };
            let page = self.list_multipart_uploads(first_page).await?;
            for entry in page.entries {
                let ListEntry::Entry(ListedUpload { key, upload, .. }) = entry else { continue };
                match self.abort_multipart_upload(bucket, &key, upload).await {
                    // It was completed or aborted by somebody else.
                    Ok(()) | Err(ObjectsError::NoSuchUpload { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            if !page.truncated {
                return Ok(());
            }
        }
    }

    async fn remove_bucket(&self, bucket: &BucketName, id: BucketId) -> Result<Settled, ObjectsError> {
        let mut transfer = self.begin();
        let token = self.entropy().id();
        match self.commit_bare(&mut transfer, &CommandBody::BeginBucketDeletion { id, token }).await? {
            Answer::Done => {}
            Answer::Refused(Refusal::NoSuchBucket) => {
                return Err(ObjectsError::NoSuchBucket { bucket: bucket.clone() });
            }
            Answer::Refused(Refusal::BucketBusy) => return Err(ObjectsError::BucketBusy { bucket: bucket.clone() }),
            other => return Err(unexpected("the beginning of a bucket's deletion", &other)),
        }
        let deletion = Deletion { id, name: bucket.clone(), token };
        self.settle_deletion(&mut transfer, &deletion).await
    }

    async fn contents(&self, id: BucketId) -> Result<Contents, ObjectsError> {
        match self.index().ask(Query::Usage(id)).await? {
            QueryAnswer::Usage(usage) if usage.versions > 0 || usage.markers > 0 => Ok(Contents::Versions),
            QueryAnswer::Usage(usage) if usage.uploads > 0 => Ok(Contents::UploadsAlone),
            QueryAnswer::Usage(_) => Ok(Contents::Nothing),
            other => Err(unexpected("a bucket's usage", &other)),
        }
    }
}

/// What a bucket has, as far as its deletion is concerned.
enum Contents {
    /// Versions or markers.
    Versions,
    UploadsAlone,
    Nothing,
}
