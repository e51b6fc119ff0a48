//! Which places each range has, and what goes from a range to the one that is split off it.

use rusqlite::params;
use types::{BucketId, RangeDescriptor, RangeId};

use super::{Tables, blob, from_sql, to_sql};
use crate::rows::{self, DescriptorRow};
use crate::{FIRST_DATA_RANGE, IndexDatabaseError, SYSTEM_RANGE, schema};

impl Tables<'_> {
    /// What a data range has; `None` for one that isn't here.
    pub(crate) fn descriptor(self, range: RangeId) -> Result<Option<DescriptorRow>, IndexDatabaseError> {
        let sql = "SELECT row FROM descriptors WHERE range = ?1";
        let row =
            self.first(sql, [to_sql(range.0)], |row| Ok::<_, IndexDatabaseError>(rows::decode(blob(row, 0)?)?))?;
        Ok(row.or_else(|| (range == FIRST_DATA_RANGE).then_some(DescriptorRow::WHOLE)))
    }

    /// All rows, by range.
    pub(crate) fn descriptor_rows(self) -> Result<Vec<(RangeId, DescriptorRow)>, IndexDatabaseError> {
        self.all("SELECT range, row FROM descriptors ORDER BY range", [], |row| {
            Ok::<_, IndexDatabaseError>((RangeId(from_sql(row, 0)?), rows::decode(blob(row, 1)?)?))
        })
    }

    pub(crate) fn put_descriptor(self, range: RangeId, row: &DescriptorRow) -> Result<(), IndexDatabaseError> {
        let sql = "INSERT OR REPLACE INTO descriptors (range, row) VALUES (?1, ?2)";
        self.execute(sql, params![to_sql(range.0), rows::encode(row)])?;
        schema::note_split(self.connection)
    }

    /// The data ranges of which something is applied here, or being installed.
    pub(crate) fn descriptors(self) -> Result<Vec<RangeDescriptor>, IndexDatabaseError> {
        let mut all = Vec::new();
        for range in self.range_ids()?.into_iter().filter(|range| *range != SYSTEM_RANGE) {
            all.extend(self.descriptor(range)?.map(|row| row.of(range)));
        }
        Ok(all)
    }

    /// What a child has of its parent's from the beginning: answers and what was received of them, and runs that were
    /// given up. The tickets' commands may come to either from now on.
    pub(crate) fn inherit(self, parent: RangeId, child: RangeId) -> Result<(), IndexDatabaseError> {
        let both = [to_sql(parent.0), to_sql(child.0)];
        for sql in [
            "INSERT INTO answers SELECT ?2, ticket, number, answer FROM answers WHERE range = ?1",
            "INSERT INTO request_marks SELECT ?2, ticket, answered FROM request_marks WHERE range = ?1",
        ] {
            self.execute(sql, both)?;
        }
        let [from, to] = [parent.0, parent.0 + 1].map(u64::to_be_bytes);
        // Each by itself: SQLite's `||` is for texts.
        let keys = self.all("SELECT key FROM discarded WHERE key >= ?1 AND key < ?2", [from, to], |row| {
            Ok::<_, IndexDatabaseError>(blob(row, 0)?.to_vec())
        })?;
        for key in keys {
            let of_child = [&child.0.to_be_bytes()[..], &key[from.len()..]].concat();
            self.execute("INSERT INTO discarded (key) VALUES (?1)", [of_child])?;
        }
        Ok(())
    }

    /// Removes a range that becomes a part of another; its garbage becomes that one's. What is kept for repeated commands
    /// goes: it is for tickets that are over when this is done.
    pub(crate) fn forget_range(self, range: RangeId, into: RangeId) -> Result<(), IndexDatabaseError> {
        for sql in [
            "DELETE FROM ranges WHERE id = ?1",
            "DELETE FROM answers WHERE range = ?1",
            "DELETE FROM request_marks WHERE range = ?1",
            "DELETE FROM bucket_rows WHERE range = ?1",
            "DELETE FROM usage WHERE range = ?1",
        ] {
            self.execute(sql, [to_sql(range.0)])?;
        }
        self.forget_lifecycles(range)?;
        self.forget_lifecycles(into)?;
        let [from, to] = [range.0, range.0 + 1].map(u64::to_be_bytes);
        self.execute("DELETE FROM discarded WHERE key >= ?1 AND key < ?2", [from, to])?;
        let rows = self.all("SELECT key, row FROM garbage WHERE key >= ?1 AND key < ?2", [from, to], |row| {
            Ok::<_, IndexDatabaseError>((blob(row, 0)?.to_vec(), blob(row, 1)?.to_vec()))
        })?;
        for (key, row) in rows {
            self.delete_garbage(&key)?;
            let key = [&into.0.to_be_bytes()[..], &key[from.len()..]].concat();
            self.execute("INSERT OR REPLACE INTO garbage (key, row) VALUES (?1, ?2)", params![key, row])?;
        }
        Ok(())
    }

    /// No range is split any more. Ids that were given to ranges are not given again.
    pub(crate) fn forget_splits(self) -> Result<(), IndexDatabaseError> {
        self.execute("DELETE FROM descriptors", [])?;
        self.execute("DELETE FROM system WHERE name = 'ranges'", [])?;
        Ok(())
    }

    /// Gives a child the rows of buckets: of those after `cut` the only ones, of `cut` a copy.
    pub(crate) fn hand_over_buckets(
        self,
        parent: RangeId,
        child: RangeId,
        cut: BucketId,
    ) -> Result<(), IndexDatabaseError> {
        let numbers = [to_sql(parent.0), to_sql(child.0), to_sql(cut.0)];
        for sql in [
            "UPDATE bucket_rows SET range = ?2 WHERE range = ?1 AND bucket > ?3",
            "INSERT INTO bucket_rows SELECT ?2, bucket, row FROM bucket_rows WHERE range = ?1 AND bucket = ?3",
            "UPDATE usage SET range = ?2 WHERE range = ?1 AND bucket > ?3",
        ] {
            self.execute(sql, numbers)?;
        }
        Ok(())
    }
}
