//! Applying: commands become rows and answers, the same on every replica.
//!
//! Nothing here reads a clock or rolls dice: time, ids and random bits are in the entries. A command either changes
//! rows and answers, or is refused and changes none: each handler decides everything before its first write.
//! A transaction's effects that are sums (usage, how far a range is, answers received) are written once, at its end.

mod abort_upload;
mod answers;
mod buckets;
mod complete_upload;
mod create_upload;
mod delete_object;
mod documents;
mod garbage;
mod identities;
mod lifecycle;
mod put_object;
mod put_part;
mod replace_part;
mod set_object_lock;
mod set_object_tags;
mod split_range;
mod system;
mod tickets;
mod versions;

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use platform::leaves_out;
use rusqlite::Connection;
use types::{BucketId, CommitStamp, FeatureLevel, HomeKey, ObjectKey, RangeId, RangeInterval, TicketId};

use crate::command::{Answer, BucketRow, Command, CommandBody, FollowedLifecycle, Refusal};
use crate::rows::DescriptorRow;
use crate::tables::{RangeRow, Tables, UsageChange};
use crate::{
    AppliedState, FIRST_DATA_RANGE, FIRST_FEATURE_LEVEL, IndexDatabaseError, NewerLevel, RangeEntry, SYSTEM_RANGE, keys,
};

use answers::Answers;

/// What the writer remembers between transactions; all of it can be read from the database.
#[derive(Debug)]
pub(crate) struct Memory {
    ranges: BTreeMap<RangeId, RangeRow>,
    descriptors: BTreeMap<RangeId, DescriptorRow>,
    answers: Answers,
    bucket_rows: HashMap<(RangeId, BucketId), Option<BucketRow>>,
    followed: HashMap<(RangeId, BucketId), Option<FollowedLifecycle>>,
    usage: BTreeMap<(RangeId, BucketId), UsageChange>,
    last_body: i64,
    any_discarded: bool,
    /// Of the cluster.
    pub(crate) feature_level: FeatureLevel,
}

/// More bucket rows than these are not remembered.
const BUCKET_ROWS_MAX: usize = 4096;

impl Memory {
    pub(crate) fn load(connection: &Connection) -> Result<Self, IndexDatabaseError> {
        let tables = Tables::of(connection);
        let feature_level = tables.cluster()?.map_or(FIRST_FEATURE_LEVEL, |row| row.feature_level);
        NewerLevel::check(feature_level)?;
        let mut ranges = BTreeMap::new();
        for id in tables.range_ids()? {
            let row = tables.range(id)?.expect("its id was just read");
            ranges.insert(id, row);
        }
        Ok(Self {
            ranges,
            descriptors: tables.descriptor_rows()?.into_iter().collect(),
            answers: Answers::load(tables)?,
            bucket_rows: HashMap::new(),
            followed: HashMap::new(),
            usage: BTreeMap::new(),
            last_body: tables.last_body_id()?,
            any_discarded: tables.any_discarded()?,
            feature_level,
        })
    }

    /// Applies entries within the connection's open transaction; answers are in their order.
    pub(crate) fn apply(
        &mut self,
        connection: &Connection,
        batch: &[RangeEntry],
    ) -> Result<Vec<Vec<Answer>>, IndexDatabaseError> {
        let tables = Tables::of(connection);
        let mut answers = Vec::with_capacity(batch.len());
        for entry in batch {
            let mut of_entry = Vec::with_capacity(entry.commands.len());
            for command in &entry.commands {
                of_entry.push(self.command(tables, entry, command)?);
            }
            answers.push(of_entry);
            let row = self.range_mut(entry.range);
            row.state.applied = entry.applied.clone();
            if entry.membership.is_some() {
                row.state.membership.clone_from(&entry.membership);
            }
        }
        self.flush(tables, batch)?;
        Ok(answers)
    }

