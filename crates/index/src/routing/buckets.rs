//! What is about a whole bucket: each of its ranges has a row of it, and all are changed before the answer.
//!
//! The row of the range in which the bucket begins is the one that decides; that range never is another one, for what a
//! split takes away is its end. A change is made there, and then the others follow. Who goes away in between leaves rows
//! that differ: the next one who asks for the bucket's row has them follow, and a change that was answered has been
//! followed by all.

use types::{BucketId, RangeDescriptor};

use super::{Router, interval_of, misanswered, within};
use crate::command::{Answer, BucketRow, Command, CommandBody, Refusal};
use crate::query::{Query, QueryAnswer};
use crate::service::{IndexError, IndexService};

/// Rows of a bucket, in order of place.
type Rows = Vec<Option<BucketRow>>;

impl Router {
    pub(super) async fn propose_on_bucket(
        &self,
        service: &dyn IndexService,
        bucket: BucketId,
        command: &Command,
    ) -> Result<Answer, IndexError> {
        match &command.body {
            CommandBody::ChangeBucketRow { .. } => self.change_bucket_row(service, bucket, command).await,
            CommandBody::UnfenceBucket { .. } => self.unfence(service, bucket, command).await,
            CommandBody::AdoptBucketRow { .. } => {
                let row = self.bucket_row(service, bucket).await?;
                Ok(row.map_or(Answer::Refused(Refusal::NoSuchBucket), Answer::BucketRow))
            }
            _ => {
                let answers = self.each(service, &interval_of(bucket), command).await?;
                Ok(together(answers.into_iter().map(|(_, answer)| answer).collect()))
            }
        }
    }

    /// The row that decides, once those of the bucket's other ranges agree with it.
    pub(super) async fn bucket_row(
        &self,
        service: &dyn IndexService,
        bucket: BucketId,
    ) -> Result<Option<BucketRow>, IndexError> {
        let rows = self.rows(service, bucket).await?;
        match wanted(&rows) {
            None => Ok(rows.into_iter().next().flatten()),
            Some(wanted) => self.follow(service, bucket, wanted).await.map(Some),
        }
    }

    async fn rows(&self, service: &dyn IndexService, bucket: BucketId) -> Result<Rows, IndexError> {
        let answers = self.ask_each(service, &interval_of(bucket), &Query::BucketRow(bucket)).await?;
        let of_range = |answer| match answer {
            QueryAnswer::BucketRow(row) => Ok(row),
            other => Err(misanswered(&other)),
        };
        answers.into_iter().map(|(_, answer)| of_range(answer)).collect()
    }

    /// Has all rows of a bucket follow one; returns the one that decides.
    async fn follow(
        &self,
        service: &dyn IndexService,
        bucket: BucketId,
        wanted: BucketRow,
    ) -> Result<BucketRow, IndexError> {
        let body = CommandBody::AdoptBucketRow { row: wanted.clone() };
        // It is idempotent by itself, and never goes back.
        let command = Command { request: None, answered: types::RequestNumber(0), body };
        let mut decides = None;
        for (_, answer) in self.each(service, &interval_of(bucket), &command).await? {
            match answer {
                Answer::BucketRow(row) if row.config == wanted.config => {
                    decides.get_or_insert(row);
                }
                // It is being deleted, or was never all made.
                Answer::Refused(Refusal::NoSuchBucket) => {}
                other => {
                    let reason = format!("the rows of bucket {bucket} are being changed by others: {other:?}");
                    return Err(IndexError::Unavailable { reason });
                }
            }
        }
        Ok(decides.unwrap_or(wanted))
    }

    async fn change_bucket_row(
        &self,
        service: &dyn IndexService,
        bucket: BucketId,
        command: &Command,
    ) -> Result<Answer, IndexError> {
        // Above all epochs, so that the others follow.
        self.bucket_row(service, bucket).await?;
        let place = interval_of(bucket).start;
        let ask = |range: &RangeDescriptor| service.propose_to(range.id, within(range, command));
        let changed = self.at_place(service, &place, ask).await?;
        if let Answer::BucketRow(row) = &changed
            && self.covering(service, &interval_of(bucket)).await?.len() > 1
        {
            self.follow(service, bucket, row.clone()).await?;
        }
        Ok(changed)
    }

    /// A row that is missing while others stand was dropped by a deletion that is undone now: it is made again.
    async fn unfence(
        &self,
        service: &dyn IndexService,
        bucket: BucketId,
        command: &Command,
    ) -> Result<Answer, IndexError> {
        let answers = self.each(service, &interval_of(bucket), command).await?;
        let standing = answers.iter().find_map(|(_, answer)| match answer {
            Answer::BucketRow(row) => Some(row.clone()),
            _ => None,
        });
        let is_missing = answers.iter().any(|(_, answer)| *answer == Answer::Refused(Refusal::NoSuchBucket));
        if let Some(row) = standing.filter(|_| is_missing) {
            let body = CommandBody::CreateBucketRow { id: bucket, config: row.config };
            let again = Command { request: None, answered: types::RequestNumber(0), body };
            self.each(service, &interval_of(bucket), &again).await?;
            let row = self.bucket_row(service, bucket).await?;
            return Ok(row.map_or(Answer::Refused(Refusal::NoSuchBucket), Answer::BucketRow));
        }
        Ok(together(answers.into_iter().map(|(_, answer)| answer).collect()))
    }
}

/// The row that all should follow, where they do not agree.
fn wanted(rows: &[Option<BucketRow>]) -> Option<BucketRow> {
    let decides = rows.first()?.as_ref()?;
    let standing: Vec<&BucketRow> = rows.iter().flatten().collect();
    let highest = standing.iter().map(|row| row.epoch).max()?;
    let agrees = |row: &&BucketRow| row.epoch == decides.epoch && row.config == decides.config;
    if standing.iter().all(agrees) {
        return None;
    }
    let is_above_all = standing.iter().all(|row| row.config == decides.config || row.epoch < decides.epoch)
        && decides.epoch == highest;
    let same = standing.iter().all(|row| row.config == decides.config);
    let epoch = if is_above_all || same { highest } else { highest.next() };
    Some(BucketRow { epoch, ..decides.clone() })
}

/// One answer of those of a bucket's ranges: the first that refuses, else that of the range in which it begins.
fn together(answers: Vec<Answer>) -> Answer {
    let empty = answers.iter().all(|answer| !matches!(answer, Answer::Fenced { empty: false, .. }));
    let refused = answers.iter().position(|answer| matches!(answer, Answer::Refused(_)));
    let answer = answers.into_iter().nth(refused.unwrap_or(0)).expect("a bucket has a range");
    match answer {
        Answer::Fenced { epoch, .. } => Answer::Fenced { empty, epoch },
        answer => answer,
    }
}
