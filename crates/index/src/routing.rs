//! From a command or query to the ranges that have what it is about, and from their answers to one answer.
//!
//! Whoever asks goes by a map that may be old. So what is about one key is refused by a range that does not have it, and
//! what is about many is asked of each range at the epoch that the map knows, so that no place is passed over that went
//! from one to another meanwhile; a refusal says what the range knows, and it is asked again by the newer map.

mod buckets;
mod listing;

use futures::future::{BoxFuture, join_all};
use parking_lot::Mutex;
use types::{BucketId, RangeDescriptor, RangeId, RangeInterval, RangeMap};

use crate::command::{Answer, Command, CommandBody};
use crate::query::{DEGRADED_COUNT_MAX, Query, QueryAnswer, Totals, Usage};
use crate::service::{IndexError, IndexService};
use crate::{FIRST_DATA_RANGE, SYSTEM_RANGE, keys};

/// How often a map that turns out to be old is corrected for one command or query.
const TURNS_MAX: u32 = 16;

/// Knows which range has which places, and goes by it.
#[derive(Debug)]
pub struct Router {
    map: Mutex<RangeMap>,
}

impl Default for Router {
    fn default() -> Self {
        Self { map: Mutex::new(RangeMap::of([RangeDescriptor::whole(FIRST_DATA_RANGE)])) }
    }
}

/// What an answer came to that may be one by an old map.
enum Turn<T> {
    Done(T),
    /// The map was old; it is newer now.
    Again,
}

impl Router {
    /// Takes in what is newer than what is known.
    pub fn learn(&self, heard: impl IntoIterator<Item = RangeDescriptor>) -> bool {
        self.map.lock().learn(heard)
    }

    /// The ranges that were heard of.
    pub fn known(&self) -> Vec<RangeDescriptor> {
        self.map.lock().all().cloned().collect()
    }

