//! Setting and removing what S3 keeps with a bucket as documents: PutBucketCors, PutBucketTagging and the like.

use std::time::Duration;

use bytes::Bytes;
use index::command::{BucketAt, DOCUMENT_BYTES_MAX, DocumentKind, SetBucketDocument};
use index::{Answer, CommandBody, Refusal};
use types::{BucketEpoch, BucketId, BucketName};

use crate::buckets::row_of;
use crate::commit::unexpected;
use crate::tickets::Transfer;
use crate::{Objects, ObjectsError};

/// How often the row's change is decided anew because the row has changed, or is fenced.
const DECISIONS_MAX: usize = 20;
const PAUSE: Duration = Duration::from_millis(50);

impl Objects {
    /// Sets a document of the bucket, or with `None` removes it, for every request here that begins after this; other
    /// gateways hear of it with their next answer about the bucket, or within a second.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`]; [`ObjectsError::DocumentTooLong`]; [`ObjectsError::BucketBusy`] or
    /// [`ObjectsError::Unavailable`], after which it may be set nevertheless.
    pub async fn put_bucket_document(
        &self,
        bucket: &BucketName,
        kind: DocumentKind,
        document: Option<Bytes>,
    ) -> Result<(), ObjectsError> {
        let id = self.buckets().resolve_anew(self.index(), bucket).await?.row.id;
        let mut transfer = self.begin();
        let set = CommandBody::SetBucketDocument(Box::new(SetBucketDocument { bucket: id, kind, document }));
        match self.commit_bare(&mut transfer, &set).await? {
            Answer::Done => self.raise_epoch(&mut transfer, bucket, id).await,
            Answer::Refused(Refusal::NoSuchBucket) => {
                self.buckets().forget(bucket);
                Err(ObjectsError::NoSuchBucket { bucket: bucket.clone() })
            }
            Answer::Refused(Refusal::DocumentTooLong) => {
                Err(ObjectsError::DocumentTooLong { bytes_max: DOCUMENT_BYTES_MAX })
            }
            Answer::Refused(refusal @ Refusal::FeatureLevel { .. }) => Err(ObjectsError::of_level(&refusal)),
            other => Err(unexpected("a change of a bucket's document", &other)),
        }
    }

    /// Raises the epoch of the bucket's rows in all its ranges, or sees that somebody else has since this began: that
    /// does as well.
    async fn raise_epoch(
        &self,
        transfer: &mut Transfer,
        bucket: &BucketName,
        id: BucketId,
    ) -> Result<(), ObjectsError> {
        let mut first: Option<BucketEpoch> = None;
        for _ in 0..DECISIONS_MAX {
            // Rows of all ranges agree once this is answered.
            let Some(row) = row_of(self.index(), id).await? else {
                self.buckets().forget(bucket);
                return Err(ObjectsError::NoSuchBucket { bucket: bucket.clone() });
            };
            if *first.get_or_insert(row.epoch) < row.epoch {
                self.buckets().learn(bucket, &row);
                return Ok(());
            }
            let at = BucketAt { id, epoch: row.epoch };
            let change = CommandBody::ChangeBucketRow { bucket: at, config: row.config };
            match self.commit_bare(transfer, &change).await? {
                Answer::BucketRow(row) => {
                    self.buckets().learn(bucket, &row);
                    return Ok(());
                }
                Answer::Refused(Refusal::StaleBucket { .. } | Refusal::NoSuchBucket) => {}
                other => return Err(unexpected("a change of a bucket's row", &other)),
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(ObjectsError::BucketBusy { bucket: bucket.clone() })
    }
}
