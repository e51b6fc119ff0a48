//! Values of rows: a version byte, then the row as postcard.
//!
//! Rows are written in the newest form that the cluster's feature level allows and read in every form ever written; a
//! form is never changed, and tests/golden has bytes of each. Inline bytes lie beside their row in a column of their
//! own, so that reading the row never touches them.

mod body;
mod head;
mod range;
mod system;
mod upload;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use body::{BodyKind, BodyRow, ExtentRow, PartRow, inline_bytes, runs_of, version_of, with_home};
pub(crate) use head::HeadRow;
pub(crate) use range::DescriptorRow;
pub(crate) use system::{ClusterRow, CountersRow, TicketKept};
pub(crate) use upload::{CompletedRow, DegradedKept, UploadRow};

/// The version byte of all rows today.
const VERSION: u8 = 1;

/// Bytes in the database that are no row of a known version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a row is malformed: {reason}")]
pub(crate) struct RowError {
    reason: String,
}

impl RowError {
    pub(crate) fn new(reason: impl ToString) -> Self {
        Self { reason: reason.to_string() }
    }
}

/// Encodes a row.
pub(crate) fn encode<T: Serialize>(row: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.push(VERSION);
    postcard::to_extend(row, bytes).expect("rows hold nothing that postcard refuses")
}

/// Reads what [`encode`] wrote.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RowError> {
    let (value, rest) = postcard::take_from_bytes(versioned(bytes)?).map_err(RowError::new)?;
    if rest.is_empty() { Ok(value) } else { Err(RowError::new("bytes follow the row")) }
}

/// A row that is bytes of others, as they are.
pub(crate) fn verbatim(bytes: &[u8]) -> Vec<u8> {
    [&[VERSION], bytes].concat()
}

/// The bytes after a known version byte.
pub(crate) fn versioned(bytes: &[u8]) -> Result<&[u8], RowError> {
    match bytes.split_first() {
        Some((&VERSION, body)) => Ok(body),
        Some((version, _)) => Err(RowError::new(format_args!("format {version}, this release reads up to {VERSION}"))),
        None => Err(RowError::new("no bytes")),
    }
}
