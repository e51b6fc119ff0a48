//! Who sent a request: the claim in its headers or query against the credentials that there are.

use std::sync::Arc;

use authz::{Attached, Principal};
use http::request::Parts;
use iam::KeyIdentity;
use s3_wire::{ErrorCode, S3Error, Target};
use sigv4::{
    AuthCode, AuthError, ChunkSigner, Claim, FormClaim, FormFields, PayloadHash, RequestParts, Rules, Version2Form,
    is_equal,
};
use types::{AccessKeyId, Credential, Owner, SecretKey, Timestamp};

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
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) place: SignedIn,
    pub(crate) at: Timestamp,
    pub(crate) version: SignatureVersion,
    /// The region that the signature names; version 2 names none.
    pub(crate) region: Option<Box<str>>,
}

/// By which of AWS's schemes a request was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignatureVersion {
    Two,
    Four,
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
    /// The holder of one of these credentials: a root.
    Root(Arc<[Credential]>, usize),
    /// The holder of an access key.
    Key(Arc<KeyIdentity>),
}

impl Caller {
    /// The account behind the credential.
    pub(crate) fn owner(&self) -> Option<&Owner> {
        match self {
            Self::Anonymous => None,
            Self::Root(credentials, index) => Some(&credentials[*index].owner),
            Self::Key(identity) => Some(identity.owner()),
        }
    }

    /// What their requests are signed with.
    fn secret(&self) -> Option<&SecretKey> {
        match self {
            Self::Anonymous => None,
            Self::Root(credentials, index) => Some(&credentials[*index].secret_key),
            Self::Key(identity) => Some(identity.secret()),
        }
    }

    fn access_key(&self) -> Option<&AccessKeyId> {
        match self {
            Self::Anonymous => None,
            Self::Root(credentials, index) => Some(&credentials[*index].access_key_id),
            Self::Key(identity) => Some(identity.id()),
        }
    }

    fn key(&self) -> Option<&KeyIdentity> {
        if let Self::Key(identity) = self { Some(identity) } else { None }
    }

    /// Their own policies and those of their groups.
    pub(crate) fn policies(&self) -> Vec<Attached<'_>> {
        self.key().map(KeyIdentity::policies).unwrap_or_default()
    }

    /// Their permissions boundary.
    pub(crate) fn boundary(&self) -> Option<Attached<'_>> {
        self.key().and_then(KeyIdentity::boundary)
    }

    /// Whether all that denies or bounds them is known; else nothing may be allowed them.
    pub(crate) fn is_whole(&self) -> bool {
        self.key().is_none_or(KeyIdentity::is_whole)
    }

    /// As `authz` knows it.
    pub(crate) fn principal(&self) -> Principal<'_> {
        match self {
            Self::Anonymous => Principal::Anonymous,
            Self::Root(credentials, index) => Principal::Account(&credentials[*index].owner),
            Self::Key(identity) => identity.principal(),
        }
    }
}

impl Authenticated {
    /// Whether nobody signed it.
    pub(crate) const fn is_nobody(&self) -> bool {
        matches!(self.caller, Caller::Anonymous)
    }

    /// As yet.
    pub(crate) const fn nobody() -> Self {
        Self { caller: Caller::Anonymous, payload: PayloadHash::Unsigned, chunks: None, signed: None }
    }
}

/// Checks the signature of a form's policy.
///
/// # Errors
/// In AWS's words: `SignatureDoesNotMatch`, `InvalidAccessKeyId` and the like.
pub(crate) async fn authenticate_form(core: &GatewayCore, fields: FormFields<'_>) -> Result<Authenticated, S3Error> {
    let claim = FormClaim::read(fields, &rules(core)).map_err(refusal)?;
    let (caller, secret) = caller_of(core, claim.access_key_id()).await?;
    claim.verify(&secret, &core.signing_keys).map_err(refusal)?;
    let signed = Signed {
        place: SignedIn::Form,
        at: claim.signed_at(),
        version: SignatureVersion::Four,
        region: Some(claim.region().into()),
    };
    Ok(Authenticated { caller, signed: Some(signed), ..Authenticated::nobody() })
}

