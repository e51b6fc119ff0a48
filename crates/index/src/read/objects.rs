//! Current objects in byte order of key.

use types::{ObjectKey, RangeInterval};

use super::stretch::{Lister, Stretch};
use crate::IndexDatabaseError;
use crate::query::{ListPage, ListRange, ListedVersion};
use crate::rows::HeadRow;
use crate::tables::{Tables, blob};

pub(super) fn list(
    tables: Tables<'_>,
    interval: &RangeInterval,
    range: &ListRange,
) -> Result<ListPage<ListedVersion>, IndexDatabaseError> {
    let sql = "SELECT place, head FROM current WHERE place >= ?1 AND place < ?2 ORDER BY place";
    Lister::new(range).fill(tables, sql, Stretch::of(range).clipped(interval), |row, key| {
        listed(HeadRow::decode(blob(row, 1)?)?, key)
    })
}

pub(super) fn listed(head: HeadRow, key: &[u8]) -> Result<ListedVersion, IndexDatabaseError> {
    let key = ObjectKey::new(bytes::Bytes::copy_from_slice(key)).map_err(|_| crate::keys::KeyError)?;
    Ok(head.into_listed(key))
}
