//! What a request claims: who signed it, when, and what of it.

use std::borrow::Cow;

use http::{HeaderMap, Method, Uri, header};
use types::Timestamp;

use crate::error::{AuthCode, AuthError};
use crate::payload::{PayloadHash, unsupported_mechanism};
use crate::scope::Scope;
use crate::version2::Version2Claim;
use crate::{header_auth, query_auth};

/// How far the clocks of client and server may be apart, in seconds.
pub(crate) const SKEW_SECONDS_MAX: u64 = 15 * 60;

/// The bytes of a request that signatures cover.
#[derive(Debug, Clone, Copy)]
pub struct RequestParts<'a> {
    /// The method.
    pub method: &'a Method,
    /// The request's target as it was sent.
    pub uri: &'a Uri,
    /// The headers as they were sent.
    pub headers: &'a HeaderMap,
}

/// What a scope must say.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The route's service: `s3`, `iam`, `sts`.
    pub service: &'a str,
    /// The configured region; `None` takes any.
    pub region: Option<&'a str>,
    /// Whether Signature Version 2 counts, too.
    pub version2: bool,
}

/// Who a request says that it is from.
#[derive(Debug, Clone)]
pub enum Claim<'a> {
    /// Nobody.
    Anonymous {
        /// How the body comes.
        payload: PayloadHash,
    },
    /// The holder of a key.
    Signed(Box<SignedClaim<'a>>),
    /// The holder of a key, by Signature Version 2.
    Version2(Box<Version2Claim<'a>>),
}

/// A signature that is well-formed, in time, and covers what it must; whether it is true is still open.
#[derive(Debug, Clone)]
pub struct SignedClaim<'a> {
    pub(crate) request: RequestParts<'a>,
    pub(crate) scope: Scope<'a>,
    pub(crate) signed_headers: Cow<'a, str>,
    pub(crate) signature: Cow<'a, str>,
    pub(crate) timestamp: Timestamp,
    /// The time as it stands in the string to sign.
    pub(crate) timestamp_text: Cow<'a, str>,
    /// The last line of the canonical request.
    pub(crate) payload_line: &'a str,
    pub(crate) payload: PayloadHash,
    pub(crate) presigned: bool,
}

impl<'a> Claim<'a> {
    /// Takes the request's authentication apart and checks all of it that needs no secret.
    ///
    /// # Errors
    /// [`AuthError`], in AWS's words, when it is broken, of another mechanism, of another scope than `rules` ask for,
    /// out of time at `now`, or when headers that must be signed are not.
    pub fn read(request: RequestParts<'a>, rules: &Rules<'_>, now: Timestamp) -> Result<Self, AuthError> {
        let query = request.uri.query().unwrap_or_default();
        let in_query = query_auth::mechanism(query);
        let mut authorizations = request.headers.get_all(header::AUTHORIZATION).iter();
        match (authorizations.next(), in_query) {
            (None, query_auth::Mechanism::None) => Self::anonymous(request),
            (Some(value), query_auth::Mechanism::None)
                if rules.version2 && value.as_bytes().starts_with(b"AWS ") && authorizations.next().is_none() =>
            {
                Version2Claim::of_header(request, value.as_bytes(), now).map(|claim| Self::Version2(Box::new(claim)))
            }
            (Some(value), query_auth::Mechanism::None) if authorizations.next().is_none() => {
                header_auth::read(request, value.as_bytes(), rules, now).map(|claim| Self::Signed(Box::new(claim)))
            }
            (Some(value), _) => Err(AuthError::argument(
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string \
                 parameter or the Authorization header should be specified",
                "Authorization",
                value.as_bytes(),
            )),
            (None, query_auth::Mechanism::Version2) if rules.version2 => {
                Version2Claim::of_query(request, query, now).map(|claim| Self::Version2(Box::new(claim)))
            }
            (None, query_auth::Mechanism::Version2) => Err(unsupported_mechanism()),
            (None, query_auth::Mechanism::Version4) => {
                query_auth::read(request, query, rules, now).map(|claim| Self::Signed(Box::new(claim)))
            }
        }
    }

    fn anonymous(request: RequestParts<'a>) -> Result<Self, AuthError> {
        let payload = match payload_header(request.headers)? {
            Some(value) => PayloadHash::parse(value.as_bytes())?,
            None => PayloadHash::Unsigned,
        };
        if payload.has_signed_chunks() {
            return Err(AuthError::new(
                AuthCode::InvalidRequest,
                "Anonymous requests don't support this x-amz-content-sha256 value. Please use UNSIGNED-PAYLOAD or \
                 STREAMING-UNSIGNED-PAYLOAD-TRAILER.",
            ));
        }
        Ok(Self::Anonymous { payload })
    }

    /// How the body comes.
    pub fn payload(&self) -> PayloadHash {
        match self {
            Self::Anonymous { payload } => *payload,
            Self::Signed(claim) => claim.payload,
            Self::Version2(claim) => claim.payload(),
        }
    }
}

impl SignedClaim<'_> {
    /// The public half of the credential.
    pub fn access_key_id(&self) -> &str {
        self.scope.access_key_id()
    }

    /// The region of the scope.
    pub fn region(&self) -> &str {
        self.scope.region()
    }

    /// How the body comes.
    pub const fn payload(&self) -> PayloadHash {
        self.payload
    }

    /// Whether it is a presigned URL.
    pub const fn is_presigned(&self) -> bool {
        self.presigned
    }

    /// When it was signed.
    pub const fn signed_at(&self) -> Timestamp {
        self.timestamp
    }
}

/// The value of `x-amz-content-sha256`.
pub(crate) fn payload_header(headers: &HeaderMap) -> Result<Option<&str>, AuthError> {
    let Some(value) = headers.get("x-amz-content-sha256") else { return Ok(None) };
    // A value that isn't ASCII is refused with the words for a broken hash.
    match std::str::from_utf8(value.as_bytes().trim_ascii()) {
        Ok(text) => Ok(Some(text)),
        Err(_) => PayloadHash::parse(value.as_bytes()).map(|_| None),
    }
}

/// Refuses a session token: no session is known.
pub(crate) fn refuse_token(token: Option<&[u8]>) -> Result<(), AuthError> {
    match token {
        Some(token) if !token.is_empty() => {
            Err(AuthError::new(AuthCode::InvalidToken, "The provided token is malformed or otherwise invalid.")
                .with("Token-0", String::from_utf8_lossy(token)))
        }
        _ => Ok(()),
    }
}

/// Checks that `host` and every `x-amz-*` header are among the signed ones; `x-amz-content-sha256` may be missing, for
/// its value is in the canonical request anyway.
pub(crate) fn check_signed_headers(headers: &HeaderMap, signed_headers: &str) -> Result<(), AuthError> {
    let signed = |name: &str| signed_headers.split(';').any(|each| each == name);
    let must_be_signed = |name: &str| name.starts_with("x-amz-") && name != "x-amz-content-sha256";
    let mut missing: Vec<&str> = Vec::new();
    if !signed("host") {
        missing.push("host");
    }
    missing.extend(headers.keys().map(|name| name.as_str()).filter(|name| must_be_signed(name) && !signed(name)));
    if missing.is_empty() {
        return Ok(());
    }
    Err(AuthError::new(AuthCode::AccessDenied, "There were headers present in the request which were not signed")
        .with("HeadersNotSigned", missing.join(", ")))
}
