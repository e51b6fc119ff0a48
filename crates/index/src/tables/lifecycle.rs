//! Which buckets have lifecycle rules, and when which key is to be looked at by them.

use rusqlite::params;
use types::{BucketId, CommitStamp, RangeId, RangeInterval, Timestamp};

use super::{Tables, after_place, blob, from_sql, to_sql, within};
use crate::command::{DocumentKind, FollowedLifecycle};
use crate::query::DueRow;
use crate::{IndexDatabaseError, keys, rows};

impl Tables<'_> {
    /// When any bucket's rules were set or removed last; 0 where none ever was.
    pub(crate) fn lifecycles_changed(self) -> Result<CommitStamp, IndexDatabaseError> {
        Ok(self.system_row("lifecycles")?.unwrap_or_default())
    }

    pub(crate) fn put_lifecycles_changed(self, changed: CommitStamp) -> Result<(), IndexDatabaseError> {
        self.put_system_row("lifecycles", &changed)
    }

    /// The buckets that have rules, in order, and when any document of each was changed last.
    pub(crate) fn buckets_with_lifecycle(self) -> Result<Vec<(BucketId, CommitStamp)>, IndexDatabaseError> {
        let sql = "SELECT bucket FROM documents WHERE kind = ?1 ORDER BY bucket";
        let buckets = self.all(sql, [DocumentKind::Lifecycle.number()], |row| from_sql(row, 0).map(BucketId))?;
        buckets.into_iter().map(|bucket| Ok((bucket, self.documents_changed(bucket)?))).collect()
    }

    /// Whether a bucket has rules.
    pub(crate) fn has_lifecycle(self, bucket: BucketId) -> Result<bool, IndexDatabaseError> {
        let sql = "SELECT 1 FROM documents WHERE bucket = ?1 AND kind = ?2";
        let of_kind = params![to_sql(bucket.0), DocumentKind::Lifecycle.number()];
        Ok(self.first(sql, of_kind, |_row| Ok::<_, IndexDatabaseError>(()))?.is_some())
    }

    pub(crate) fn followed(
        self,
        range: RangeId,
        bucket: BucketId,
    ) -> Result<Option<FollowedLifecycle>, IndexDatabaseError> {
        let sql = "SELECT row FROM lifecycles WHERE range = ?1 AND bucket = ?2";
        self.first(sql, [to_sql(range.0), to_sql(bucket.0)], |row| {
            Ok::<_, IndexDatabaseError>(rows::decode(blob(row, 0)?)?)
        })
    }

    /// All of a range, in order of bucket, from this one on.
    pub(crate) fn all_followed(
        self,
        range: RangeId,
        from: BucketId,
    ) -> Result<Vec<(BucketId, FollowedLifecycle)>, IndexDatabaseError> {
        let sql = "SELECT bucket, row FROM lifecycles WHERE range = ?1 AND bucket >= ?2 ORDER BY bucket";
        self.all(sql, [to_sql(range.0), to_sql(from.0)], |row| {
            Ok::<_, IndexDatabaseError>((BucketId(from_sql(row, 0)?), rows::decode(blob(row, 1)?)?))
        })
    }

    pub(crate) fn put_followed(
        self,
        range: RangeId,
        bucket: BucketId,
        row: &FollowedLifecycle,
    ) -> Result<(), IndexDatabaseError> {
        let sql = "INSERT OR REPLACE INTO lifecycles (range, bucket, row) VALUES (?1, ?2, ?3)";
        self.execute(sql, params![to_sql(range.0), to_sql(bucket.0), rows::encode(row)])?;
        Ok(())
    }

    pub(crate) fn delete_followed(self, range: RangeId, bucket: BucketId) -> Result<(), IndexDatabaseError> {
        self.execute("DELETE FROM lifecycles WHERE range = ?1 AND bucket = ?2", [to_sql(range.0), to_sql(bucket.0)])?;
        Ok(())
    }

    /// Gives a child the rows of buckets: of those after `cut` the only ones, of `cut` a copy. Which keys are to be looked
    /// at when, it finds out by a pass of its own; what the parent has noted of them goes when it comes due.
    pub(crate) fn hand_over_followed(
        self,
        parent: RangeId,
        child: RangeId,
        cut: BucketId,
    ) -> Result<(), IndexDatabaseError> {
        for (bucket, row) in self.all_followed(parent, cut)? {
            self.put_followed(child, bucket, &FollowedLifecycle { pass: Some(Vec::new()), ..row })?;
            if bucket > cut {
                self.delete_followed(parent, bucket)?;
            }
        }
        Ok(())
    }

    /// Removes all that is noted of a range: whoever looks after it makes it anew.
    pub(crate) fn forget_lifecycles(self, range: RangeId) -> Result<(), IndexDatabaseError> {
        self.execute("DELETE FROM lifecycles WHERE range = ?1", [to_sql(range.0)])?;
        let [from, to] = [range.0, range.0 + 1].map(u64::to_be_bytes);
        self.execute("DELETE FROM due WHERE key >= ?1 AND key < ?2", [from, to])?;
        Ok(())
    }

    /// Notes that a key is to be looked at.
    pub(crate) fn put_due(self, range: RangeId, at: Timestamp, place: &[u8]) -> Result<(), IndexDatabaseError> {
        self.execute("INSERT OR IGNORE INTO due (key) VALUES (?1)", [keys::due_key(range, at, place)])?;
        Ok(())
    }

    pub(crate) fn delete_due(self, row: &[u8]) -> Result<(), IndexDatabaseError> {
        self.execute("DELETE FROM due WHERE key = ?1", [row])?;
        Ok(())
    }

    /// The range's first notes, the earliest first, after the row `after`.
    pub(crate) fn due(
        self,
        range: RangeId,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<DueRow>, IndexDatabaseError> {
        let sql = "SELECT key FROM due WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT ?3";
        let [first, end] = [range.0, range.0 + 1].map(u64::to_be_bytes);
        let from = after.unwrap_or(&first).max(&first[..]);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.all(sql, params![from, end, limit], |row| {
            let row = blob(row, 0)?;
            let (at, place) = keys::split_due(row)?;
            let (bucket, key, _) = keys::split_place(place)?;
            Ok::<_, IndexDatabaseError>(DueRow { row: row.to_vec(), at, bucket, key })
        })
    }

    /// The first keys of a bucket that have a version or an upload under way, as places, after the place `after`. One seek
    /// a table and key, however many versions it has.
    pub(crate) fn places(
        self,
        interval: &RangeInterval,
        bucket: BucketId,
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, IndexDatabaseError> {
        let [start, end] = within(interval, keys::place_prefix(bucket, b""), keys::place_prefix(bucket.next(), b""));
        let mut from = if after.is_empty() { start } else { after_place(after).max(start) };
        let mut places = Vec::new();
        while places.len() < limit {
            let mut next: Option<Vec<u8>> = None;
            for sql in [
                "SELECT place FROM current WHERE place >= ?1 AND place < ?2 ORDER BY place LIMIT 1",
                "SELECT key FROM versions WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT 1",
                "SELECT key FROM uploads_by_time WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT 1",
            ] {
                let found = self.first(sql, params![from, end], |row| {
                    let (bucket, key, _) = keys::split_place(blob(row, 0)?)?;
                    Ok::<_, IndexDatabaseError>(keys::place(bucket, &key))
                })?;
                next = next.into_iter().chain(found).min();
            }
            let Some(place) = next else { break };
            from = after_place(&place);
            places.push(place);
        }
        Ok(places)
    }

    /// How many rows of `versions` of a key are newer than this one, of which at most `limit` are counted; the newest of
    /// the key, where it stands there, is none of them.
    pub(crate) fn newer_noncurrent(
        self,
        place: &[u8],
        stamp: CommitStamp,
        limit: u32,
    ) -> Result<u32, IndexDatabaseError> {
        let sql = "SELECT head, body FROM versions WHERE key > ?1 AND key < ?2 ORDER BY key DESC LIMIT ?3";
        let stored = self.all(sql, params![place, keys::version_key(place, stamp), i64::from(limit) + 1], |row| {
            super::Stored::read(row, 0)
        })?;
        let noncurrent = stored.iter().filter(|stored| stored.head.superseded.is_some()).count();
        Ok(u32::try_from(noncurrent).unwrap_or(u32::MAX).min(limit))
    }
}