    /// As [`IndexService::propose`], of the ranges of `service`.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn propose(&self, service: &dyn IndexService, command: Command) -> Result<Answer, IndexError> {
        if command.body.is_of_system_range() {
            return service.propose_to(SYSTEM_RANGE, command).await;
        }
        if let Some((bucket, key)) = command.body.key() {
            let place = keys::place(bucket, key);
            let ask = |range: &RangeDescriptor| service.propose_to(range.id, command.clone());
            return self.at_place(service, &place, ask).await;
        }
        match &command.body {
            CommandBody::DiscardRuns { runs } => self.discard_runs(service, &command, runs).await,
            CommandBody::RemoveGarbage { rows } => self.remove_garbage(service, &command, rows).await,
            CommandBody::RaiseFloor { .. } => {
                let answers = self.each(service, &RangeInterval::WHOLE, &command).await?;
                let refused = answers.iter().map(|(_, answer)| answer).find(|answer| **answer != Answer::Done);
                Ok(refused.cloned().unwrap_or(Answer::Done))
            }
            body => match bucket_of(body) {
                Some(bucket) => self.propose_on_bucket(service, bucket, &command).await,
                None => {
                    let reason = "a command that goes to one range says to which".to_owned();
                    Err(IndexError::Unavailable { reason })
                }
            },
        }
    }

    /// As [`IndexService::query`], of the ranges of `service`.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn query(&self, service: &dyn IndexService, query: Query) -> Result<QueryAnswer, IndexError> {
        if query.is_of_system_range() {
            return service.query_at(SYSTEM_RANGE, query).await;
        }
        if let Some((bucket, key)) = query.key() {
            let place = keys::place(bucket, key);
            let ask = |range: &RangeDescriptor| service.query_at(range.id, query.clone());
            return self.at_place(service, &place, ask).await;
        }
        match &query {
            Query::BucketRow(bucket) => Ok(QueryAnswer::BucketRow(self.bucket_row(service, *bucket).await?)),
            Query::Usage(bucket) => {
                let answers = self.ask_each(service, &interval_of(*bucket), &query).await?;
                let of_range = |answer| match answer {
                    QueryAnswer::Usage(usage) => Ok(usage),
                    other => Err(misanswered(&other)),
                };
                let all = answers.into_iter().map(|(_, answer)| of_range(answer)).collect::<Result<Vec<_>, _>>()?;
                Ok(QueryAnswer::Usage(all.into_iter().fold(Usage::default(), Usage::plus).settled()))
            }
            Query::Totals => self.totals(service).await,
            Query::Objects(_) | Query::Versions { .. } | Query::Uploads { .. } => self.list(service, &query).await,
            Query::Garbage { .. } | Query::Degraded { .. } | Query::VersionRows { .. } => {
                self.walk(service, &query).await
            }
            other => {
                let reason = format!("{other:?} is asked of one range, by its id");
                Err(IndexError::Unavailable { reason })
            }
        }
    }

    /// Asks the range that has a place, by a newer map where the map turns out to be old.
    async fn at_place<'s, T>(
        &self,
        service: &'s dyn IndexService,
        place: &[u8],
        ask: impl Fn(&RangeDescriptor) -> BoxFuture<'s, Result<T, IndexError>> + Send + Sync,
    ) -> Result<T, IndexError> {
        for _ in 0..TURNS_MAX {
            let range = self.of_place(service, place).await?;
            if let Turn::Done(answer) = self.corrected(service, &range, ask(&range).await).await? {
                return Ok(answer);
            }
        }
        Err(unsettled())
    }

    async fn of_place(&self, service: &dyn IndexService, place: &[u8]) -> Result<RangeDescriptor, IndexError> {
        let known = |map: &RangeMap| map.of_place(place).cloned();
        let found = known(&self.map.lock());
        if let Some(range) = found {
            return Ok(range);
        }
        self.ask_for_map(service).await?;
        known(&self.map.lock()).ok_or_else(unsettled)
    }

    /// The ranges that have the places of an interval, in order.
    async fn covering(
        &self,
        service: &dyn IndexService,
        interval: &RangeInterval,
    ) -> Result<Vec<RangeDescriptor>, IndexError> {
        let found = self.map.lock().covering(interval);
        if let Some(ranges) = found {
            return Ok(ranges);
        }
        self.ask_for_map(service).await?;
        self.map.lock().covering(interval).ok_or_else(unsettled)
    }

    async fn ask_for_map(&self, service: &dyn IndexService) -> Result<bool, IndexError> {
        match service.query_at(SYSTEM_RANGE, Query::Ranges).await? {
            QueryAnswer::Ranges(ranges) => Ok(self.learn(ranges)),
            other => Err(misanswered(&other)),
        }
    }

    /// Takes in what a range says that was asked for what it doesn't have.
    async fn corrected<T>(
        &self,
        service: &dyn IndexService,
        asked: &RangeDescriptor,
        outcome: Result<T, IndexError>,
    ) -> Result<Turn<T>, IndexError> {
        let known = match outcome {
            Ok(answer) => return Ok(Turn::Done(answer)),
            Err(IndexError::WrongRange { known }) => known,
            Err(error) => return Err(error),
        };
        let has_news = self.learn(known);
        // Somebody else may have learnt it meanwhile.
        let is_newest = || self.map.lock().get(asked.id) == Some(asked);
        if !has_news && is_newest() && !self.ask_for_map(service).await? && is_newest() {
            // Whoever answered is behind this map: another may lead the range by now.
            return Err(unsettled());
        }
        Ok(Turn::Again)
    }

    /// Proposes a command to each range of an interval; the answers are in order of place. What was done is done again,
    /// to the same effect, where the map was old.
    async fn each(
        &self,
        service: &dyn IndexService,
        interval: &RangeInterval,
        command: &Command,
    ) -> Result<Vec<(RangeDescriptor, Answer)>, IndexError> {
        let ask = |range: &RangeDescriptor| service.propose_to(range.id, within(range, command));
        self.of_each(service, interval, ask).await
    }

    /// As [`Router::each`], for a query.
    async fn ask_each(
        &self,
        service: &dyn IndexService,
        interval: &RangeInterval,
        query: &Query,
    ) -> Result<Vec<(RangeDescriptor, QueryAnswer)>, IndexError> {
        let ask = |range: &RangeDescriptor| service.query_at(range.id, query_within(range, query.clone()));
        self.of_each(service, interval, ask).await
    }

    async fn of_each<'s, T>(
        &self,
        service: &'s dyn IndexService,
        interval: &RangeInterval,
        ask: impl Fn(&RangeDescriptor) -> BoxFuture<'s, Result<T, IndexError>> + Send + Sync,
    ) -> Result<Vec<(RangeDescriptor, T)>, IndexError> {
        for _ in 0..TURNS_MAX {
            let ranges = self.covering(service, interval).await?;
            let outcomes = join_all(ranges.iter().map(&ask).collect::<Vec<_>>()).await;
            let mut answers = Vec::with_capacity(ranges.len());
            for (range, outcome) in ranges.into_iter().zip(outcomes) {
                if let Turn::Done(answer) = self.corrected(service, &range, outcome).await? {
                    answers.push((range, answer));
                }
            }
            if self
                .map
                .lock()
                .covering(interval)
                .is_some_and(|now| now.iter().eq(answers.iter().map(|(range, _)| range)))
            {
                return Ok(answers);
            }
        }
        Err(unsettled())
    }

    /// Each run is given up in the range of its home; those without one, in the first.
    async fn discard_runs(
        &self,
        service: &dyn IndexService,
        command: &Command,
        runs: &[types::Run],
    ) -> Result<Answer, IndexError> {
        let place_of = |run: &types::Run| run.home.as_ref().map(|home| keys::place(home.bucket, &home.key));
        let mut left: Vec<&types::Run> = runs.iter().collect();
        let mut answer = Answer::Done;
        let mut turns = 0;
        while let Some(first) = left.first() {
            if turns == TURNS_MAX + u32::try_from(runs.len()).unwrap_or(u32::MAX - TURNS_MAX) {
                return Err(unsettled());
            }
            turns += 1;
            let range = self.of_place(service, &place_of(first).unwrap_or_default()).await?;
            let is_there = |run: &types::Run| place_of(run).is_none_or(|place| range.interval.contains(&place));
            let here: Vec<_> = left.iter().copied().filter(|run| is_there(run)).cloned().collect();
            let part = Command { body: CommandBody::DiscardRuns { runs: here }, ..command.clone() };
            match self.corrected(service, &range, service.propose_to(range.id, part).await).await? {
                Turn::Done(Answer::Done) => left.retain(|run| !is_there(run)),
                Turn::Done(refused) => {
                    left.retain(|run| !is_there(run));
                    answer = refused;
                }
                Turn::Again => {}
            }
        }
        Ok(answer)
    }

    /// A row names the range that has it.
    async fn remove_garbage(
        &self,
        service: &dyn IndexService,
        command: &Command,
        rows: &[Vec<u8>],
    ) -> Result<Answer, IndexError> {
        let mut answer = Answer::Done;
        for of_range in rows.chunk_by(|a, b| garbage_range(a) == garbage_range(b)) {
            let Some(range) = of_range.first().and_then(|row| garbage_range(row)) else { continue };
            let part = Command { body: CommandBody::RemoveGarbage { rows: of_range.to_vec() }, ..command.clone() };
            match service.propose_to(range, part).await? {
                Answer::Done => {}
                refused => answer = refused,
            }
        }
        Ok(answer)
    }

    async fn totals(&self, service: &dyn IndexService) -> Result<QueryAnswer, IndexError> {
        let mut sum = Totals::default();
        for (_, answer) in self.ask_each(service, &RangeInterval::WHOLE, &Query::Totals).await? {
            let QueryAnswer::Totals(totals) = answer else { return Err(misanswered(&answer)) };
            sum.usage = sum.usage.plus(totals.usage);
            sum.degraded_parts = (sum.degraded_parts + totals.degraded_parts).min(DEGRADED_COUNT_MAX);
        }
        Ok(QueryAnswer::Totals(Totals { usage: sum.usage.settled(), ..sum }))
    }
}

