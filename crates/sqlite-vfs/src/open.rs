//! Opening a database: where it lies, what it is set to.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use platform::Disk;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::checkpoint::WAL_BYTES_MAX;
use crate::vfs;

/// 3.51.3 is the first release in which a WAL that several connections reset at once can't lose a transaction
/// (<https://www.sqlite.org/wal.html#walresetbug>).
const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// A database file on a disk.
#[derive(Debug, Clone)]
pub struct DatabaseLocation {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The database's path on it. SQLite adds `-wal` to it for the log.
    pub path: PathBuf,
}

/// What a connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reads and writes, and makes the database where it isn't there. One connection of a database at a time writes.
    Writer,
    /// Reads only. The database must be there.
    Reader,
}

/// When SQLite syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronous {
    /// At a checkpoint alone: what was committed since the last one may be lost with the power, but never half of it.
    Normal,
    /// At every commit too.
    Full,
}

/// How a connection is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Pages that a connection keeps in memory, in bytes.
    pub cache_bytes: u64,
    /// Size of a page, in bytes: a power of two from 512 to 65536. A database keeps the one that it was made with.
    pub page_bytes: u32,
    /// When SQLite syncs.
    pub synchronous: Synchronous,
    /// How long to wait for another connection's lock before `SQLITE_BUSY`.
    pub busy_timeout: Duration,
    /// How many prepared statements `Connection::prepare_cached` keeps.
    pub statements_cached: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cache_bytes: 8 * 1024 * 1024,
            page_bytes: 4096,
            synchronous: Synchronous::Normal,
            busy_timeout: Duration::from_secs(5),
            statements_cached: 64,
        }
    }
}

/// Why a database can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The program was linked with an SQLite that can corrupt a database.
    #[error("SQLite {found} is linked, but 3.51.3 or later is needed: earlier ones may corrupt a WAL database")]
    OldSqlite {
        /// Its version.
        found: &'static str,
    },
    /// A disk's path is not UTF-8, which SQLite's names are.
    #[error("the database's path {path} is not UTF-8")]
    PathNotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// The database can't be in WAL mode, though the disk can: it isn't one of ours.
    #[error("the database {path} is in journal mode {mode}, not wal")]
    NotWal {
        /// The path on its disk.
        path: PathBuf,
        /// SQLite's word for the mode that it is in.
        mode: String,
    },
    /// SQLite failed; its error tells a full disk, an I/O error and corruption apart.
    #[error("the database {path} failed")]
    Sqlite {
        /// The path on its disk.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// The disk failed beside SQLite.
    #[error("the disk failed under the database {path}")]
    Disk {
        /// The path on the disk.
        path: PathBuf,
        /// What the disk says.
        #[source]
        source: std::io::Error,
    },
}

/// Opens a connection, in WAL mode, that never checkpoints by itself, neither after a commit nor when closed.
///
/// A writer makes the file where it isn't there; its directory must be there. Its name is durable with the first
/// checkpoint, or the first synced commit.
/// The connection may move between threads but is for one at a time.
///
/// # Errors
/// [`DatabaseError`]; [`DatabaseError::Sqlite`] with `CannotOpen` where a reader finds no database, with `DatabaseBusy`
/// where another process has it open.
pub fn open(location: &DatabaseLocation, role: Role, settings: &Settings) -> Result<Connection, DatabaseError> {
    check_version()?;
    let connection = connect(location, role)?;
    set(&connection, location, role, settings)?;
    Ok(connection)
}

impl DatabaseLocation {
    /// The file beside the database whose name has `suffix` added: `-wal`, `-shm`, `-journal` are SQLite's.
    pub(crate) fn beside(&self, suffix: &str) -> Self {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        Self { disk: Arc::clone(&self.disk), path: path.into() }
    }

    pub(crate) fn sqlite_error(&self, source: rusqlite::Error) -> DatabaseError {
        DatabaseError::Sqlite { path: self.path.clone(), source }
    }

    pub(crate) fn disk_error(&self, source: std::io::Error) -> DatabaseError {
        DatabaseError::Disk { path: self.path.clone(), source }
    }
}

/// A connection as SQLite gives it, with nothing set.
pub(crate) fn connect(location: &DatabaseLocation, role: Role) -> Result<Connection, DatabaseError> {
    // A reader opens for writing too: the first one after a crash must recover the WAL. `query_only` binds it.
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if role == Role::Writer {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let path = location.path.to_str().ok_or_else(|| DatabaseError::PathNotUtf8 { path: location.path.clone() })?;
    let layer = vfs::layer()
        .map_err(|code| location.sqlite_error(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)))?;
    Connection::open_with_flags_and_vfs(vfs::name_of(&location.disk, path), flags, layer)
        .map_err(|error| location.sqlite_error(error))
}

