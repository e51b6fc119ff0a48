//! Uploads and their parts.

use rusqlite::{Row, params};
use types::{CommitStamp, Part, PartNumber, RunId, UploadId};

use super::objects::after_place;
use super::{Tables, blob, optional_blob};
use crate::rows::{self, PartRow, UploadRow};
use crate::{IndexDatabaseError, keys};

/// The number at the end of a row's key.
fn part_number(row_key: &[u8]) -> Result<PartNumber, IndexDatabaseError> {
    let number = row_key.last_chunk().map(|bytes| u16::from_be_bytes(*bytes)).ok_or(keys::KeyError)?;
    if number == PartNumber::MANIFEST.get() {
        return Ok(PartNumber::MANIFEST);
    }
    Ok(PartNumber::new(number.into()).ok_or(keys::KeyError)?)
}

fn whole_part(row: &Row<'_>) -> Result<Part, IndexDatabaseError> {
    let part: PartRow<'static> = rows::decode(blob(row, 0)?)?;
    Ok(part.into_part(optional_blob(row, 1)?)?)
}

impl Tables<'_> {
    pub(crate) fn upload(self, place: &[u8], upload: UploadId) -> Result<Option<UploadRow>, IndexDatabaseError> {
        self.first("SELECT row FROM uploads WHERE key = ?1", [keys::upload_key(place, upload)], |row| {
            Ok::<_, IndexDatabaseError>(rows::decode(blob(row, 0)?)?)
        })
    }

    pub(crate) fn put_upload(self, place: &[u8], upload: UploadId, row: &UploadRow) -> Result<(), IndexDatabaseError> {
        let sql = "INSERT OR REPLACE INTO uploads (key, row) VALUES (?1, ?2)";
        self.execute(sql, params![keys::upload_key(place, upload), rows::encode(row)])?;
        Ok(())
    }

    pub(crate) fn delete_upload(self, place: &[u8], upload: UploadId) -> Result<(), IndexDatabaseError> {
        self.execute("DELETE FROM uploads WHERE key = ?1", [keys::upload_key(place, upload)])?;
        Ok(())
    }

    /// Makes the upload one that listings show.
    pub(crate) fn put_upload_time(
        self,
        place: &[u8],
        began: CommitStamp,
        upload: UploadId,
    ) -> Result<(), IndexDatabaseError> {
        let sql = "INSERT OR REPLACE INTO uploads_by_time (key) VALUES (?1)";
        self.execute(sql, [keys::upload_time_key(place, began, upload)])?;
        Ok(())
    }

    pub(crate) fn delete_upload_time(
        self,
        place: &[u8],
        began: CommitStamp,
        upload: UploadId,
    ) -> Result<(), IndexDatabaseError> {
        self.execute("DELETE FROM uploads_by_time WHERE key = ?1", [keys::upload_time_key(place, began, upload)])?;
        Ok(())
    }

    /// One part's row, without its inline bytes.
    pub(crate) fn part(
        self,
        place: &[u8],
        upload: UploadId,
        number: PartNumber,
    ) -> Result<Option<PartRow<'static>>, IndexDatabaseError> {
        self.first("SELECT row FROM parts WHERE key = ?1", [keys::part_key(place, upload, number)], |row| {
            Ok::<_, IndexDatabaseError>(rows::decode(blob(row, 0)?)?)
        })
    }

    /// All part rows of an upload, the manifest among them, without their inline bytes, in order of number.
    pub(crate) fn part_rows(
        self,
        place: &[u8],
        upload: UploadId,
    ) -> Result<Vec<(PartNumber, PartRow<'static>)>, IndexDatabaseError> {
        let from = keys::part_key(place, upload, PartNumber::MANIFEST);
        let to = keys::part_key_end(place, upload);
        self.all("SELECT row, key FROM parts WHERE key >= ?1 AND key <= ?2 ORDER BY key", params![from, to], |row| {
            Ok::<_, IndexDatabaseError>((part_number(blob(row, 1)?)?, rows::decode(blob(row, 0)?)?))
        })
    }

    /// Whether a part of the key, of any upload, names the run.
    ///
    /// An object may have 10,000 parts and be asked for each of its runs, so a row is decoded only where the run's
    /// encoded id stands somewhere in it.
    pub(crate) fn part_names_run(self, place: &[u8], run: RunId) -> Result<bool, IndexDatabaseError> {
        let needle = &rows::encode(&run)[1..];
        let mut statement = self.statement("SELECT row FROM parts WHERE key > ?1 AND key < ?2")?;
        let mut found = statement.query(params![place, after_place(place)])?;
        while let Some(row) = found.next()? {
            let bytes = blob(row, 0)?;
            if bytes.windows(needle.len()).any(|window| window == needle) {
                let part: PartRow<'static> = rows::decode(bytes)?;
                if part.runs().iter().any(|named| named.id == run) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Parts numbered above `after` (the manifest never), with their inline bytes.
    pub(crate) fn parts(
        self,
        place: &[u8],
        upload: UploadId,
        after: u16,
        limit: usize,
    ) -> Result<Vec<Part>, IndexDatabaseError> {
        let sql = "SELECT row, inline FROM parts WHERE key > ?1 AND key <= ?2 ORDER BY key LIMIT ?3";
        let from = keys::part_key_of(place, upload, after);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.all(sql, params![from, keys::part_key_end(place, upload), limit], whole_part)
    }

    pub(crate) fn manifest(self, place: &[u8], upload: UploadId) -> Result<Option<Part>, IndexDatabaseError> {
        let key = keys::part_key(place, upload, PartNumber::MANIFEST);
        self.first("SELECT row, inline FROM parts WHERE key = ?1", [key], whole_part)
    }

    pub(crate) fn put_part(
        self,
        place: &[u8],
        upload: UploadId,
        part: &PartRow<'_>,
        inline: Option<&[u8]>,
    ) -> Result<(), IndexDatabaseError> {
        let sql = "INSERT OR REPLACE INTO parts (key, row, inline) VALUES (?1, ?2, ?3)";
        self.execute(sql, params![keys::part_key(place, upload, part.number), rows::encode(part), inline])?;
        Ok(())
    }

    pub(crate) fn delete_part(
        self,
        place: &[u8],
        upload: UploadId,
        number: PartNumber,
    ) -> Result<(), IndexDatabaseError> {
        self.execute("DELETE FROM parts WHERE key = ?1", [keys::part_key(place, upload, number)])?;
        Ok(())
    }

    /// Removes all part rows of an upload.
    pub(crate) fn delete_parts(self, place: &[u8], upload: UploadId) -> Result<(), IndexDatabaseError> {
        let from = keys::part_key(place, upload, PartNumber::MANIFEST);
        self.execute(
            "DELETE FROM parts WHERE key >= ?1 AND key <= ?2",
            params![from, keys::part_key_end(place, upload)],
        )?;
        Ok(())
    }
}
