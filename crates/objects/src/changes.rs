//! Commands on a bucket's contents: committed under the epoch of the bucket's row, whatever changes meanwhile.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use index::command::{BucketAt, BucketRecordState, BucketRow};
use index::{Answer, CommandBody, Refusal};
use types::{BucketName, BucketState};

use crate::buckets::{Resolved, record_of, row_of};
use crate::tickets::Transfer;
use crate::{Objects, ObjectsError};

/// How long a command waits for a bucket to be unfenced (its deletion is undone) or gone.
const FENCE_PATIENCE: Duration = Duration::from_secs(3);
const FENCE_PAUSE: Duration = Duration::from_millis(50);
/// How often a command is decided anew because the bucket's row has changed.
const DECISIONS_MAX: usize = 8;

/// What a command did, and the row that it was decided under.
pub(crate) struct Committed {
    pub(crate) answer: Answer,
    pub(crate) row: BucketRow,
}

impl Objects {
    /// Commits a command that names no run: under a new ticket, if the transfer's is over.
    ///
    /// # Errors
    /// Those of [`crate::commit::Committer::commit`].
    pub(crate) async fn commit_bare(
        &self,
        transfer: &mut Transfer,
        body: &CommandBody,
    ) -> Result<Answer, ObjectsError> {
        match self.index().commit(transfer, body).await {
            Err(ObjectsError::TicketOver) => {
                *transfer = self.begin();
                self.index().commit(transfer, body).await
            }
            outcome => outcome,
        }
    }

    /// Commits a command on a bucket; it is decided anew, with the epoch filled in, where the row has changed. The answer is no refusal
    /// about tickets or the bucket; other refusals are the caller's.
    ///
    /// A command that names no run may also take effect in another bucket that has got the name meanwhile, and under
    /// another ticket.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`], [`ObjectsError::BucketBusy`], and those of [`crate::commit::Committer::commit`].
    pub(crate) async fn change(
        &self,
        transfer: &mut Transfer,
        name: &BucketName,
        mut resolved: Resolved,
        mut body: CommandBody,
    ) -> Result<Committed, ObjectsError> {
        let names_runs = names_runs(&body);
        for _ in 0..DECISIONS_MAX {
            let at = resolved.at();
            *bucket_of(&mut body) = at;
            let answer = if names_runs {
                self.index().commit(transfer, &body).await?
            } else {
                self.commit_bare(transfer, &body).await?
            };
            match answer {
                Answer::Refused(Refusal::StaleBucket { row: Some(row) }) => {
                    resolved.row = self.row_to_write(name, row).await?;
                    self.buckets().learn(name, &resolved.row);
                }
                Answer::Refused(Refusal::StaleBucket { row: None } | Refusal::NoSuchBucket) => {
                    self.buckets().forget(name);
                    resolved = self.buckets().resolve_anew(self.index(), name).await?;
                    if resolved.row.id != at.id && names_lock(&body) && !resolved.row.config.object_lock.is_on() {
                        return Err(ObjectsError::NoObjectLock { bucket: name.clone() });
                    }
                    if names_runs && resolved.row.id != at.id {
                        let reason = "the bucket was deleted and made again meanwhile".to_owned();
                        return Err(ObjectsError::Unavailable { reason, outcome_unknown: false });
                    }
                }
                answer => return Ok(Committed { answer, row: resolved.row }),
            }
        }
        Err(ObjectsError::BucketBusy { bucket: name.clone() })
    }

    /// The bucket's row as soon as it takes writes.
    async fn row_to_write(&self, name: &BucketName, mut row: BucketRow) -> Result<BucketRow, ObjectsError> {
        let mut waited = Duration::ZERO;
        while row.state == BucketState::Fenced {
            if waited >= 2 * FENCE_PATIENCE {
                return Err(ObjectsError::BucketBusy { bucket: name.clone() });
            }
            if waited >= FENCE_PATIENCE {
                self.lift_forgotten_fence(name, &row).await?;
            }
            tokio::time::sleep(FENCE_PAUSE).await;
            waited += FENCE_PAUSE;
            row = match row_of(self.index(), row.id).await? {
                Some(row) => row,
                None => {
                    self.buckets().forget(name);
                    return Err(ObjectsError::NoSuchBucket { bucket: name.clone() });
                }
            };
        }
        Ok(row)
    }

    /// A fence around a live bucket is left from a deletion that was undone by somebody who then went away. Lifting it
    /// does no harm to a deletion that has begun anew: a row is only dropped while it is fenced and empty.
    async fn lift_forgotten_fence(&self, name: &BucketName, row: &BucketRow) -> Result<(), ObjectsError> {
        match record_of(self.index(), name).await? {
            Some(record) if record.id == row.id && record.state == BucketRecordState::Live => {
                self.commit_bare(&mut self.begin(), &CommandBody::UnfenceBucket { id: row.id }).await?;
                Ok(())
            }
            _ => Err(ObjectsError::BucketBusy { bucket: name.clone() }),
        }
    }
}

fn bucket_of(body: &mut CommandBody) -> &mut BucketAt {
    match body {
        CommandBody::PutObject(put) => &mut put.bucket,
        CommandBody::DeleteObject(delete) => &mut delete.bucket,
        CommandBody::CreateUpload(create) => &mut create.bucket,
        CommandBody::PutPart(put) => &mut put.bucket,
        CommandBody::CompleteUpload(complete) => &mut complete.bucket,
        CommandBody::SetObjectTags(set) => &mut set.bucket,
        CommandBody::SetObjectLock(set) => &mut set.bucket,
        CommandBody::AbortUpload { bucket, .. } | CommandBody::ChangeBucketRow { bucket, .. } => bucket,
        other => unreachable!("{other:?} is no change of a bucket's contents"),
    }
}

fn names_runs(body: &CommandBody) -> bool {
    let in_runs = |part: &types::Part| part.extents.iter().any(|extent| extent.run().is_some());
    match body {
        CommandBody::PutObject(put) => in_runs(&put.part),
        CommandBody::PutPart(put) => in_runs(&put.part),
        CommandBody::CompleteUpload(complete) => complete.manifest.as_ref().is_some_and(|m| in_runs(&m.part)),
        _ => false,
    }
}

/// Whether a version is made that a bucket without object lock could not have.
fn names_lock(body: &CommandBody) -> bool {
    match body {
        CommandBody::PutObject(put) => put.version.attributes.names_lock(),
        CommandBody::CreateUpload(create) => create.attributes.names_lock(),
        _ => false,
    }
}

/// A future that is finished in a task of its own when whoever awaits it goes away: a commit under way when a client
/// hangs up still gets its answer, so that what it refused is discarded.
pub(crate) struct Finished<F: Future<Output: Send> + Send + 'static>(Option<Pin<Box<F>>>);

impl<F: Future<Output: Send> + Send + 'static> Finished<F> {
    pub(crate) fn new(future: F) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for Finished<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let future = self.0.as_mut().expect("not polled after its end");
        let output = std::task::ready!(future.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(output)
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Finished<F> {
    fn drop(&mut self) {
        // Without a runtime the process is ending: the command's ticket ends with it.
        if let (Some(future), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(future);
        }
    }
}
