//! The database of a node's ranges: one writer, any number of readers, one that checkpoints.

mod measure;
mod rebuild;
mod rows;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Connection;
use sqlite_vfs::{CheckpointOutcome, DatabaseLocation, Role, Settings, Synchronous};
use types::{CommitStamp, FeatureLevel, RangeDescriptor, RangeId, TicketId};

pub use measure::RangeMeasure;
pub use rebuild::{ScratchEntry, SeenInUse};
pub use rows::descriptor_in;

use crate::apply::Memory;
use crate::command::Answer;
use crate::query::{Query, QueryAnswer};
use crate::tables::Tables;
use crate::{
    AppliedState, FIRST_DATA_RANGE, FIRST_FEATURE_LEVEL, IndexDatabaseError, RangeEntry, SYSTEM_RANGE, digest, read,
    schema, verify,
};

/// How the database is used (docs/decisions/0005-inline-bytes.md has the measurements behind the defaults).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexSettings {
    /// Pages that the writer keeps in memory, in bytes.
    pub writer_cache_bytes: u64,
    /// Pages that each reader keeps in memory, in bytes.
    pub reader_cache_bytes: u64,
    /// Size of a page of a new database, in bytes.
    pub page_bytes: u32,
}

/// A checkpoint holds the writer up at most so long: it gives up where a reader of the old WAL stays longer, a copy for
/// one, and comes back later. The WAL grows meanwhile.
const CHECKPOINT_PATIENCE: Duration = Duration::from_millis(20);
/// Nothing but a checkpoint holds the writer up, so a longer wait than that is a fault; far longer, for a machine stalls.
const WRITER_PATIENCE: Duration = Duration::from_secs(60);
/// A reader waits only where the WAL is being recovered; the writer's own checkpoint, for readers.
const READER_PATIENCE: Duration = Duration::from_secs(5);

impl Default for IndexSettings {
    fn default() -> Self {
        Self { writer_cache_bytes: 16 << 20, reader_cache_bytes: 4 << 20, page_bytes: 4096 }
    }
}

impl IndexSettings {
    fn of_connection(&self, cache_bytes: u64, busy_timeout: Duration) -> Settings {
        Settings {
            cache_bytes,
            page_bytes: self.page_bytes,
            synchronous: Synchronous::Normal,
            busy_timeout,
            statements_cached: 128,
        }
    }
}

/// The index of all ranges of a node, and the only one that writes to it.
///
/// It holds what the log says up to [`IndexDatabase::applied`], and after a crash perhaps less: the log is replayed
/// from there. All calls block.
#[derive(Debug)]
pub struct IndexDatabase {
    connection: Connection,
    /// `None` in memory.
    location: Option<DatabaseLocation>,
    settings: IndexSettings,
    /// `None` once a call has failed.
    memory: Option<Memory>,
    wal_pages: Arc<AtomicU64>,
    page_bytes: u32,
}

