//! Authentication by query parameters: presigned URLs (S3 API reference, "Authenticating Requests: Using Query
//! Parameters").

use std::borrow::Cow;

use types::Timestamp;

use crate::canonical::{decode_query_text, pairs};
use crate::claim::{RequestParts, Rules, SKEW_SECONDS_MAX, SignedClaim};
use crate::claim::{check_signed_headers, payload_header, refuse_token};
use crate::error::{AuthCode, AuthError};
use crate::payload::{PayloadHash, UNSIGNED, unsupported_mechanism};
use crate::scope::Scope;
use crate::time::{format_extended, parse_basic};

/// The longest that a presigned URL may be valid, in seconds.
const EXPIRES_SECONDS_MAX: i64 = 7 * 24 * 60 * 60;

/// Which mechanism the query's parameters belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    None,
    Version2,
    Version4,
}

/// Looks for the parameters of a signature.
pub(crate) fn mechanism(query: &str) -> Mechanism {
    let mut found = Mechanism::None;
    for (name, _) in pairs(query) {
        match name {
            "X-Amz-Algorithm" | "X-Amz-Signature" | "X-Amz-Credential" => return Mechanism::Version4,
            "AWSAccessKeyId" | "Signature" => found = Mechanism::Version2,
            _ => {}
        }
    }
    found
}

/// The parameters of a presigned URL, still percent-encoded.
#[derive(Default)]
struct Parameters<'a> {
    algorithm: Option<&'a str>,
    credential: Option<&'a str>,
    date: Option<&'a str>,
    expires: Option<&'a str>,
    signed_headers: Option<&'a str>,
    signature: Option<&'a str>,
    token: Option<&'a str>,
}

impl<'a> Parameters<'a> {
    fn find(query: &'a str) -> Result<Self, AuthError> {
        let mut parameters = Self::default();
        for (name, value) in pairs(query) {
            let slot = match name {
                "X-Amz-Algorithm" => &mut parameters.algorithm,
                "X-Amz-Credential" => &mut parameters.credential,
                "X-Amz-Date" => &mut parameters.date,
                "X-Amz-Expires" => &mut parameters.expires,
                "X-Amz-SignedHeaders" => &mut parameters.signed_headers,
                "X-Amz-Signature" => &mut parameters.signature,
                "X-Amz-Security-Token" => &mut parameters.token,
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(missing());
            }
        }
        Ok(parameters)
    }
}

/// Reads a presigned request.
pub(crate) fn read<'a>(
    request: RequestParts<'a>,
    query: &'a str,
    rules: &Rules<'_>,
    now: Timestamp,
) -> Result<SignedClaim<'a>, AuthError> {
    let parameters = Parameters::find(query)?;
    let decoded = |value: Option<&'a str>| value.and_then(decode_query_text).ok_or_else(missing);
    let algorithm = decoded(parameters.algorithm)?;
    if algorithm != "AWS4-HMAC-SHA256" {
        if algorithm == "AWS4-ECDSA-P256-SHA256" {
            return Err(unsupported_mechanism());
        }
        return Err(refused("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256\""));
    }
    let credential = decoded(parameters.credential)?;
    let signature = decoded(parameters.signature)?;
    let timestamp_text = decoded(parameters.date)?;
    let signed_headers = decoded(parameters.signed_headers)?;
    let expires = decoded(parameters.expires)?;
    let scope = Scope::parse(credential).ok_or_else(|| {
        refused(
            "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting \
             \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".",
        )
    })?;
    let timestamp = parse_basic(&timestamp_text)
        .ok_or_else(|| refused("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""))?;
    check_scope(&scope, rules, &timestamp_text)?;
    check_time(timestamp, &expires, now)?;
    let token = parameters.token.and_then(decode_query_text);
    refuse_token(token.as_deref().map(str::as_bytes))?;
    refuse_token(request.headers.get("x-amz-security-token").map(|token| token.as_bytes()))?;
    check_signed_headers(request.headers, &signed_headers)?;
    let (payload, payload_line) = payload(request, &signed_headers)?;
    Ok(SignedClaim {
        request,
        scope,
        signed_headers,
        signature,
        timestamp,
        timestamp_text,
        payload_line,
        payload,
        presigned: true,
    })
}

/// How the body comes, and the canonical request's last line: `UNSIGNED-PAYLOAD` unless the header that says otherwise
/// is itself signed.
fn payload<'a>(request: RequestParts<'a>, signed_headers: &str) -> Result<(PayloadHash, &'a str), AuthError> {
    let Some(value) = payload_header(request.headers)? else { return Ok((PayloadHash::Unsigned, UNSIGNED)) };
    let payload = PayloadHash::parse(value.as_bytes())?;
    let signed = signed_headers.split(';').any(|name| name == "x-amz-content-sha256");
    Ok((payload, if signed { value } else { UNSIGNED }))
}

