//! Making the rows of an index that was lost: what no command does, because no log has it.
//!
//! The database is one that no log has touched yet: it counts once a new log begins over it, and until then it may be
//! thrown away and made anew.

use std::collections::BTreeMap;

use rusqlite::params;
use types::{BucketEpoch, BucketId, Layout, RangeId, TicketId};

use super::measure::usage_between;
use super::{IndexDatabase, in_transaction};
use crate::apply::Memory;
use crate::command::{BucketRecord, BucketRow};
use crate::tables::{RangeRow, Tables};
use crate::{AppliedState, FIRST_DATA_RANGE, IndexDatabaseError, keys};

/// How far numbers are raised above the last one that is known: more than can have been given in what is not known.
const TICKETS_AHEAD: u64 = 1 << 16;
const BUCKETS_AHEAD: u64 = 1 << 16;
const BUCKET_EPOCHS_AHEAD: u64 = 1 << 16;

/// An entry of the scratch.
pub type ScratchEntry = (Vec<u8>, Vec<u8>);

/// The highest numbers that were seen in use outside of the index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeenInUse {
    /// Of tickets.
    pub ticket: TicketId,
    /// Of buckets.
    pub bucket: BucketId,
}

impl IndexDatabase {
    /// Writes a bucket's record, whatever its id; a name that another bucket has becomes this one's.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn put_lost_bucket(&mut self, record: &BucketRecord) -> Result<(), IndexDatabaseError> {
        self.rebuild(|tables| tables.put_bucket_record(record))
    }

    /// Writes the layout, whatever stands.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn put_lost_layout(&mut self, layout: &Layout) -> Result<(), IndexDatabaseError> {
        self.rebuild(|tables| tables.put_layout(layout))
    }

    /// The records of all buckets, in any state.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn all_bucket_records(&self) -> Result<Vec<BucketRecord>, IndexDatabaseError> {
        Tables::of(&self.connection).all_bucket_records()
    }

    /// The rows of all buckets in a range.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn all_bucket_rows(&self, range: RangeId) -> Result<Vec<BucketRow>, IndexDatabaseError> {
        Tables::of(&self.connection).all_bucket_rows(range)
    }

    /// Ends all that was given out under the lost index: every ticket is over, and tickets, buckets and the epochs of
    /// buckets go on far above what was in use, so that nothing that was begun before can be taken for something new.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn raise_above(&mut self, seen: SeenInUse, ranges: &[RangeId]) -> Result<(), IndexDatabaseError> {
        self.rebuild(|tables| {
            let mut counters = tables.counters()?;
            let ticket = counters.next_ticket.max(seen.ticket.next()).0 + TICKETS_AHEAD;
            let bucket = counters.next_bucket.max(seen.bucket.next()).0 + BUCKETS_AHEAD;
            (counters.next_ticket, counters.next_bucket) = (TicketId(ticket), BucketId(bucket));
            tables.put_counters(&counters)?;
            for ticket in tables.tickets()? {
                tables.delete_ticket(ticket.row.id)?;
            }
            for range in ranges {
                let blank = || RangeRow {
                    stamp: types::CommitStamp(0),
                    floor: TicketId(0),
                    state: AppliedState { applied: bytes::Bytes::new(), membership: None },
                };
                let row = tables.range(*range)?.unwrap_or_else(blank);
                let floor = counters.next_ticket;
                tables.put_range(*range, &RangeRow { floor, ..row })?;
                tables.forget_tickets_below(*range, floor)?;
                tables.forget_discarded_below(*range, floor)?;
                // What was noted is of before: a pass over the keys notes them anew.
                tables.forget_lifecycles(*range)?;
                for row in tables.all_bucket_rows(*range)? {
                    let epoch = BucketEpoch(row.epoch.0 + BUCKET_EPOCHS_AHEAD);
                    tables.put_bucket_row(*range, &BucketRow { epoch, ..row })?;
                }
            }
            Ok(())
        })
    }

    /// Makes all data ranges one again, the first: a rebuilt index begins anew, and splits again where it is large. What
    /// was counted is counted anew, for archives of ranges are not of the same moment.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn merge_ranges(&mut self) -> Result<(), IndexDatabaseError> {
        let ranges: Vec<RangeId> = self.descriptors()?.into_iter().map(|range| range.id).collect();
        let others: Vec<RangeId> = ranges.iter().copied().filter(|range| *range != FIRST_DATA_RANGE).collect();
        if others.is_empty() {
            return Ok(());
        }
        self.rebuild(|tables| {
            let mut merged: Option<RangeRow> = None;
            let mut buckets: BTreeMap<BucketId, BucketRow> = BTreeMap::new();
            for range in &ranges {
                let Some(row) = tables.range(*range)? else { continue };
                let known = merged.get_or_insert(row.clone());
                known.stamp = known.stamp.max(row.stamp);
                // Below it, nothing can have been committed that no archive knows.
                known.floor = known.floor.min(row.floor);
                for row in tables.all_bucket_rows(*range)? {
                    let known = buckets.entry(row.id).or_insert_with(|| row.clone());
                    if known.epoch < row.epoch {
                        *known = row;
                    }
                }
            }
            for range in &others {
                tables.forget_range(*range, FIRST_DATA_RANGE)?;
            }
            tables.forget_splits()?;
            if let Some(row) = merged {
                tables.put_range(FIRST_DATA_RANGE, &row)?;
            }
            for (bucket, row) in buckets {
                tables.put_bucket_row(FIRST_DATA_RANGE, &row)?;
                let [from, to] = [bucket, bucket.next()].map(|bucket| keys::place_prefix(bucket, b""));
                tables.put_usage(FIRST_DATA_RANGE, bucket, &usage_between(tables, &from, &to)?)?;
            }
            Ok(())
        })
    }

    /// Makes an empty ordered store beside the rows, for what a rebuild must sort; one that is there is emptied.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn begin_scratch(&mut self) -> Result<(), IndexDatabaseError> {
        self.end_scratch()?;
        self.connection
            .execute_batch("CREATE TABLE scratch (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")?;
        Ok(())
    }

    /// Takes the scratch away.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn end_scratch(&mut self) -> Result<(), IndexDatabaseError> {
        self.connection.execute_batch("DROP TABLE IF EXISTS scratch")?;
        Ok(())
    }

    /// Puts entries into the scratch, in place of those with the same keys.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn put_scratch(&mut self, entries: &[ScratchEntry]) -> Result<(), IndexDatabaseError> {
        in_transaction(&self.connection, "BEGIN IMMEDIATE", |connection| {
            for (key, value) in entries {
                let sql = "INSERT OR REPLACE INTO scratch (key, value) VALUES (?1, ?2)";
                Tables::of(connection).execute(sql, params![key, value])?;
            }
            Ok(())
        })
    }

    /// Up to `limit` entries of the scratch in order of key, those after `after` and before `end`.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn scratch(&self, after: &[u8], end: &[u8], limit: usize) -> Result<Vec<ScratchEntry>, IndexDatabaseError> {
        let sql = "SELECT key, value FROM scratch WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT ?3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Tables::of(&self.connection)
            .all(sql, params![after, end, limit], |row| Ok::<_, IndexDatabaseError>((row.get(0)?, row.get(1)?)))
    }

    fn rebuild(
        &mut self,
        work: impl FnOnce(Tables<'_>) -> Result<(), IndexDatabaseError>,
    ) -> Result<(), IndexDatabaseError> {
        self.memory = None;
        in_transaction(&self.connection, "BEGIN IMMEDIATE", |connection| work(Tables::of(connection)))?;
        self.memory = Some(Memory::load(&self.connection)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use types::{BucketId, Versioning};

    use super::*;
    use crate::command::{BucketConfig, FollowLifecycle, LifecycleTimes};
    use crate::contract::samples;
    use crate::{
        Answer, Command, CommandBody, FIRST_DATA_RANGE, Query, QueryAnswer, RangeEntry, Refusal, SYSTEM_RANGE,
    };

    fn apply(database: &mut IndexDatabase, range: RangeId, command: Command) -> Answer {
        let applied = bytes::Bytes::from_static(b"entry");
        let entry = RangeEntry { range, applied, membership: None, time: types::Timestamp(9), commands: vec![command] };
        database.apply(&[entry]).expect("applied").remove(0).remove(0)
    }

    #[test]
    fn what_was_given_out_before_is_over() {
        let mut database = IndexDatabase::in_memory().expect("made");
        let config = BucketConfig { versioning: Versioning::Enabled, ..BucketConfig::default() };
        let create = CommandBody::CreateBucketRow { id: BucketId(7), config };
        apply(&mut database, FIRST_DATA_RANGE, samples::plain(create));
        let times = LifecycleTimes { fingerprint: [1; 16], after_us: Some(1), round_us: 1, date: None };
        let follow = FollowLifecycle { bucket: samples::at(7, 1), rules: Some(times) };
        let follow = samples::plain(CommandBody::FollowLifecycle(Box::new(follow)));
        assert_eq!(apply(&mut database, FIRST_DATA_RANGE, follow), Answer::Done);
        apply(&mut database, FIRST_DATA_RANGE, samples::put(samples::at(7, 1), "noted", 1, b"bytes"));
        let noted = |database: &mut IndexDatabase| {
            let due = database.query(&Query::Due { after: None, limit: 9 }).expect("read");
            let followed = database.query(&Query::Followed).expect("read");
            (due, followed)
        };
        assert!(matches!(noted(&mut database), (QueryAnswer::Due(due), _) if due.len() == 1));
        let seen = SeenInUse { ticket: TicketId(40), bucket: BucketId(7) };
        database.raise_above(seen, &[SYSTEM_RANGE, FIRST_DATA_RANGE]).expect("raised");

        let nothing = (QueryAnswer::Due(Vec::new()), QueryAnswer::Followed(Vec::new()));
        assert_eq!(noted(&mut database), nothing, "whoever looks after the range has it follow anew");
        let late = apply(&mut database, FIRST_DATA_RANGE, samples::put(samples::at(7, 1), "key", 1, b"late"));
        assert!(matches!(late, Answer::Refused(Refusal::BelowFloor | Refusal::StaleBucket { .. })), "{late:?}");
        let grant = CommandBody::GrantTicket { holder: types::NodeId::from_bytes([1; 16]), nonce: [2; 16] };
        let Answer::Ticket(ticket) = apply(&mut database, SYSTEM_RANGE, samples::plain(grant)) else {
            panic!("granted")
        };
        assert!(ticket > seen.ticket);
        assert_eq!(database.floor(FIRST_DATA_RANGE).expect("known"), ticket);
        let row = &database.all_bucket_rows(FIRST_DATA_RANGE).expect("read")[0];
        assert!(row.epoch.0 > 1000 && row.config.versioning == Versioning::Enabled);
    }

    #[test]
    fn the_scratch_is_ordered_and_leaves_nothing() {
        let mut database = IndexDatabase::in_memory().expect("made");
        let before = database.digest().expect("read");
        for _twice in 0..2 {
            database.begin_scratch().expect("begun");
            let entry = |key: &str| (key.as_bytes().to_vec(), b"value".to_vec());
            database.put_scratch(&["b2", "a1", "b1", "c"].map(entry)).expect("put");
            assert_eq!(database.scratch(b"a1", b"c", 9).expect("read"), ["b1", "b2"].map(entry));
            assert_eq!(database.scratch(b"", b"z", 1).expect("read"), [entry("a1")]);
        }
        database.end_scratch().expect("ended");
        assert_eq!(database.digest().expect("read"), before);
    }
}
