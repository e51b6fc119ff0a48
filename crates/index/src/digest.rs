//! A hash over all rows.
//!
//! Numbers that are one database's own (`bodies.id`) are left out: the row of a version is hashed with its body in
//! place of the number. What is hashed are the bytes that stand in the rows, so two replicas of different releases that
//! write other formats differ.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::IndexDatabaseError;
use crate::tables::Tables;

const ROWS: [&str; 24] = [
    "SELECT 'ranges', * FROM ranges ORDER BY id",
    "SELECT 'descriptors', * FROM descriptors ORDER BY range",
    "SELECT 'answers', * FROM answers ORDER BY range, ticket, number",
    "SELECT 'request_marks', * FROM request_marks ORDER BY range, ticket",
    "SELECT 'system', * FROM system ORDER BY name",
    "SELECT 'credentials', * FROM credentials ORDER BY access_key_id",
    "SELECT 'tickets', * FROM tickets ORDER BY id",
    "SELECT 'buckets', * FROM buckets ORDER BY id",
    "SELECT 'bucket_names', * FROM bucket_names ORDER BY namespace, name",
    "SELECT 'documents', * FROM documents ORDER BY bucket, kind",
    "SELECT 'identities', * FROM identities ORDER BY account, kind, name",
    "SELECT 'bucket_rows', * FROM bucket_rows ORDER BY range, bucket",
    "SELECT 'usage', * FROM usage ORDER BY range, bucket",
    "SELECT 'lifecycles', * FROM lifecycles ORDER BY range, bucket",
    "SELECT 'due', * FROM due ORDER BY key",
    "SELECT 'current', place, head, bodies.body, inline FROM current LEFT JOIN bodies ON id = current.body ORDER BY place",
    "SELECT 'versions', key, head, bodies.body, inline FROM versions LEFT JOIN bodies ON id = versions.body ORDER BY key",
    "SELECT 'nulls', * FROM nulls ORDER BY place",
    "SELECT 'uploads', * FROM uploads ORDER BY key",
    "SELECT 'uploads_by_time', * FROM uploads_by_time ORDER BY key",
    "SELECT 'parts', * FROM parts ORDER BY key",
    "SELECT 'garbage', * FROM garbage ORDER BY key",
    "SELECT 'discarded', * FROM discarded ORDER BY key",
    "SELECT 'degraded', * FROM degraded ORDER BY key",
];

/// BLAKE3 over all rows in order, each value with its type and length.
pub(crate) fn of(connection: &Connection) -> Result<[u8; 32], IndexDatabaseError> {
    let mut hasher = blake3::Hasher::new();
    let tables = Tables::of(connection);
    for sql in ROWS {
        let mut statement = tables.statement(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                hash_value(&mut hasher, row.get_ref(column)?);
            }
        }
    }
    Ok(*hasher.finalize().as_bytes())
}

fn hash_value(hasher: &mut blake3::Hasher, value: ValueRef<'_>) {
    let (kind, bytes): (u8, &[u8]) = match &value {
        ValueRef::Null => (0, &[]),
        ValueRef::Integer(number) => (1, &number.to_le_bytes()),
        ValueRef::Real(number) => (2, &number.to_le_bytes()),
        ValueRef::Text(text) => (3, text),
        ValueRef::Blob(blob) => (4, blob),
    };
    hasher.update(&[kind]);
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}
