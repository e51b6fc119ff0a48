//! The rows of one range as a stream: for its archive, and for whoever is to have a copy of the range.
//!
//! A stretch is a version byte and rows, each its table's number and its columns; the tables and what their rows hold
//! are docs/index-schema.md's. The numbers of `bodies` are the database's own: whoever takes the rows in shifts them
//! past its own.

use std::ops::ControlFlow;

use bytes::Bytes;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};
use serde::{Deserialize, Serialize, Serializer};
use types::{CommitStamp, RangeDescriptor, RangeId, RangeInterval, TicketId};

use super::{IndexDatabase, IndexReader, in_transaction};
use crate::apply::Memory;
use crate::read::stretch::Stretch;
use crate::rows::{self, DescriptorRow};
use crate::tables::{RangeRow, Tables, to_sql};
use crate::{AppliedState, FIRST_DATA_RANGE, IndexDatabaseError, SYSTEM_RANGE, schema};

/// The version of a stretch.
const VERSION: u8 = 1;

/// Which rows of a table are a range's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Those whose first column is the range.
    OfRange,
    /// Those whose key begins with the range.
    KeyOfRange,
    /// All, of the system range; none, of others.
    System,
    /// Those of a data range whose key lies in its interval.
    Data,
    /// Those that rows of `current` and `versions` in a data range's interval name.
    Bodies,
}

struct Table {
    /// Its number in the stream.
    number: u8,
    name: &'static str,
    columns: &'static [&'static str],
    part: Part,
    /// The column that has a number of `bodies`.
    body: Option<usize>,
}

const fn table(number: u8, name: &'static str, columns: &'static [&'static str], part: Part) -> Table {
    Table { number, name, columns, part, body: None }
}

/// The table of which a range has one row, which says how far it is.
const RANGES: u8 = 1;
/// The table that has at most one row of a range, which says what places it has.
const DESCRIPTORS: u8 = 21;

/// Bodies come before what names them; what tells of the range itself stands in the first stretch.
const TABLES: [Table; 25] = [
    table(RANGES, "ranges", &["id", "stamp", "floor", "applied", "membership"], Part::OfRange),
    table(DESCRIPTORS, "descriptors", &["range", "row"], Part::OfRange),
    table(2, "answers", &["range", "ticket", "number", "answer"], Part::OfRange),
    table(3, "request_marks", &["range", "ticket", "answered"], Part::OfRange),
    table(4, "bucket_rows", &["range", "bucket", "row"], Part::OfRange),
    table(
        5,
        "usage",
        &["range", "bucket", "objects", "versions", "markers", "bytes", "uploads", "upload_bytes"],
        Part::OfRange,
    ),
    table(6, "system", &["name", "row"], Part::System),
    table(7, "credentials", &["access_key_id", "row"], Part::System),
    table(8, "tickets", &["id", "row"], Part::System),
    table(9, "buckets", &["id", "finished", "row"], Part::System),
    table(10, "bucket_names", &["namespace", "name", "bucket"], Part::System),
    table(22, "documents", &["bucket", "kind", "row"], Part::System),
    table(23, "identities", &["account", "kind", "name", "row"], Part::System),
    Table { body: Some(0), ..table(11, "bodies", &["id", "body", "inline"], Part::Bodies) },
    Table { body: Some(2), ..table(12, "current", &["place", "head", "body"], Part::Data) },
    Table { body: Some(2), ..table(13, "versions", &["key", "head", "body"], Part::Data) },
    table(14, "nulls", &["place", "stamp"], Part::Data),
    table(15, "uploads", &["key", "row"], Part::Data),
    table(16, "uploads_by_time", &["key"], Part::Data),
    table(17, "parts", &["key", "row", "inline"], Part::Data),
    table(18, "degraded", &["key", "row"], Part::Data),
    table(19, "garbage", &["key", "row"], Part::KeyOfRange),
    table(20, "discarded", &["key"], Part::KeyOfRange),
    table(24, "lifecycles", &["range", "bucket", "row"], Part::OfRange),
    table(25, "due", &["key"], Part::KeyOfRange),
];

impl IndexReader {
    /// Hands `take` all rows of a range as they are in one read transaction, in stretches of about `bytes_max`; says how
    /// far the range is in them. `None` when `take` broke it off.
    ///
    /// Writers go on meanwhile; their WAL grows until this is done.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn range_rows(
        &mut self,
        range: RangeId,
        bytes_max: usize,
        take: &mut dyn FnMut(Vec<u8>) -> ControlFlow<()>,
    ) -> Result<Option<AppliedState>, IndexDatabaseError> {
        in_transaction(&self.connection, "BEGIN", |connection| {
            let state = Tables::of(connection).range(range)?.map(|row| row.state);
            let state = state.unwrap_or(AppliedState { applied: Bytes::new(), membership: None });
            let places = Places::of(connection, range)?;
            let mut stretch = vec![VERSION];
            for table in &TABLES {
                if send(connection, table, &places, bytes_max, &mut stretch, take)?.is_break() {
                    return Ok(None);
                }
            }
            let rest = if stretch.len() > 1 { take(stretch) } else { ControlFlow::Continue(()) };
            Ok(rest.is_continue().then_some(state))
        })
    }
}