fn check_time(signed: Timestamp, expires: &str, now: Timestamp) -> Result<(), AuthError> {
    let seconds: i64 = expires.parse().map_err(|_| refused("X-Amz-Expires should be a number"))?;
    if seconds < 0 {
        return Err(refused("X-Amz-Expires must be non-negative"));
    }
    if seconds == 0 {
        return Err(refused("X-Amz-Expires must be greater than or equal to 1"));
    }
    if seconds > EXPIRES_SECONDS_MAX {
        return Err(refused(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than \
             604800 seconds",
        ));
    }
    if signed.seconds() > now.seconds() + SKEW_SECONDS_MAX {
        return Err(AuthError::new(AuthCode::AccessDenied, "Request is not valid yet")
            .with("X-Amz-Date", format_extended(signed))
            .with("ServerTime", format_extended(now)));
    }
    let end = signed.seconds().saturating_add(seconds.unsigned_abs());
    if now.seconds() > end {
        return Err(AuthError::new(AuthCode::AccessDenied, "Request has expired")
            .with("X-Amz-Expires", seconds.to_string())
            .with("Expires", format_extended(Timestamp::from_seconds(end)))
            .with("ServerTime", format_extended(now)));
    }
    Ok(())
}

pub(crate) fn check_scope(scope: &Scope<'_>, rules: &Rules<'_>, timestamp_text: &str) -> Result<(), AuthError> {
    let parsing = |words: String| refused(format!("Error parsing the X-Amz-Credential parameter; {words}"));
    let date = scope.date();
    if date.len() != 8 || !date.bytes().all(|byte| byte.is_ascii_digit()) {
        let words = "This date in the credential must be in the format \"yyyyMMdd\".";
        return Err(parsing(format!("incorrect date format \"{date}\". {words}")));
    }
    if scope.terminal() != "aws4_request" {
        let terminal = scope.terminal();
        return Err(parsing(format!("incorrect terminal \"{terminal}\". This endpoint uses \"aws4_request\".")));
    }
    if scope.service() != rules.service {
        let (service, expected) = (scope.service(), rules.service);
        return Err(parsing(format!("incorrect service \"{service}\". This endpoint belongs to \"{expected}\".")));
    }
    if let Some(expected) = rules.region.filter(|expected| *expected != scope.region()) {
        let words = format!("the region '{}' is wrong; expecting '{expected}'", scope.region());
        return Err(parsing(words).with("Region", expected));
    }
    if !timestamp_text.starts_with(date) {
        let of_header = timestamp_text.get(..8).unwrap_or_default();
        return Err(refused(format!(
            "Invalid credential date \"{date}\". This date is not the same as X-Amz-Date: \"{of_header}\"."
        )));
    }
    Ok(())
}

fn refused(message: impl Into<Cow<'static, str>>) -> AuthError {
    AuthError::new(AuthCode::AuthorizationQueryParametersError, message)
}

fn missing() -> AuthError {
    refused(
        "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, \
         X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
    )
}
