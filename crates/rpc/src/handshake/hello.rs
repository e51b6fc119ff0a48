//! What each side says first, as it stands in a header of the upgrade.

use serde::{Deserialize, Serialize};
use types::{ClusterId, GatewayId, NodeId};

use super::{NONCE_BYTES, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN};
use crate::encoding::{DecodeError, decode, encode};

/// What a connection is for. Messages of one lane wait for each other, those of different ones don't.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Lane {
    /// Index messages, and shards that are short.
    Small,
    /// Shards.
    Bulk,
    /// Raft messages.
    Raft,
    /// Words between nodes that need not be of one cluster yet, and of gateways that do not know their cluster.
    Join,
}

/// Who the client says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Role {
    Node(NodeId),
    Gateway(GatewayId),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClientHello {
    pub(crate) version_min: u16,
    pub(crate) version_max: u16,
    pub(crate) cluster: Option<ClusterId>,
    pub(crate) role: Role,
    /// Whom it wants; another node refuses.
    pub(crate) wanted: Option<NodeId>,
    pub(crate) lane: Lane,
    pub(crate) nonce: [u8; NONCE_BYTES],
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServerHello {
    /// The one to speak; 0 where there is none in common, with the server's range beside it.
    pub(crate) version: u16,
    pub(crate) version_min: u16,
    pub(crate) version_max: u16,
    pub(crate) cluster: Option<ClusterId>,
    pub(crate) node: NodeId,
    /// How many requests may be unanswered at a time on this connection.
    pub(crate) in_flight_max: u32,
    pub(crate) nonce: [u8; NONCE_BYTES],
}

impl ClientHello {
    pub(crate) fn new(
        cluster: Option<ClusterId>,
        role: Role,
        wanted: Option<NodeId>,
        lane: Lane,
        nonce: [u8; 32],
    ) -> Self {
        let (version_min, version_max) = (PROTOCOL_VERSION_MIN, PROTOCOL_VERSION);
        Self { version_min, version_max, cluster, role, wanted, lane, nonce }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}

impl ServerHello {
    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}
