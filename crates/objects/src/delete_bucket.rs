//! DeleteBucket.

use index::{Answer, CommandBody, Query, QueryAnswer, Refusal};
use types::{BucketId, BucketName};

use crate::changes::Finished;
use crate::commit::unexpected;
use crate::unfinished_buckets::{Deletion, Settled};
use crate::{Objects, ObjectsError};

impl Objects {
    /// Deletes an empty bucket.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`]; [`ObjectsError::BucketNotEmpty`] when it has a version, a marker or an upload;
    /// [`ObjectsError::BucketBusy`] while another request makes or deletes it.
    pub async fn delete_bucket(&self, bucket: &BucketName) -> Result<(), ObjectsError> {
        let resolved = self.buckets().resolve_anew(self.index(), bucket).await?;
        let id = resolved.row.id;
        // Most buckets that are not empty are found so without fencing their writers.
        if !self.looks_empty(id).await? {
            return Err(ObjectsError::BucketNotEmpty { bucket: bucket.clone() });
        }
        let objects = self.clone();
        let name = bucket.clone();
        Finished::new(async move { objects.remove_bucket(&name, id).await }).await
    }

    async fn remove_bucket(&self, bucket: &BucketName, id: BucketId) -> Result<(), ObjectsError> {
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
        match self.settle_deletion(&mut transfer, &deletion).await? {
            Settled::Deleted => Ok(()),
            Settled::NotEmpty => Err(ObjectsError::BucketNotEmpty { bucket: bucket.clone() }),
        }
    }

    async fn looks_empty(&self, id: BucketId) -> Result<bool, ObjectsError> {
        match self.index().ask(Query::Usage(id)).await? {
            QueryAnswer::Usage(usage) => Ok(usage.versions == 0 && usage.markers == 0 && usage.uploads == 0),
            other => Err(unexpected("a bucket's usage", &other)),
        }
    }
}