fn send(
    connection: &Connection,
    table: &Table,
    places: &Places,
    bytes_max: usize,
    stretch: &mut Vec<u8>,
    take: &mut dyn FnMut(Vec<u8>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, IndexDatabaseError> {
    let Table { name, columns, .. } = table;
    let Some((condition, bounds)) = places.rows_of(table) else { return Ok(ControlFlow::Continue(())) };
    let mut statement = connection.prepare(&format!("SELECT {} FROM {name}{condition}", columns.join(", ")))?;
    let mut rows = statement.query(params_from_iter(bounds))?;
    while let Some(row) = rows.next()? {
        let mut values = Vec::with_capacity(columns.len());
        for column in 0..columns.len() {
            values.push(Value::of(row.get_ref(column)?)?);
        }
        let line = RowForm { table: table.number, values };
        *stretch =
            postcard::to_extend(&line, std::mem::take(stretch)).expect("rows hold nothing that postcard refuses");
        // What tells of the range stands in one stretch.
        if table.number != RANGES
            && stretch.len() >= bytes_max
            && take(std::mem::replace(stretch, vec![VERSION])).is_break()
        {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// What a range's rows lie under.
struct Places {
    range: RangeId,
    /// The beginnings of keys between which those lie that begin with the range.
    of_range: [[u8; 8]; 2],
    interval: RangeInterval,
    /// Above all keys of the interval.
    end: Vec<u8>,
}

impl Places {
    fn of(connection: &Connection, range: RangeId) -> Result<Self, IndexDatabaseError> {
        let row = if range == SYSTEM_RANGE { None } else { Tables::of(connection).descriptor(range)? };
        let nothing = RangeInterval { start: Vec::new(), end: Some(Vec::new()) };
        Ok(Self::within(range, row.map_or(nothing, |row| row.interval)))
    }

    fn within(range: RangeId, interval: RangeInterval) -> Self {
        let end = Stretch::after(None).clipped(&interval).to;
        Self { range, of_range: [range.0, range.0 + 1].map(u64::to_be_bytes), interval, end }
    }

    /// Which of a table's rows are the range's: the end of a statement, and its parameters; `None` where it has none
    /// there.
    fn rows_of(&self, table: &Table) -> Option<(String, Vec<Value<'_>>)> {
        let range = self.range;
        let key = table.columns[0];
        let places = || vec![Value::Blob(Raw(&self.interval.start)), Value::Blob(Raw(&self.end))];
        match table.part {
            Part::OfRange => Some((format!(" WHERE {key} = ?1"), vec![Value::Integer(to_sql(range.0))])),
            Part::KeyOfRange => {
                let [from, to] = &self.of_range;
                Some((" WHERE key >= ?1 AND key < ?2".to_owned(), vec![Value::Blob(Raw(from)), Value::Blob(Raw(to))]))
            }
            Part::System if range == SYSTEM_RANGE => Some((String::new(), Vec::new())),
            Part::System => None,
            Part::Data | Part::Bodies if range == SYSTEM_RANGE => None,
            Part::Data => Some((format!(" WHERE {key} >= ?1 AND {key} < ?2"), places())),
            // In order of their numbers, as they lie.
            Part::Bodies if self.interval == RangeInterval::WHOLE => Some((String::new(), Vec::new())),
            Part::Bodies => {
                let condition = " WHERE id IN (SELECT body FROM current WHERE place >= ?1 AND place < ?2
                                  UNION ALL SELECT body FROM versions WHERE key >= ?1 AND key < ?2)";
                Some((condition.to_owned(), places()))
            }
        }
    }
}

/// What places a range has by the first of its stretches; `None` for bytes that tell nothing of the range, or of
/// another one.
///
/// # Errors
/// [`IndexDatabaseError::Damaged`].
pub fn descriptor_in(stretch: &[u8], range: RangeId) -> Result<Option<RangeDescriptor>, IndexDatabaseError> {
    let mut found = None;
    for line in Lines::of(stretch)? {
        let RowForm { table, values } = line?;
        match (table, &values[..]) {
            (RANGES, [Value::Integer(id), ..]) if *id == to_sql(range.0) && found.is_none() => {
                found = (range == FIRST_DATA_RANGE).then(|| RangeDescriptor::whole(range));
            }
            (DESCRIPTORS, [Value::Integer(id), Value::Blob(Raw(row))]) if *id == to_sql(range.0) => {
                found = Some(rows::decode::<DescriptorRow>(row)?.of(range));
            }
            (RANGES | DESCRIPTORS, _) => {}
            _ => break,
        }
    }
    Ok(found)
}

impl IndexDatabase {
    /// Begins to replace all rows of a range by those of another replica: from now on, and through a crash,
    /// [`IndexDatabase::applied`] says `mark`, until [`IndexDatabase::finish_install`]. Meanwhile the range's rows are not
    /// all there, and nothing of it may be applied or read; other ranges go on.
    ///
    /// `comes` is what the range has by its rows. What it has here until now goes with it: a split, say, is among what is
    /// skipped.
    ///
    /// # Errors
    /// [`IndexDatabaseError::Overlap`], before anything was changed: another range that is here has some of its places.
    pub fn begin_install(
        &mut self,
        range: RangeId,
        mark: Bytes,
        comes: Option<&RangeDescriptor>,
    ) -> Result<(), IndexDatabaseError> {
        if let Some(comes) = comes {
            self.check_overlap(comes)?;
        }
        let state = AppliedState { applied: mark, membership: None };
        let row = RangeRow { stamp: CommitStamp(0), floor: TicketId(0), state };
        self.install_step(|connection| {
            let tables = Tables::of(connection);
            let is_new = tables.range(range)?.is_none();
            if let Some(comes) = comes.filter(|comes| is_new && comes.interval != RangeInterval::WHOLE) {
                let RangeDescriptor { interval, epoch, .. } = comes.clone();
                tables.put_descriptor(range, &DescriptorRow { interval, epoch, born: Vec::new() })?;
            }
            tables.put_range(range, &row)
        })
    }

    /// Refuses a range whose places another range that is here has some of, whose part in the split between them is yet
    /// to be applied.
    ///
    /// # Errors
    /// [`IndexDatabaseError::Overlap`].
    pub fn check_overlap(&self, comes: &RangeDescriptor) -> Result<(), IndexDatabaseError> {
        let here = self.descriptors()?;
        match here.iter().find(|here| here.id != comes.id && here.interval.overlaps(&comes.interval)) {
            Some(here) => Err(IndexDatabaseError::Overlap { range: comes.id, with: here.id }),
            None => Ok(()),
        }
    }

    /// Removes the rows of a range from one of the tables that still have some; `true` once none has.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn clear_rows(&mut self, range: RangeId) -> Result<bool, IndexDatabaseError> {
        self.install_step(|connection| {
            let places = Places::of(connection, range)?;
            for table in TABLES.iter().filter(|table| !tells_of_range(table.number)) {
                let Some((condition, bounds)) = places.rows_of(table) else { continue };
                let sql = format!("DELETE FROM {}{condition}", table.name);
                if Tables::of(connection).execute(&sql, params_from_iter(bounds))? > 0 {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Takes in a stretch of [`IndexReader::range_rows`] after [`IndexDatabase::begin_install`], as
    /// [`IndexDatabase::take_rows`] does, but for how far the range is.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn install_rows(&mut self, stretch: &[u8], bodies: i64) -> Result<(), IndexDatabaseError> {
        self.install_step(|connection| take_rows(connection, stretch, bodies, |table| !tells_of_range(table)))
    }

    /// Removes what is here of a range that is to be taken in, and whatever lies in its places: rows of the range that it
    /// was split off, from before the split. For a rebuild.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn make_room(&mut self, comes: &RangeDescriptor) -> Result<(), IndexDatabaseError> {
        self.install_step(|connection| {
            let places = Places::within(comes.id, comes.interval.clone());
            for table in &TABLES {
                let Some((condition, bounds)) = places.rows_of(table) else { continue };
                let sql = format!("DELETE FROM {}{condition}", table.name);
                Tables::of(connection).execute(&sql, params_from_iter(bounds))?;
            }
            Ok(())
        })
    }

    /// Ends what [`IndexDatabase::begin_install`] began; `first` is the first stretch, which says how far the range is.
    ///
    /// # Errors
    /// [`IndexDatabaseError`]; [`IndexDatabaseError::Damaged`] also where it is another range's.
    pub fn finish_install(&mut self, range: RangeId, first: &[u8]) -> Result<(), IndexDatabaseError> {
        self.install_step(|connection| {
            Tables::of(connection).execute("DELETE FROM ranges WHERE id = ?1", [to_sql(range.0)])?;
            Tables::of(connection).execute("DELETE FROM descriptors WHERE range = ?1", [to_sql(range.0)])?;
            take_rows(connection, first, 0, tells_of_range)?;
            let found = Tables::of(connection).range(range)?;
            let missing = || IndexDatabaseError::Damaged { reason: format!("the rows are not those of range {range}") };
            found.map(drop).ok_or_else(missing)
        })
    }

    fn install_step<T>(
        &mut self,
        step: impl FnOnce(&Connection) -> Result<T, IndexDatabaseError>,
    ) -> Result<T, IndexDatabaseError> {
        // What was remembered is no longer so; a failed call leaves none.
        self.memory.take().ok_or(IndexDatabaseError::Failed)?;
        let done = in_transaction(&self.connection, "BEGIN IMMEDIATE", step)?;
        self.memory = Some(Memory::load(&self.connection)?);
        Ok(done)
    }

    /// Takes in a stretch of [`IndexReader::range_rows`], durably with the next checkpoint. `bodies` is the number after
    /// which those of the stream are put: [`IndexDatabase::last_body`] before its first stretch.
    ///
    /// The database must have no rows of that range but those of earlier stretches.
    ///
    /// # Errors
    /// [`IndexDatabaseError`]; [`IndexDatabaseError::Damaged`] for bytes that are no stretch of a known version.
    pub fn take_rows(&mut self, stretch: &[u8], bodies: i64) -> Result<(), IndexDatabaseError> {
        // What was remembered is no longer so; a failed call leaves none.
        self.memory = None;
        in_transaction(&self.connection, "BEGIN IMMEDIATE", |connection| {
            take_rows(connection, stretch, bodies, |_| true)
        })?;
        self.memory = Some(Memory::load(&self.connection)?);
        Ok(())
    }

    /// The last number of `bodies` that is in use.
    ///
    /// # Errors
    /// [`IndexDatabaseError`].
    pub fn last_body(&self) -> Result<i64, IndexDatabaseError> {
        Tables::of(&self.connection).last_body_id()
    }
}

/// Whether a table's row tells of the range itself.
const fn tells_of_range(table: u8) -> bool {
    matches!(table, RANGES | DESCRIPTORS)
}

fn malformed(reason: &dyn ToString) -> IndexDatabaseError {
    IndexDatabaseError::Damaged { reason: format!("a stretch of rows is malformed: {}", reason.to_string()) }
}

/// The rows of a stretch, in order.
struct Lines<'a>(&'a [u8]);

impl<'a> Lines<'a> {
    fn of(stretch: &'a [u8]) -> Result<Self, IndexDatabaseError> {
        match stretch.split_first() {
            Some((&VERSION, rest)) => Ok(Self(rest)),
            Some((other, _)) => Err(malformed(&format!("version {other} is not known"))),
            None => Err(malformed(&"it is empty")),
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<RowForm<'a>, IndexDatabaseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        Some(match postcard::take_from_bytes(self.0) {
            Ok((line, rest)) => {
                self.0 = rest;
                Ok(line)
            }
            Err(error) => {
                self.0 = &[];
                Err(malformed(&error))
            }
        })
    }
}

/// Takes in the rows of those tables whose numbers are `wanted`.
fn take_rows(
    connection: &Connection,
    stretch: &[u8],
    bodies: i64,
    wanted: impl Fn(u8) -> bool,
) -> Result<(), IndexDatabaseError> {
    let tables = Tables::of(connection);
    for line in Lines::of(stretch)? {
        let line = line?;
        let table = TABLES.iter().find(|table| table.number == line.table);
        let table = table.ok_or_else(|| malformed(&format!("table {} is not known", line.table)))?;
        if !wanted(line.table) {
            continue;
        }
        if line.table == DESCRIPTORS {
            schema::note_split(connection)?;
        }
        let mut values = line.values;
        if values.len() != table.columns.len() {
            return Err(malformed(&format!("{} columns of {}", values.len(), table.name)));
        }
        if let Some(Value::Integer(number)) = table.body.map(|at| &mut values[at]) {
            *number += bodies;
        }
        let places = vec!["?"; values.len()].join(", ");
        let sql = format!("INSERT INTO {} ({}) VALUES ({places})", table.name, table.columns.join(", "));
        tables.execute(&sql, params_from_iter(values))?;
    }
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct RowForm<'a> {
    table: u8,
    #[serde(borrow)]
    values: Vec<Value<'a>>,
}

#[derive(Serialize, Deserialize)]
enum Value<'a> {
    Null,
    Integer(i64),
    Text(#[serde(borrow)] &'a str),
    Blob(#[serde(borrow)] Raw<'a>),
}

impl<'a> Value<'a> {
    fn of(value: ValueRef<'a>) -> Result<Self, IndexDatabaseError> {
        let damaged = || IndexDatabaseError::Damaged { reason: "a column holds what none of ours does".to_owned() };
        Ok(match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Text(text) => Self::Text(std::str::from_utf8(text).map_err(|_| damaged())?),
            ValueRef::Blob(bytes) => Self::Blob(Raw(bytes)),
            ValueRef::Real(_) => return Err(damaged()),
        })
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(Raw(bytes)) => ValueRef::Blob(bytes),
        }))
    }
}

/// Bytes that are written in one piece.
#[derive(Deserialize)]
struct Raw<'a>(#[serde(borrow)] &'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}
