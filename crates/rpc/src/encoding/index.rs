//! What is asked of the index. A command goes in its own encoding, which is the log's too.

use index::{Answer, Command, IndexError, Query, QueryAnswer};
use serde::{Deserialize, Serialize};

use super::{DecodeError, decode, decode_first, encode, encode_onto};

/// What is asked of the index.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum IndexRequest {
    Propose(Command),
    Query(Query),
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    Propose,
    Query,
}

/// What a command or query is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum IndexAnswer {
    Answer(Answer),
    Query(QueryAnswer),
    Failed(IndexError),
}

impl IndexRequest {
    pub(crate) fn encode_command(command: &Command) -> Vec<u8> {
        let mut bytes = encode(&Kind::Propose);
        bytes.extend_from_slice(&command.encode());
        bytes
    }

    pub(crate) fn encode_query(query: &Query) -> Vec<u8> {
        encode_onto(query, encode(&Kind::Query))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match decode_first(bytes)? {
            (Kind::Propose, command) => Command::decode(command)
                .map(Self::Propose)
                .map_err(|error| DecodeError::Malformed { reason: error.to_string() }),
            (Kind::Query, query) => decode(query).map(Self::Query),
        }
    }
}
