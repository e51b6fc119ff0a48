//! Messages to bytes and back: a version byte, then the value in postcard.
//!
//! Whoever decodes trusts nothing: any bytes are read or refused, and no memory is taken on the word of a length in
//! them. The bytes of each message stand in tests/golden.

mod archive;
mod frame;
mod index;
mod raft;
mod shards;

use serde::{Deserialize, Serialize};

pub(crate) use self::archive::{ArchiveAnswer, ArchiveRequest, PageRecord};
pub use self::frame::CallRefusal;
pub(crate) use self::frame::{FrameHead, Service};
pub(crate) use self::index::{IndexAnswer, IndexAsked, IndexRequest};
pub(crate) use self::raft::{RaftAnswer, RaftRequest};
pub(crate) use self::shards::{ShardAnswer, ShardRequest};

/// The version that messages are written in.
const VERSION: u8 = 1;

/// Bytes that are no message of a known version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("message format {found} is not known to this release, which reads up to {VERSION}")]
    UnknownVersion { found: u8 },
    #[error("malformed message: {reason}")]
    Malformed { reason: String },
}

/// Version byte and value.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    encode_onto(value, Vec::with_capacity(128))
}

/// The same, behind what is there.
pub(crate) fn encode_onto<T: Serialize>(value: &T, mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.push(VERSION);
    postcard::to_extend(value, bytes).expect("messages hold nothing that postcard refuses")
}

/// Reads a message that takes all of the bytes.
pub(crate) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    match decode_first(bytes)? {
        (value, []) => Ok(value),
        _ => Err(DecodeError::Malformed { reason: "bytes follow the message".to_owned() }),
    }
}

/// Reads a message that others may follow.
pub(crate) fn decode_first<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<(T, &'a [u8]), DecodeError> {
    let Some((&version, body)) = bytes.split_first() else { return Err(DecodeError::UnknownVersion { found: 0 }) };
    if version != VERSION {
        return Err(DecodeError::UnknownVersion { found: version });
    }
    postcard::take_from_bytes(body).map_err(|error| DecodeError::Malformed { reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::handshake::{ClientHello, ServerHello};

    /// Reads bytes as every message.
    fn read_all(bytes: &[u8]) {
        let _ = ClientHello::decode(bytes);
        let _ = ServerHello::decode(bytes);
        let _ = FrameHead::decode(bytes);
        let _ = ShardRequest::decode(bytes);
        let _ = ShardAnswer::decode(bytes);
        let _ = decode::<ArchiveRequest>(bytes);
        let _ = decode::<ArchiveAnswer>(bytes);
        let _ = IndexRequest::decode(bytes);
        let _ = decode::<IndexAnswer>(bytes);
        let bytes = Bytes::copy_from_slice(bytes);
        let _ = RaftRequest::decode(&bytes);
        let _ = RaftAnswer::decode(&bytes);
    }

    /// Bytes of each golden file.
    fn golden() -> Vec<Vec<u8>> {
        let files = [
            include_str!("../tests/golden/hellos.txt"),
            include_str!("../tests/golden/frames.txt"),
            include_str!("../tests/golden/shards.txt"),
            include_str!("../tests/golden/archive.txt"),
            include_str!("../tests/golden/raft.txt"),
            include_str!("../tests/golden/index.txt"),
            include_str!("../tests/golden/index_without_range.txt"),
        ];
        let lines = files.into_iter().flat_map(str::lines);
        lines.map(|line| hex::decode(line.rsplit_once(' ').expect("a name and bytes").1).expect("hex")).collect()
    }

    #[test]
    fn lengths_are_not_believed() {
        // Far more runs, shards, or bytes of a text than memory has, and nothing behind.
        let endless = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        for bytes in golden() {
            for at in 1..bytes.len() {
                read_all(&[&bytes[..at], &endless].concat());
            }
        }
    }

    #[test]
    fn a_message_of_another_version_is_told_from_a_broken_one() {
        let mut bytes = encode(&ShardAnswer::Done);
        assert!(matches!(ShardAnswer::decode(&bytes[..1]), Err(DecodeError::Malformed { .. })));
        bytes[0] = 2;
        assert_eq!(ShardAnswer::decode(&bytes), Err(DecodeError::UnknownVersion { found: 2 }));
        assert_eq!(ShardAnswer::decode(&[]), Err(DecodeError::UnknownVersion { found: 0 }));
        let longer = [encode(&ShardAnswer::Done), vec![0]].concat();
        assert!(matches!(ShardAnswer::decode(&longer), Err(DecodeError::Malformed { .. })));
    }

    #[test]
    fn a_header_with_a_profile_that_cannot_be_is_refused() {
        let header = shards_header();
        let bytes = encode(&ShardAnswer::Header(Box::new(header)));
        // k is the first byte of the profile, which follows address, slot and epoch.
        let k = bytes.windows(3).position(|window| window == [4, 2, 0x80]).expect("4+2 of 1 MiB");
        let mut broken = bytes.clone();
        broken[k] = 0;
        assert!(ShardAnswer::decode(&bytes).is_ok());
        assert!(matches!(ShardAnswer::decode(&broken), Err(DecodeError::Malformed { .. })));
    }

    fn shards_header() -> ::shards::ShardHeader {
        let address = ::shards::contract::address(1, 2, 3);
        ::shards::contract::header(address, types::Integrity::Xxh3)
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            read_all(&bytes);
            read_all(&[&[VERSION][..], &bytes].concat());
        }

        #[test]
        fn messages_with_changes_are_read_or_refused(
            which in any::<prop::sample::Index>(),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let all = golden();
            let mut bytes = which.get(&all).clone();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            read_all(&bytes);
            read_all(&bytes[..cut.index(bytes.len())]);
        }

        #[test]
        fn frame_heads_come_back(number in any::<u64>(), timeout_ms in any::<u32>(), payload in any::<Vec<u8>>()) {
            for head in [
                FrameHead::Request { number, timeout_ms, service: Service::Raft },
                FrameHead::Answer { number },
                FrameHead::Refused { number, refusal: CallRefusal::Busy },
            ] {
                let bytes = head.encode_with(&payload);
                prop_assert_eq!(FrameHead::decode(&bytes), Ok((head, bytes.len() - payload.len())));
            }
        }

        #[test]
        fn shard_requests_come_back(
            disk in any::<[u8; 16]>(),
            (group, tail, stripe, shard) in any::<(u64, u64, u32, u8)>(),
            range in any::<(u64, u64)>(),
            runs in 0..50usize,
        ) {
            let disk = types::DiskId::from_bytes(disk);
            let address = ::shards::ShardAddress { shard, ..::shards::contract::address(group, tail, stripe) };
            for request in [
                ShardRequest::Read { disk, address, start: range.0, end: range.1 },
                ShardRequest::Free { disk, group: address.group, runs: vec![address.run; runs] },
                ShardRequest::List { disk, after: Some(address), limit: range.0 },
            ] {
                prop_assert_eq!(ShardRequest::decode(&encode(&request)), Ok(request));
            }
        }
    }
}
