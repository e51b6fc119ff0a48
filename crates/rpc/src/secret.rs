//! What proves who a peer is: the cluster's secret, or a gateway's key. Neither is ever sent.

use std::fmt;

use platform::Entropy;
use types::GatewayId;

/// The fewest characters of a cluster's secret. Whoever records a handshake can try guesses at leisure, so a secret is
/// random bytes written down, not a word.
pub const CLUSTER_SECRET_CHARS_MIN: usize = 24;

const CLUSTER_CONTEXT: &str = "cairn rpc v1: cluster secret";
const GATEWAY_CONTEXT: &str = "cairn rpc v1: gateway key";

/// The secret that all nodes of a cluster share.
#[derive(Clone)]
pub struct ClusterSecret {
    key: [u8; 32],
}

/// A text that cannot be a cluster's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cluster secret has at least {CLUSTER_SECRET_CHARS_MIN} characters; `openssl rand -hex 32` makes one")]
pub struct SecretTooShort;

impl ClusterSecret {
    /// The secret that this text is.
    ///
    /// # Errors
    /// [`SecretTooShort`].
    pub fn new(text: &str) -> Result<Self, SecretTooShort> {
        if text.chars().count() < CLUSTER_SECRET_CHARS_MIN {
            return Err(SecretTooShort);
        }
        Ok(Self { key: blake3::derive_key(CLUSTER_CONTEXT, text.as_bytes()) })
    }

    pub(crate) fn key(&self) -> &[u8; 32] {
        &self.key
    }
}

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecret(..)")
    }
}

/// The key of a gateway's credential.
#[derive(Clone, PartialEq, Eq)]
pub struct GatewayKey([u8; 32]);

impl GatewayKey {
    /// A new one.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut key = [0; 32];
        entropy.fill(&mut key);
        Self(key)
    }

    /// The key of these bytes, as they stand in a gateway's configuration and in the system range.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn to_bytes(&self) -> [u8; 32] {
        self.0
    }

    pub(crate) fn handshake_key(&self) -> [u8; 32] {
        blake3::derive_key(GATEWAY_CONTEXT, &self.0)
    }
}

impl fmt::Debug for GatewayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GatewayKey(..)")
    }
}

/// What a gateway shows that it has: a name that can be revoked, and its key.
#[derive(Debug, Clone)]
pub struct GatewayCredential {
    /// The name.
    pub id: GatewayId,
    /// The key.
    pub key: GatewayKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_refused_and_no_secret_is_printed() {
        assert_eq!(ClusterSecret::new("correct horse battery").err(), Some(SecretTooShort));
        let secret = ClusterSecret::new("0123456789abcdef01234567").expect("long enough");
        let key = GatewayKey::from_bytes([0x5a; 32]);
        let printed = format!("{secret:?} {key:?}");
        assert_eq!(printed, "ClusterSecret(..) GatewayKey(..)");
    }
}