fn set(
    connection: &Connection,
    location: &DatabaseLocation,
    role: Role,
    settings: &Settings,
) -> Result<(), DatabaseError> {
    let mode = apply_settings(connection, role, settings).map_err(|error| location.sqlite_error(error))?;
    if mode == "wal" { Ok(()) } else { Err(DatabaseError::NotWal { path: location.path.clone(), mode }) }
}

/// Applies the settings in the one order that works, and returns the journal mode.
fn apply_settings(connection: &Connection, role: Role, settings: &Settings) -> rusqlite::Result<String> {
    connection.busy_timeout(settings.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(settings.statements_cached);
    // Closing would write to a disk that may just have failed, and checkpoint what nobody asked for.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    if role == Role::Writer {
        // Only a database without pages takes it, so before the journal mode, which writes the first one.
        connection.pragma_update(None, "page_size", settings.page_bytes)?;
    }
    let synchronous = match settings.synchronous {
        Synchronous::Normal => "NORMAL",
        Synchronous::Full => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    let mode: String = match role {
        Role::Writer => connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?,
        Role::Reader => connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?,
    };
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES_MAX as i64, |_row| Ok(()))?;
    let cache_kib = i64::try_from(settings.cache_bytes / 1024).unwrap_or(i64::MAX);
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    // Temporary tables and sorters would go to a directory outside of every disk.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    if role == Role::Reader {
        connection.pragma_update(None, "query_only", true)?;
    }
    Ok(mode)
}

fn check_version() -> Result<(), DatabaseError> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        return Err(DatabaseError::OldSqlite { found: rusqlite::version() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use platform::RealDisk;
    use rusqlite::ErrorCode;

    use super::*;

    fn real_location() -> (tempfile::TempDir, DatabaseLocation) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let disk = RealDisk::open(directory.path()).expect("it is there");
        (directory, DatabaseLocation { disk: Arc::new(disk), path: "test.db".into() })
    }

    #[test]
    fn a_writer_makes_the_database_and_a_reader_only_reads() {
        let (_directory, location) = real_location();
        let settings = Settings { page_bytes: 8192, ..Settings::default() };
        let missing = open(&location, Role::Reader, &settings).expect_err("nothing is there yet");
        let DatabaseError::Sqlite { source, .. } = missing else { panic!("not SQLite's: {missing}") };
        assert_eq!(source.sqlite_error_code(), Some(ErrorCode::CannotOpen));
        let writer = open(&location, Role::Writer, &settings).expect("made");
        writer.execute_batch("CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (7)").expect("a writer writes");
        let page_bytes: u32 = writer.pragma_query_value(None, "page_size", |row| row.get(0)).expect("known");
        assert_eq!(page_bytes, 8192);
        let reader = open(&location, Role::Reader, &settings).expect("there");
        assert_eq!(reader.query_row("SELECT n FROM t", [], |row| row.get::<_, i64>(0)), Ok(7));
        let refused = reader.execute("INSERT INTO t VALUES (8)", []).expect_err("a reader does not write");
        assert_eq!(refused.sqlite_error_code(), Some(ErrorCode::ReadOnly));
    }

    /// SQLite's own layer stands for another program: it knows nothing of our locks and WAL index.
    #[test]
    fn another_programs_connection_and_ours_exclude_each_other() {
        let (directory, location) = real_location();
        let read_as_another_program = || {
            let other = Connection::open(directory.path().join("test.db")).expect("opened, but not read yet");
            other.busy_timeout(Duration::ZERO).expect("set");
            other.execute_batch("BEGIN; SELECT * FROM sqlite_schema").map(|()| other)
        };
        let ours = open(&location, Role::Writer, &Settings::default()).expect("made");
        let refused = read_as_another_program().expect_err("we have it open");
        assert_eq!(refused.sqlite_error_code(), Some(ErrorCode::DatabaseBusy));
        drop(ours);
        let other = read_as_another_program().expect("we have closed it");
        let refused = open(&location, Role::Writer, &Settings::default()).expect_err("the other has it open");
        let DatabaseError::Sqlite { source, .. } = refused else { panic!("not SQLite's: {refused}") };
        assert_eq!(source.sqlite_error_code(), Some(ErrorCode::DatabaseBusy));
        drop(other);
        open(&location, Role::Writer, &Settings::default()).expect("nobody has it open");
    }

    #[test]
    fn closing_does_not_checkpoint() {
        let (_directory, location) = real_location();
        let writer = open(&location, Role::Writer, &Settings::default()).expect("made");
        writer.execute_batch("CREATE TABLE t (n INTEGER)").expect("written");
        writer.close().expect("closed");
        let wal = location.disk.status(&location.beside("-wal").path).expect("looked up");
        assert!(wal.is_some_and(|wal| wal.bytes > 0));
    }
}
