//! Records of shards and of the log: any bytes are read or refused, and what is read is written as it was.
//!
//! The first eight bytes are the offset at which the rest is said to lie.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((offset, bytes)) = data.split_first_chunk::<8>() else { return };
    let offset = u64::from_le_bytes(*offset);
    shards::fuzzing::read_record(bytes.to_vec(), offset);
    consensus::fuzzing::read_log(bytes.to_vec(), offset);
});
