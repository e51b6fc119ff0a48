//! The parsers of what lies in the log, and of what voters say to each other, for fuzz targets: built with `--cfg fuzzing` alone.

use bytes::Bytes;
use types::VoterId;

use crate::encoding::{decode_applied, decode_installing, decode_membership};
use crate::log::record::{Record, SegmentHeader, seal_record};
use crate::messages::{Reply, Request};

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
    let _installing = decode_installing(&bytes);
}

/// Reads bytes as what another node's voter says, and what one answers.
///
/// # Panics
/// What was read is not written so that it is read again.
pub fn read_raft_message(bytes: Vec<u8>) {
    let bytes = Bytes::from(bytes);
    if let Ok(request) = Request::decode(&bytes) {
        Request::decode(&request.encode()).expect("its own bytes");
    }
    if let Ok(reply) = Reply::decode(&bytes) {
        Reply::decode(&reply.encode()).expect("its own bytes");
    }
}
