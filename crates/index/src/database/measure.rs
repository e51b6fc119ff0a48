//! How much a range has, and where its middle is: for whoever decides on a split.

use std::collections::BTreeMap;

use rusqlite::{Row, params};
use types::{HomeKey, RangeId, RangeInterval};

use super::{IndexReader, in_transaction};
use crate::query::Usage;
use crate::read::stretch::Stretch;
use crate::rows::{self, HeadRow, PartRow, UploadRow};
use crate::tables::{Tables, blob, from_sql, within};
use crate::{IndexDatabaseError, keys};

/// Keys that a range could be split at, of which the best is chosen; when there are more, every other one goes.
const CANDIDATES_MAX: usize = 4096;

/// What a range has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeMeasure {
    /// Bytes of its rows, with their keys.
    pub bytes: u64,
    /// The key nearest to its middle at which it can be split; `None` where it has fewer than two.
    pub middle: Option<HomeKey>,
}

impl IndexReader {
    /// Reads through all keys of a range, and the lengths of what they have. Takes long where there is much; writers go
    /// on meanwhile, and their WAL grows.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn measure(&mut self, range: RangeId) -> Result<RangeMeasure, IndexDatabaseError> {
        in_transaction(&self.connection, "BEGIN", |connection| {
            let tables = Tables::of(connection);
            let nothing = RangeMeasure { bytes: 0, middle: None };
            let Some(row) = tables.descriptor(range)? else { return Ok(nothing) };
            measure(tables, &row.interval)
        })
    }

    /// About how many rows each range has, by its counters: one row a bucket is read.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn row_counts(&mut self) -> Result<BTreeMap<RangeId, u64>, IndexDatabaseError> {
        in_transaction(&self.connection, "BEGIN", |connection| {
            // What went by an estimate may have left less than nothing.
            let sql = "SELECT range, max(sum(versions + markers + uploads), 0) FROM usage GROUP BY range";
            let counts = Tables::of(connection)
                .all(sql, [], |row| Ok::<_, IndexDatabaseError>((RangeId(from_sql(row, 0)?), from_sql(row, 1)?)))?;
            Ok(counts.into_iter().collect())
        })
    }

    /// What the part of a range from a key on has of the key's bucket.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn usage_from(&mut self, range: RangeId, at: &HomeKey) -> Result<Usage, IndexDatabaseError> {
        in_transaction(&self.connection, "BEGIN", |connection| {
            let tables = Tables::of(connection);
            let Some(row) = tables.descriptor(range)? else { return Ok(Usage::default()) };
            let from = keys::place(at.bucket, &at.key);
            let [from, to] = within(&row.interval, from, keys::place_prefix(at.bucket.next(), b""));
            usage_between(tables, &from, &to)
        })
    }
}

fn measure(tables: Tables<'_>, interval: &RangeInterval) -> Result<RangeMeasure, IndexDatabaseError> {
    let of_body = "(SELECT length(bodies.body) + ifnull(length(inline), 0) FROM bodies WHERE id = ";
    let sql = format!(
        "SELECT place, length(place) + length(head) + {of_body} current.body) FROM current
             WHERE place >= ?1 AND place < ?2
         UNION ALL SELECT key, length(key) + length(head) + ifnull({of_body} versions.body), 0) FROM versions
             WHERE key >= ?1 AND key < ?2
         UNION ALL SELECT key, length(key) + length(row) FROM uploads WHERE key >= ?1 AND key < ?2
         UNION ALL SELECT key, length(key) + length(row) + ifnull(length(inline), 0) FROM parts
             WHERE key >= ?1 AND key < ?2
         ORDER BY 1"
    );
    let Stretch { from, to } = Stretch::after(None).clipped(interval);
    let mut statement = tables.statement(&sql)?;
    let mut found = statement.query(params![from, to])?;
    let (mut bytes, mut step) = (0, 1 << 10);
    let mut last: Option<Vec<u8>> = None;
    let mut candidates: Vec<(u64, Vec<u8>)> = Vec::new();
    while let Some(row) = found.next()? {
        let key = blob(row, 0)?;
        if last.as_ref().is_none_or(|place| !key.starts_with(place)) {
            let (_, _, rest) = keys::split_place(key)?;
            let place = key[..key.len() - rest.len()].to_vec();
            let is_due = candidates.last().is_none_or(|(before, _)| bytes - before >= step);
            // Split at its first key, a range would leave nothing to itself.
            if last.is_some() && is_due {
                candidates.push((bytes, place.clone()));
            }
            last = Some(place);
            if candidates.len() > CANDIDATES_MAX {
                let mut stays = false;
                candidates.retain(|_| {
                    stays = !stays;
                    stays
                });
                step *= 2;
            }
        }
        bytes += from_sql(row, 1)?;
    }
    let middle = candidates.into_iter().min_by_key(|(before, _)| before.abs_diff(bytes / 2));
    let home = |(_, place): (u64, Vec<u8>)| keys::split_place(&place).map(|(bucket, key, _)| HomeKey { bucket, key });
    Ok(RangeMeasure { bytes, middle: middle.map(home).transpose()? })
}

/// What rows there are between two places, counted as `apply` counts them.
pub(super) fn usage_between(tables: Tables<'_>, from: &[u8], to: &[u8]) -> Result<Usage, IndexDatabaseError> {
    let mut usage = Usage::default();
    let bounds = || [from, to];
    let sql = "SELECT head, 1 FROM current WHERE place >= ?1 AND place < ?2
               UNION ALL SELECT head, 0 FROM versions WHERE key >= ?1 AND key < ?2";
    each(tables, sql, bounds(), |row| {
        let head = HeadRow::decode(blob(row, 0)?)?;
        usage.objects += from_sql(row, 1)?;
        if head.marker {
            usage.markers += 1;
        } else {
            usage.versions += 1;
            usage.bytes += head.plain_bytes;
        }
        Ok(())
    })?;
    each(tables, "SELECT row FROM uploads WHERE key >= ?1 AND key < ?2", bounds(), |row| {
        let upload: UploadRow = rows::decode(blob(row, 0)?)?;
        usage.uploads += u64::from(upload.completed.is_none());
        Ok(())
    })?;
    // Those of uploads under way: a completed one's version counts them.
    let sql = "SELECT parts.row, uploads.row FROM parts JOIN uploads
               ON uploads.key = substr(parts.key, 1, length(parts.key) - 2)
               WHERE parts.key >= ?1 AND parts.key < ?2";
    each(tables, sql, bounds(), |row| {
        let part: PartRow<'static> = rows::decode(blob(row, 0)?)?;
        let upload: UploadRow = rows::decode(blob(row, 1)?)?;
        usage.upload_bytes += if upload.completed.is_none() { part.plain_bytes } else { 0 };
        Ok(())
    })?;
    Ok(usage)
}

fn each(
    tables: Tables<'_>,
    sql: &str,
    parameters: impl rusqlite::Params,
    mut look: impl FnMut(&Row<'_>) -> Result<(), IndexDatabaseError>,
) -> Result<(), IndexDatabaseError> {
    let mut statement = tables.statement(sql)?;
    let mut found = statement.query(parameters)?;
    while let Some(row) = found.next()? {
        look(row)?;
    }
    Ok(())
}