/// The command as one range takes it.
pub fn within(range: &RangeDescriptor, command: &Command) -> Command {
    if range.epoch.0 == 0 {
        return command.clone();
    }
    let body = CommandBody::Within { epoch: range.epoch, body: Box::new(command.body.clone()) };
    Command { body, ..command.clone() }
}

/// The query as one range is asked it.
pub fn query_within(range: &RangeDescriptor, query: Query) -> Query {
    if range.epoch.0 == 0 { query } else { Query::Within { epoch: range.epoch, query: Box::new(query) } }
}

/// The places of a bucket.
pub fn interval_of(bucket: BucketId) -> RangeInterval {
    RangeInterval { start: keys::place_prefix(bucket, b""), end: Some(keys::place_prefix(bucket.next(), b"")) }
}

/// The bucket that a command is about, whole.
fn bucket_of(body: &CommandBody) -> Option<BucketId> {
    match body {
        CommandBody::CreateBucketRow { id, .. }
        | CommandBody::FenceBucket { id }
        | CommandBody::UnfenceBucket { id }
        | CommandBody::DropBucketRow { id } => Some(*id),
        CommandBody::ChangeBucketRow { bucket, .. } => Some(bucket.id),
        CommandBody::AdoptBucketRow { row } => Some(row.id),
        _ => None,
    }
}

/// The range of a row of garbage.
fn garbage_range(row: &[u8]) -> Option<RangeId> {
    row.first_chunk().map(|bytes| RangeId(u64::from_be_bytes(*bytes)))
}

/// No map was found that the ranges agree with: a split is under way.
fn unsettled() -> IndexError {
    IndexError::Unavailable { reason: "which range has the key is not known yet".to_owned() }
}

fn misanswered(answer: &impl std::fmt::Debug) -> IndexError {
    IndexError::Damaged { reason: format!("a range answered another question: {answer:?}") }
}
