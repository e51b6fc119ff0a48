//! What is refused without asking for a secret, each in AWS's words.

#![allow(clippy::unwrap_used, reason = "a test says by panicking what went wrong")]

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use sigv4::{AuthCode, AuthError, Claim, PayloadHash, RequestParts, Rules};
use types::Timestamp;

const SIGNED_AT: u64 = 1_369_353_600;
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=KEY/20130524/eu-west-1/s3/aws4_request, \
    SignedHeaders=host;x-amz-date, Signature=aa";
const HEADERS: [(&str, &str); 3] =
    [("host", "localhost"), ("x-amz-date", "20130524T000000Z"), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")];

fn read_with(uri: &str, headers: &[(&str, &str)], region: Option<&str>, now: u64) -> Result<PayloadHash, AuthError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    let uri: Uri = uri.parse().unwrap();
    let parts = RequestParts { method: &Method::GET, uri: &uri, headers: &map };
    Claim::read(parts, &Rules { service: "s3", region, version2: false }, Timestamp::from_seconds(now))
        .map(|claim| claim.payload())
}

fn read(more: &[(&str, &str)]) -> Result<PayloadHash, AuthError> {
    let headers: Vec<_> = HEADERS.iter().chain(more).copied().collect();
    read_with("/bucket/key", &headers, None, SIGNED_AT)
}

fn refused(authorization: &str) -> (AuthCode, String) {
    let error = read(&[("authorization", authorization)]).unwrap_err();
    (error.code, error.message.into_owned())
}

