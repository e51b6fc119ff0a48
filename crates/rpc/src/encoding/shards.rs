//! What is asked of a node's shard stores. Bodies of shards go beside these messages, not in them.

use serde::{Deserialize, Serialize};
use shards::{ShardAddress, ShardError, ShardHeader, StoredShard};
use types::{DiskId, PlacementGroupId, Profile, RunId, SlotEpoch, SlotIndex};

use super::{DecodeError, decode};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ShardRequest {
    /// The body is the frame's.
    Append {
        disk: DiskId,
        header: Box<ShardHeader>,
    },
    /// The answer's body is the range.
    Read {
        disk: DiskId,
        address: ShardAddress,
        start: u64,
        end: u64,
    },
    Header {
        disk: DiskId,
        address: ShardAddress,
    },
    Free {
        disk: DiskId,
        group: PlacementGroupId,
        runs: Vec<RunId>,
    },
    List {
        disk: DiskId,
        after: Option<ShardAddress>,
        limit: u64,
    },
    // What is added later stands last, for requests are told apart by their number.
    Seal {
        disk: DiskId,
        group: PlacementGroupId,
        slot: SlotIndex,
        epoch: SlotEpoch,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ShardAnswer {
    Done,
    /// The body is the frame's.
    Bytes,
    Header(Box<ShardHeader>),
    Listed(Vec<StoredShard>),
    Failed(ShardError),
}

impl ShardRequest {
    /// Reads a request whose header, if it has one, has a profile that can be.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let request = decode(bytes)?;
        if let Self::Append { header, .. } = &request {
            check(header)?;
        }
        Ok(request)
    }
}

impl ShardAnswer {
    /// Reads an answer, as [`ShardRequest::decode`].
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let answer = decode(bytes)?;
        if let Self::Header(header) = &answer {
            check(header)?;
        }
        Ok(answer)
    }
}

/// Profiles are read field by field: their rule is checked here.
fn check(header: &ShardHeader) -> Result<(), DecodeError> {
    let profile = header.profile;
    let bounds = || {
        let (k, m) = (u8::try_from(profile.k()).ok()?, u8::try_from(profile.m()).ok()?);
        Profile::new(k, m, u32::try_from(profile.shard_bytes()).ok()?, profile.integrity).ok()
    };
    match bounds() {
        Some(_) => Ok(()),
        None => Err(DecodeError::Malformed { reason: "a profile that cannot be".to_owned() }),
    }
}
