//! What a frame says before its payload.

use serde::{Deserialize, Serialize};

use super::{DecodeError, decode_first, encode_onto};

/// Who a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Service {
    Shards,
    Index,
    Raft,
    Join,
    Archive,
}

/// The head of a frame; the payload, of the service's own encoding, follows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FrameHead {
    /// Asks for something. The number is the client's, and not used again on the connection.
    Request { number: u64, timeout_ms: u32, service: Service },
    /// Answers a request.
    Answer { number: u64 },
    /// Tells that a request is not done.
    Refused { number: u64, refusal: CallRefusal },
    /// The client no longer wants an answer.
    Cancel { number: u64 },
    /// Asks for a sign of life.
    Ping,
    /// A sign of life.
    Pong,
    /// The server takes no more requests on this connection; those under way are answered.
    Closing,
    /// As `Request`, for the S3 request of this name: what is logged on its behalf says so.
    Named { number: u64, timeout_ms: u32, service: Service, name: u64 },
}

/// Why a server did not do what a call asked for. It had no effect, but for [`CallRefusal::DeadlinePassed`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum CallRefusal {
    /// The caller's role may not do this.
    #[error("not allowed: {what}")]
    Forbidden {
        /// What was asked for.
        what: String,
    },
    /// There is no memory for it now.
    #[error("the peer has no memory for it now")]
    Busy,
    /// The time that the call had is over. What it asked for may have been done in part or whole.
    #[error("the time for the call is over")]
    DeadlinePassed,
    /// The server doesn't have this service.
    #[error("the peer does not offer this service")]
    NoService,
    /// The server cannot read the message: it is of a newer release, or not well-formed.
    #[error("the peer cannot read the message: {reason}")]
    Unreadable {
        /// What the decoder says.
        reason: String,
    },
}

impl FrameHead {
    /// Appends itself and the payload.
    pub(crate) fn encode_with(&self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = encode_onto(self, Vec::with_capacity(24 + payload.len()));
        bytes.extend_from_slice(payload);
        bytes
    }

    /// The head, and how many bytes it takes.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Self, usize), DecodeError> {
        let (head, rest) = decode_first(bytes)?;
        Ok((head, bytes.len() - rest.len()))
    }
}
