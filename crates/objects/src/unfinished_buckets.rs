//! Creations and deletions of buckets to their end, by whoever finds them.
//!
//! A bucket has a record in the system range and a row in each data range. A deletion notes itself in the record, fences
//! the rows, and if they are empty drops them and removes the record; else it makes the record visible again and *then*
//! lifts the fences. Whoever drops has asked, after fencing, whether the deletion still stands. So as long as the
//! record says "deleting" the rows stay fenced, and two that settle the same deletion come to the same end.
//!
//! A creation that was not published is undone: whoever asked for it was told nothing, or an error.

use std::time::Duration;

use index::command::{BucketRecord, BucketRecordState};
use index::{Answer, CommandBody, Query, QueryAnswer, Refusal};
use types::{BucketId, BucketName};

use crate::buckets::record_of;
use crate::commit::unexpected;
use crate::tickets::Transfer;
use crate::{Objects, ObjectsError};

/// How long a creation or deletion is left to whoever began it.
const LEFT_ALONE: Duration = Duration::from_secs(30);

/// A deletion that has begun.
pub(crate) struct Deletion {
    pub(crate) id: BucketId,
    pub(crate) name: BucketName,
    pub(crate) token: [u8; 16],
}

/// What a deletion came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    Deleted,
    NotEmpty,
}

impl Objects {
    /// Finishes, or undoes, the creations and deletions of buckets that were found unfinished half a minute ago and
    /// still are. Idempotent; for upkeep, every minute or so. Returns how many it settled.
    ///
    /// # Errors
    /// [`ObjectsError::Unavailable`].
    pub async fn finish_unfinished_buckets(&self) -> Result<usize, ObjectsError> {
        let records = match self.index().ask(Query::UnfinishedBuckets).await? {
            QueryAnswer::BucketRecords(records) => records,
            other => return Err(unexpected("which buckets are unfinished", &other)),
        };
        let now = self.clock().monotonic();
        let forgotten = self.unfinished().seen(records, now);
        let mut transfer = self.begin();
        let mut settled = 0;
        for record in forgotten {
            let BucketRecord { id, name, state, .. } = record;
            match state {
                BucketRecordState::Creating { token } => {
                    self.drop_bucket_row(&mut transfer, id).await?;
                    self.finish_deletion(&mut transfer, &Deletion { id, name, token }).await?;
                }
                BucketRecordState::Deleting { token } => {
                    self.settle_deletion(&mut transfer, &Deletion { id, name, token }).await?;
                }
                BucketRecordState::Live => continue,
            }
            settled += 1;
        }
        Ok(settled)
    }

    /// Brings a deletion to its end.
    pub(crate) async fn settle_deletion(
        &self,
        transfer: &mut Transfer,
        deletion: &Deletion,
    ) -> Result<Settled, ObjectsError> {
        let Deletion { id, name, token } = deletion;
        let empty = match self.commit_bare(transfer, &CommandBody::FenceBucket { id: *id }).await? {
            Answer::Fenced { empty, .. } => empty,
            // No row: it was dropped before.
            Answer::Refused(Refusal::NoSuchBucket | Refusal::StaleBucket { .. }) => true,
            other => return Err(unexpected("fencing a bucket", &other)),
        };
        if !empty {
            self.undo_deletion(transfer, deletion).await?;
            return Ok(Settled::NotEmpty);
        }
        let stands =
            |record: &BucketRecord| record.id == *id && record.state == BucketRecordState::Deleting { token: *token };
        match record_of(self.index(), name).await? {
            Some(record) if stands(&record) => {}
            // Undone by somebody else, who saw it not empty: the fence that was just put up must not stay.
            Some(record) if record.id == *id => {
                self.lift_fence(transfer, *id).await?;
                return Ok(Settled::NotEmpty);
            }
            // Finished by somebody else.
            _ => return Ok(Settled::Deleted),
        }
        match self.commit_bare(transfer, &CommandBody::DropBucketRow { id: *id }).await? {
            Answer::Done | Answer::Refused(Refusal::NoSuchBucket) => {}
            Answer::Refused(Refusal::BucketNotEmpty | Refusal::StaleBucket { .. } | Refusal::BucketBusy) => {
                self.undo_deletion(transfer, deletion).await?;
                return Ok(Settled::NotEmpty);
            }
            other => return Err(unexpected("dropping a bucket's row", &other)),
        }
        self.finish_deletion(transfer, deletion).await?;
        Ok(Settled::Deleted)
    }

