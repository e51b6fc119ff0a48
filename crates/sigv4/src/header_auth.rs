//! Authentication by the Authorization header (S3 API reference, "Authenticating Requests: Using the Authorization
//! Header").

use std::borrow::Cow;

use http::{HeaderMap, header};
use types::Timestamp;

use crate::claim::{RequestParts, Rules, SKEW_SECONDS_MAX, SignedClaim};
use crate::claim::{check_signed_headers, payload_header, refuse_token};
use crate::error::{AuthCode, AuthError};
use crate::payload::{PayloadHash, unsupported_mechanism};
use crate::scope::Scope;
use crate::time::{format_basic, format_extended, parse_basic, parse_http_date};

/// Reads a request with this Authorization header.
pub(crate) fn read<'a>(
    request: RequestParts<'a>,
    authorization: &'a [u8],
    rules: &Rules<'_>,
    now: Timestamp,
) -> Result<SignedClaim<'a>, AuthError> {
    let components = Components::parse(authorization)?;
    let scope = Scope::parse(Cow::Borrowed(components.credential)).ok_or_else(|| {
        malformed("the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".")
    })?;
    let (timestamp, timestamp_text) = request_time(request.headers)?;
    check_scope(&scope, rules, &timestamp_text)?;
    refuse_token(request.headers.get("x-amz-security-token").map(|token| token.as_bytes()))?;
    let Some(payload_line) = payload_header(request.headers)? else {
        return Err(AuthError::new(
            AuthCode::InvalidRequest,
            "Missing required header for this request: x-amz-content-sha256",
        ));
    };
    let payload = PayloadHash::parse(payload_line.as_bytes())?;
    if now.seconds().abs_diff(timestamp.seconds()) > SKEW_SECONDS_MAX {
        return Err(AuthError::new(
            AuthCode::RequestTimeTooSkewed,
            "The difference between the request time and the current time is too large.",
        )
        .with("RequestTime", timestamp_text)
        .with("ServerTime", format_extended(now))
        .with("MaxAllowedSkewMilliseconds", (SKEW_SECONDS_MAX * 1000).to_string()));
    }
    check_signed_headers(request.headers, components.signed_headers)?;
    Ok(SignedClaim {
        request,
        scope,
        signed_headers: Cow::Borrowed(components.signed_headers),
        signature: Cow::Borrowed(components.signature),
        timestamp,
        timestamp_text,
        payload_line,
        payload,
        presigned: false,
    })
}

/// The three parts of the header's value.
struct Components<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Components<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, AuthError> {
        let invalid = |message| AuthError::argument(message, "Authorization", value);
        let text = std::str::from_utf8(value).map_err(|_| invalid("Unsupported Authorization Type"))?;
        let Some((algorithm, rest)) = text.trim().split_once(' ') else {
            return Err(invalid("Authorization header is invalid -- one and only one ' ' (space) required."));
        };
        match algorithm {
            "AWS4-HMAC-SHA256" => {}
            "AWS" | "AWS4-ECDSA-P256-SHA256" => return Err(unsupported_mechanism()),
            _ => return Err(invalid("Unsupported Authorization Type")),
        }
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for component in rest.split(',').map(str::trim).filter(|component| !component.is_empty()) {
            let Some((name, value)) = component.split_once('=') else {
                return Err(malformed(&format!("the authorization component \"{component}\" is malformed.")));
            };
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(malformed(&format!("the authorization component \"{component}\" is malformed.")));
            }
        }
        let present = |part: Option<&'a str>, name: &str| {
            part.filter(|part| !part.is_empty()).ok_or_else(|| malformed(&format!("missing {name}.")))
        };
        Ok(Self {
            credential: present(credential, "Credential")?,
            signed_headers: present(signed_headers, "SignedHeaders")?,
            signature: present(signature, "Signature")?,
        })
    }
}

/// The time of the request, and its text in the string to sign.
fn request_time(headers: &HeaderMap) -> Result<(Timestamp, Cow<'_, str>), AuthError> {
    let value = headers.get("x-amz-date").or_else(|| headers.get(header::DATE));
    let text = value.and_then(|value| value.to_str().ok()).map(str::trim);
    let read = |text| match parse_basic(text) {
        Some(at) => Some((at, Cow::Borrowed(text))),
        None => parse_http_date(text).map(|at| (at, Cow::Owned(format_basic(at)))),
    };
    text.and_then(read).ok_or_else(|| {
        AuthError::new(AuthCode::AccessDenied, "AWS authentication requires a valid Date or x-amz-date header")
    })
}

fn check_scope(scope: &Scope<'_>, rules: &Rules<'_>, timestamp_text: &str) -> Result<(), AuthError> {
    let date = scope.date();
    if date.len() != 8 || !date.bytes().all(|byte| byte.is_ascii_digit()) {
        let words = "This date in the credential must be in the format \"yyyyMMdd\".";
        return Err(malformed(&format!("incorrect date format \"{date}\". {words}")));
    }
    if scope.terminal() != "aws4_request" {
        let terminal = scope.terminal();
        return Err(malformed(&format!("incorrect terminal \"{terminal}\". This endpoint uses \"aws4_request\".")));
    }
    if scope.service() != rules.service {
        let (service, expected) = (scope.service(), rules.service);
        return Err(malformed(&format!("incorrect service \"{service}\". This endpoint belongs to \"{expected}\".")));
    }
    if let Some(expected) = rules.region.filter(|expected| *expected != scope.region()) {
        let words = format!("the region '{}' is wrong; expecting '{expected}'", scope.region());
        return Err(malformed(&words).with("Region", expected));
    }
    if !timestamp_text.starts_with(date) {
        let words = format!("Invalid credential date \"{date}\". This date is not the same as X-Amz-Date: ");
        return Err(malformed(&format!("{words}\"{}\".", timestamp_text.get(..8).unwrap_or_default())));
    }
    Ok(())
}

fn malformed(words: &str) -> AuthError {
    let message = format!("The authorization header is malformed; {words}");
    AuthError::new(AuthCode::AuthorizationHeaderMalformed, message)
}
