//! Who sent a request: the claim in its headers or query against the credentials that there are.

use std::sync::Arc;

use authz::Principal;
use http::request::Parts;
use s3_wire::{ErrorCode, S3Error};
use sigv4::{AuthCode, AuthError, ChunkSigner, Claim, PayloadHash, RequestParts, Rules};
use types::{Credential, Owner};

use crate::gateway::GatewayCore;

/// Who sent a request, and how its body is covered.
#[derive(Debug, Clone)]
pub(crate) struct Authenticated {
    pub(crate) caller: Caller,
    pub(crate) payload: PayloadHash,
    /// What signs the chunks of the body, where they are signed.
    pub(crate) chunks: Option<ChunkSigner>,
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

/// Checks the request's signature.
///
/// # Errors
/// In AWS's words: `SignatureDoesNotMatch`, `InvalidAccessKeyId`, `RequestTimeTooSkewed` and the like.
pub(crate) fn authenticate(core: &GatewayCore, head: &Parts) -> Result<Authenticated, S3Error> {
    let request = RequestParts { method: &head.method, uri: &head.uri, headers: &head.headers };
    let rules = Rules { service: "s3", region: core.settings.region.as_deref() };
    let claim = match Claim::read(request, &rules, core.services.clock.now()).map_err(refusal)? {
        Claim::Anonymous { payload } => {
            return Ok(Authenticated { caller: Caller::Anonymous, payload, chunks: None });
        }
        Claim::Signed(claim) => claim,
    };
    let credentials = Arc::clone(&core.services.credentials.borrow());
    let key = claim.access_key_id();
    let Some(index) = credentials.iter().position(|credential| *credential.access_key_id.0 == *key) else {
        return Err(S3Error::new(ErrorCode::InvalidAccessKeyId).with("AWSAccessKeyId", key));
    };
    let verified = claim.verify(&credentials[index].secret_key, &core.signing_keys).map_err(refusal)?;
    Ok(Authenticated { caller: Caller::Known(credentials, index), payload: verified.payload, chunks: verified.chunks })
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
