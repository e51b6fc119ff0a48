//! Uploads under way, in order of key, then of time.

use types::{ObjectKey, RangeInterval, UploadId};

use super::stretch::{Lister, Stretch, Within};
use crate::query::{ListPage, ListRange, ListedUpload};
use crate::tables::{Tables, blob};
use crate::{IndexDatabaseError, keys};

pub(super) fn list(
    tables: Tables<'_>,
    interval: &RangeInterval,
    range: &ListRange,
    after_upload: Option<UploadId>,
) -> Result<ListPage<ListedUpload>, IndexDatabaseError> {
    let sql = "SELECT key FROM uploads_by_time WHERE key >= ?1 AND key < ?2 ORDER BY key";
    let within = after_upload.map(|upload| position(tables, range, upload)).transpose()?;
    Lister::new(range).fill(tables, sql, Stretch::within(range, within).clipped(interval), |row, key| {
        let row_key = blob(row, 0)?;
        let upload = UploadId::from_bytes(*row_key.last_chunk().ok_or(keys::KeyError)?);
        let key = ObjectKey::new(key.to_vec()).map_err(|_| keys::KeyError)?;
        let known = tables.upload(&keys::place(range.bucket, &key), upload)?;
        let known = known.ok_or_else(|| IndexDatabaseError::Damaged { reason: format!("{upload:?} has no row") })?;
        Ok(ListedUpload {
            key,
            upload,
            began: known.began,
            storage_class: known.attributes.storage_class,
            checksum: known.checksum,
            owner: known.owner,
        })
    })
}

/// Where the uploads after this one begin. One that is gone, or completed, meanwhile leaves no trace of its place: then
/// all of the key are listed again.
fn position(tables: Tables<'_>, range: &ListRange, upload: UploadId) -> Result<Within, IndexDatabaseError> {
    let place = keys::place_of_bytes(range.bucket, &range.after);
    Ok(tables.upload(&place, upload)?.map_or(Within::Start, |row| Within::AfterUpload(row.began, upload)))
}
