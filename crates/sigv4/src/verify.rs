//! Whether a signature is true.

use aws_sigv4::sign::v4::calculate_signature;
use sha2::{Digest, Sha256};
use types::SecretKey;

use crate::chunk::ChunkSigner;
use crate::claim::SignedClaim;
use crate::error::{AuthCode, AuthError};
use crate::payload::PayloadHash;
use crate::signing_key::{SigningKeys, derive};

/// A true signature.
#[derive(Debug, Clone)]
pub struct Verified {
    /// How the body is covered.
    pub payload: PayloadHash,
    /// What signs the body's chunks and trailer, where they are signed.
    pub chunks: Option<ChunkSigner>,
}

impl SignedClaim<'_> {
    /// Says whether the holder of `secret` signed this request.
    ///
    /// # Errors
    /// `SignatureDoesNotMatch` with what was signed, so that a client's author can compare.
    pub fn verify(&self, secret: &SecretKey, keys: &SigningKeys) -> Result<Verified, AuthError> {
        let canonical_request = self.canonical_request();
        let string_to_sign = self.string_to_sign(&canonical_request);
        let kept = keys.get(secret, &self.scope);
        let key = kept.unwrap_or_else(|| derive(secret, &self.scope, self.timestamp));
        let signature = calculate_signature(key, string_to_sign.as_bytes());
        if !is_equal(signature.as_bytes(), self.signature.as_bytes()) {
            return Err(self.mismatch(&string_to_sign, &canonical_request));
        }
        if kept.is_none() {
            keys.keep(secret, &self.scope, key);
        }
        let chunks = self
            .payload
            .has_signed_chunks()
            .then(|| ChunkSigner::new(key, &self.timestamp_text, self.scope.without_key(), signature));
        Ok(Verified { payload: self.payload, chunks })
    }

    pub(crate) fn string_to_sign(&self, canonical_request: &[u8]) -> String {
        let mut text = String::with_capacity(160);
        text.push_str("AWS4-HMAC-SHA256\n");
        text.push_str(&self.timestamp_text);
        text.push('\n');
        text.push_str(self.scope.without_key());
        text.push('\n');
        push_hex(&mut text, &Sha256::digest(canonical_request).into());
        text
    }

    fn mismatch(&self, string_to_sign: &str, canonical_request: &[u8]) -> AuthError {
        AuthError::new(
            AuthCode::SignatureDoesNotMatch,
            "The request signature we calculated does not match the signature you provided. Check your key and \
             signing method.",
        )
        .with("AWSAccessKeyId", self.access_key_id())
        .with("StringToSign", string_to_sign)
        .with("SignatureProvided", &*self.signature)
        .with("StringToSignBytes", spaced_hex(string_to_sign.as_bytes()))
        .with("CanonicalRequest", String::from_utf8_lossy(canonical_request))
        .with("CanonicalRequestBytes", spaced_hex(canonical_request))
    }
}

/// Compares in a time that depends on the lengths alone, so that a forger learns nothing from it.
pub fn is_equal(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y));
    a.len() == b.len() && std::hint::black_box(difference) == 0
}

pub(crate) fn push_hex(text: &mut String, digest: &[u8; 32]) {
    let mut digits = [0; 64];
    hex::encode_to_slice(digest, &mut digits).expect("64 digits for 32 bytes");
    text.push_str(std::str::from_utf8(&digits).expect("hex digits are ASCII"));
}

fn spaced_hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.join(" ")
}
