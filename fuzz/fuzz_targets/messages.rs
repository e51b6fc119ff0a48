//! Messages between nodes: any bytes are read or refused, and what is read is written as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    rpc::fuzzing::read_message(data);
    consensus::fuzzing::read_raft_message(data.to_vec());
});
