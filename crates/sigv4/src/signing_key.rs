//! Signing keys that were derived lately: four HMACs saved a request.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use aws_sigv4::sign::v4::generate_signing_key;
use types::{SecretKey, Timestamp};

use crate::scope::Scope;

/// How many keys are kept: one for each credential, day, region and service in use.
const KEYS_MAX: usize = 64;

/// Derived signing keys, kept by secret, day, region and service. Only keys that made a true signature are kept, so
/// that those who know no secret cannot push others out.
#[derive(Default)]
pub struct SigningKeys {
    keys: Mutex<Vec<Entry>>,
}

#[derive(Clone)]
struct Entry {
    secret: SecretKey,
    /// `20130524/us-east-1/s3/aws4_request`
    scope: Box<str>,
    key: [u8; 32],
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKeys(..)")
    }
}

impl SigningKeys {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The key that was kept for this secret and scope.
    pub(crate) fn get(&self, secret: &SecretKey, scope: &Scope<'_>) -> Option<[u8; 32]> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let scope = scope.without_key();
        // The scope decides first: it is not secret, so how long the comparison takes tells nothing.
        keys.iter().find(|entry| *entry.scope == *scope && entry.secret == *secret).map(|entry| entry.key)
    }

    /// Keeps a key; the oldest one goes when there are too many.
    pub(crate) fn keep(&self, secret: &SecretKey, scope: &Scope<'_>, key: [u8; 32]) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS_MAX {
            keys.remove(0);
        }
        keys.push(Entry { secret: secret.clone(), scope: scope.without_key().into(), key });
    }
}

/// Derives the key of a scope whose day is `signed_at`'s.
pub(crate) fn derive(secret: &SecretKey, scope: &Scope<'_>, signed_at: Timestamp) -> [u8; 32] {
    let day = UNIX_EPOCH + Duration::from_secs(signed_at.seconds());
    let key = generate_signing_key(&secret.0, day, scope.region(), scope.service());
    key.as_ref().try_into().expect("HMAC-SHA256 gives 32 bytes")
}
