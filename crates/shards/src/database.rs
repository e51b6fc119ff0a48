//! The SQLite index of a disk: where each shard lies, up to the last flush. A cache, made anew by scanning.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use platform::Disk;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};
use sqlite_vfs::{DatabaseError, DatabaseLocation, Role, Settings, Synchronous};
use types::{DiskId, PlacementGroupId, RunId, TicketId};

use crate::ShardAddress;
use crate::layer::{Layer, RunKey, run_range, ticket_range};
use crate::location::Location;
use crate::record::{ADDRESS_BYTES, decode_address, encode_address};
use crate::segment::{SegmentId, SegmentIdentity, SegmentKind};

const FILE: &str = "shards.db";
const SCHEMA_VERSION: i64 = 1;
/// Pages that each connection keeps; what is asked for lies in the page cache of the system too.
const CACHE_BYTES: u64 = 512 * 1024;
/// Readers beyond this many are closed after use.
const READERS_KEPT: usize = 4;
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const SCHEMA: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE shards (
        address BLOB PRIMARY KEY,
        segment INTEGER NOT NULL, offset INTEGER NOT NULL,
        header_bytes INTEGER NOT NULL, body_bytes INTEGER NOT NULL,
        seq INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE segments (
        id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, generation INTEGER NOT NULL, bytes INTEGER NOT NULL,
        tail INTEGER NOT NULL, live_bytes INTEGER NOT NULL, live_shards INTEGER NOT NULL,
        tombstone_bytes INTEGER NOT NULL, sealed INTEGER NOT NULL, shadows INTEGER NOT NULL
    );
    CREATE TABLE punches (
        segment INTEGER NOT NULL, offset INTEGER NOT NULL, bytes INTEGER NOT NULL, below INTEGER NOT NULL,
        PRIMARY KEY (segment, offset)
    ) WITHOUT ROWID;
";

/// Why the SQLite index can't be used.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum IndexFailure {
    /// No room on the disk: what was to be written is kept in memory.
    #[error("no room for the shard index")]
    Full,
    /// It holds wrong bytes or can't be read: it is to be made anew by scanning the segments.
    #[error("the shard index is damaged: {0}")]
    Damaged(String),
    /// It can't be written: the disk must not be written again.
    #[error("the shard index cannot be written: {0}")]
    Failed(String),
}

impl From<rusqlite::Error> for IndexFailure {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ffi::{SQLITE_IOERR_READ, SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_SHORT_READ};
        let extended = error.sqlite_error().map_or(0, |error| error.extended_code);
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            // The one file that it extends by itself; it fails for want of room.
            Some(ErrorCode::SystemIoFailure) if extended == SQLITE_IOERR_SHMSIZE => Self::Full,
            Some(ErrorCode::SystemIoFailure) if [SQLITE_IOERR_READ, SQLITE_IOERR_SHORT_READ].contains(&extended) => {
                Self::Damaged(error.to_string())
            }
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OutOfMemory
                | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Failed(error.to_string()),
            _ => Self::Damaged(error.to_string()),
        }
    }
}

impl From<DatabaseError> for IndexFailure {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Sqlite { source, .. } => source.into(),
            DatabaseError::NotWal { .. } => Self::Damaged(error.to_string()),
            DatabaseError::Disk { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => Self::Full,
            DatabaseError::Disk { .. } | DatabaseError::OldSqlite { .. } | DatabaseError::PathNotUtf8 { .. } => {
                Self::Failed(error.to_string())
            }
        }
    }
}

/// A segment as the index knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentRow {
    pub(crate) identity: SegmentIdentity,
    /// Up to where its records are in the index.
    pub(crate) tail: u64,
    pub(crate) live_bytes: u64,
    pub(crate) live_shards: u64,
    pub(crate) tombstone_bytes: u64,
    /// Whether nothing is appended to it any more.
    pub(crate) sealed: bool,
    /// Whether a newer record of one of its shards lies elsewhere.
    pub(crate) shadows: bool,
}

/// A dead record of a large segment that may not be punched out yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Punch {
    pub(crate) segment: SegmentId,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    /// The sequence number of what made it dead.
    pub(crate) below: u64,
}

