//! PutBucketVersioning.

use std::time::Duration;

use index::command::BucketConfig;
use index::{Answer, CommandBody, Refusal};
use types::{BucketName, Versioning};

use crate::commit::unexpected;
use crate::{Objects, ObjectsError};

/// How often the change is decided anew because the bucket's row has changed, or is fenced.
const DECISIONS_MAX: usize = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// What PutBucketVersioning sets: versioning once enabled never goes off again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersioningStatus {
    /// Every write adds a version.
    Enabled,
    /// Writes replace the `null` version.
    Suspended,
}

impl Objects {
    /// Sets the bucket's versioning, for every write that commits after this.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`]; [`ObjectsError::InvalidBucketState`] for suspending a bucket with object lock.
    pub async fn put_bucket_versioning(
        &self,
        bucket: &BucketName,
        status: VersioningStatus,
    ) -> Result<(), ObjectsError> {
        let versioning = match status {
            VersioningStatus::Enabled => Versioning::Enabled,
            VersioningStatus::Suspended => Versioning::Suspended,
        };
        let mut transfer = self.begin();
        for _ in 0..DECISIONS_MAX {
            let resolved = self.buckets().resolve_anew(self.index(), bucket).await?;
            let config = &resolved.row.config;
            if config.object_lock && status == VersioningStatus::Suspended {
                return Err(ObjectsError::InvalidBucketState { bucket: bucket.clone() });
            }
            if config.versioning == versioning {
                return Ok(());
            }
            let decided_at = resolved.at();
            let config = BucketConfig { versioning, ..config.clone() };
            let change = CommandBody::ChangeBucketRow { bucket: decided_at, config };
            match self.commit_bare(&mut transfer, &change).await {
                Ok(Answer::BucketRow(row)) => {
                    self.buckets().learn(bucket, &row);
                    return Ok(());
                }
                Ok(Answer::Refused(Refusal::StaleBucket { .. } | Refusal::NoSuchBucket)) => {}
                Ok(other) => return Err(unexpected("a change of a bucket's row", &other)),
                Err(error) => return Err(error),
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(ObjectsError::BucketBusy { bucket: bucket.clone() })
    }
}
