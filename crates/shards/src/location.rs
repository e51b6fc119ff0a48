//! Where a record lies on its disk.

use crate::segment::{PAGE_BYTES, SegmentId, SegmentIdentity, SegmentKind};

/// Where a shard's record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) segment: SegmentId,
    /// Where its header begins, in bytes.
    pub(crate) offset: u64,
    pub(crate) header_bytes: u32,
    pub(crate) body_bytes: u32,
    /// The record's sequence number.
    pub(crate) seq: u64,
}

impl Location {
    /// Where its body begins.
    pub(crate) fn body_offset(&self, kind: SegmentKind) -> u64 {
        self.offset + padded(u64::from(self.header_bytes), kind)
    }

    /// Bytes that it takes up in its segment.
    pub(crate) fn record_bytes(&self, kind: SegmentKind) -> u64 {
        record_bytes(u64::from(self.header_bytes), u64::from(self.body_bytes), kind)
    }
}

/// A location with the segment that it lies in, as it was when the location was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) location: Location,
    pub(crate) segment: SegmentIdentity,
}

/// Bytes that a record of these parts takes up.
pub(crate) fn record_bytes(header_bytes: u64, body_bytes: u64, kind: SegmentKind) -> u64 {
    padded(header_bytes, kind) + padded(body_bytes, kind)
}

/// Bytes that a part of a record takes up: whole pages in a large segment.
pub(crate) fn padded(bytes: u64, kind: SegmentKind) -> u64 {
    match kind {
        SegmentKind::Small => bytes,
        SegmentKind::Large => bytes.next_multiple_of(PAGE_BYTES as u64),
    }
}