impl IndexDatabase {
    /// Opens the database, and makes it where it isn't there.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn open(location: DatabaseLocation, settings: IndexSettings) -> Result<Self, IndexDatabaseError> {
        let connection = sqlite_vfs::open(
            &location,
            Role::Writer,
            &settings.of_connection(settings.writer_cache_bytes, WRITER_PATIENCE),
        )?;
        Self::with(connection, Some(location), settings)
    }

    /// An empty database that lives in memory and goes with this value: for tests and tools. It has no readers; ask it
    /// with [`IndexDatabase::query`].
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn in_memory() -> Result<Self, IndexDatabaseError> {
        let connection = Connection::open_in_memory()?;
        connection.set_prepared_statement_cache_capacity(128);
        Self::with(connection, None, IndexSettings::default())
    }

    fn with(
        mut connection: Connection,
        location: Option<DatabaseLocation>,
        settings: IndexSettings,
    ) -> Result<Self, IndexDatabaseError> {
        schema::prepare(&connection)?;
        let memory = Memory::load(&connection)?;
        let wal_pages = Arc::new(AtomicU64::new(0));
        let noted = Arc::clone(&wal_pages);
        connection.wal_hook(Some(move |_wal: &mut rusqlite::hooks::Wal, pages: std::ffi::c_int| {
            noted.store(u64::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        let page_bytes = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        Ok(Self { connection, location, settings, memory: Some(memory), wal_pages, page_bytes })
    }

    /// Applies entries in one transaction: all of them or none. Answers are in their order.
    ///
    /// Each range's entries must come in the order of its log, each once: what [`IndexDatabase::applied`] names is not
    /// applied again.
    ///
    /// # Errors
    /// [`IndexDatabaseError`]; nothing of the batch has been applied then, and nothing more is taken.
    pub fn apply(&mut self, batch: &[RangeEntry]) -> Result<Vec<Vec<Answer>>, IndexDatabaseError> {
        // A failed call leaves no memory: it may name what was rolled back.
        let mut memory = self.memory.take().ok_or(IndexDatabaseError::Failed)?;
        let applied = in_transaction(&self.connection, "BEGIN IMMEDIATE", |connection| memory.apply(connection, batch));
        match applied {
            Ok(answers) => {
                self.memory = Some(memory);
                Ok(answers)
            }
            Err(error) => Err(error),
        }
    }

    /// How far a range is; `None` when nothing of it has been applied.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn applied(&self, range: RangeId) -> Result<Option<AppliedState>, IndexDatabaseError> {
        Ok(Tables::of(&self.connection).range(range)?.map(|row| row.state))
    }

    /// The last stamp that a range gave: its leader's clock should not be behind it for long.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn last_stamp(&self, range: RangeId) -> Result<CommitStamp, IndexDatabaseError> {
        Ok(Tables::of(&self.connection).range(range)?.map_or(CommitStamp(0), |row| row.stamp))
    }

    /// The cluster's feature level, as far as has been applied; it never falls. The first one after a failed call.
    pub fn feature_level(&self) -> FeatureLevel {
        self.memory.as_ref().map_or(FIRST_FEATURE_LEVEL, |memory| memory.feature_level)
    }

    /// A range's floor: below it, tickets are over.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn floor(&self, range: RangeId) -> Result<TicketId, IndexDatabaseError> {
        Ok(Tables::of(&self.connection).range(range)?.map_or(TicketId(0), |row| row.floor))
    }

    /// Answers a query from what has been applied of the system range, or of the first data range, on the writer's own
    /// connection.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn query(&mut self, query: &Query) -> Result<QueryAnswer, IndexDatabaseError> {
        self.query_at(first_range_of(query), query)
    }

    /// As [`IndexDatabase::query`], of this range.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn query_at(&mut self, range: RangeId, query: &Query) -> Result<QueryAnswer, IndexDatabaseError> {
        in_transaction(&self.connection, "BEGIN", |connection| read::answer(connection, range, query))
    }

    /// Which places the data ranges have that are here.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn descriptors(&self) -> Result<Vec<RangeDescriptor>, IndexDatabaseError> {
        Tables::of(&self.connection).descriptors()
    }

    /// [`RangeEntry::applied`] of the entry that made a range; `None` for one that no split made.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn born(&self, range: RangeId) -> Result<Option<Bytes>, IndexDatabaseError> {
        let row = Tables::of(&self.connection).descriptor(range)?;
        Ok(row.map(|row| Bytes::from(row.born)).filter(|born| !born.is_empty()))
    }

    /// How far each range that is here is.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn all_applied(&self) -> Result<Vec<(RangeId, AppliedState)>, IndexDatabaseError> {
        all_applied(&self.connection)
    }

    /// A connection for a thread that reads.
    ///
    /// # Errors
    /// [`IndexDatabaseError`]; a database in memory has no readers.
    pub fn reader(&self) -> Result<IndexReader, IndexDatabaseError> {
        let settings = self.settings.of_connection(self.settings.reader_cache_bytes, READER_PATIENCE);
        let location = self.place()?.clone();
        Ok(IndexReader { connection: sqlite_vfs::open(&location, Role::Reader, &settings)?, location, settings })
    }

    /// A connection for a thread that checkpoints beside this writer.
    ///
    /// # Errors
    /// [`IndexDatabaseError`]; a database in memory has none.
    pub fn checkpointer(&self) -> Result<IndexCheckpointer, IndexDatabaseError> {
        let settings = self.settings.of_connection(1 << 20, CHECKPOINT_PATIENCE);
        Ok(IndexCheckpointer { connection: sqlite_vfs::open(self.place()?, Role::Writer, &settings)? })
    }

    fn place(&self) -> Result<&DatabaseLocation, IndexDatabaseError> {
        self.location.as_ref().ok_or(IndexDatabaseError::Failed)
    }

    /// Moves the WAL into the database, durably, on the writer's own connection: nothing is applied meanwhile, and it
    /// waits up to 5 s for readers. See [`IndexCheckpointer::checkpoint`].
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn checkpoint(&mut self) -> Result<Checkpoint, IndexDatabaseError> {
        self.connection.busy_timeout(READER_PATIENCE)?;
        let done = checkpoint(&self.connection)?;
        self.connection.busy_timeout(WRITER_PATIENCE)?;
        Ok(done)
    }

    /// Bytes in the WAL after the last [`IndexDatabase::apply`]; 0 before the first.
    pub fn wal_bytes(&self) -> u64 {
        self.wal_pages.load(Ordering::Relaxed) * u64::from(self.page_bytes)
    }

    /// Copies the database to another place, durably; see [`IndexReader::copy_to`].
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn copy_to(&mut self, to: &DatabaseLocation) -> Result<Vec<(RangeId, AppliedState)>, IndexDatabaseError> {
        copy(&self.connection, to)
    }

    /// A hash over all rows, the same on every replica that has applied the same: for tests and comparisons.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn digest(&self) -> Result<[u8; 32], IndexDatabaseError> {
        digest::of(&self.connection)
    }

    /// What is wrong with the rows: nothing, if they agree with each other. Reads everything, into memory: for tests, and
    /// for an operator who doubts.
    ///
    /// # Errors
    /// [`IndexDatabaseError`], where a row can't even be read.
    pub fn verify(&self) -> Result<Vec<String>, IndexDatabaseError> {
        in_transaction(&self.connection, "BEGIN", verify::of)
    }
}