/// One state of the index, as it is written in one transaction.
#[derive(Debug, Default)]
pub(crate) struct FlushSet {
    pub(crate) layer: Layer,
    pub(crate) segments: Vec<SegmentRow>,
    pub(crate) removed: Vec<SegmentId>,
    pub(crate) punches: Vec<Punch>,
    /// Every record up to here is in it, and durable.
    pub(crate) seq: u64,
    /// Whether no scan must be begun anew to complete it.
    pub(crate) complete: bool,
}

/// What the index held when it was opened.
#[derive(Debug, Default)]
pub(crate) struct StoredState {
    pub(crate) seq: u64,
    pub(crate) segments: Vec<SegmentRow>,
    pub(crate) punches: Vec<Punch>,
}

/// The SQLite index of a disk.
#[derive(Debug)]
pub(crate) struct Database {
    location: DatabaseLocation,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

impl Database {
    /// Opens it and reads its state; `Damaged` where it isn't this disk's, or was not complete.
    pub(crate) fn open(disk: &Arc<dyn Disk>, id: DiskId) -> Result<(Self, StoredState), IndexFailure> {
        let database = Self::connect(disk)?;
        let state = database.load(id)?;
        Ok((database, state))
    }

    /// Makes an empty one in place of what is there.
    pub(crate) fn create(disk: &Arc<dyn Disk>, id: DiskId) -> Result<Self, IndexFailure> {
        Self::discard(&**disk)?;
        let database = Self::connect(disk)?;
        {
            let mut writer = database.writer.lock();
            let transaction = writer.transaction()?;
            transaction.execute_batch(SCHEMA)?;
            transaction.execute("INSERT INTO meta VALUES ('schema', ?1)", [SCHEMA_VERSION])?;
            transaction.execute("INSERT INTO meta VALUES ('disk', ?1)", [&id.to_bytes()[..]])?;
            transaction.execute("INSERT INTO meta VALUES ('seq', 0), ('complete', 0)", [])?;
            transaction.commit()?;
        }
        Ok(database)
    }

    /// Takes its files away, so that the next start makes it anew.
    pub(crate) fn discard(disk: &dyn Disk) -> Result<(), IndexFailure> {
        for name in [FILE.to_owned(), format!("{FILE}-wal"), format!("{FILE}-shm"), format!("{FILE}-journal")] {
            match disk.remove(Path::new(&name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(IndexFailure::Failed(error.to_string()));
                }
                _ => {}
            }
        }
        disk.sync_directory(Path::new("")).map_err(|error| IndexFailure::Failed(error.to_string()))
    }

    fn connect(disk: &Arc<dyn Disk>) -> Result<Self, IndexFailure> {
        let location = DatabaseLocation { disk: Arc::clone(disk), path: PathBuf::from(FILE) };
        let writer = sqlite_vfs::open(&location, Role::Writer, &settings())?;
        Ok(Self { location, writer: Mutex::new(writer), readers: Mutex::default() })
    }