/// Checks the signature of a form's policy by Signature Version 2.
///
/// # Errors
/// Those of [`authenticate_form`].
pub(crate) async fn authenticate_version2_form(
    core: &GatewayCore,
    form: Version2Form<'_>,
) -> Result<Authenticated, S3Error> {
    let (caller, secret) = caller_of(core, form.access_key_id).await?;
    form.verify(&secret).map_err(refusal)?;
    // When it was signed it doesn't say.
    let signed =
        Signed { place: SignedIn::Form, at: core.services.clock.now(), version: SignatureVersion::Two, region: None };
    Ok(Authenticated { caller, signed: Some(signed), ..Authenticated::nobody() })
}

fn rules(core: &GatewayCore) -> Rules<'_> {
    Rules { service: "s3", region: core.settings.region.as_deref(), version2: core.settings.signature_v2 }
}

/// Whom a key stands for, and its secret: by the root credentials, which every process has, else by the index.
///
/// # Errors
/// `InvalidAccessKeyId`, also for a key that does not count; `ServiceUnavailable`.
async fn caller_of(core: &GatewayCore, key: &str) -> Result<(Caller, SecretKey), S3Error> {
    let credentials = Arc::clone(&core.services.credentials.borrow());
    let root = credentials.iter().position(|credential| *credential.access_key_id.0 == *key);
    let caller = match root {
        Some(index) => Caller::Root(credentials, index),
        None => {
            let found = core.services.keys.find(key).await.map_err(|error| {
                tracing::warn!(%error, "an access key could not be looked up");
                S3Error::from(ErrorCode::ServiceUnavailable)
            })?;
            found.map_or(Caller::Anonymous, Caller::Key)
        }
    };
    match caller.secret().cloned() {
        Some(secret) => Ok((caller, secret)),
        None => Err(S3Error::new(ErrorCode::InvalidAccessKeyId).with("AWSAccessKeyId", key)),
    }
}

/// Whom the key of a request that was long on its way stands for now.
///
/// # Errors
/// Those of [`caller_of`]: the key may be gone, or be another's.
pub(crate) async fn still(core: &GatewayCore, caller: &Caller) -> Result<Caller, S3Error> {
    let (Some(key), Some(signed_by)) = (caller.access_key(), caller.secret()) else { return Ok(caller.clone()) };
    let (now, secret) = caller_of(core, &key.0).await?;
    if is_equal(secret.0.as_bytes(), signed_by.0.as_bytes()) {
        return Ok(now);
    }
    Err(S3Error::new(ErrorCode::InvalidAccessKeyId).with("AWSAccessKeyId", &*key.0))
}

/// Checks the request's signature.
///
/// # Errors
/// In AWS's words: `SignatureDoesNotMatch`, `InvalidAccessKeyId`, `RequestTimeTooSkewed` and the like.
pub(crate) async fn authenticate(core: &GatewayCore, head: &Parts, target: &Target) -> Result<Authenticated, S3Error> {
    let request = RequestParts { method: &head.method, uri: &head.uri, headers: &head.headers };
    let claim = match Claim::read(request, &rules(core), core.services.clock.now()).map_err(refusal)? {
        Claim::Anonymous { payload } => {
            return Ok(Authenticated { payload, ..Authenticated::nobody() });
        }
        Claim::Signed(claim) => claim,
        Claim::Version2(claim) => {
            let (caller, secret) = caller_of(core, claim.access_key_id()).await?;
            let host_bucket = target.bucket_text().filter(|_| target.is_virtual_host());
            claim.verify(&secret, host_bucket).map_err(refusal)?;
            let place = if claim.is_presigned() { SignedIn::Query } else { SignedIn::Header };
            let signed = Some(Signed { place, at: claim.signed_at(), version: SignatureVersion::Two, region: None });
            return Ok(Authenticated { caller, payload: claim.payload(), chunks: None, signed });
        }
    };
    let (caller, secret) = caller_of(core, claim.access_key_id()).await?;
    let verified = claim.verify(&secret, &core.signing_keys).map_err(refusal)?;
    let place = if claim.is_presigned() { SignedIn::Query } else { SignedIn::Header };
    Ok(Authenticated {
        caller,
        payload: verified.payload,
        chunks: verified.chunks,
        signed: Some(Signed {
            place,
            at: claim.signed_at(),
            version: SignatureVersion::Four,
            region: Some(claim.region().into()),
        }),
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
