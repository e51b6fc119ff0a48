//! What a request says of its body: `x-amz-content-sha256`.

use crate::error::{AuthCode, AuthError};

/// How the body is covered by the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadHash {
    /// Not at all.
    Unsigned,
    /// By its SHA-256: a body with another one must be refused, `XAmzContentSHA256Mismatch`.
    Sha256([u8; 32]),
    /// aws-chunked, each chunk signed.
    StreamingSigned,
    /// aws-chunked, each chunk signed, and a signed trailer.
    StreamingSignedTrailer,
    /// aws-chunked, not signed, with a trailer.
    StreamingUnsignedTrailer,
}

pub(crate) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const STREAMING_SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const STREAMING_SIGNED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const STREAMING_UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

impl PayloadHash {
    /// Reads the header's value.
    pub(crate) fn parse(value: &[u8]) -> Result<Self, AuthError> {
        let known = [
            (UNSIGNED, Self::Unsigned),
            (STREAMING_SIGNED, Self::StreamingSigned),
            (STREAMING_SIGNED_TRAILER, Self::StreamingSignedTrailer),
            (STREAMING_UNSIGNED_TRAILER, Self::StreamingUnsignedTrailer),
        ];
        if let Some((_, payload)) = known.iter().find(|(name, _)| name.as_bytes() == value) {
            return Ok(*payload);
        }
        if value.starts_with(b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD") {
            return Err(unsupported_mechanism());
        }
        let mut sha256 = [0; 32];
        match hex::decode_to_slice(value, &mut sha256) {
            Ok(()) => Ok(Self::Sha256(sha256)),
            Err(_) => Err(AuthError::argument(
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
                 STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, \
                 STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid \
                 sha256 value.",
                "x-amz-content-sha256",
                value,
            )),
        }
    }

    /// Whether the body is aws-chunked.
    pub const fn is_streaming(self) -> bool {
        matches!(self, Self::StreamingSigned | Self::StreamingSignedTrailer | Self::StreamingUnsignedTrailer)
    }

    /// Whether each chunk is signed.
    pub const fn has_signed_chunks(self) -> bool {
        matches!(self, Self::StreamingSigned | Self::StreamingSignedTrailer)
    }

    /// Whether a trailer follows the last chunk.
    pub const fn has_trailer(self) -> bool {
        matches!(self, Self::StreamingSignedTrailer | Self::StreamingUnsignedTrailer)
    }
}

pub(crate) fn unsupported_mechanism() -> AuthError {
    AuthError::new(
        AuthCode::InvalidRequest,
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    )
}
