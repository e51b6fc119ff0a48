//! Identifiers: random 128-bit ids that never repeat, and counters that only rise.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Text that is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {kind}: 32 lower-case hex digits are expected")]
pub struct IdError {
    kind: &'static str,
    text: String,
}

macro_rules! random_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Makes the id of 128 random bits; they come from `platform::Entropy`.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes, as they stand in formats.
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0; 16];
                hex::decode_to_slice(text, &mut bytes)
                    .map_err(|_| IdError { kind: stringify!($name), text: text.to_owned() })?;
                Ok(Self(bytes))
            }
        }
    )*};
}

random_ids! {
    /// One cluster. Disks of another cluster are refused.
    ClusterId;
    /// One storage daemon; its address may change, its id never does.
    NodeId;
    /// One disk: a directory with a superblock.
    DiskId;
    /// One gateway's credential towards nodes; revoked by this name.
    GatewayId;
    /// One member of a Raft group. A voter whose log is lost never comes back under its old id.
    VoterId;
    /// One multipart upload.
    UploadId;
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl $name {
            /// The next one up.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    )*};
}

counters! {
    /// A bucket, by number; never reused, so a bucket made again under an old name is another bucket.
    BucketId(u64);
    /// A writer's fenced right to write; numbers rise.
    TicketId(u64);
    /// A command's number within its ticket; numbers rise from 1.
    RequestNumber(u64);
    /// One Raft-replicated key interval of the index. 0 is the system range.
    RangeId(u64);
    /// An ordered list of k+m slots.
    PlacementGroupId(u64);
    /// The version of the layout.
    LayoutEpoch(u64);
    /// The version of one slot's owner.
    SlotEpoch(u64);
    /// The version of a bucket's row: a command names the one that it was decided under.
    BucketEpoch(u64);
    /// The version of a range's interval.
    SplitEpoch(u64);
    /// The version of a range's membership.
    MemberEpoch(u64);
    /// The newest format that every node of the cluster reads.
    FeatureLevel(u32);
    /// A position in a placement group; slot i holds shard i.
    SlotIndex(u8);
    /// Which coding matrix made a run's parity. 1 is the systematic Vandermonde matrix of `reed-solomon-erasure`.
    Code(u8);
}

/// One run: the ticket it was written under, then 64 bits that no other run of that ticket has.
///
/// Byte order is ticket first, so orphans of dead tickets are found by seeking their prefix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId {
    /// The ticket of the writer.
    pub ticket: TicketId,
    /// A sequence number of the writer (high 32 bits) and random bits (low 32 bits).
    pub tail: u64,
}

impl RunId {
    /// The 16 bytes of formats: both halves big-endian, so that byte order is the order of the type.
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.ticket.0.to_be_bytes());
        bytes[8..].copy_from_slice(&self.tail.to_be_bytes());
        bytes
    }

    /// Reads what [`RunId::to_bytes`] wrote.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let (ticket, tail) = bytes.split_at(8);
        let number = |half: &[u8]| u64::from_be_bytes(half.try_into().expect("half of 16 bytes"));
        Self { ticket: TicketId(number(ticket)), tail: number(tail) }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.to_bytes()))
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunId({self})")
    }
}

/// Names one command for ever, so that a repeat gets the first answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId {
    /// The proposer's ticket.
    pub ticket: TicketId,
    /// Rises with each command of the ticket.
    pub number: RequestNumber,
}
