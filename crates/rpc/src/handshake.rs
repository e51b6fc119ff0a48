//! How two ends of a connection prove to each other who they are (docs/decisions/0009-rpc.md).
//!
//! The client's hello and the server's hello name everything that must not be changed on the way: protocol versions,
//! cluster, both ids, the role, the lane, both nonces. Each side then sends a MAC over both hellos under the shared key
//! and a label of its own direction, the client first; and both derive the session's keys from the same. So nothing
//! of an old handshake, of another connection or of the other direction fits, and what was changed on the way is seen.

mod hello;
mod http;

use types::{ClusterId, GatewayId, NodeId};

pub use hello::Lane;
pub(crate) use hello::{ClientHello, Role, ServerHello};
pub(crate) use http::{Admitted, Established, InFlightMax, KeyOf, ServerSelf, answer, request};

use crate::wire::SessionKeys;

/// The newest protocol that this release speaks.
pub const PROTOCOL_VERSION: u16 = 2;
/// The protocol from which on requests carry the name of the S3 request that they are for.
pub(crate) const NAMES_SINCE: u16 = 2;
/// The oldest protocol that this release speaks.
pub const PROTOCOL_VERSION_MIN: u16 = 1;

pub(crate) const PROOF_BYTES: usize = 32;
pub(crate) const NONCE_BYTES: usize = 32;

/// Why two ends did not come together. No request was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The connection broke, or took too long.
    #[error("the connection failed: {reason}")]
    Connection {
        /// What happened.
        reason: String,
    },
    /// What answers there does not speak this protocol.
    #[error("the peer does not speak Cairn's RPC: {reason}")]
    NotRpc {
        /// What it said.
        reason: String,
    },
    /// No protocol version is common to both.
    #[error("the peer speaks protocol {min} to {max}")]
    Version {
        /// The peer's oldest.
        min: u16,
        /// The peer's newest.
        max: u16,
    },
    /// The peer is of another cluster.
    #[error("the peer belongs to cluster {found:?}")]
    WrongCluster {
        /// The peer's.
        found: Option<ClusterId>,
    },
    /// Another node answers at this address: ask where the wanted one is.
    #[error("node {found} answers there")]
    WrongNode {
        /// Who answers.
        found: NodeId,
    },
    /// The peer does not know the secret, or what it was sent was changed on the way.
    #[error("the peer could not prove who it is")]
    Unproven,
    /// The peer does not believe us: another secret, or a credential that was revoked.
    #[error("the peer refuses our credential")]
    Refused,
}

/// Who is at the other end of a connection, as it has proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caller {
    /// A node: it knows the cluster's secret.
    Node(NodeId),
    /// A gateway: it knows the key of this credential.
    Gateway(GatewayId),
}

/// Both hellos as they were sent and received, under the key that the two are to share.
pub(crate) struct Transcript {
    key: [u8; 32],
    hash: [u8; 32],
}

impl Transcript {
    pub(crate) fn new(key: &[u8; 32], client_hello: &[u8], server_hello: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("cairn rpc v1: transcript");
        for hello in [client_hello, server_hello] {
            hasher.update(&(hello.len() as u64).to_le_bytes()).update(hello);
        }
        Self { key: *key, hash: *hasher.finalize().as_bytes() }
    }

    pub(crate) fn client_proof(&self) -> blake3::Hash {
        self.labelled(b"client proof")
    }

    pub(crate) fn server_proof(&self) -> blake3::Hash {
        self.labelled(b"server proof")
    }

    /// What the client writes with, and the server reads with.
    pub(crate) fn client_keys(&self) -> SessionKeys {
        SessionKeys::derive(self.labelled(b"client session").as_bytes())
    }

    /// What the server writes with, and the client reads with.
    pub(crate) fn server_keys(&self) -> SessionKeys {
        SessionKeys::derive(self.labelled(b"server session").as_bytes())
    }

    fn labelled(&self, label: &[u8]) -> blake3::Hash {
        blake3::Hasher::new_keyed(&self.key).update(&self.hash).update(label).finalize()
    }
}

/// The version that both speak.
pub(crate) fn common_version(min: u16, max: u16) -> Option<u16> {
    let version = max.min(PROTOCOL_VERSION);
    (version >= min.max(PROTOCOL_VERSION_MIN)).then_some(version)
}
