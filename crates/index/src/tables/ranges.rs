//! What each range keeps: how far it is, answers, bucket rows, counters.

use rusqlite::params;
use types::{BucketId, CommitStamp, RangeId, RequestNumber, TicketId};

use super::{Tables, blob, from_sql, optional_blob, to_sql};
use crate::command::BucketRow;
use crate::query::Usage;
use crate::{Answer, AppliedState, IndexDatabaseError, rows};

/// A row of `ranges`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RangeRow {
    /// The last one given.
    pub(crate) stamp: CommitStamp,
    pub(crate) floor: TicketId,
    pub(crate) state: AppliedState,
}

/// A number of a ticket, in one range.
pub(crate) type TicketNumber = (RangeId, TicketId, RequestNumber);

/// What a transaction changes of a row of `usage`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct UsageChange {
    pub(crate) objects: i64,
    pub(crate) versions: i64,
    pub(crate) markers: i64,
    pub(crate) bytes: i64,
    pub(crate) uploads: i64,
    pub(crate) upload_bytes: i64,
}

impl Tables<'_> {
    pub(crate) fn range(self, range: RangeId) -> Result<Option<RangeRow>, IndexDatabaseError> {
        let sql = "SELECT stamp, floor, applied, membership FROM ranges WHERE id = ?1";
        self.first(sql, [to_sql(range.0)], |row| {
            Ok::<_, IndexDatabaseError>(RangeRow {
                stamp: CommitStamp(from_sql(row, 0)?),
                floor: TicketId(from_sql(row, 1)?),
                state: AppliedState {
                    applied: blob(row, 2)?.to_vec().into(),
                    membership: optional_blob(row, 3)?.map(|bytes| bytes.to_vec().into()),
                },
            })
        })
    }

    pub(crate) fn range_ids(self) -> Result<Vec<RangeId>, IndexDatabaseError> {
        self.all("SELECT id FROM ranges ORDER BY id", [], |row| from_sql(row, 0).map(RangeId))
    }

    pub(crate) fn put_range(self, range: RangeId, row: &RangeRow) -> Result<(), IndexDatabaseError> {
        let sql = "INSERT OR REPLACE INTO ranges (id, stamp, floor, applied, membership) VALUES (?1, ?2, ?3, ?4, ?5)";
        let membership = row.state.membership.as_deref();
        self.execute(
            sql,
            params![to_sql(range.0), to_sql(row.stamp.0), to_sql(row.floor.0), &row.state.applied[..], membership],
        )?;
        Ok(())
    }

    pub(crate) fn answer(
        self,
        range: RangeId,
        ticket: TicketId,
        number: RequestNumber,
    ) -> Result<Option<Answer>, IndexDatabaseError> {
        let sql = "SELECT answer FROM answers WHERE range = ?1 AND ticket = ?2 AND number = ?3";
        self.first(sql, [to_sql(range.0), to_sql(ticket.0), to_sql(number.0)], |row| {
            Ok::<_, IndexDatabaseError>(rows::decode(blob(row, 0)?)?)
        })
    }

    pub(crate) fn put_answer(
        self,
        range: RangeId,
        ticket: TicketId,
        number: RequestNumber,
        answer: &Answer,
    ) -> Result<(), IndexDatabaseError> {
        let sql = "INSERT INTO answers (range, ticket, number, answer) VALUES (?1, ?2, ?3, ?4)";
        self.execute(sql, params![to_sql(range.0), to_sql(ticket.0), to_sql(number.0), rows::encode(answer)])?;
        Ok(())
    }

    /// Forgets the ticket's answers up to `answered`, and notes that.
    pub(crate) fn put_request_mark(
        self,
        range: RangeId,
        ticket: TicketId,
        answered: RequestNumber,
    ) -> Result<(), IndexDatabaseError> {
        let numbers = [to_sql(range.0), to_sql(ticket.0), to_sql(answered.0)];
        self.execute("DELETE FROM answers WHERE range = ?1 AND ticket = ?2 AND number <= ?3", numbers)?;
        self.execute("INSERT OR REPLACE INTO request_marks (range, ticket, answered) VALUES (?1, ?2, ?3)", numbers)?;
        Ok(())
    }

    /// Forgets what was kept for tickets below `floor`.
    pub(crate) fn forget_tickets_below(self, range: RangeId, floor: TicketId) -> Result<(), IndexDatabaseError> {
        let numbers = [to_sql(range.0), to_sql(floor.0)];
        self.execute("DELETE FROM answers WHERE range = ?1 AND ticket < ?2", numbers)?;
        self.execute("DELETE FROM request_marks WHERE range = ?1 AND ticket < ?2", numbers)?;
        Ok(())
    }

    /// `(range, ticket, number)` of all marks, and of the highest kept answer of each ticket.
    pub(crate) fn request_marks(self) -> Result<[Vec<TicketNumber>; 2], IndexDatabaseError> {
        let rows = |sql| {
            self.all(sql, [], |row| {
                let (range, ticket) = (RangeId(from_sql(row, 0)?), TicketId(from_sql(row, 1)?));
                Ok::<_, IndexDatabaseError>((range, ticket, RequestNumber(from_sql(row, 2)?)))
            })
        };
        Ok([
            rows("SELECT range, ticket, answered FROM request_marks")?,
            rows("SELECT range, ticket, max(number) FROM answers GROUP BY range, ticket")?,
        ])
    }

    pub(crate) fn bucket_row(self, range: RangeId, bucket: BucketId) -> Result<Option<BucketRow>, IndexDatabaseError> {
        let sql = "SELECT row FROM bucket_rows WHERE range = ?1 AND bucket = ?2";
        self.first(sql, [to_sql(range.0), to_sql(bucket.0)], |row| {
            Ok::<_, IndexDatabaseError>(rows::decode(blob(row, 0)?)?)
        })
    }

    pub(crate) fn all_bucket_rows(self, range: RangeId) -> Result<Vec<BucketRow>, IndexDatabaseError> {
        self.all("SELECT row FROM bucket_rows WHERE range = ?1 ORDER BY bucket", [to_sql(range.0)], |row| {
            Ok::<_, IndexDatabaseError>(rows::decode(blob(row, 0)?)?)
        })
    }

    pub(crate) fn put_bucket_row(self, range: RangeId, row: &BucketRow) -> Result<(), IndexDatabaseError> {
        let sql = "INSERT OR REPLACE INTO bucket_rows (range, bucket, row) VALUES (?1, ?2, ?3)";
        self.execute(sql, params![to_sql(range.0), to_sql(row.id.0), rows::encode(row)])?;
        Ok(())
    }

    /// Removes a bucket's row and counters.
    pub(crate) fn delete_bucket_row(self, range: RangeId, bucket: BucketId) -> Result<(), IndexDatabaseError> {
        let numbers = [to_sql(range.0), to_sql(bucket.0)];
        self.execute("DELETE FROM bucket_rows WHERE range = ?1 AND bucket = ?2", numbers)?;
        self.execute("DELETE FROM usage WHERE range = ?1 AND bucket = ?2", numbers)?;
        Ok(())
    }

    /// A bucket's counters in one range. What went to a range by an estimate may have left less than nothing: the sum
    /// over the ranges is right, modulo 2^64.
    pub(crate) fn usage(self, range: RangeId, bucket: BucketId) -> Result<Usage, IndexDatabaseError> {
        let sql = "SELECT objects, versions, markers, bytes, uploads, upload_bytes FROM usage
                   WHERE range = ?1 AND bucket = ?2";
        self.sum_of_usage(sql, [to_sql(range.0), to_sql(bucket.0)])
    }

    pub(crate) fn usage_of_range(self, range: RangeId) -> Result<Usage, IndexDatabaseError> {
        let sql = "SELECT objects, versions, markers, bytes, uploads, upload_bytes FROM usage WHERE range = ?1";
        self.sum_of_usage(sql, [to_sql(range.0)])
    }

    fn sum_of_usage(self, sql: &str, parameters: impl rusqlite::Params) -> Result<Usage, IndexDatabaseError> {
        let all = self.all(sql, parameters, |row| {
            Ok::<_, IndexDatabaseError>(Usage {
                objects: from_sql(row, 0)?,
                versions: from_sql(row, 1)?,
                markers: from_sql(row, 2)?,
                bytes: from_sql(row, 3)?,
                uploads: from_sql(row, 4)?,
                upload_bytes: from_sql(row, 5)?,
            })
        })?;
        Ok(all.into_iter().fold(Usage::default(), Usage::plus))
    }

    /// Sets a bucket's counters.
    pub(crate) fn put_usage(self, range: RangeId, bucket: BucketId, usage: &Usage) -> Result<(), IndexDatabaseError> {
        let sql = "INSERT OR REPLACE INTO usage
                   (range, bucket, objects, versions, markers, bytes, uploads, upload_bytes)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let Usage { objects, versions, markers, bytes, uploads, upload_bytes } = *usage;
        let counts = [objects, versions, markers, bytes, uploads, upload_bytes].map(to_sql);
        let [objects, versions, markers, bytes, uploads, upload_bytes] = counts;
        let (range, bucket) = (to_sql(range.0), to_sql(bucket.0));
        self.execute(sql, params![range, bucket, objects, versions, markers, bytes, uploads, upload_bytes])?;
        Ok(())
    }

    pub(crate) fn change_usage(
        self,
        range: RangeId,
        bucket: BucketId,
        change: &UsageChange,
    ) -> Result<(), IndexDatabaseError> {
        let sql = "INSERT INTO usage (range, bucket, objects, versions, markers, bytes, uploads, upload_bytes)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                   ON CONFLICT DO UPDATE SET objects = objects + ?3, versions = versions + ?4,
                   markers = markers + ?5, bytes = bytes + ?6, uploads = uploads + ?7, upload_bytes = upload_bytes + ?8";
        let UsageChange { objects, versions, markers, bytes, uploads, upload_bytes } = *change;
        let (range, bucket) = (to_sql(range.0), to_sql(bucket.0));
        self.execute(sql, params![range, bucket, objects, versions, markers, bytes, uploads, upload_bytes])?;
        Ok(())
    }
}
