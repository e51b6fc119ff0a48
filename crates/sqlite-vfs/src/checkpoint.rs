//! Moving what was committed from the WAL into the database, durably.

use rusqlite::Connection;

/// Above this the WAL is begun anew even if readers must be waited for, and cut to it then, in bytes.
///
/// SQLite begins it anew by itself only at a moment at which nobody reads from it, which under overlapping readers
/// may never come; a restart waits for the readers of the old log while new ones already read the database.
pub(crate) const WAL_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What a checkpoint has achieved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointOutcome {
    /// Frames (pages) in the WAL.
    pub wal_frames: u64,
    /// How many of them are in the database now.
    pub moved_frames: u64,
    /// Whether everything that had been committed before the call is in the database and synced. If not, some reader
    /// or writer held on longer than the connection's busy timeout: nothing is wrong, and nothing may be purged.
    pub complete: bool,
}

/// Copies the WAL into the database. The order is SQLite's: sync the WAL, copy, sync the database, count it as done.
///
/// It first copies what it can beside readers and writers, and waits (at most the busy timeout) only for what is left,
/// or where the WAL has grown above 64 MiB.
/// The connection must not be in a transaction.
///
/// # Errors
/// As SQLite says. After an I/O error the database must not be written again; it is whole, at an earlier state.
pub fn checkpoint(connection: &Connection) -> rusqlite::Result<CheckpointOutcome> {
    let passive = run(connection, "PASSIVE")?;
    let page_bytes: u32 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    if passive.complete && passive.wal_frames.saturating_mul(page_bytes.into()) <= WAL_BYTES_MAX {
        return Ok(passive);
    }
    let restart = run(connection, "RESTART")?;
    // A restart that couldn't wait for the readers has still not undone what the first pass did.
    Ok(if passive.complete { CheckpointOutcome { complete: true, ..restart } } else { restart })
}

fn run(connection: &Connection, mode: &str) -> rusqlite::Result<CheckpointOutcome> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        let blocked: bool = row.get(0)?;
        // -1 stands for a database that has no WAL, which `open` excludes, or whose WAL nobody has used yet.
        let wal_frames = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
        let moved_frames = u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0);
        Ok(CheckpointOutcome { wal_frames, moved_frames, complete: !blocked && wal_frames == moved_frames })
    })
}
