//! Signature Version 2: HMAC-SHA1 over a few lines of the request ("Signing and authenticating REST requests", S3's
//! developer guide of before 2014), for clients that know nothing newer, where the operator allows it.
//!
//! It covers the method, the path, the sub-resources, the date and every `x-amz-*` header, but neither the body nor the
//! other parameters, and a secret that signs is good for every day and region.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::header::{CONTENT_TYPE, DATE};
use sha1::Sha1;
use types::{SecretKey, Timestamp};

use crate::canonical::{decode_query_text, pairs};
use crate::claim::{RequestParts, SKEW_SECONDS_MAX, payload_header, refuse_token};
use crate::error::{AuthCode, AuthError};
use crate::payload::PayloadHash;
use crate::time::{format_extended, parse_basic, parse_http_date};
use crate::verify::is_equal;

/// The parameters that are part of what is signed: all sub-resources, also those that came after version 2 (clients that
/// do not sign them are refused, for else any URL could be turned to them), and those that change the answer.
const SIGNED_PARAMETERS: [&str; 51] = [
    "abac",
    "accelerate",
    "acl",
    "analytics",
    "annotation",
    "annotationName",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metadataAnnotationTable",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "partNumber",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "retention",
    "select",
    "select-type",
    "session",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

/// A request that says that it is signed by version 2, and is in time; whether it is true is still open.
#[derive(Debug, Clone)]
pub struct Version2Claim<'a> {
    request: RequestParts<'a>,
    access_key_id: Cow<'a, str>,
    signature: Cow<'a, str>,
    /// The line of the date: the header's, nothing where `x-amz-date` stands among the headers, a URL's end.
    date_line: Cow<'a, str>,
    signed_at: Timestamp,
    payload: PayloadHash,
    presigned: bool,
}

impl<'a> Version2Claim<'a> {
    /// Reads a request with this value of its Authorization header.
    pub(crate) fn of_header(request: RequestParts<'a>, value: &'a [u8], now: Timestamp) -> Result<Self, AuthError> {
        let words = "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature";
        let invalid = || AuthError::argument(words, "Authorization", value);
        let text = std::str::from_utf8(value).map_err(|_| invalid())?.trim();
        let credential = text.strip_prefix("AWS ").ok_or_else(invalid)?.trim();
        let (key, signature) = credential.rsplit_once(':').ok_or_else(invalid)?;
        let (signed_at, date_line) = date(request)?;
        if now.seconds().abs_diff(signed_at.seconds()) > SKEW_SECONDS_MAX {
            let words = "The difference between the request time and the current time is too large.";
            return Err(AuthError::new(AuthCode::RequestTimeTooSkewed, words)
                .with("RequestTime", format_extended(signed_at))
                .with("ServerTime", format_extended(now))
                .with("MaxAllowedSkewMilliseconds", (SKEW_SECONDS_MAX * 1000).to_string()));
        }
        Self {
            request,
            access_key_id: key.into(),
            signature: signature.into(),
            date_line,
            signed_at,
            payload: PayloadHash::Unsigned,
            presigned: false,
        }
        .checked()
    }

    /// Reads a presigned URL.
    pub(crate) fn of_query(request: RequestParts<'a>, query: &'a str, now: Timestamp) -> Result<Self, AuthError> {
        let (mut key, mut signature, mut expires) = (None, None, None);
        for (name, value) in pairs(query) {
            let slot = match name {
                "AWSAccessKeyId" => &mut key,
                "Signature" => &mut signature,
                "Expires" => &mut expires,
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(missing());
            }
        }
        let decoded = |value: Option<&'a str>| value.and_then(decode_query_text).ok_or_else(missing);
        let (key, signature, expires) = (decoded(key)?, decoded(signature)?, decoded(expires)?);
        let end =
            expires.parse().map_err(|_| denied(format!("Invalid date (should be seconds since epoch): {expires}")))?;
        if now.seconds() > end {
            return Err(denied("Request has expired")
                .with("Expires", format_extended(Timestamp::from_seconds(end)))
                .with("ServerTime", format_extended(now)));
        }
        Self {
            request,
            access_key_id: key,
            signature,
            date_line: expires,
            // When it was signed it doesn't say.
            signed_at: now,
            payload: PayloadHash::Unsigned,
            presigned: true,
        }
        .checked()
    }

    fn checked(mut self) -> Result<Self, AuthError> {
        refuse_token(self.request.headers.get("x-amz-security-token").map(|token| token.as_bytes()))?;
        if let Some(value) = payload_header(self.request.headers)? {
            self.payload = PayloadHash::parse(value.as_bytes())?;
        }
        if self.payload.has_signed_chunks() {
            let words = "Chunks are signed by AWS4-HMAC-SHA256 alone.";
            return Err(AuthError::new(AuthCode::InvalidRequest, words));
        }
        Ok(self)
    }

    /// The public half of the credential.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// Whether it is a presigned URL.
    pub const fn is_presigned(&self) -> bool {
        self.presigned
    }

    /// When it was signed; of a presigned URL, which doesn't say, when it came.
    pub const fn signed_at(&self) -> Timestamp {
        self.signed_at
    }

    /// How the body comes.
    pub const fn payload(&self) -> PayloadHash {
        self.payload
    }

    /// Says whether the holder of `secret` signed this request. `host_bucket` is the bucket that its host names, if that
    /// is where the bucket's name stands.
    ///
    /// # Errors
    /// `SignatureDoesNotMatch`.
    pub fn verify(&self, secret: &SecretKey, host_bucket: Option<&str>) -> Result<(), AuthError> {
        let text = self.string_to_sign(host_bucket);
        check(secret, &text, &self.access_key_id, &self.signature)
    }

