//! The envelope of Raft messages, whose content rpc doesn't look into.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use types::{RangeId, VoterId};

use super::{DecodeError, decode_first, encode};
use crate::server::RaftError;

/// Whom a message is for; the message follows, and takes the rest of the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RaftRequest {
    pub(crate) range: RangeId,
    pub(crate) voter: VoterId,
}

/// Whether an answer follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RaftAnswer {
    Answered,
    Failed(RaftError),
}

impl RaftRequest {
    pub(crate) fn encode_with(&self, message: &[u8]) -> Vec<u8> {
        with(self, message)
    }

    pub(crate) fn decode(bytes: &Bytes) -> Result<(Self, Bytes), DecodeError> {
        first(bytes)
    }
}

impl RaftAnswer {
    pub(crate) fn encode_with(&self, answer: &[u8]) -> Vec<u8> {
        with(self, answer)
    }

    pub(crate) fn decode(bytes: &Bytes) -> Result<(Self, Bytes), DecodeError> {
        first(bytes)
    }
}

fn with<T: Serialize>(envelope: &T, content: &[u8]) -> Vec<u8> {
    let mut bytes = encode(envelope);
    bytes.extend_from_slice(content);
    bytes
}

fn first<T: for<'a> Deserialize<'a>>(bytes: &Bytes) -> Result<(T, Bytes), DecodeError> {
    let (envelope, rest) = decode_first(bytes)?;
    let rest = rest.len();
    Ok((envelope, bytes.slice(bytes.len() - rest..)))
}
