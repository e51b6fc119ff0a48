//! What is asked of the index. A command goes in its own encoding, which is the log's too.

use index::{Answer, Command, IndexError, Query, QueryAnswer};
use serde::{Deserialize, Serialize};
use types::RangeId;

use super::{DecodeError, decode, decode_first, encode, encode_onto};

/// What is asked of the index, and the range that the caller means.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct IndexRequest {
    /// `None` in the first form of these messages, whose senders knew of no more ranges than what is asked tells.
    pub(crate) range: Option<RangeId>,
    pub(crate) asked: IndexAsked,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum IndexAsked {
    Propose(Command),
    Query(Query),
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    Propose,
    Query,
    ProposeTo(RangeId),
    QueryTo(RangeId),
}

/// What a command or query is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum IndexAnswer {
    Answer(Answer),
    Query(QueryAnswer),
    Failed(IndexError),
}

impl IndexRequest {
    pub(crate) fn encode_command(range: RangeId, command: &Command) -> Vec<u8> {
        let mut bytes = encode(&Kind::ProposeTo(range));
        bytes.extend_from_slice(&command.encode());
        bytes
    }

    pub(crate) fn encode_query(range: RangeId, query: &Query) -> Vec<u8> {
        encode_onto(query, encode(&Kind::QueryTo(range)))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let command = |bytes| {
            let command = Command::decode(bytes).map(IndexAsked::Propose);
            command.map_err(|error| DecodeError::Malformed { reason: error.to_string() })
        };
        let query = |bytes| decode(bytes).map(IndexAsked::Query);
        let (range, asked) = match decode_first(bytes)? {
            (Kind::Propose, rest) => (None, command(rest)?),
            (Kind::Query, rest) => (None, query(rest)?),
            (Kind::ProposeTo(range), rest) => (Some(range), command(rest)?),
            (Kind::QueryTo(range), rest) => (Some(range), query(rest)?),
        };
        Ok(Self { range, asked })
    }
}
