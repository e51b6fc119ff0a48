//! Whether a database is whole.

use rusqlite::{Connection, ErrorCode};

/// More findings than these tell nothing new.
const FINDINGS_MAX: u32 = 20;

/// Walks all pages of the database and returns what is wrong with it: nothing, if it is whole.
///
/// It doesn't compare indexes with their tables, and it doesn't see changed bytes within a value.
///
/// # Errors
/// As SQLite says, where the check itself couldn't be made; corruption is a finding, not an error.
pub fn quick_check(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    check(connection, "quick_check")
}

/// As [`quick_check`], and compares indexes with their tables: several times slower.
///
/// # Errors
/// As [`quick_check`].
pub fn integrity_check(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    check(connection, "integrity_check")
}

fn check(connection: &Connection, pragma: &str) -> rusqlite::Result<Vec<String>> {
    match findings(connection, pragma) {
        Err(error) if is_corruption(&error) => Ok(vec![error.to_string()]),
        other => other,
    }
}

fn findings(connection: &Connection, pragma: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA {pragma}({FINDINGS_MAX})"))?;
    let lines = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    Ok(if lines == ["ok"] { Vec::new() } else { lines })
}

fn is_corruption(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}
