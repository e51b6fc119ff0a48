//! `aws_sigv4`'s signer, the one in AWS's SDKs, as the oracle: what it signs is true here, and stops being so when a
//! byte of the request changes.

#![allow(clippy::unwrap_used, reason = "a test says by panicking what went wrong")]

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use http::{HeaderName, HeaderValue, Request};
use proptest::prelude::{Just, Strategy, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use sigv4::{AuthCode, AuthError, Claim, PayloadHash, RequestParts, Rules, SigningKeys};
use types::{SecretKey, Timestamp};

const SECRET: &str = "a secret of some length";

fn settings(location: SignatureLocation) -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.signature_location = location;
    settings.expires_in = (location == SignatureLocation::QueryParams).then_some(Duration::from_secs(600));
    settings
}

/// Signs as the SDK for S3 does.
fn signed(
    location: SignatureLocation,
    method: &str,
    path_and_query: &str,
    headers: &[(String, String)],
    seconds: u64,
) -> Request<()> {
    let uri = format!("http://bucket.localhost:9000{path_and_query}");
    let identity = Credentials::new("the/key", SECRET, None, None, "test").into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region("eu-west-1")
        .name("s3")
        .time(UNIX_EPOCH + Duration::from_secs(seconds))
        .settings(settings(location))
        .build()
        .unwrap()
        .into();
    let body = match location {
        SignatureLocation::QueryParams => SignableBody::UnsignedPayload,
        _ => SignableBody::Bytes(b"body"),
    };
    let names = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let signable = SignableRequest::new(method, uri.as_str(), names, body).unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut request = request.body(()).unwrap();
    instructions.apply_to_request_http1x(&mut request);
    request.headers_mut().insert("host", HeaderValue::from_static("bucket.localhost:9000"));
    request
}

fn verify(request: &Request<()>, seconds: u64) -> Result<PayloadHash, AuthError> {
    let parts = RequestParts { method: request.method(), uri: request.uri(), headers: request.headers() };
    let rules = Rules { service: "s3", region: Some("eu-west-1"), version2: false };
    match Claim::read(parts, &rules, Timestamp::from_seconds(seconds))? {
        Claim::Anonymous { .. } | Claim::Version2(_) => panic!("the request is signed by version 4"),
        Claim::Signed(claim) => {
            assert_eq!(claim.access_key_id(), "the/key");
            Ok(claim.verify(&SecretKey(SECRET.into()), &SigningKeys::new())?.payload)
        }
    }
}

fn escaped() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![
            "[A-Za-z0-9._~-]{1,4}".boxed(),
            "[/]{1,2}".boxed(),
            Just("%20".to_owned()).boxed(),
            Just("%2B".to_owned()).boxed(),
            Just("%C3%A4".to_owned()).boxed(),
            Just("%25".to_owned()).boxed(),
        ],
        0..8,
    )
    .prop_map(|pieces| pieces.concat())
}

fn path_and_query() -> impl Strategy<Value = String> {
    let pair = ("[a-zA-Z-]{1,6}", escaped()).prop_map(|(name, value)| format!("{name}={}", value.replace('/', "%2F")));
    (escaped(), prop::collection::vec(pair, 0..4)).prop_map(|(path, pairs)| match pairs.is_empty() {
        true => format!("/{path}"),
        false => format!("/{path}?{}", pairs.join("&")),
    })
}

fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![
        Just("content-type".to_owned()),
        Just("range".to_owned()),
        Just("x-amz-acl".to_owned()),
        "x-amz-meta-[a-z]{1,4}"
    ];
    prop::collection::vec((name, " {0,2}[!-~]{1,5} {0,3}[!-~]{0,5} {0,2}"), 0..5)
}

proptest! {
    #[test]
    fn what_the_sdk_signs_in_headers_is_true(
        method in prop_oneof![Just("GET"), Just("PUT"), Just("HEAD"), Just("DELETE"), Just("POST")],
        path in path_and_query(),
        headers in headers(),
        seconds in 1_000_000_000_u64..4_000_000_000,
    ) {
        let request = signed(SignatureLocation::Headers, method, &path, &headers, seconds);
        prop_assert!(matches!(verify(&request, seconds + 10), Ok(PayloadHash::Sha256(_))));

        let mut other = request;
        other.headers_mut().insert("x-amz-content-sha256", HeaderValue::from_static("UNSIGNED-PAYLOAD"));
        prop_assert_eq!(verify(&other, seconds).map_err(|error| error.code), Err(AuthCode::SignatureDoesNotMatch));
    }

    #[test]
    fn what_the_sdk_presigns_is_true(
        path in path_and_query(),
        headers in headers(),
        seconds in 1_000_000_000_u64..4_000_000_000,
    ) {
        let request = signed(SignatureLocation::QueryParams, "GET", &path, &headers, seconds);
        prop_assert_eq!(verify(&request, seconds + 600), Ok(PayloadHash::Unsigned));
        prop_assert_eq!(verify(&request, seconds + 601).map_err(|error| error.code), Err(AuthCode::AccessDenied));

        let (mut parts, ()) = request.into_parts();
        parts.uri = format!("{}&more=1", parts.uri).parse().unwrap();
        let other = Request::from_parts(parts, ());
        prop_assert_eq!(verify(&other, seconds).map_err(|error| error.code), Err(AuthCode::SignatureDoesNotMatch));
    }

    #[test]
    fn any_request_is_read_or_refused(
        path in "/[!-~]{0,40}",
        authorization in prop_oneof![
            "[ -~]{0,80}",
            "AWS4-HMAC-SHA256 Credential=[!-~]{0,30}, ?SignedHeaders=[a-z;-]{0,20}, ?Signature=[0-9a-f]{0,70}",
        ],
        date in prop_oneof![Just("20130524T000000Z".to_owned()), "[ -~]{0,20}"],
    ) {
        let Ok(request) = Request::builder().uri(path).header("authorization", authorization).header("x-amz-date", date)
            .header("host", "localhost").header(HeaderName::from_static("x-amz-content-sha256"), "UNSIGNED-PAYLOAD")
            .body(()) else { return Ok(()) };
        let parts = RequestParts { method: request.method(), uri: request.uri(), headers: request.headers() };
        let rules = Rules { service: "s3", region: None, version2: false };
        if let Ok(Claim::Signed(claim)) = Claim::read(parts, &rules, Timestamp::from_seconds(1_369_353_600)) {
            let _ = claim.verify(&SecretKey(SECRET.into()), &SigningKeys::new());
        }
    }

    #[test]
    fn any_query_is_read_or_refused(
        query in "(X-Amz-(Algorithm|Credential|Date|Expires|SignedHeaders|Signature)=[!-~]{0,20}&){0,8}",
    ) {
        let Ok(request) = Request::builder().uri(format!("/b/k?{query}")).header("host", "localhost").body(()) else {
            return Ok(());
        };
        let parts = RequestParts { method: request.method(), uri: request.uri(), headers: request.headers() };
        let rules = Rules { service: "s3", region: None, version2: false };
        if let Ok(Claim::Signed(claim)) = Claim::read(parts, &rules, Timestamp::from_seconds(1_369_353_600)) {
            let _ = claim.verify(&SecretKey(SECRET.into()), &SigningKeys::new());
        }
    }
}