    fn command(
        &mut self,
        tables: Tables<'_>,
        entry: &RangeEntry,
        command: &Command,
    ) -> Result<Answer, IndexDatabaseError> {
        let range = entry.range;
        if let Some(request) = command.request {
            if request.ticket < self.range_mut(range).floor && !leaves_out("ticket-check") {
                return Ok(Answer::Refused(Refusal::BelowFloor));
            }
            if let Some(known) = self.answers.recall(tables, range, request)? {
                return Ok(known);
            }
        }
        let entry_id = &entry.applied;
        let place =
            Applying { tables, memory: self, range, stamp: CommitStamp(0), entry: entry_id }.check_place(&command.body);
        match place {
            Ok(()) => {}
            Err(Stop::Refused(refusal)) => return Ok(Answer::Refused(*refusal)),
            Err(Stop::Failed(error)) => return Err(error),
        }
        let row = self.range_mut(range);
        row.stamp = CommitStamp::after(row.stamp, entry.time);
        let stamp = row.stamp;
        let mut applying = Applying { tables, memory: self, range, stamp, entry: entry_id };
        let answer = match applying.body(&command.body) {
            Ok(answer) => answer,
            // As if it had not come, but for the time.
            Err(Stop::Refused(refusal)) if matches!(*refusal, Refusal::NotInRange(_)) => {
                return Ok(Answer::Refused(*refusal));
            }
            Err(Stop::Refused(refusal)) => Answer::Refused(*refusal),
            Err(Stop::Failed(error)) => return Err(error),
        };
        let floor = self.range_mut(range).floor;
        let kept = command.request.filter(|request| request.ticket >= floor && !leaves_out("request-ids"));
        if let Some(request) = kept {
            self.answers.keep(range, request, command.answered, &answer);
        }
        Ok(answer)
    }

    fn range_mut(&mut self, range: RangeId) -> &mut RangeRow {
        self.ranges.entry(range).or_insert_with(|| RangeRow {
            stamp: CommitStamp(0),
            floor: TicketId(0),
            state: AppliedState { applied: bytes::Bytes::new(), membership: None },
        })
    }

    /// What a data range has; one that isn't here has nothing.
    fn descriptor(&self, range: RangeId) -> DescriptorRow {
        let nothing = RangeInterval { start: Vec::new(), end: Some(Vec::new()) };
        match self.descriptors.get(&range) {
            Some(row) => row.clone(),
            None if range == FIRST_DATA_RANGE => DescriptorRow::WHOLE,
            None => DescriptorRow { interval: nothing, ..DescriptorRow::WHOLE },
        }
    }

    fn flush(&mut self, tables: Tables<'_>, batch: &[RangeEntry]) -> Result<(), IndexDatabaseError> {
        for ((range, bucket), change) in std::mem::take(&mut self.usage) {
            // Changes that come to nothing too: another cut of the log into transactions would have made the row.
            tables.change_usage(range, bucket, &change)?;
        }
        self.answers.flush(tables)?;
        for (id, row) in &self.ranges {
            if batch.iter().any(|entry| entry.range == *id) {
                tables.put_range(*id, row)?;
            }
        }
        if self.bucket_rows.len() > BUCKET_ROWS_MAX {
            self.bucket_rows.clear();
        }
        if self.followed.len() > BUCKET_ROWS_MAX {
            self.followed.clear();
        }
        Ok(())
    }
}

/// Why a command stops.
enum Stop {
    /// By the rules. Nothing has been written for it.
    Refused(Box<Refusal>),
    /// The database can't go on.
    Failed(IndexDatabaseError),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl<E> From<E> for Stop
where
    IndexDatabaseError: From<E>,
{
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// One command being applied.
struct Applying<'a> {
    tables: Tables<'a>,
    memory: &'a mut Memory,
    range: RangeId,
    stamp: CommitStamp,
    /// [`RangeEntry::applied`] of the entry that it is in.
    entry: &'a Bytes,
}

/// A key that a command is about.
struct Site<'a> {
    bucket: BucketId,
    key: &'a ObjectKey,
    place: Vec<u8>,
}

impl<'a> Site<'a> {
    fn new(bucket: BucketId, key: &'a ObjectKey) -> Self {
        Self { bucket, key, place: keys::place(bucket, key) }
    }

    fn home(&self) -> HomeKey {
        HomeKey { bucket: self.bucket, key: self.key.clone() }
    }
}

