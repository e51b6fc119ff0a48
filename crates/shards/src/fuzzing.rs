//! The parsers of what lies on a disk, for fuzz targets: built with `--cfg fuzzing` alone.

use crate::metadata::{decode_metadata, encode_metadata};
use crate::record::{RecordHeader, RecordKind, decode_tombstones, encode_tombstones};
use crate::segment::SegmentKey;

/// Reads bytes as the header of a record at `offset`, after giving them the MAC without which nothing is read.
///
/// # Panics
/// What was read is not written as it was read: the format has two ways to say one thing.
pub fn read_record(mut bytes: Vec<u8>, offset: u64) {
    let key = SegmentKey::of_fuzzing();
    RecordHeader::seal(&mut bytes, &key, offset);
    let Ok(header) = RecordHeader::decode(&bytes, &key, offset) else { return };
    let mut again = Vec::new();
    header.encode_into(&mut again, &key, offset);
    assert_eq!(RecordHeader::decode(&again, &key, offset), Ok(header));
    match header.kind {
        RecordKind::Shard => {
            if let Some(shard) = decode_metadata(header.address, header.metadata) {
                assert_eq!(decode_metadata(header.address, &encode_metadata(&shard)), Some(shard));
            }
        }
        RecordKind::Tombstones => {
            if let Some(tombstones) = decode_tombstones(header.metadata) {
                assert_eq!(decode_tombstones(&encode_tombstones(&tombstones)), Some(tombstones));
            }
        }
    }
}
