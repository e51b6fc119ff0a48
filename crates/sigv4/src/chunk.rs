//! Signatures of the chunks and the trailer of a streamed body (S3 API reference, "Signature Calculations for the
//! Authorization Header: Transferring Payload in Multiple Chunks").
//!
//! Each signature covers the one before it, from the request's own on. The hashes come from the caller, who may take
//! them on another thread; only the chain itself is sequential, one HMAC a chunk.

use aws_sigv4::sign::v4::calculate_signature;

use crate::verify::{is_equal, push_hex};

/// SHA-256 of no bytes: the digest of the last chunk.
pub const EMPTY_SHA256: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// A chunk or trailer that was signed with another key, or is not what was signed: `SignatureDoesNotMatch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature of a chunk does not match")]
pub struct SignatureMismatch;

/// Checks the chunks of one body in order.
#[derive(Clone)]
pub struct ChunkSigner {
    key: [u8; 32],
    /// `20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n`
    preamble: Box<str>,
    /// The signature that the next one covers, as 64 hex digits.
    previous: String,
}

impl std::fmt::Debug for ChunkSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChunkSigner(..)")
    }
}

impl ChunkSigner {
    pub(crate) fn new(key: [u8; 32], timestamp_text: &str, scope: &str, seed: String) -> Self {
        Self { key, preamble: format!("{timestamp_text}\n{scope}\n").into(), previous: seed }
    }

    /// Checks the next chunk: `sha256` is that of its payload, `signature` what its header says.
    ///
    /// # Errors
    /// [`SignatureMismatch`]; the body must then be thrown away.
    pub fn verify_chunk(&mut self, sha256: &[u8; 32], signature: &[u8]) -> Result<(), SignatureMismatch> {
        let mut text = self.begin("AWS4-HMAC-SHA256-PAYLOAD\n");
        push_hex(&mut text, &EMPTY_SHA256);
        text.push('\n');
        push_hex(&mut text, sha256);
        self.check(&text, signature)
    }

    /// Checks the trailer after the last chunk: `sha256` is that of the trailer's canonical lines, `name:value\n` each.
    ///
    /// # Errors
    /// [`SignatureMismatch`]; the body must then be thrown away.
    pub fn verify_trailer(&mut self, sha256: &[u8; 32], signature: &[u8]) -> Result<(), SignatureMismatch> {
        let mut text = self.begin("AWS4-HMAC-SHA256-TRAILER\n");
        push_hex(&mut text, sha256);
        self.check(&text, signature)
    }

    fn begin(&self, algorithm: &str) -> String {
        let mut text = String::with_capacity(320);
        text.push_str(algorithm);
        text.push_str(&self.preamble);
        text.push_str(&self.previous);
        text.push('\n');
        text
    }

    fn check(&mut self, string_to_sign: &str, signature: &[u8]) -> Result<(), SignatureMismatch> {
        let expected = calculate_signature(self.key, string_to_sign.as_bytes());
        if !is_equal(expected.as_bytes(), signature) {
            return Err(SignatureMismatch);
        }
        self.previous = expected;
        Ok(())
    }
}