impl Applying<'_> {
    fn body(&mut self, body: &CommandBody) -> Result<Answer, Stop> {
        if body.bare().is_of_system_range() != (self.range == SYSTEM_RANGE) {
            return Err(Refusal::WrongRange.into());
        }
        match body.bare() {
            CommandBody::Form(form) => self.form(form),
            CommandBody::PutCredential(credential) => self.put_credential(credential),
            CommandBody::ChangeLayout { expected, layout } => self.change_layout(*expected, layout),
            CommandBody::RaiseFeatureLevel(level) => self.raise_feature_level(*level),
            CommandBody::GrantTicket { holder, nonce } => self.grant_ticket(*holder, *nonce),
            CommandBody::RenewTicket(ticket) => self.renew_ticket(*ticket),
            CommandBody::EndTicket(ticket) => self.end_ticket(*ticket),
            CommandBody::ExpireTickets { idle_us_max } => self.expire_tickets(*idle_us_max),
            CommandBody::ReserveBucket { record, token } => self.reserve_bucket(record, *token),
            CommandBody::PublishBucket { id, token } => self.publish_bucket(*id, *token),
            CommandBody::BeginBucketDeletion { id, token } => self.begin_bucket_deletion(*id, *token),
            CommandBody::FinishBucketDeletion { id, token } => self.finish_bucket_deletion(*id, *token),
            CommandBody::UndoBucketDeletion { id, token } => self.undo_bucket_deletion(*id, *token),
            CommandBody::RaiseFloor { floor } => self.raise_floor(*floor),
            CommandBody::CreateBucketRow { id, config } => self.create_bucket_row(*id, config),
            CommandBody::ChangeBucketRow { bucket, config } => self.change_bucket_row(*bucket, config),
            CommandBody::FenceBucket { id } => self.fence_bucket(*id),
            CommandBody::UnfenceBucket { id } => self.unfence_bucket(*id),
            CommandBody::DropBucketRow { id } => self.drop_bucket_row(*id),
            CommandBody::PutObject(put) => self.put_object(put),
            CommandBody::DeleteObject(delete) => self.delete_object(delete),
            CommandBody::CreateUpload(create) => self.create_upload(create),
            CommandBody::PutPart(put) => self.put_part(put),
            CommandBody::CompleteUpload(complete) => self.complete_upload(complete),
            CommandBody::AbortUpload { bucket, key, upload } => self.abort_upload(*bucket, key, *upload),
            CommandBody::ReplacePart(replace) => self.replace_part(replace),
            CommandBody::RemoveGarbage { rows } => self.remove_garbage(rows),
            CommandBody::DiscardRuns { runs } => self.discard_runs(runs),
            CommandBody::PutGateway(gateway) => self.put_gateway(gateway),
            CommandBody::RemoveGateway(gateway) => self.remove_gateway(*gateway),
            CommandBody::SetWantedProfile { profile, unless_set } => self.set_wanted_profile(*profile, *unless_set),
            CommandBody::NoteAway { away, back } => self.note_away(away, back),
            CommandBody::SetRebalancing(rebalancing) => self.set_rebalancing(*rebalancing),
            CommandBody::AllotRange => self.allot_range(),
            CommandBody::NoteRanges { ranges } => self.note_ranges(ranges),
            CommandBody::SplitRange(split) => self.split_range(split),
            CommandBody::AdoptBucketRow { row } => self.adopt_bucket_row(row),
            CommandBody::SetBucketDocument(set) => self.set_bucket_document(set),
            CommandBody::SetObjectTags(set) => self.set_object_tags(set),
            CommandBody::ChangeIdentity(change) => self.change_identity(change),
            CommandBody::SetObjectLock(set) => self.set_object_lock(set),
            CommandBody::FollowLifecycle(follow) => self.follow_lifecycle(follow),
            CommandBody::Expire(expire) => self.expire(expire),
            CommandBody::DropDue { rows } => self.drop_due(rows),
            CommandBody::Within { .. } => Err(Refusal::WrongRange.into()),
            #[cfg(feature = "next-level")]
            CommandBody::Probe => self.probe(),
        }
    }

    fn usage(&mut self, bucket: BucketId) -> &mut UsageChange {
        self.memory.usage.entry((self.range, bucket)).or_default()
    }

    fn floor(&mut self) -> TicketId {
        self.memory.range_mut(self.range).floor
    }
}

/// A number of rows or bytes, as a change of a counter.
fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("objects are far below 2^63 bytes")
}
