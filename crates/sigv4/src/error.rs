//! Why a request is refused before anyone asks whether it is allowed, in AWS's words.

use std::borrow::Cow;
use std::fmt;

/// The S3 error code of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthCode {
    /// 403: not signed as it must be, or expired.
    AccessDenied,
    /// 400: the Authorization header is broken, or for another region or service.
    AuthorizationHeaderMalformed,
    /// 400: the same of a presigned URL.
    AuthorizationQueryParametersError,
    /// 400: a header with a value that S3 doesn't have, or two credentials at once.
    InvalidArgument,
    /// 400: another mechanism than AWS4-HMAC-SHA256, or a header is missing.
    InvalidRequest,
    /// 400: a session token, and no session is known.
    InvalidToken,
    /// 403: signed too long ago, or in the future.
    RequestTimeTooSkewed,
    /// 403: signed with another key, or something else.
    SignatureDoesNotMatch,
}

/// A refusal: its code, its words, and the elements that AWS adds to the error's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthError {
    /// The code.
    pub code: AuthCode,
    /// The words.
    pub message: Cow<'static, str>,
    /// More elements of the body: name and value, in order.
    pub fields: Vec<(&'static str, String)>,
}

impl AuthError {
    pub(crate) fn new(code: AuthCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), fields: Vec::new() }
    }

    pub(crate) fn with(mut self, field: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((field, value.into()));
        self
    }

    pub(crate) fn argument(message: &'static str, name: &str, value: &[u8]) -> Self {
        Self::new(AuthCode::InvalidArgument, message)
            .with("ArgumentName", name)
            .with("ArgumentValue", String::from_utf8_lossy(value))
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.code, self.message)
    }
}

impl std::error::Error for AuthError {}
