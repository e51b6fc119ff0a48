//! The tables, one method a statement: what the rows are, not what they mean.
//!
//! Reading and applying both go through here. Statements are prepared once a connection and kept by it.

mod documents;
mod identities;
mod lifecycle;
mod objects;
mod ranges;
mod splits;
mod system;
mod upkeep;
mod uploads;

use rusqlite::{CachedStatement, Connection, Row};

pub(crate) use identities::RowKind;
pub(crate) use objects::{Stored, StoredBody, after_place, within};
pub(crate) use ranges::{RangeRow, UsageChange};

use crate::IndexDatabaseError;

/// One connection's tables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tables<'c> {
    pub(crate) connection: &'c Connection,
}

impl<'c> Tables<'c> {
    pub(crate) fn of(connection: &'c Connection) -> Self {
        Self { connection }
    }

    pub(crate) fn statement(self, sql: &str) -> Result<CachedStatement<'c>, IndexDatabaseError> {
        Ok(self.connection.prepare_cached(sql)?)
    }

    pub(crate) fn execute(self, sql: &str, parameters: impl rusqlite::Params) -> Result<usize, IndexDatabaseError> {
        Ok(self.statement(sql)?.execute(parameters)?)
    }

    /// The first row's value, if there is a row.
    pub(crate) fn first<T, E>(
        self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, E>,
    ) -> Result<Option<T>, IndexDatabaseError>
    where
        IndexDatabaseError: From<E>,
    {
        let mut statement = self.statement(sql)?;
        let mut rows = statement.query(parameters)?;
        match rows.next()? {
            Some(row) => Ok(Some(read(row)?)),
            None => Ok(None),
        }
    }

    /// The values of all rows.
    pub(crate) fn all<T, E>(
        self,
        sql: &str,
        parameters: impl rusqlite::Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T, E>,
    ) -> Result<Vec<T>, IndexDatabaseError>
    where
        IndexDatabaseError: From<E>,
    {
        let mut statement = self.statement(sql)?;
        let mut rows = statement.query(parameters)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(read(row)?);
        }
        Ok(all)
    }
}

/// The bytes of a column.
pub(crate) fn blob<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r [u8], IndexDatabaseError> {
    row.get_ref(column)?
        .as_blob()
        .map_err(|_| IndexDatabaseError::Damaged { reason: format!("column {column} holds no bytes") })
}

/// The bytes of a column that may be NULL.
pub(crate) fn optional_blob<'r>(row: &'r Row<'_>, column: usize) -> Result<Option<&'r [u8]>, IndexDatabaseError> {
    row.get_ref(column)?
        .as_blob_or_null()
        .map_err(|_| IndexDatabaseError::Damaged { reason: format!("column {column} holds no bytes") })
}

/// SQLite's integers are signed; numbers of ours are not, and stand there with the same bits.
pub(crate) const fn to_sql(number: u64) -> i64 {
    number.cast_signed()
}

/// Reads what [`to_sql`] wrote.
pub(crate) fn from_sql(row: &Row<'_>, column: usize) -> Result<u64, IndexDatabaseError> {
    Ok(row.get::<_, i64>(column)?.cast_unsigned())
}
