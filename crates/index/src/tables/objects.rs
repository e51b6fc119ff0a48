//! Versions: the newest of each key in `current`, all others and markers in `versions`, what they hold in `bodies`.

use rusqlite::{Row, params};
use types::{BucketId, CommitStamp, RangeInterval, Version};

use super::{Tables, blob, from_sql, optional_blob, to_sql};
use crate::command::WhichVersion;
use crate::rows::{self, BodyKind, BodyRow, ExtentRow, HeadRow, version_of};
use crate::{IndexDatabaseError, keys};

/// A row of `current` or `versions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) head: HeadRow,
    /// Its row in `bodies`; `None` for a marker. A number of this database alone, the same in no other.
    pub(crate) body: Option<i64>,
}

/// A row of `bodies`, read.
pub(crate) type StoredBody = BodyRow<'static>;

impl Stored {
    /// Reads columns `head` and `body`, the first of them at `column`.
    pub(crate) fn read(row: &Row<'_>, column: usize) -> Result<Self, IndexDatabaseError> {
        Ok(Self { head: HeadRow::decode(blob(row, column)?)?, body: row.get(column + 1)? })
    }
}

impl Tables<'_> {
    pub(crate) fn current(self, place: &[u8]) -> Result<Option<Stored>, IndexDatabaseError> {
        self.first("SELECT head, body FROM current WHERE place = ?1", [place], |row| Stored::read(row, 0))
    }

    pub(crate) fn insert_current(self, place: &[u8], head: &HeadRow, body: i64) -> Result<(), IndexDatabaseError> {
        let sql = "INSERT INTO current (place, head, body) VALUES (?1, ?2, ?3)";
        self.execute(sql, params![place, head.encode(), body])?;
        Ok(())
    }

    pub(crate) fn replace_current(self, place: &[u8], head: &HeadRow, body: i64) -> Result<(), IndexDatabaseError> {
        let sql = "UPDATE current SET head = ?2, body = ?3 WHERE place = ?1";
        self.execute(sql, params![place, head.encode(), body])?;
        Ok(())
    }

    pub(crate) fn delete_current(self, place: &[u8]) -> Result<(), IndexDatabaseError> {
        self.execute("DELETE FROM current WHERE place = ?1", [place])?;
        Ok(())
    }

    /// The newest row of `versions` of a key.
    pub(crate) fn newest_version(self, place: &[u8]) -> Result<Option<Stored>, IndexDatabaseError> {
        let sql = "SELECT head, body FROM versions WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT 1";
        self.first(sql, params![place, after_place(place)], |row| Stored::read(row, 0))
    }

    pub(crate) fn version(self, place: &[u8], stamp: CommitStamp) -> Result<Option<Stored>, IndexDatabaseError> {
        let sql = "SELECT head, body FROM versions WHERE key = ?1";
        self.first(sql, [keys::version_key(place, stamp)], |row| Stored::read(row, 0))
    }

    /// All rows of `versions` of a key, newest first.
    pub(crate) fn versions_of(self, place: &[u8]) -> Result<Vec<Stored>, IndexDatabaseError> {
        let sql = "SELECT head, body FROM versions WHERE key > ?1 AND key < ?2 ORDER BY key";
        self.all(sql, params![place, after_place(place)], |row| Stored::read(row, 0))
    }

    /// The newest of them.
    pub(crate) fn versions_of_at_most(self, place: &[u8], limit: u32) -> Result<Vec<Stored>, IndexDatabaseError> {
        let sql = "SELECT head, body FROM versions WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT ?3";
        self.all(sql, params![place, after_place(place), limit], |row| Stored::read(row, 0))
    }

    pub(crate) fn put_version(self, place: &[u8], head: &HeadRow, body: Option<i64>) -> Result<(), IndexDatabaseError> {
        let sql = "INSERT OR REPLACE INTO versions (key, head, body) VALUES (?1, ?2, ?3)";
        self.execute(sql, params![keys::version_key(place, head.id.stamp), head.encode(), body])?;
        Ok(())
    }

    pub(crate) fn delete_version(self, place: &[u8], stamp: CommitStamp) -> Result<(), IndexDatabaseError> {
        self.execute("DELETE FROM versions WHERE key = ?1", [keys::version_key(place, stamp)])?;
        Ok(())
    }

    /// The version that `which` names; `current` is the key's row of that table.
    pub(crate) fn find_version(
        self,
        place: &[u8],
        which: WhichVersion,
        current: Option<Stored>,
    ) -> Result<Option<Stored>, IndexDatabaseError> {
        match which {
            WhichVersion::Newest => match current {
                Some(current) => Ok(Some(current)),
                None => self.newest_version(place),
            },
            WhichVersion::Null => match current.filter(|current| current.head.null) {
                Some(current) => Ok(Some(current)),
                None => match self.null_stamp(place)? {
                    Some(stamp) => self.version(place, stamp),
                    None => Ok(None),
                },
            },
            WhichVersion::Id(id) => match current.filter(|current| current.head.id == id) {
                Some(current) => Ok(Some(current)),
                None => Ok(self.version(place, id.stamp)?.filter(|stored| stored.head.id == id)),
            },
        }
    }

    /// The stamp of the key's null version, where it stands in `versions`.
    pub(crate) fn null_stamp(self, place: &[u8]) -> Result<Option<CommitStamp>, IndexDatabaseError> {
        self.first("SELECT stamp FROM nulls WHERE place = ?1", [place], |row| from_sql(row, 0).map(CommitStamp))
    }

    pub(crate) fn put_null_stamp(self, place: &[u8], stamp: CommitStamp) -> Result<(), IndexDatabaseError> {
        let sql = "INSERT OR REPLACE INTO nulls (place, stamp) VALUES (?1, ?2)";
        self.execute(sql, params![place, to_sql(stamp.0)])?;
        Ok(())
    }

    pub(crate) fn delete_null_stamp(self, place: &[u8]) -> Result<(), IndexDatabaseError> {
        self.execute("DELETE FROM nulls WHERE place = ?1", [place])?;
        Ok(())
    }

    /// A body without its inline bytes.
    pub(crate) fn body(self, id: i64) -> Result<StoredBody, IndexDatabaseError> {
        let body = self.first("SELECT body FROM bodies WHERE id = ?1", [id], |row| {
            Ok::<_, IndexDatabaseError>(rows::decode(blob(row, 0)?)?)
        })?;
        body.ok_or_else(|| IndexDatabaseError::Damaged { reason: format!("body {id} is missing") })
    }

    /// The whole version of a row.
    pub(crate) fn whole(self, stored: Stored) -> Result<Version, IndexDatabaseError> {
        let Some(id) = stored.body else { return Ok(version_of(stored.head, None)?) };
        let version = self.first("SELECT body, inline FROM bodies WHERE id = ?1", [id], |row| {
            let body = rows::decode(blob(row, 0)?)?;
            Ok::<_, IndexDatabaseError>(version_of(stored.head, Some((body, optional_blob(row, 1)?)))?)
        })?;
        version.ok_or_else(|| IndexDatabaseError::Damaged { reason: format!("body {id} is missing") })
    }

    /// The version of a row, without the inline extents of its part: their bytes are not read.
    pub(crate) fn without_inline(self, stored: Stored) -> Result<Version, IndexDatabaseError> {
        let Some(id) = stored.body else { return Ok(version_of(stored.head, None)?) };
        let mut body = self.body(id)?;
        if let BodyKind::Single(part) = &mut body.kind {
            part.extents.retain(|extent| matches!(extent, ExtentRow::Slice { .. }));
        }
        Ok(version_of(stored.head, Some((body, None)))?)
    }

    pub(crate) fn last_body_id(self) -> Result<i64, IndexDatabaseError> {
        let last = self.first("SELECT max(id) FROM bodies", [], |row| row.get::<_, Option<i64>>(0))?;
        Ok(last.flatten().unwrap_or(0))
    }

    pub(crate) fn insert_body(self, id: i64, body: &[u8], inline: Option<&[u8]>) -> Result<(), IndexDatabaseError> {
        self.execute("INSERT INTO bodies (id, body, inline) VALUES (?1, ?2, ?3)", params![id, body, inline])?;
        Ok(())
    }

    pub(crate) fn replace_body(self, id: i64, body: &[u8], inline: Option<&[u8]>) -> Result<(), IndexDatabaseError> {
        self.execute("UPDATE bodies SET body = ?2, inline = ?3 WHERE id = ?1", params![id, body, inline])?;
        Ok(())
    }

    /// Another row; its inline bytes stay.
    pub(crate) fn rewrite_body(self, id: i64, body: &[u8]) -> Result<(), IndexDatabaseError> {
        self.execute("UPDATE bodies SET body = ?2 WHERE id = ?1", params![id, body])?;
        Ok(())
    }

    pub(crate) fn delete_body(self, id: i64) -> Result<(), IndexDatabaseError> {
        self.execute("DELETE FROM bodies WHERE id = ?1", [id])?;
        Ok(())
    }

    /// Whether the bucket has no version, no marker and no upload.
    pub(crate) fn is_bucket_empty(
        self,
        bucket: BucketId,
        interval: &RangeInterval,
    ) -> Result<bool, IndexDatabaseError> {
        let [from, to] = within(interval, keys::place_prefix(bucket, b""), keys::place_prefix(bucket.next(), b""));
        for sql in [
            "SELECT 1 FROM current WHERE place >= ?1 AND place < ?2 LIMIT 1",
            "SELECT 1 FROM versions WHERE key >= ?1 AND key < ?2 LIMIT 1",
            "SELECT 1 FROM uploads WHERE key >= ?1 AND key < ?2 LIMIT 1",
        ] {
            if self.first(sql, params![from, to], |_row| Ok::<_, IndexDatabaseError>(()))?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What of a stretch of rows an interval has; where that is nothing, the end comes before the beginning.
pub(crate) fn within(interval: &RangeInterval, from: Vec<u8>, to: Vec<u8>) -> [Vec<u8>; 2] {
    let to = interval.end.as_ref().map_or(to.clone(), |end| to.min(end.clone()));
    [from.max(interval.start.clone()), to]
}

/// The least key above all rows of a place. A place ends in a byte that is not `ff`.
pub(crate) fn after_place(place: &[u8]) -> Vec<u8> {
    keys::after_prefix(place).expect("places end in 01")
}
