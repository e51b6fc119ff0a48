//! The parsers of what lies in the log, for fuzz targets: built with `--cfg fuzzing` alone.

use types::VoterId;

use crate::encoding::{decode_applied, decode_membership};
use crate::log::record::{Record, SegmentHeader, seal_record};

/// Reads bytes as a segment's first block, and as a record at `offset` of a segment, after giving both the CRCs without
/// which nothing is read; and as the states that the database keeps.
///
/// # Panics
/// What was read is not written as it was read.
pub fn read_log(mut bytes: Vec<u8>, offset: u64) {
    let header =
        SegmentHeader { voter: VoterId::from_bytes([3; 16]), number: 7, first_seq: 9, bytes: 1 << 22, key: [5; 16] };
    seal_record(&mut bytes, header.seal(), offset);
    if let Some(record) = Record::decode(header.seal(), offset, &bytes) {
        assert!(record.bytes() <= bytes.len());
        let _head = record.batch_head();
    }
    SegmentHeader::seal_block(&mut bytes);
    if let Some(read) = SegmentHeader::decode(&bytes) {
        assert_eq!(SegmentHeader::decode(&read.encode()), Some(read));
    }
    let _applied = decode_applied(&bytes);
    let _membership = decode_membership(&bytes);
}
