//! The other side: signs a request of our own. The verifier's canonical request is used, so both sides agree by
//! construction; the tests of [`crate::Claim`] hold it to AWS's vectors.

use std::borrow::Cow;

use aws_sigv4::sign::v4::calculate_signature;
use http::{HeaderValue, Request, header};
use sha2::{Digest, Sha256};
use types::{AccessKeyId, SecretKey, Timestamp};

use crate::claim::{RequestParts, SignedClaim};
use crate::payload::PayloadHash;
use crate::scope::Scope;
use crate::signing_key::derive;
use crate::time::format_basic;
use crate::verify::push_hex;

/// Who signs, for which service and when.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// The public half of the key.
    pub access_key_id: &'a AccessKeyId,
    /// The secret half.
    pub secret_key: &'a SecretKey,
    /// The region of the scope.
    pub region: &'a str,
    /// The service of the scope.
    pub service: &'a str,
    /// When.
    pub now: Timestamp,
}

impl Signer<'_> {
    /// Signs `request`, whose body is `body`: adds `x-amz-date`, `x-amz-content-sha256` and `authorization`. The request
    /// has its `host` header already.
    ///
    /// # Panics
    /// If a key id or a region has bytes that no header can carry.
    pub fn sign<B>(&self, request: &mut Request<B>, body: &[u8]) {
        let mut hash = String::with_capacity(64);
        push_hex(&mut hash, &Sha256::digest(body).into());
        let date = format_basic(self.now);
        let header = |text: &str| HeaderValue::from_str(text).expect("a signature's fields are visible ASCII");
        request.headers_mut().insert("x-amz-date", header(&date));
        request.headers_mut().insert("x-amz-content-sha256", header(&hash));
        let scope = format!("{}/{}/{}/{}/aws4_request", self.access_key_id, &date[..8], self.region, self.service);
        let signed_headers = "host;x-amz-content-sha256;x-amz-date";
        let claim = SignedClaim {
            request: RequestParts { method: request.method(), uri: request.uri(), headers: request.headers() },
            scope: Scope::parse(Cow::Borrowed(&scope)).expect("made of five parts"),
            signed_headers: Cow::Borrowed(signed_headers),
            signature: Cow::Borrowed(""),
            timestamp: self.now,
            timestamp_text: Cow::Borrowed(&date),
            payload_line: &hash,
            payload: PayloadHash::Unsigned,
            presigned: false,
        };
        let key = derive(self.secret_key, &claim.scope, self.now);
        let signature = calculate_signature(key, claim.string_to_sign(&claim.canonical_request()).as_bytes());
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={scope},SignedHeaders={signed_headers},Signature={signature}");
        request.headers_mut().insert(header::AUTHORIZATION, header(&authorization));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Claim, Rules, SigningKeys};

    #[test]
    fn what_is_signed_here_verifies_here() {
        let (key, secret) = (AccessKeyId("key".into()), SecretKey("secret".into()));
        let now = Timestamp::from_seconds(1_700_000_000);
        let mut request = Request::post("/v1/scrub?a=b").header("host", "localhost:9001").body(()).unwrap();
        Signer { access_key_id: &key, secret_key: &secret, region: "us-east-1", service: "s3", now }
            .sign(&mut request, b"x");
        let parts = RequestParts { method: request.method(), uri: request.uri(), headers: request.headers() };
        let claim = Claim::read(parts, &Rules { service: "s3", region: None, version2: false }, now).unwrap();
        let Claim::Signed(claim) = claim else { panic!("it is signed") };
        assert!(claim.verify(&secret, &SigningKeys::new()).is_ok());
        assert!(claim.verify(&SecretKey("other".into()), &SigningKeys::new()).is_err());
    }
}
