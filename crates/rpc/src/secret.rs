//! What proves who a peer is: the cluster's secret, or a gateway's key. Neither is ever sent.

use std::fmt;
use std::str::FromStr;

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayCredential {
    /// The name.
    pub id: GatewayId,
    /// The key.
    pub key: GatewayKey,
}

/// What a credential's text begins with; the id and the key follow in hex.
const CREDENTIAL_PREFIX: &str = "gw1";

/// A text that is no gateway's credential. It does not show the text, which may be one that was cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no gateway's credential: `cairn admin gateway add` prints one, which begins with {CREDENTIAL_PREFIX}:")]
pub struct NoCredential;

impl GatewayCredential {
    /// The text that [`GatewayCredential::from_str`] reads: a secret.
    pub fn to_text(&self) -> String {
        format!("{CREDENTIAL_PREFIX}:{}:{}", self.id, hex::encode(self.key.0))
    }
}

impl FromStr for GatewayCredential {
    type Err = NoCredential;

    /// Reads a credential's text; blanks and line ends around it don't count.
    fn from_str(text: &str) -> Result<Self, NoCredential> {
        let mut parts = text.trim().split(':');
        let (Some(CREDENTIAL_PREFIX), Some(id), Some(key), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NoCredential);
        };
        let id = id.parse().map_err(|_| NoCredential)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(key, &mut bytes).map_err(|_| NoCredential)?;
        Ok(Self { id, key: GatewayKey(bytes) })
    }
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

    #[test]
    fn a_credential_is_one_text_that_is_read_whole_or_not_at_all() {
        let credential =
            GatewayCredential { id: GatewayId::from_bytes([0xab; 16]), key: GatewayKey::from_bytes([0x5a; 32]) };
        let text = credential.to_text();
        assert_eq!(text, format!("gw1:{}:{}", "ab".repeat(16), "5a".repeat(32)));
        assert_eq!(text.parse(), Ok(credential.clone()));
        assert_eq!(format!(" {text}\n").parse(), Ok(credential));
        for end in 0..text.len() {
            assert_eq!(text[..end].parse::<GatewayCredential>(), Err(NoCredential), "{end} letters");
        }
        for wrong in [format!("{text}:"), format!("{text}00"), text.replace("gw1", "gw2"), text.replace(':', "-")] {
            assert_eq!(wrong.parse::<GatewayCredential>(), Err(NoCredential));
        }
        assert!(!NoCredential.to_string().contains("5a"));
    }
}