    /// Removes the row of a bucket that was never published: it is empty.
    pub(crate) async fn drop_bucket_row(&self, transfer: &mut Transfer, id: BucketId) -> Result<(), ObjectsError> {
        match self.commit_bare(transfer, &CommandBody::FenceBucket { id }).await? {
            Answer::Fenced { .. } => {}
            Answer::Refused(Refusal::NoSuchBucket | Refusal::StaleBucket { .. }) => return Ok(()),
            other => return Err(unexpected("fencing a bucket", &other)),
        }
        match self.commit_bare(transfer, &CommandBody::DropBucketRow { id }).await? {
            Answer::Done | Answer::Refused(Refusal::NoSuchBucket) => Ok(()),
            other => Err(unexpected("dropping a bucket's row", &other)),
        }
    }

    async fn finish_deletion(&self, transfer: &mut Transfer, deletion: &Deletion) -> Result<(), ObjectsError> {
        self.buckets().forget(&deletion.name);
        let finish = CommandBody::FinishBucketDeletion { id: deletion.id, token: deletion.token };
        match self.commit_bare(transfer, &finish).await? {
            // Refused: somebody else has finished it.
            Answer::Done | Answer::Refused(Refusal::NoSuchBucket | Refusal::BucketBusy) => Ok(()),
            other => Err(unexpected("the end of a bucket's deletion", &other)),
        }
    }

    async fn undo_deletion(&self, transfer: &mut Transfer, deletion: &Deletion) -> Result<(), ObjectsError> {
        let undo = CommandBody::UndoBucketDeletion { id: deletion.id, token: deletion.token };
        match self.commit_bare(transfer, &undo).await? {
            // Refused: somebody else has undone it.
            Answer::Done | Answer::Refused(Refusal::NoSuchBucket | Refusal::BucketBusy) => {}
            other => return Err(unexpected("undoing a bucket's deletion", &other)),
        }
        self.lift_fence(transfer, deletion.id).await
    }

    async fn lift_fence(&self, transfer: &mut Transfer, id: BucketId) -> Result<(), ObjectsError> {
        match self.commit_bare(transfer, &CommandBody::UnfenceBucket { id }).await? {
            Answer::Done | Answer::BucketRow(_) | Answer::Refused(_) => Ok(()),
            other => Err(unexpected("lifting a bucket's fence", &other)),
        }
    }
}

/// Which unfinished buckets were seen when: nobody knows when a deletion began, but how long it was watched.
#[derive(Debug, Default)]
pub(crate) struct Unfinished {
    first_seen: parking_lot::Mutex<Vec<([u8; 16], Duration)>>,
}

impl Unfinished {
    /// Takes note of what is unfinished now; answers what has been so for [`LEFT_ALONE`].
    fn seen(&self, records: Vec<BucketRecord>, now: Duration) -> Vec<BucketRecord> {
        let mut first_seen = self.first_seen.lock();
        let before = std::mem::take(&mut *first_seen);
        let mut forgotten = Vec::new();
        for record in records {
            let token = match record.state {
                BucketRecordState::Creating { token } | BucketRecordState::Deleting { token } => token,
                BucketRecordState::Live => continue,
            };
            let since = before.iter().find(|(seen, _)| *seen == token).map_or(now, |(_, since)| *since);
            first_seen.push((token, since));
            if now.saturating_sub(since) >= LEFT_ALONE {
                forgotten.push(record);
            }
        }
        forgotten
    }
}