    fn load(&self, id: DiskId) -> Result<StoredState, IndexFailure> {
        let writer = self.writer.lock();
        let number = |name: &str| -> rusqlite::Result<Option<i64>> {
            writer.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0)).optional()
        };
        let disk: Option<Vec<u8>> =
            writer.query_row("SELECT value FROM meta WHERE name = 'disk'", [], |row| row.get(0)).optional()?;
        if number("schema")? != Some(SCHEMA_VERSION) || disk.as_deref() != Some(&id.to_bytes()[..]) {
            return Err(IndexFailure::Damaged("it has another schema or is another disk's".to_owned()));
        }
        if number("complete")? != Some(1) {
            return Err(IndexFailure::Damaged("it was never completed".to_owned()));
        }
        let seq = number("seq")?.ok_or_else(|| IndexFailure::Damaged("it names no sequence number".to_owned()))?;
        let segments = writer
            .prepare("SELECT * FROM segments ORDER BY id")?
            .query_map([], segment_row)?
            .collect::<Result<_, _>>()?;
        let punches = writer
            .prepare("SELECT segment, offset, bytes, below FROM punches")?
            .query_map([], |row| {
                Ok(Punch {
                    segment: SegmentId(row.get(0)?),
                    offset: unsigned(row, 1)?,
                    bytes: unsigned(row, 2)?,
                    below: unsigned(row, 3)?,
                })
            })?
            .collect::<Result<_, _>>()?;
        Ok(StoredState { seq: seq.cast_unsigned(), segments, punches })
    }

    /// Where a shard lies.
    pub(crate) fn find(&self, address: &ShardAddress) -> Result<Option<Location>, IndexFailure> {
        self.read(|reader| {
            reader
                .prepare_cached("SELECT segment, offset, header_bytes, body_bytes, seq FROM shards WHERE address = ?1")?
                .query_row([&encode_address(address)[..]], |row| location(row, 0))
                .optional()
        })
    }

    /// The shards of a run.
    pub(crate) fn run_shards(&self, run: RunKey) -> Result<Vec<(ShardAddress, Location)>, IndexFailure> {
        let (first, last) = run_range(run);
        self.read(|reader| {
            reader
                .prepare_cached(
                    "SELECT address, segment, offset, header_bytes, body_bytes, seq FROM shards
                     WHERE address BETWEEN ?1 AND ?2",
                )?
                .query_map(params![&encode_address(&first)[..], &encode_address(&last)[..]], shard_row)?
                .collect()
        })
    }

    /// Up to `limit` shards after `after`, in order.
    pub(crate) fn shards_after(
        &self,
        after: Option<ShardAddress>,
        limit: usize,
    ) -> Result<Vec<(ShardAddress, Location)>, IndexFailure> {
        let after = after.map(|address| encode_address(&address)).map_or(Vec::new(), |bytes| bytes.to_vec());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(|reader| {
            reader
                .prepare_cached(
                    "SELECT address, segment, offset, header_bytes, body_bytes, seq FROM shards
                     WHERE address > ?1 ORDER BY address LIMIT ?2",
                )?
                .query_map(params![after, limit], shard_row)?
                .collect()
        })
    }

    /// The highest tail of a run of this ticket that it ever held since the last restart, or holds; `None` without one.
    pub(crate) fn highest_tail(&self, group: PlacementGroupId, ticket: TicketId) -> Result<Option<u64>, IndexFailure> {
        let (first, last) = ticket_range(group, ticket);
        let address: Option<Vec<u8>> = self.read(|reader| {
            reader
                .prepare_cached(
                    "SELECT address FROM shards WHERE address BETWEEN ?1 AND ?2 ORDER BY address DESC LIMIT 1",
                )?
                .query_row(params![&encode_address(&first)[..], &encode_address(&last)[..]], |row| row.get(0))
                .optional()
        })?;
        let Some(address) = address else { return Ok(None) };
        let run: [u8; 16] = address
            .get(8..24)
            .and_then(|run| run.try_into().ok())
            .ok_or_else(|| IndexFailure::Damaged("an address has the wrong length".to_owned()))?;
        Ok(Some(RunId::from_bytes(run).tail))
    }

    /// Writes a state in one transaction.
    pub(crate) fn write(&self, set: &FlushSet) -> Result<(), IndexFailure> {
        let mut writer = self.writer.lock();
        let transaction = writer.transaction()?;
        {
            let mut delete = transaction.prepare_cached("DELETE FROM shards WHERE address BETWEEN ?1 AND ?2")?;
            for run in &set.layer.freed {
                let (first, last) = run_range(*run);
                delete.execute(params![&encode_address(&first)[..], &encode_address(&last)[..]])?;
            }
            let mut insert =
                transaction.prepare_cached("INSERT OR REPLACE INTO shards VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
            for (address, location) in &set.layer.shards {
                insert.execute(params![
                    &encode_address(address)[..],
                    location.segment.0,
                    location.offset.cast_signed(),
                    location.header_bytes,
                    location.body_bytes,
                    location.seq.cast_signed(),
                ])?;
            }
            write_segments(&transaction, set)?;
            let mut punch = transaction.prepare_cached("INSERT INTO punches VALUES (?1, ?2, ?3, ?4)")?;
            transaction.execute("DELETE FROM punches", [])?;
            for Punch { segment, offset, bytes, below } in &set.punches {
                punch.execute(params![segment.0, offset.cast_signed(), bytes.cast_signed(), below.cast_signed()])?;
            }
            let mut meta = transaction.prepare_cached("UPDATE meta SET value = ?2 WHERE name = ?1")?;
            meta.execute(params!["seq", set.seq.cast_signed()])?;
            meta.execute(params!["complete", set.complete])?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Makes all that was written durable; `false` where a reader held on too long, so that it isn't yet.
    pub(crate) fn checkpoint(&self) -> Result<bool, IndexFailure> {
        Ok(sqlite_vfs::checkpoint(&self.writer.lock())?.complete)
    }

    /// Forgets all shards in `segments`, which are gone.
    pub(crate) fn forget_segments(&self, segments: &[SegmentId]) -> Result<(), IndexFailure> {
        let mut writer = self.writer.lock();
        let transaction = writer.transaction()?;
        for segment in segments {
            transaction.execute("DELETE FROM shards WHERE segment = ?1", [segment.0])?;
            transaction.execute("DELETE FROM segments WHERE id = ?1", [segment.0])?;
            transaction.execute("DELETE FROM punches WHERE segment = ?1", [segment.0])?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, IndexFailure> {
        let idle = self.readers.lock().pop();
        let reader = match idle {
            Some(reader) => reader,
            None => sqlite_vfs::open(&self.location, Role::Reader, &settings())?,
        };
        let answer = query(&reader)?;
        let mut readers = self.readers.lock();
        if readers.len() < READERS_KEPT {
            readers.push(reader);
        }
        Ok(answer)
    }
}

fn write_segments(transaction: &rusqlite::Transaction<'_>, set: &FlushSet) -> rusqlite::Result<()> {
    let mut delete = transaction.prepare_cached("DELETE FROM segments WHERE id = ?1")?;
    for segment in &set.removed {
        delete.execute([segment.0])?;
    }
    let mut insert = transaction
        .prepare_cached("INSERT OR REPLACE INTO segments VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?;
    for row in &set.segments {
        let kind = match row.identity.kind {
            SegmentKind::Small => 1,
            SegmentKind::Large => 2,
        };
        insert.execute(params![
            row.identity.id.0,
            kind,
            row.identity.generation.cast_signed(),
            row.identity.bytes.cast_signed(),
            row.tail.cast_signed(),
            row.live_bytes.cast_signed(),
            row.live_shards.cast_signed(),
            row.tombstone_bytes.cast_signed(),
            row.sealed,
            row.shadows,
        ])?;
    }
    Ok(())
}

fn settings() -> Settings {
    Settings {
        cache_bytes: CACHE_BYTES,
        synchronous: Synchronous::Normal,
        busy_timeout: BUSY_TIMEOUT,
        statements_cached: 16,
        ..Settings::default()
    }
}

/// SQLite's integers are signed; sequence numbers and offsets are kept bit by bit.
fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn location(row: &Row<'_>, first: usize) -> rusqlite::Result<Location> {
    Ok(Location {
        segment: SegmentId(row.get(first)?),
        offset: unsigned(row, first + 1)?,
        header_bytes: row.get(first + 2)?,
        body_bytes: row.get(first + 3)?,
        seq: unsigned(row, first + 4)?,
    })
}

fn shard_row(row: &Row<'_>) -> rusqlite::Result<(ShardAddress, Location)> {
    let address: [u8; ADDRESS_BYTES] = row.get(0)?;
    Ok((decode_address(&address), location(row, 1)?))
}

fn segment_row(row: &Row<'_>) -> rusqlite::Result<SegmentRow> {
    let kind = if row.get::<_, i64>(1)? == 1 { SegmentKind::Small } else { SegmentKind::Large };
    let identity =
        SegmentIdentity { id: SegmentId(row.get(0)?), kind, generation: unsigned(row, 2)?, bytes: unsigned(row, 3)? };
    Ok(SegmentRow {
        identity,
        tail: unsigned(row, 4)?,
        live_bytes: unsigned(row, 5)?,
        live_shards: unsigned(row, 6)?,
        tombstone_bytes: unsigned(row, 7)?,
        sealed: row.get(8)?,
        shadows: row.get(9)?,
    })
}
