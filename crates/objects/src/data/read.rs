//! Reading: from extents to a stream of bytes.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use types::{Extent, HomeKey};

/// One part to read.
#[derive(Debug, Clone)]
pub struct PartToRead {
    /// The key of the row that names the extents: the home of runs that name no other.
    pub home: HomeKey,
    /// Where its bytes are.
    pub extents: Vec<Extent>,
    /// CRC-64/NVME of its bytes, compared when the whole part is read.
    pub crc64_nvme: Option<u64>,
}

/// Why bytes could not be read. What came before the error is right.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// The run was freed: ask the index again, and go on from there if the version still stands.
    #[error("the bytes were freed")]
    Gone,
    /// More shards than the parity makes up for are missing or corrupt.
    #[error("the bytes are lost or out of reach: {reason}")]
    Unreadable {
        /// What was tried.
        reason: String,
    },
    /// All shards were right by their own checksums, and the part's checksum is not: nothing was repaired.
    #[error("the part's CRC-64/NVME is not the one that it was stored with")]
    Corrupt,
    /// Memory was not free in time: 503 SlowDown.
    #[error("too many transfers at once")]
    SlowDown,
}

/// The bytes of a range, in order, in pieces of any length. Dropping it ends the read.
pub struct BodyReader {}

impl Stream for BodyReader {
    type Item = Result<Bytes, ReadError>;

    fn poll_next(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        todo!()
    }
}
