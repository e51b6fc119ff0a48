//! Moving what was committed from the WAL into the database, durably.

use rusqlite::Connection;

/// Above this the WAL is begun anew even if readers must be waited for, and cut to it then, in bytes.
///
/// SQLite begins it anew by itself only at a moment at which nobody reads from it, which under overlapping readers
/// may never come; a restart waits for the readers of the old log while new ones already read the database.
/// Each restart holds commits up for two syncs: at 40 MB/s of WAL, what a small PUT's commits bring, once in 3 s.
pub(crate) const WAL_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// A restart holds commits up while it copies what came since the pass before it: so many frames at most, if some more
/// passes can bring that about.
const RESTART_FRAMES_MAX: u64 = 256;
const PASSES_BEFORE_RESTART_MAX: usize = 4;

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
/// or where the WAL has grown above 128 MiB.
/// The connection must not be in a transaction.
///
/// # Errors
/// As SQLite says. After an I/O error the database must not be written again; it is whole, at an earlier state.
pub fn checkpoint(connection: &Connection) -> rusqlite::Result<CheckpointOutcome> {
    checkpoint_within(connection, WAL_BYTES_MAX)
}

/// As [`checkpoint`], and empties the WAL, so that the next process to open the database has nothing to recover: for a
/// clean stop. A WAL that can't be emptied, for some connection uses it, doesn't make the outcome incomplete.
///
/// # Errors
/// As [`checkpoint`].
pub fn checkpoint_and_empty(connection: &Connection) -> rusqlite::Result<CheckpointOutcome> {
    let outcome = checkpoint(connection)?;
    run(connection, "TRUNCATE")?;
    Ok(outcome)
}

fn checkpoint_within(connection: &Connection, wal_bytes_max: u64) -> rusqlite::Result<CheckpointOutcome> {
    let passive = run(connection, "PASSIVE")?;
    let page_bytes: u32 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    if passive.complete && passive.wal_frames.saturating_mul(page_bytes.into()) <= wal_bytes_max {
        return Ok(passive);
    }
    let mut moved = passive.moved_frames;
    for _ in 0..PASSES_BEFORE_RESTART_MAX {
        let pass = run(connection, "PASSIVE")?;
        let came = pass.wal_frames.saturating_sub(std::mem::replace(&mut moved, pass.moved_frames));
        if !pass.complete || came <= RESTART_FRAMES_MAX {
            break;
        }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use platform::FaultyDisk;

    use super::*;
    use crate::{DatabaseLocation, Role, Settings, open};

    fn open_pair() -> (Connection, Connection) {
        let location = DatabaseLocation { disk: Arc::new(FaultyDisk::new(1)), path: "test.db".into() };
        let settings = Settings { busy_timeout: Duration::ZERO, ..Settings::default() };
        let writer = open(&location, Role::Writer, &settings).expect("made");
        writer.execute_batch("CREATE TABLE t (n BLOB)").expect("written");
        let reader = open(&location, Role::Reader, &settings).expect("there");
        (writer, reader)
    }

    fn insert(writer: &Connection) {
        writer.execute_batch("INSERT INTO t VALUES (zeroblob(20000))").expect("written");
    }

    #[test]
    fn a_checkpoint_is_complete_unless_a_reader_holds_on() {
        let (writer, reader) = open_pair();
        assert!(checkpoint(&writer).expect("checkpointed").complete);
        insert(&writer);
        reader.execute_batch("BEGIN; SELECT * FROM t").expect("read");
        insert(&writer);
        let held = checkpoint(&writer).expect("checkpointed");
        assert!(!held.complete && held.moved_frames < held.wal_frames, "{held:?}");
        reader.execute_batch("COMMIT").expect("ended");
        let outcome = checkpoint(&writer).expect("checkpointed");
        assert!(outcome.complete && outcome.moved_frames == outcome.wal_frames, "{outcome:?}");
    }

    #[test]
    fn an_emptied_wal_leaves_nothing_to_recover() {
        let (writer, _reader) = open_pair();
        insert(&writer);
        assert!(checkpoint_and_empty(&writer).expect("checkpointed").complete);
        assert_eq!(checkpoint(&writer).expect("checkpointed").wal_frames, 0);
    }

    #[test]
    fn a_long_wal_is_begun_anew_though_a_reader_came_in() {
        let (writer, reader) = open_pair();
        insert(&writer);
        let long = checkpoint(&writer).expect("checkpointed");
        // This reader reads the database alone, and would keep the writer from beginning the WAL anew by itself.
        insert(&writer);
        reader.execute_batch("BEGIN; SELECT * FROM t").expect("read");
        let held = checkpoint_within(&writer, 0).expect("checkpointed");
        assert!(held.complete, "what the first pass did holds though the restart found a reader: {held:?}");
        reader.execute_batch("COMMIT").expect("ended");
        assert!(checkpoint_within(&writer, 0).expect("checkpointed").complete);
        insert(&writer);
        let anew = checkpoint(&writer).expect("checkpointed");
        assert!(anew.complete && anew.wal_frames < long.wal_frames + 6, "{anew:?} after {long:?}");
    }
}