/// What a checkpoint has made durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// How far each range was when it began.
    pub applied: Vec<(RangeId, AppliedState)>,
    /// Whether that much is in the database file and synced: only then may the log be purged up to `applied`.
    pub complete: bool,
    /// Pages in the WAL, those that have been moved included.
    pub wal_pages: u64,
}

/// A connection that checkpoints beside the writer.
#[derive(Debug)]
pub struct IndexCheckpointer {
    connection: Connection,
}

impl IndexCheckpointer {
    /// Moves the WAL into the database, durably. Entries are applied meanwhile, but for its end: there the writer waits,
    /// at most 20 ms, for readers of the old WAL.
    ///
    /// # Errors
    /// [`IndexDatabaseError`]. After one the database must not be written again.
    pub fn checkpoint(&mut self) -> Result<Checkpoint, IndexDatabaseError> {
        checkpoint(&self.connection)
    }
}

/// A connection that reads.
#[derive(Debug)]
pub struct IndexReader {
    connection: Connection,
    location: DatabaseLocation,
    settings: Settings,
}

impl IndexReader {
    /// Another connection to the same database, for another thread.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn another(&self) -> Result<Self, IndexDatabaseError> {
        let (location, settings) = (self.location.clone(), self.settings.clone());
        Ok(Self { connection: sqlite_vfs::open(&location, Role::Reader, &settings)?, location, settings })
    }

    /// Answers one query to the system range, or to the first data range, from one read transaction.
    ///
    /// # Errors
    /// [`IndexDatabaseError`]; the reader can be asked again.
    pub fn query(&mut self, query: &Query) -> Result<QueryAnswer, IndexDatabaseError> {
        let range = first_range_of(query);
        in_transaction(&self.connection, "BEGIN", |connection| read::answer(connection, range, query))
    }

    /// Answers several queries, each to a range, from one read transaction; each has its own outcome.
    ///
    /// # Errors
    /// [`IndexDatabaseError`] when there is no transaction.
    pub fn query_all<'q>(
        &mut self,
        queries: impl IntoIterator<Item = (RangeId, &'q Query)>,
    ) -> Result<Vec<Result<QueryAnswer, IndexDatabaseError>>, IndexDatabaseError> {
        in_transaction(&self.connection, "BEGIN", |connection| {
            Ok(queries.into_iter().map(|(range, query)| read::answer(connection, range, query)).collect())
        })
    }

    /// How far each range is, as this reader sees it now.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn applied(&mut self) -> Result<Vec<(RangeId, AppliedState)>, IndexDatabaseError> {
        in_transaction(&self.connection, "BEGIN", all_applied)
    }

    /// Copies the database, as it is now, to another place, durably, beside the writer; returns how far each range is
    /// in the copy. Under `to` there is the old file or the whole new one, whatever happens.
    ///
    /// # Errors
    /// [`IndexDatabaseError`]; what was under `to` before is still there then.
    pub fn copy_to(&mut self, to: &DatabaseLocation) -> Result<Vec<(RangeId, AppliedState)>, IndexDatabaseError> {
        copy(&self.connection, to)
    }

    /// As [`IndexDatabase::digest`].
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn digest(&mut self) -> Result<[u8; 32], IndexDatabaseError> {
        digest::of(&self.connection)
    }
}

