//! Changes of what a bucket's row says, decided under its epoch.

use std::time::Duration;

use index::command::BucketConfig;
use index::{Answer, CommandBody, Refusal};
use types::BucketName;

use crate::commit::unexpected;
use crate::{Objects, ObjectsError};

/// How often the change is decided anew because the bucket's row has changed, or is fenced.
const DECISIONS_MAX: usize = 20;
const PAUSE: Duration = Duration::from_millis(50);

impl Objects {
    /// Changes the bucket's settings, for every write that commits after this, to what `decide` makes of those that
    /// stand; where they are the same, nothing is done.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`], [`ObjectsError::BucketBusy`], those of `decide` and of the store.
    pub(crate) async fn change_config(
        &self,
        bucket: &BucketName,
        decide: impl Fn(&BucketConfig) -> Result<BucketConfig, ObjectsError>,
    ) -> Result<(), ObjectsError> {
        let mut transfer = self.begin();
        for _ in 0..DECISIONS_MAX {
            let resolved = self.buckets().resolve_anew(self.index(), bucket).await?;
            let config = decide(&resolved.row.config)?;
            if config == resolved.row.config {
                return Ok(());
            }
            let change = CommandBody::ChangeBucketRow { bucket: resolved.at(), config };
            match self.commit_bare(&mut transfer, &change).await? {
                Answer::BucketRow(row) => {
                    self.buckets().learn(bucket, &row);
                    return Ok(());
                }
                Answer::Refused(Refusal::StaleBucket { .. } | Refusal::NoSuchBucket) => {}
                Answer::Refused(refusal @ Refusal::FeatureLevel { .. }) => {
                    return Err(ObjectsError::of_level(&refusal));
                }
                other => return Err(unexpected("a change of a bucket's row", &other)),
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(ObjectsError::BucketBusy { bucket: bucket.clone() })
    }
}
