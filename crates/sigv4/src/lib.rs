//! Is this signature true? AWS Signature Version 4 of requests, presigned URLs and the chunks of streamed bodies; where
//! the operator allows it, Version 2 of requests, URLs and forms.
//!
//! Pure: no I/O, no clock (the time is an argument), no async. The canonical request is ours, since a verifier starts
//! from the bytes that arrived and `aws_sigv4` from a request that it is about to send; the signing key and the
//! signature are `aws_sigv4::sign::v4`'s. This crate doesn't know whose key it is, what it may do (`authz`), or how a
//! refusal is written (`s3-wire`).
//!
//! The way: [`Claim::read`] takes a request apart and checks all that needs no secret; the caller finds the secret of
//! [`SignedClaim::access_key_id`]; [`SignedClaim::verify`] says whether it holds, and gives the [`ChunkSigner`] that a
//! streamed body is checked with.

mod canonical;
mod chunk;
mod claim;
mod error;
mod form_auth;
mod header_auth;
mod payload;
mod query_auth;
mod scope;
mod sign;
mod signing_key;
mod time;
mod verify;
mod version2;

pub use chunk::{ChunkSigner, EMPTY_SHA256, SignatureMismatch};
pub use claim::{Claim, RequestParts, Rules, SignedClaim};
pub use error::{AuthCode, AuthError};
pub use form_auth::{FormClaim, FormFields};
pub use payload::PayloadHash;
pub use sign::Signer;
pub use signing_key::SigningKeys;
pub use verify::{Verified, is_equal};
pub use version2::{Version2Claim, Version2Form};
