//! Authentication of a browser's form: its policy is what is signed (S3 API reference, "Authenticating Requests in
//! Browser-Based Uploads Using POST").

use std::borrow::Cow;

use aws_sigv4::sign::v4::calculate_signature;
use types::{SecretKey, Timestamp};

use crate::claim::{Rules, refuse_token};
use crate::error::{AuthCode, AuthError};
use crate::query_auth::check_scope;
use crate::scope::Scope;
use crate::signing_key::{SigningKeys, derive};
use crate::time::parse_basic;
use crate::verify::is_equal;

/// The fields of a form that say who signed it.
#[derive(Debug, Clone, Copy)]
pub struct FormFields<'a> {
    /// `x-amz-algorithm`
    pub algorithm: &'a str,
    /// `x-amz-credential`
    pub credential: &'a str,
    /// `x-amz-date`
    pub date: &'a str,
    /// `x-amz-signature`
    pub signature: &'a str,
    /// `x-amz-security-token`
    pub token: Option<&'a str>,
    /// `policy`, in base64 as it was sent.
    pub policy: &'a [u8],
}

/// The signature of a form that is well-formed; whether it is true is still open.
#[derive(Debug, Clone)]
pub struct FormClaim<'a> {
    fields: FormFields<'a>,
    scope: Scope<'a>,
    timestamp: Timestamp,
}

impl<'a> FormClaim<'a> {
    /// Checks all that needs no secret. For how long the form may be used its policy says.
    ///
    /// # Errors
    /// [`AuthError`], in AWS's words.
    pub fn read(fields: FormFields<'a>, rules: &Rules<'_>) -> Result<Self, AuthError> {
        if fields.algorithm != "AWS4-HMAC-SHA256" {
            return Err(AuthError::argument(
                "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"",
                "x-amz-algorithm",
                fields.algorithm.as_bytes(),
            ));
        }
        let scope = Scope::parse(Cow::Borrowed(fields.credential)).ok_or_else(|| {
            let words = "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".";
            AuthError::new(
                AuthCode::AuthorizationQueryParametersError,
                format!("Error parsing the X-Amz-Credential parameter; {words}"),
            )
        })?;
        let timestamp = parse_basic(fields.date).ok_or_else(|| {
            let words = "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"";
            AuthError::new(AuthCode::AuthorizationQueryParametersError, words)
        })?;
        check_scope(&scope, rules, fields.date)?;
        refuse_token(fields.token.map(str::as_bytes))?;
        Ok(Self { fields, scope, timestamp })
    }

    /// The public half of the credential.
    pub fn access_key_id(&self) -> &str {
        self.scope.access_key_id()
    }

    /// The region of the scope.
    pub fn region(&self) -> &str {
        self.scope.region()
    }

    /// When it was signed.
    pub const fn signed_at(&self) -> Timestamp {
        self.timestamp
    }

    /// Says whether the holder of `secret` signed this form's policy.
    ///
    /// # Errors
    /// `SignatureDoesNotMatch`.
    pub fn verify(&self, secret: &SecretKey, keys: &SigningKeys) -> Result<(), AuthError> {
        let kept = keys.get(secret, &self.scope);
        let key = kept.unwrap_or_else(|| derive(secret, &self.scope, self.timestamp));
        let signature = calculate_signature(key, self.fields.policy);
        if !is_equal(signature.as_bytes(), self.fields.signature.as_bytes()) {
            let words = "The request signature we calculated does not match the signature you provided. Check your key \
                         and signing method.";
            return Err(AuthError::new(AuthCode::SignatureDoesNotMatch, words)
                .with("AWSAccessKeyId", self.access_key_id())
                .with("StringToSign", String::from_utf8_lossy(self.fields.policy))
                .with("SignatureProvided", self.fields.signature));
        }
        if kept.is_none() {
            keys.keep(secret, &self.scope, key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The policy, keys and signature of AWS's own example ("Example: Browser-Based Upload using HTTP POST").
    const POLICY: &str = "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9";
    const SIGNATURE: &str = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e";

    fn fields() -> FormFields<'static> {
        FormFields {
            algorithm: "AWS4-HMAC-SHA256",
            credential: "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request",
            date: "20151229T000000Z",
            signature: SIGNATURE,
            token: None,
            policy: POLICY.as_bytes(),
        }
    }

    const RULES: Rules<'_> = Rules { service: "s3", region: None, version2: false };

    fn verified(fields: FormFields<'_>) -> Result<(), AuthCode> {
        let claim = FormClaim::read(fields, &RULES).map_err(|error| error.code)?;
        assert_eq!(claim.access_key_id(), "AKIAIOSFODNN7EXAMPLE");
        let secret = SecretKey("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into());
        claim.verify(&secret, &SigningKeys::new()).map_err(|error| error.code)
    }

    #[test]
    fn awss_example_verifies() {
        assert_eq!(verified(fields()), Ok(()));
    }

    #[test]
    fn what_was_not_signed_is_refused() {
        use AuthCode::{
            AuthorizationQueryParametersError as Malformed, InvalidArgument, InvalidToken, SignatureDoesNotMatch,
        };
        let good = fields();
        for (fields, code) in [
            (FormFields { policy: b"e30=", ..good }, SignatureDoesNotMatch),
            (FormFields { signature: "", ..good }, SignatureDoesNotMatch),
            (FormFields { algorithm: "AWS4-HMAC-SHA1", ..good }, InvalidArgument),
            (FormFields { credential: "AKIAIOSFODNN7EXAMPLE", ..good }, Malformed),
            (FormFields { credential: "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/iam/aws4_request", ..good }, Malformed),
            (FormFields { date: "20151230T000000Z", ..good }, Malformed),
            (FormFields { date: "yesterday", ..good }, Malformed),
            (FormFields { token: Some("t"), ..good }, InvalidToken),
        ] {
            assert_eq!(verified(fields), Err(code), "{fields:?}");
        }
    }
}
