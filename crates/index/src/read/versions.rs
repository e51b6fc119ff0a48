//! All versions of all keys. `current` and `versions` are merged by the order of their keys: a place comes before the
//! keys that begin with it, so the newest version comes first.

use rusqlite::params;
use types::RangeInterval;

use super::objects::listed;
use super::stretch::{Lister, Stretch, Within};
use crate::command::WhichVersion;
use crate::query::{ListPage, ListRange, ListedVersion, QueryAnswer, VersionRow};
use crate::rows::HeadRow;
use crate::tables::{Stored, Tables, blob};
use crate::{IndexDatabaseError, keys};

pub(super) fn list(
    tables: Tables<'_>,
    interval: &RangeInterval,
    range: &ListRange,
    after_version: Option<WhichVersion>,
) -> Result<ListPage<ListedVersion>, IndexDatabaseError> {
    let sql = "SELECT place, head FROM current WHERE place >= ?1 AND place < ?2
               UNION ALL SELECT key, head FROM versions WHERE key >= ?1 AND key < ?2 ORDER BY 1";
    let within = after_version.map(|which| position(tables, range, which)).transpose()?;
    let mut lister = Lister::new(range);
    let stretch = Stretch::within(range, within).clipped(interval);
    if let Some(Within::AfterVersion(stamp)) = within {
        // The newest version has no row in the stretch; it is older than `stamp` when newer ones were deleted since.
        let place = keys::place_of_bytes(range.bucket, &range.after);
        if stretch.from.starts_with(&place)
            && range.limit > 0
            && let Some(current) = tables.current(&place)?
            && current.head.id.stamp < stamp
        {
            lister.push(listed(current.head, &range.after)?);
        }
    }
    lister.fill(tables, sql, stretch, |row, key| listed(HeadRow::decode(blob(row, 1)?)?, key))
}

/// Where the versions older than `which` begin. A null version that is gone meanwhile leaves no trace of its place:
/// then all are listed again, for a repeated one does less harm than one left out.
fn position(tables: Tables<'_>, range: &ListRange, which: WhichVersion) -> Result<Within, IndexDatabaseError> {
    if let WhichVersion::Id(id) = which {
        return Ok(Within::AfterVersion(id.stamp));
    }
    let place = keys::place_of_bytes(range.bucket, &range.after);
    let current = tables.current(&place)?;
    let found = tables.find_version(&place, which, current)?;
    Ok(found.map_or(Within::Start, |found| Within::AfterVersion(found.head.id.stamp)))
}

/// Whole versions of all buckets, from after the row `after`.
pub(super) fn whole_rows(
    tables: Tables<'_>,
    interval: &RangeInterval,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<QueryAnswer, IndexDatabaseError> {
    let sql = "SELECT place, head, body FROM current WHERE place >= ?1 AND place < ?2
               UNION ALL SELECT key, head, body FROM versions WHERE key >= ?1 AND key < ?2 ORDER BY 1";
    let mut statement = tables.statement(sql)?;
    let Stretch { from, to } = Stretch::after(after).clipped(interval);
    let mut found = statement.query(params![from, to])?;
    let (mut rows, mut last) = (Vec::new(), None);
    while let Some(row) = found.next()? {
        if rows.len() >= limit {
            return Ok(QueryAnswer::VersionRows { rows, next: last.or_else(|| after.map(<[u8]>::to_vec)) });
        }
        let row_key = blob(row, 0)?;
        let (bucket, key, _) = keys::split_place(row_key)?;
        last = Some(row_key.to_vec());
        rows.push(VersionRow { bucket, key, version: tables.whole(Stored::read(row, 1)?)? });
    }
    Ok(QueryAnswer::VersionRows { rows, next: None })
}
