//! Rows that upkeep works on: garbage, runs given up, parts in narrower runs than wanted.

use rusqlite::params;
use types::{CommitStamp, RangeId, RangeInterval, Run, RunId, TicketId};

use super::{Tables, blob, from_sql};
use crate::query::{DegradedRow, GarbageRow};
use crate::read::stretch::Stretch;
use crate::rows::{self, BodyKind, DegradedKept};
use crate::{IndexDatabaseError, keys};

impl Tables<'_> {
    /// `run` has its home said.
    pub(crate) fn put_garbage(self, range: RangeId, freed: CommitStamp, run: &Run) -> Result<(), IndexDatabaseError> {
        let sql = "INSERT OR REPLACE INTO garbage (key, row) VALUES (?1, ?2)";
        self.execute(sql, params![keys::garbage_key(range, freed, run.id), rows::encode(run)])?;
        Ok(())
    }

    pub(crate) fn delete_garbage(self, key: &[u8]) -> Result<(), IndexDatabaseError> {
        self.execute("DELETE FROM garbage WHERE key = ?1", [key])?;
        Ok(())
    }

    /// The range's rows freed before `before`, after the row `after`.
    pub(crate) fn garbage(
        self,
        range: RangeId,
        before: CommitStamp,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<GarbageRow>, IndexDatabaseError> {
        let sql = "SELECT key, row FROM garbage WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT ?3";
        let first = keys::garbage_prefix(range, CommitStamp(0));
        let from = after.unwrap_or(&first).max(&first[..]);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.all(sql, params![from, keys::garbage_prefix(range, before), limit], |row| {
            let key = blob(row, 0)?;
            Ok::<_, IndexDatabaseError>(GarbageRow {
                row: key.to_vec(),
                freed: keys::garbage_freed(key)?,
                run: rows::decode(blob(row, 1)?)?,
            })
        })
    }

    pub(crate) fn put_discarded(self, range: RangeId, run: RunId) -> Result<(), IndexDatabaseError> {
        self.execute("INSERT OR REPLACE INTO discarded (key) VALUES (?1)", [keys::discarded_key(range, run)])?;
        Ok(())
    }

    pub(crate) fn is_discarded(self, range: RangeId, run: RunId) -> Result<bool, IndexDatabaseError> {
        let sql = "SELECT 1 FROM discarded WHERE key = ?1";
        let found = self.first(sql, [keys::discarded_key(range, run)], |_row| Ok::<_, IndexDatabaseError>(()))?;
        Ok(found.is_some())
    }

    /// Whether any run is noted as given up, in any range.
    pub(crate) fn any_discarded(self) -> Result<bool, IndexDatabaseError> {
        let found = self.first("SELECT 1 FROM discarded LIMIT 1", [], |_row| Ok::<_, IndexDatabaseError>(()))?;
        Ok(found.is_some())
    }

    /// Forgets given-up runs of tickets below `floor`: apply refuses those anyway.
    pub(crate) fn forget_discarded_below(self, range: RangeId, floor: TicketId) -> Result<(), IndexDatabaseError> {
        let (from, to) = (RunId { ticket: TicketId(0), tail: 0 }, RunId { ticket: floor, tail: 0 });
        let bounds = params![keys::discarded_key(range, from), keys::discarded_key(range, to)];
        self.execute("DELETE FROM discarded WHERE key >= ?1 AND key < ?2", bounds)?;
        Ok(())
    }

    /// Whether a version or part of the key names the run.
    pub(crate) fn run_lives(self, place: &[u8], run: RunId) -> Result<bool, IndexDatabaseError> {
        let stored = self.current(place)?.into_iter().chain(self.versions_of(place)?);
        for id in stored.filter_map(|stored| stored.body) {
            if let BodyKind::Single(part) = self.body(id)?.kind
                && part.runs().iter().any(|named| named.id == run)
            {
                return Ok(true);
            }
        }
        self.part_names_run(place, run)
    }

    pub(crate) fn put_degraded(self, place: &[u8], row: &DegradedKept) -> Result<(), IndexDatabaseError> {
        let sql = "INSERT OR REPLACE INTO degraded (key, row) VALUES (?1, ?2)";
        self.execute(sql, params![keys::degraded_key(place, row), rows::encode(row)])?;
        Ok(())
    }

    pub(crate) fn delete_degraded(self, place: &[u8], row: &DegradedKept) -> Result<(), IndexDatabaseError> {
        self.execute("DELETE FROM degraded WHERE key = ?1", [keys::degraded_key(place, row)])?;
        Ok(())
    }

    /// How many rows `degraded` has, counted up to `max`.
    pub(crate) fn degraded_count(self, interval: &RangeInterval, max: u64) -> Result<u64, IndexDatabaseError> {
        let sql = "SELECT COUNT(*) FROM (SELECT 1 FROM degraded WHERE key >= ?1 AND key < ?2 LIMIT ?3)";
        let Stretch { from, to } = Stretch::after(None).clipped(interval);
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let count = self.first(sql, params![from, to, max], |row| from_sql(row, 0))?;
        Ok(count.unwrap_or_default())
    }

    pub(crate) fn degraded(
        self,
        interval: &RangeInterval,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<DegradedRow>, IndexDatabaseError> {
        let sql = "SELECT key, row FROM degraded WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3";
        let Stretch { from, to } = Stretch::after(after).clipped(interval);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.all(sql, params![from, to, limit], |row| {
            let key = blob(row, 0)?;
            let (bucket, object_key, _) = keys::split_place(key)?;
            let kept: DegradedKept = rows::decode(blob(row, 1)?)?;
            Ok::<_, IndexDatabaseError>(DegradedRow {
                row: key.to_vec(),
                bucket,
                key: object_key,
                version: kept.version,
                upload: kept.upload,
                number: kept.number,
            })
        })
    }
}