    fn string_to_sign(&self, host_bucket: Option<&str>) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(self.request.method.as_str().as_bytes());
        out.push(b'\n');
        for name in ["content-md5", CONTENT_TYPE.as_str()] {
            out.extend_from_slice(&self.header_or_parameter(name));
            out.push(b'\n');
        }
        out.extend_from_slice(self.date_line.as_bytes());
        out.push(b'\n');
        self.push_amz_headers(&mut out);
        self.push_resource(&mut out, host_bucket);
        out
    }

    /// A header's value; of a presigned URL also a parameter's, where signers put the headers that they sign.
    fn header_or_parameter(&self, name: &str) -> Cow<'_, [u8]> {
        if let Some(value) = self.request.headers.get(name) {
            return Cow::Borrowed(value.as_bytes().trim_ascii());
        }
        let query = self.request.uri.query().filter(|_| self.presigned).unwrap_or_default();
        let value = pairs(query).find(|(each, _)| each.eq_ignore_ascii_case(name)).and_then(|(_, value)| decode(value));
        value.unwrap_or_default()
    }

    /// All `x-amz-*` headers by name, and the parameters of a presigned URL that stand for such.
    fn push_amz_headers(&self, out: &mut Vec<u8>) {
        let mut all: Vec<(String, Cow<'_, [u8]>)> = Vec::new();
        for (name, value) in self.request.headers {
            if name.as_str().starts_with("x-amz-") {
                all.push((name.as_str().to_owned(), Cow::Borrowed(value.as_bytes().trim_ascii())));
            }
        }
        for (name, value) in pairs(self.request.uri.query().filter(|_| self.presigned).unwrap_or_default()) {
            let name = name.to_ascii_lowercase();
            if name.starts_with("x-amz-") && !self.request.headers.contains_key(&name) {
                all.push((name, decode(value).unwrap_or_default()));
            }
        }
        // Values of one name stay in the order in which they were sent.
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut last: Option<String> = None;
        for (name, value) in all {
            if last.as_ref() == Some(&name) {
                out.pop();
                out.push(b',');
            } else {
                out.extend_from_slice(name.as_bytes());
                out.push(b':');
            }
            out.extend_from_slice(&value);
            out.push(b'\n');
            last = Some(name);
        }
    }

    /// Bucket, path as it was sent, and the parameters that count.
    fn push_resource(&self, out: &mut Vec<u8>, host_bucket: Option<&str>) {
        if let Some(bucket) = host_bucket {
            out.push(b'/');
            out.extend_from_slice(bucket.as_bytes());
        }
        out.extend_from_slice(self.request.uri.path().as_bytes());
        let query = self.request.uri.query().unwrap_or_default();
        let mut counting: Vec<_> = query
            .split('&')
            .filter_map(|pair| {
                let (name, value) = pair.split_once('=').map_or((pair, None), |(name, value)| (name, Some(value)));
                SIGNED_PARAMETERS.contains(&name).then_some((name, value))
            })
            .collect();
        counting.sort_by_key(|(name, _)| *name);
        for (at, (name, value)) in counting.into_iter().enumerate() {
            out.push(if at == 0 { b'?' } else { b'&' });
            out.extend_from_slice(name.as_bytes());
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                out.push(b'=');
                out.extend_from_slice(&decode(value).unwrap_or_default());
            }
        }
    }
}

/// The fields of a form that say who signed it by version 2.
#[derive(Debug, Clone, Copy)]
pub struct Version2Form<'a> {
    /// `AWSAccessKeyId`
    pub access_key_id: &'a str,
    /// `signature`
    pub signature: &'a str,
    /// `policy`, in base64 as it was sent: what is signed.
    pub policy: &'a [u8],
}

impl Version2Form<'_> {
    /// Says whether the holder of `secret` signed this form's policy.
    ///
    /// # Errors
    /// `SignatureDoesNotMatch`.
    pub fn verify(&self, secret: &SecretKey) -> Result<(), AuthError> {
        check(secret, self.policy, self.access_key_id, self.signature)
    }
}

fn check(secret: &SecretKey, signed: &[u8], access_key_id: &str, signature: &str) -> Result<(), AuthError> {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.0.as_bytes()).expect("a MAC takes keys of any length");
    mac.update(signed);
    let expected = STANDARD.encode(mac.finalize().into_bytes());
    if is_equal(expected.as_bytes(), signature.as_bytes()) {
        return Ok(());
    }
    let words = "The request signature we calculated does not match the signature you provided. Check your key and \
                 signing method.";
    Err(AuthError::new(AuthCode::SignatureDoesNotMatch, words)
        .with("AWSAccessKeyId", access_key_id)
        .with("StringToSign", String::from_utf8_lossy(signed))
        .with("SignatureProvided", signature))
}

/// When a request was signed, and its line of what is signed.
fn date<'a>(request: RequestParts<'a>) -> Result<(Timestamp, Cow<'a, str>), AuthError> {
    let text = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap_or_default().trim());
    let (value, line) = match (text("x-amz-date"), text(DATE.as_str())) {
        (Some(value), _) => (value, ""),
        (None, Some(value)) => (value, value),
        (None, None) => ("", ""),
    };
    let at = parse_http_date(value).or_else(|| parse_basic(value));
    let words = "AWS authentication requires a valid Date or x-amz-date header";
    at.map(|at| (at, Cow::Borrowed(line))).ok_or_else(|| denied(words))
}

fn decode(value: &str) -> Option<Cow<'_, [u8]>> {
    decode_query_text(value).map(|text| match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    })
}

fn denied(words: impl Into<Cow<'static, str>>) -> AuthError {
    AuthError::new(AuthCode::AccessDenied, words)
}

fn missing() -> AuthError {
    denied("Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters")
}
