//! The tables (docs/index-schema.md) and the format of the file.

use rusqlite::Connection;

use crate::IndexDatabaseError;

/// The newest format that this release writes, in `PRAGMA user_version`.
const FORMAT: u32 = 2;
/// The format until some range is split: older releases read it.
const FORMAT_UNSPLIT: u32 = 1;
/// "CIDX" in `PRAGMA application_id`: tells our file from another SQLite database.
const APPLICATION_ID: u32 = 0x4349_4458;

const TABLES: &str = "
CREATE TABLE ranges (
    id INTEGER PRIMARY KEY, stamp INTEGER NOT NULL, floor INTEGER NOT NULL, applied BLOB NOT NULL, membership BLOB);
CREATE TABLE answers (
    range INTEGER NOT NULL, ticket INTEGER NOT NULL, number INTEGER NOT NULL, answer BLOB NOT NULL,
    PRIMARY KEY (range, ticket, number)) WITHOUT ROWID;
CREATE TABLE request_marks (
    range INTEGER NOT NULL, ticket INTEGER NOT NULL, answered INTEGER NOT NULL,
    PRIMARY KEY (range, ticket)) WITHOUT ROWID;

CREATE TABLE system (name TEXT PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE credentials (access_key_id TEXT PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE tickets (id INTEGER PRIMARY KEY, row BLOB NOT NULL);
CREATE TABLE buckets (id INTEGER PRIMARY KEY, finished INTEGER NOT NULL, row BLOB NOT NULL);
CREATE INDEX unfinished_buckets ON buckets (id) WHERE finished = 0;
CREATE TABLE bucket_names (
    namespace TEXT NOT NULL, name TEXT NOT NULL, bucket INTEGER NOT NULL,
    PRIMARY KEY (namespace, name)) WITHOUT ROWID;

CREATE TABLE bucket_rows (
    range INTEGER NOT NULL, bucket INTEGER NOT NULL, row BLOB NOT NULL, PRIMARY KEY (range, bucket)) WITHOUT ROWID;
CREATE TABLE usage (
    range INTEGER NOT NULL, bucket INTEGER NOT NULL,
    objects INTEGER NOT NULL, versions INTEGER NOT NULL, markers INTEGER NOT NULL, bytes INTEGER NOT NULL,
    uploads INTEGER NOT NULL, upload_bytes INTEGER NOT NULL,
    PRIMARY KEY (range, bucket)) WITHOUT ROWID;

CREATE TABLE current (place BLOB PRIMARY KEY, head BLOB NOT NULL, body INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE versions (key BLOB PRIMARY KEY, head BLOB NOT NULL, body INTEGER) WITHOUT ROWID;
CREATE TABLE nulls (place BLOB PRIMARY KEY, stamp INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE bodies (id INTEGER PRIMARY KEY, body BLOB NOT NULL, inline BLOB);

CREATE TABLE uploads (key BLOB PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE uploads_by_time (key BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE parts (key BLOB PRIMARY KEY, row BLOB NOT NULL, inline BLOB) WITHOUT ROWID;

CREATE TABLE garbage (key BLOB PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE discarded (key BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE degraded (key BLOB PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
";

/// Databases of the first format may lack it.
const DESCRIPTORS: &str = "CREATE TABLE IF NOT EXISTS descriptors (range INTEGER PRIMARY KEY, row BLOB NOT NULL);";

/// Databases of builds below level 3 lack it. Under kind 0 stands when any of the bucket's documents was
/// changed last.
const DOCUMENTS: &str = "CREATE TABLE IF NOT EXISTS documents (
    bucket INTEGER NOT NULL, kind INTEGER NOT NULL, row BLOB NOT NULL, PRIMARY KEY (bucket, kind)) WITHOUT ROWID;";

/// As [`DOCUMENTS`]. What is of the whole cluster stands under account 0.
const IDENTITIES: &str = "CREATE TABLE IF NOT EXISTS identities (
    account INTEGER NOT NULL, kind INTEGER NOT NULL, name TEXT NOT NULL, row BLOB NOT NULL,
    PRIMARY KEY (account, kind, name)) WITHOUT ROWID;";

/// As [`DOCUMENTS`]: which buckets have lifecycle rules, and which keys are to be looked at when.
const LIFECYCLES: &str = "CREATE TABLE IF NOT EXISTS lifecycles (
    range INTEGER NOT NULL, bucket INTEGER NOT NULL, row BLOB NOT NULL, PRIMARY KEY (range, bucket)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS due (key BLOB PRIMARY KEY) WITHOUT ROWID;";

/// Notes, within a transaction, that a range was split: a release that knows of no splits must not read on.
pub(crate) fn note_split(connection: &Connection) -> Result<(), IndexDatabaseError> {
    let format: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if format < FORMAT {
        connection.pragma_update(None, "user_version", FORMAT)?;
    }
    Ok(())
}

/// Makes the tables in an empty database; checks the format of one that has them.
///
/// # Errors
/// [`IndexDatabaseError::NewerFormat`]; [`IndexDatabaseError::Damaged`] when the file is another program's.
pub(crate) fn prepare(connection: &Connection) -> Result<(), IndexDatabaseError> {
    let format: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: u32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    match (application, format) {
        (0, 0) => create(connection),
        (APPLICATION_ID, FORMAT_UNSPLIT | FORMAT) => {
            Ok(connection.execute_batch(&format!("{DESCRIPTORS} {DOCUMENTS} {IDENTITIES} {LIFECYCLES}"))?)
        }
        (APPLICATION_ID, found) if found > FORMAT => Err(IndexDatabaseError::NewerFormat { found, known: FORMAT }),
        _ => Err(IndexDatabaseError::Damaged { reason: format!("application {application:#x}, format {format}") }),
    }
}

fn create(connection: &Connection) -> Result<(), IndexDatabaseError> {
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {TABLES} {DESCRIPTORS} {DOCUMENTS} {IDENTITIES} {LIFECYCLES} PRAGMA application_id = {APPLICATION_ID}; \
         PRAGMA user_version = {FORMAT_UNSPLIT}; COMMIT"
    ))?;
    Ok(())
}