#[test]
fn nobody_signed_is_anonymous() {
    assert_eq!(read(&[]).unwrap(), PayloadHash::Unsigned);
    let signed_chunks = [("host", "h"), ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")];
    assert_eq!(read_with("/", &signed_chunks, None, 0).unwrap_err().code, AuthCode::InvalidRequest);
    let trailer = [("host", "h"), ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")];
    assert_eq!(read_with("/", &trailer, None, 0).unwrap(), PayloadHash::StreamingUnsignedTrailer);
}

#[test]
fn a_whole_header_is_read() {
    assert_eq!(read(&[("authorization", AUTHORIZATION)]).unwrap(), PayloadHash::Unsigned);
    let dense = AUTHORIZATION.replace(", ", ",");
    assert_eq!(read(&[("authorization", &dense)]).unwrap(), PayloadHash::Unsigned);
}

#[test]
fn broken_headers_are_named() {
    let malformed = |what: &str, with: &str, words: &str| {
        let (code, message) = refused(&AUTHORIZATION.replace(what, with));
        assert_eq!(code, AuthCode::AuthorizationHeaderMalformed, "{with}");
        assert_eq!(message, format!("The authorization header is malformed; {words}"));
    };
    let credential = "KEY/20130524/eu-west-1/s3/aws4_request";
    let expecting = "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".";
    malformed(credential, "KEY", expecting);
    malformed("KEY/", "/", expecting);
    malformed(
        "Credential=",
        "Credential:",
        &format!("the authorization component \"Credential:{credential}\" is malformed."),
    );
    malformed(&format!("Credential={credential}, "), "", "missing Credential.");
    malformed(", Signature=aa", "", "missing Signature.");
    malformed("SignedHeaders=host;x-amz-date", "SignedHeaders=", "missing SignedHeaders.");
    malformed(
        "20130524",
        "2013-05-24",
        "incorrect date format \"2013-05-24\". This date in the credential must be in the format \"yyyyMMdd\".",
    );
    malformed(
        "20130524",
        "20130523",
        "Invalid credential date \"20130523\". This date is not the same as X-Amz-Date: \"20130524\".",
    );
    malformed("/s3/", "/ec2/", "incorrect service \"ec2\". This endpoint belongs to \"s3\".");
    malformed("aws4_request", "aws4", "incorrect terminal \"aws4\". This endpoint uses \"aws4_request\".");
}

#[test]
fn other_mechanisms_are_refused() {
    assert_eq!(refused("AWS KEY:signature").0, AuthCode::InvalidRequest);
    assert_eq!(refused("Bearer token"), (AuthCode::InvalidArgument, "Unsupported Authorization Type".to_owned()));
    assert_eq!(refused("AWS4-HMAC-SHA256").0, AuthCode::InvalidArgument);
    let old = read_with("/b/k?AWSAccessKeyId=K&Signature=s&Expires=1", &HEADERS, None, SIGNED_AT).unwrap_err();
    assert_eq!(old.code, AuthCode::InvalidRequest);
}

#[test]
fn two_credentials_are_refused() {
    let both = [HEADERS.as_slice(), &[("authorization", AUTHORIZATION)]].concat();
    for uri in ["/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256", "/b/k?Signature=x&AWSAccessKeyId=y"] {
        let error = read_with(uri, &both, None, SIGNED_AT).unwrap_err();
        assert_eq!(error.code, AuthCode::InvalidArgument);
        assert!(error.message.starts_with("Only one auth mechanism allowed"), "{}", error.message);
    }
    let twice = read(&[("authorization", AUTHORIZATION), ("authorization", AUTHORIZATION)]).unwrap_err();
    assert_eq!(twice.code, AuthCode::InvalidArgument);
}

#[test]
fn headers_that_must_be_signed_are_named() {
    let error = read(&[("authorization", AUTHORIZATION), ("x-amz-acl", "private"), ("x-amz-meta-a", "b")]).unwrap_err();
    assert_eq!(
        (error.code, &*error.message),
        (AuthCode::AccessDenied, "There were headers present in the request which were not signed")
    );
    assert_eq!(error.fields, [("HeadersNotSigned", "x-amz-acl, x-amz-meta-a".to_owned())]);
    let error = read(&[("authorization", &AUTHORIZATION.replace("host;", ""))]).unwrap_err();
    assert_eq!(error.fields, [("HeadersNotSigned", "host".to_owned())]);
}

#[test]
fn clocks_may_be_a_quarter_of_an_hour_apart() {
    let at = |now: u64| {
        let headers = [HEADERS.as_slice(), &[("authorization", AUTHORIZATION)]].concat();
        read_with("/b/k", &headers, None, now).map_err(|error| error.code)
    };
    assert!(at(SIGNED_AT + 900).is_ok() && at(SIGNED_AT - 900).is_ok());
    assert_eq!(at(SIGNED_AT + 901), Err(AuthCode::RequestTimeTooSkewed));
    assert_eq!(at(SIGNED_AT - 901), Err(AuthCode::RequestTimeTooSkewed));
}

#[test]
fn times_and_payloads_must_be_there() {
    let with = |headers: &[(&str, &str)]| read_with("/b/k", headers, None, SIGNED_AT).unwrap_err();
    let authorization = ("authorization", AUTHORIZATION);
    let error = with(&[HEADERS[0], HEADERS[2], authorization]);
    assert_eq!(
        (error.code, &*error.message),
        (AuthCode::AccessDenied, "AWS authentication requires a valid Date or x-amz-date header")
    );
    let error = with(&[HEADERS[0], HEADERS[1], authorization]);
    assert_eq!(&*error.message, "Missing required header for this request: x-amz-content-sha256");
    let error = with(&[HEADERS[0], HEADERS[1], ("x-amz-content-sha256", "nonsense"), authorization]);
    assert_eq!(error.code, AuthCode::InvalidArgument);
    let error = with(&[HEADERS[0], HEADERS[1], HEADERS[2], ("x-amz-security-token", "t"), authorization]);
    assert_eq!(error.code, AuthCode::InvalidToken);
}

#[test]
fn a_configured_region_is_the_only_one() {
    let headers = [HEADERS.as_slice(), &[("authorization", AUTHORIZATION)]].concat();
    assert!(read_with("/b/k", &headers, Some("eu-west-1"), SIGNED_AT).is_ok());
    let error = read_with("/b/k", &headers, Some("us-east-1"), SIGNED_AT).unwrap_err();
    let words = "The authorization header is malformed; the region 'eu-west-1' is wrong; expecting 'us-east-1'";
    assert_eq!((&*error.message, &*error.fields), (words, &[("Region", "us-east-1".to_owned())][..]));
}
