//! Messages to bytes and back: a version byte, then the value in postcard.
//!
//! Whoever decodes trusts nothing: any bytes are read or refused, and no memory is taken on the word of a length in
//! them. The bytes of each message stand in tests/golden.

mod frame;
mod index;
mod raft;
mod shards;

use serde::{Deserialize, Serialize};

pub use self::frame::CallRefusal;
pub(crate) use self::frame::{FrameHead, Service};
pub(crate) use self::index::{IndexAnswer, IndexRequest};
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
