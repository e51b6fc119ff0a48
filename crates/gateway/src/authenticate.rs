//! Who sent a request: the claim in its headers or query against the credentials that there are.

use std::sync::Arc;

use authz::Principal;
use http::request::Parts;
use s3_wire::{ErrorCode, S3Error};
use sigv4::{AuthCode, AuthError, ChunkSigner, Claim, FormClaim, FormFields, PayloadHash, RequestParts, Rules};
use types::{Credential, Owner, Timestamp};

use crate::gateway::GatewayCore;

/// Who sent a request, and how its body is covered.
#[derive(Debug, Clone)]
pub(crate) struct Authenticated {
    pub(crate) caller: Caller,
    pub(crate) payload: PayloadHash,
    /// What signs the chunks of the body, where they are signed.
    pub(crate) chunks: Option<ChunkSigner>,
    /// How it was signed, if it was.
    pub(crate) signed: Option<Signed>,
}

/// How a request was signed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signed {
    pub(crate) place: SignedIn,
    pub(crate) at: Timestamp,
}

/// Where a signature stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignedIn {
    Header,
    Query,
    Form,
}

/// Who sent a request.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// Nobody signed it.
    Anonymous,
    /// The holder of one of these credentials.
    Known(Arc<[Credential]>, usize),
}

impl Caller {
    /// The account behind the credential.
    pub(crate) fn owner(&self) -> Option<&Owner> {
        match self {
            Self::Anonymous => None,
            Self::Known(credentials, index) => Some(&credentials[*index].owner),
        }
    }

    /// As `authz` knows it.
    pub(crate) fn principal(&self) -> Principal<'_> {
        self.owner().map_or(Principal::Anonymous, Principal::Account)
    }
}

impl Authenticated {
    /// As yet.
    pub(crate) const fn nobody() -> Self {
        Self { caller: Caller::Anonymous, payload: PayloadHash::Unsigned, chunks: None, signed: None }
    }
}

/// Checks the signature of a form's policy.
///
/// # Errors
/// In AWS's words: `SignatureDoesNotMatch`, `InvalidAccessKeyId` and the like.
pub(crate) fn authenticate_form(core: &GatewayCore, fields: FormFields<'_>) -> Result<Authenticated, S3Error> {
    let claim = FormClaim::read(fields, &rules(core)).map_err(refusal)?;
    let (credentials, index) = credential_of(core, claim.access_key_id())?;
    claim.verify(&credentials[index].secret_key, &core.signing_keys).map_err(refusal)?;
    let signed = Some(Signed { place: SignedIn::Form, at: claim.signed_at() });
    Ok(Authenticated { caller: Caller::Known(credentials, index), signed, ..Authenticated::nobody() })
}

fn rules(core: &GatewayCore) -> Rules<'_> {
    Rules { service: "s3", region: core.settings.region.as_deref() }
}

fn credential_of(core: &GatewayCore, key: &str) -> Result<(Arc<[Credential]>, usize), S3Error> {
    let credentials = Arc::clone(&core.services.credentials.borrow());
    match credentials.iter().position(|credential| *credential.access_key_id.0 == *key) {
        Some(index) => Ok((credentials, index)),
        None => Err(S3Error::new(ErrorCode::InvalidAccessKeyId).with("AWSAccessKeyId", key)),
    }
}

/// Checks the request's signature.
///
/// # Errors
/// In AWS's words: `SignatureDoesNotMatch`, `InvalidAccessKeyId`, `RequestTimeTooSkewed` and the like.
pub(crate) fn authenticate(core: &GatewayCore, head: &Parts) -> Result<Authenticated, S3Error> {
    let request = RequestParts { method: &head.method, uri: &head.uri, headers: &head.headers };
    let claim = match Claim::read(request, &rules(core), core.services.clock.now()).map_err(refusal)? {
        Claim::Anonymous { payload } => {
            return Ok(Authenticated { payload, ..Authenticated::nobody() });
        }
        Claim::Signed(claim) => claim,
    };
    let (credentials, index) = credential_of(core, claim.access_key_id())?;
    let verified = claim.verify(&credentials[index].secret_key, &core.signing_keys).map_err(refusal)?;
    let place = if claim.is_presigned() { SignedIn::Query } else { SignedIn::Header };
    Ok(Authenticated {
        caller: Caller::Known(credentials, index),
        payload: verified.payload,
        chunks: verified.chunks,
        signed: Some(Signed { place, at: claim.signed_at() }),
    })
}

fn refusal(error: AuthError) -> S3Error {
    let code = match error.code {
        AuthCode::AccessDenied => ErrorCode::AccessDenied,
        AuthCode::AuthorizationHeaderMalformed => ErrorCode::AuthorizationHeaderMalformed,
        AuthCode::AuthorizationQueryParametersError => ErrorCode::AuthorizationQueryParametersError,
        AuthCode::InvalidArgument => ErrorCode::InvalidArgument,
        AuthCode::InvalidRequest => ErrorCode::InvalidRequest,
        AuthCode::InvalidToken => ErrorCode::InvalidToken,
        AuthCode::RequestTimeTooSkewed => ErrorCode::RequestTimeTooSkewed,
        AuthCode::SignatureDoesNotMatch => ErrorCode::SignatureDoesNotMatch,
    };
    let refused = S3Error::new(code).with_message(error.message);
    error.fields.into_iter().fold(refused, |refused, (name, value)| refused.with(name, value))
}
