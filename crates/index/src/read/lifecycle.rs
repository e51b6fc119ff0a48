//! What lifecycle rules look at: notes of keys, and what there is of a key.

use rusqlite::params;
use types::{BucketId, CommitStamp, ObjectKey, RangeId, UploadId};

use crate::query::{KeyFacts, KeyUpload, KeyVersion};
use crate::tables::{Stored, Tables, after_place, blob};
use crate::{IndexDatabaseError, keys};

/// More uploads of one key than these are looked at another time.
const UPLOADS_MAX: i64 = 1000;

pub(super) fn key_facts(
    tables: Tables<'_>,
    range: RangeId,
    (bucket, key): (BucketId, &ObjectKey),
    after: Option<CommitStamp>,
    limit: usize,
) -> Result<KeyFacts, IndexDatabaseError> {
    let place = keys::place(bucket, key);
    let current = if after.is_none() { tables.current(&place)? } else { None };
    let from = after.map_or_else(|| place.clone(), |stamp| keys::version_key(&place, stamp));
    let sql = "SELECT head, body FROM versions WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT ?3";
    let most = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let older = tables.all(sql, params![from, after_place(&place), most], |row| Stored::read(row, 0))?;
    let mut all: Vec<Stored> = current.into_iter().chain(older).collect();
    let truncated = all.len() > limit;
    all.truncate(limit);
    let versions = all.into_iter().map(|stored| version(tables, stored)).collect::<Result<_, _>>()?;
    let uploads = if after.is_none() { uploads(tables, &place)? } else { Vec::new() };
    Ok(KeyFacts { versions, truncated, uploads, row: tables.bucket_row(range, bucket)? })
}

fn version(tables: Tables<'_>, stored: Stored) -> Result<KeyVersion, IndexDatabaseError> {
    let Stored { head, body } = stored;
    let attributes = body.map(|body| tables.body(body)).transpose()?.map(|body| body.attributes.into_owned());
    let attributes = attributes.unwrap_or_default();
    Ok(KeyVersion {
        id: head.id,
        superseded: head.superseded,
        marker: head.marker,
        plain_bytes: head.plain_bytes,
        tags: attributes.tags,
        storage_class: head.storage_class,
        retention: attributes.retention,
        legal_hold: attributes.legal_hold.is_on(),
    })
}

/// Those that began first: they are due first.
fn uploads(tables: Tables<'_>, place: &[u8]) -> Result<Vec<KeyUpload>, IndexDatabaseError> {
    let sql = "SELECT key FROM uploads_by_time WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT ?3";
    tables.all(sql, params![place, after_place(place), UPLOADS_MAX], |row| {
        let tail = blob(row, 0)?.get(place.len()..).ok_or(keys::KeyError)?;
        let (began, id) = tail.split_first_chunk().ok_or(keys::KeyError)?;
        let id = UploadId::from_bytes(id.try_into().map_err(|_| keys::KeyError)?);
        Ok::<_, IndexDatabaseError>(KeyUpload { id, began: CommitStamp(u64::from_be_bytes(*began)).time() })
    })
}