fn copy(connection: &Connection, to: &DatabaseLocation) -> Result<Vec<(RangeId, AppliedState)>, IndexDatabaseError> {
    in_transaction(connection, "BEGIN", |connection| {
        let applied = all_applied(connection)?;
        sqlite_vfs::copy_database(connection, to)?;
        Ok(applied)
    })
}

fn checkpoint(connection: &Connection) -> Result<Checkpoint, IndexDatabaseError> {
    // Read first: the checkpoint takes in what had been committed before it, and may take in more.
    let applied = in_transaction(connection, "BEGIN", all_applied)?;
    let CheckpointOutcome { wal_frames, complete, .. } = sqlite_vfs::checkpoint(connection)?;
    Ok(Checkpoint { applied, complete, wal_pages: wal_frames })
}

fn all_applied(connection: &Connection) -> Result<Vec<(RangeId, AppliedState)>, IndexDatabaseError> {
    let tables = Tables::of(connection);
    let mut all = Vec::new();
    for id in tables.range_ids()? {
        let state = tables.range(id)?.map(|row| row.state);
        all.push((id, state.unwrap_or(AppliedState { applied: Bytes::new(), membership: None })));
    }
    Ok(all)
}

/// The range that has what is asked for, where none was split.
const fn first_range_of(query: &Query) -> RangeId {
    if query.is_of_system_range() { SYSTEM_RANGE } else { FIRST_DATA_RANGE }
}

/// Runs `work` in a transaction; what it wrote is there if and only if this returns `Ok`.
fn in_transaction<T>(
    connection: &Connection,
    begin: &str,
    work: impl FnOnce(&Connection) -> Result<T, IndexDatabaseError>,
) -> Result<T, IndexDatabaseError> {
    let tables = Tables::of(connection);
    tables.execute(begin, [])?;
    let done = work(connection).and_then(|value| {
        tables.execute("COMMIT", [])?;
        Ok(value)
    });
    if done.is_err() && !connection.is_autocommit() {
        // The first error is the one to tell; a connection that can't even roll back is closed by its owner.
        let _ = tables.execute("ROLLBACK", []);
    }
    done
}
