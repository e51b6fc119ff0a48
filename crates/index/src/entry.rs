//! What the log carries for the index: proposals, and the entries that they become.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use types::{RangeId, Timestamp};

use crate::Command;

/// The system range.
pub const SYSTEM_RANGE: RangeId = RangeId(0);
/// The first data range; until ranges split, the only one.
pub const FIRST_DATA_RANGE: RangeId = RangeId(1);

/// One committed log entry of one range, in the form that [`crate::IndexDatabase::apply`] takes.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeEntry {
    /// The range.
    pub range: RangeId,
    /// Names the entry in the range's log; opaque here, kept in the transaction that applies it.
    pub applied: Bytes,
    /// The range's membership from this entry on, where it changes; opaque here.
    pub membership: Option<Bytes>,
    /// When the range's leader took the commands.
    pub time: Timestamp,
    /// In order.
    pub commands: Vec<Command>,
}

/// How far a range has been applied, as it stands in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedState {
    /// [`RangeEntry::applied`] of the last entry.
    pub applied: Bytes,
    /// The last [`RangeEntry::membership`] that was given.
    pub membership: Option<Bytes>,
}

/// What a leader puts into the log: commands, and the time at which it took them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The leader's clock; no other clock is looked at in `apply`.
    pub time: Timestamp,
    /// In order.
    pub commands: Vec<Command>,
}

/// The version that [`Proposal::encode`] and [`Command::encode`] write.
const VERSION: u8 = 1;

/// Bytes that are no command or proposal of a known version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer release (or no command at all).
    #[error("command format {found} is not known to this release, which reads up to {VERSION}")]
    UnknownVersion {
        /// The version byte; 0 for no bytes at all.
        found: u8,
    },
    /// Of a known version, but not well-formed.
    #[error("malformed command bytes: {reason}")]
    Malformed {
        /// What the decoder says.
        reason: String,
    },
}

impl Proposal {
    /// Version byte and body (docs/index-schema.md, "Commands in the log").
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads what [`Proposal::encode`] of this or an older release wrote.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}

impl Command {
    /// Version byte and body, as RPC carries it.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads what [`Command::encode`] of this or an older release wrote.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![VERSION]).expect("commands hold nothing that postcard refuses")
}

fn decode<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, DecodeError> {
    let Some((&version, body)) = bytes.split_first() else { return Err(DecodeError::UnknownVersion { found: 0 }) };
    if version != VERSION {
        return Err(DecodeError::UnknownVersion { found: version });
    }
    let malformed = |reason: &dyn ToString| DecodeError::Malformed { reason: reason.to_string() };
    let (value, rest) = postcard::take_from_bytes(body).map_err(|error| malformed(&error))?;
    if rest.is_empty() { Ok(value) } else { Err(malformed(&"bytes follow the command")) }
}
