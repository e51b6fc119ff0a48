//! The stretch of rows that a listing walks, with a seek past each common prefix.

use std::borrow::Cow;

use rusqlite::{Row, params};
use types::{CommitStamp, RangeInterval, UploadId};

use crate::query::{ListEntry, ListPage, ListRange};
use crate::tables::{Tables, blob, within};
use crate::{IndexDatabaseError, keys};

/// Rows from `from` (inclusive) to `to` (exclusive).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) from: Vec<u8>,
    pub(crate) to: Vec<u8>,
}

impl Stretch {
    /// All rows of the keys that a page of `range` may show.
    ///
    /// What rolls up to the same common prefix as `range.after` has been shown with it: that prefix is not after
    /// `range.after`.
    pub(crate) fn of(range: &ListRange) -> Self {
        let prefix = keys::place_prefix(range.bucket, &range.prefix);
        let to = end_of(&prefix);
        let from = if range.after.is_empty() {
            prefix
        } else {
            let shown = match common_prefix(range, &range.after) {
                Some(shown) => keys::place_prefix(range.bucket, shown),
                None => keys::place_of_bytes(range.bucket, &range.after),
            };
            end_of(&shown).max(prefix)
        };
        Self { from, to }
    }

    /// All rows after this one.
    pub(crate) fn after(row_key: Option<&[u8]>) -> Self {
        Self { from: row_key.map_or_else(Vec::new, |key| just_after(key.to_vec())), to: end_of(b"") }
    }

    /// What of it an interval has.
    pub(crate) fn clipped(self, interval: &RangeInterval) -> Self {
        let [from, to] = within(interval, self.from, self.to);
        Self { from, to }
    }

    /// The same, but within the key `range.after`, unless that is rolled up, its rows after `position`, too.
    pub(super) fn within(range: &ListRange, position: Option<Within>) -> Self {
        let rolled_up = common_prefix(range, &range.after).is_some();
        let outside = !range.after.starts_with(&range.prefix);
        match position {
            Some(position) if !range.after.is_empty() && !rolled_up && !outside => {
                let place = keys::place_of_bytes(range.bucket, &range.after);
                let from = match position {
                    Within::Start => place,
                    Within::AfterVersion(stamp) => just_after(keys::version_key(&place, stamp)),
                    Within::AfterUpload(began, upload) => just_after(keys::upload_time_key(&place, began, upload)),
                };
                Self { from, ..Self::of(range) }
            }
            _ => Self::of(range),
        }
    }
}

/// A place within the rows of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// Before all of them.
    Start,
    /// After the version with this stamp.
    AfterVersion(CommitStamp),
    /// After this upload.
    AfterUpload(CommitStamp, UploadId),
}

/// The least key above all that begin with `prefix`.
fn end_of(prefix: &[u8]) -> Vec<u8> {
    // Only a prefix of ff alone has none, and no row's key is as long as this.
    keys::after_prefix(prefix).unwrap_or_else(|| vec![0xff; keys::ROW_KEY_BYTES_MAX])
}

fn just_after(mut row_key: Vec<u8>) -> Vec<u8> {
    row_key.push(0);
    row_key
}

/// What `key` is rolled up to.
fn common_prefix<'k>(range: &ListRange, key: &'k [u8]) -> Option<&'k [u8]> {
    let rest = key.strip_prefix(&range.prefix[..])?;
    let delimiter = &range.delimiter[..];
    let at = match delimiter {
        [] => None,
        [byte] => rest.iter().position(|other| other == byte),
        _ => rest.windows(delimiter.len()).position(|window| window == delimiter),
    };
    at.map(|at| &key[..range.prefix.len() + at + delimiter.len()])
}

/// A page being filled from a stretch.
pub(super) struct Lister<'l, T> {
    range: &'l ListRange,
    page: ListPage<T>,
}

impl<'l, T> Lister<'l, T> {
    pub(super) fn new(range: &'l ListRange) -> Self {
        let entries = Vec::with_capacity(range.limit.min(1000));
        Self { range, page: ListPage { entries, truncated: false } }
    }

    /// Adds an entry that comes before the stretch.
    pub(super) fn push(&mut self, entry: T) {
        self.page.entries.push(ListEntry::Entry(entry));
    }

    /// Walks the stretch until the page is full or the stretch at its end. The first column of `sql` is the row's key;
    /// `read` makes the entry of a row that is not rolled up, given the object key.
    ///
    /// A page without room is complete, whatever there is.
    pub(super) fn fill(
        mut self,
        tables: Tables<'_>,
        sql: &str,
        stretch: Stretch,
        mut read: impl FnMut(&Row<'_>, &[u8]) -> Result<T, IndexDatabaseError>,
    ) -> Result<ListPage<T>, IndexDatabaseError> {
        let Stretch { mut from, to } = stretch;
        let mut statement = tables.statement(sql)?;
        while self.range.limit > 0 && from < to {
            let mut rows = statement.query(params![from, to])?;
            let Some(next) = self.fill_to_prefix(&mut rows, &mut read)? else { break };
            drop(rows);
            from = next;
        }
        Ok(self.page)
    }

    /// Takes rows up to one that is rolled up; returns where to go on after that, or `None` when all is done.
    fn fill_to_prefix(
        &mut self,
        rows: &mut rusqlite::Rows<'_>,
        read: &mut impl FnMut(&Row<'_>, &[u8]) -> Result<T, IndexDatabaseError>,
    ) -> Result<Option<Vec<u8>>, IndexDatabaseError> {
        while let Some(row) = rows.next()? {
            if self.page.entries.len() >= self.range.limit {
                self.page.truncated = true;
                return Ok(None);
            }
            let key: Cow<'_, [u8]> = keys::object_key(blob(row, 0)?)?;
            if let Some(prefix) = common_prefix(self.range, &key) {
                let past = end_of(&keys::place_prefix(self.range.bucket, prefix));
                self.page.entries.push(ListEntry::CommonPrefix(prefix.to_vec().into()));
                return Ok(Some(past));
            }
            let entry = read(row, &key)?;
            self.page.entries.push(ListEntry::Entry(entry));
        }
        Ok(None)
    }
}
