//! The examples that AWS publishes: S3 API reference, "Authenticating Requests (AWS Signature Version 4)".

#![allow(clippy::unwrap_used, reason = "a test says by panicking what went wrong")]

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use sha2::{Digest, Sha256};
use sigv4::{AuthCode, AuthError, ChunkSigner, Claim, EMPTY_SHA256, PayloadHash, RequestParts, Rules, SigningKeys};
use types::{SecretKey, Timestamp};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const CREDENTIAL: &str = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";
const SIGNED_AT: u64 = 1_369_353_600;
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const RULES: Rules<'static> = Rules { service: "s3", region: None, version2: false };

struct Example {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Example {
    fn new(method: Method, uri: &str, host: &str, headers: &[(&'static str, &str)]) -> Self {
        let mut map = HeaderMap::new();
        for (name, value) in [("host", host)].iter().chain(headers) {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        Self { method, uri: uri.parse().unwrap(), headers: map }
    }

    fn signed(mut self, signed_headers: &str, signature: &str) -> Self {
        let value =
            format!("AWS4-HMAC-SHA256 Credential={CREDENTIAL},SignedHeaders={signed_headers},Signature={signature}");
        self.headers.insert("authorization", HeaderValue::from_str(&value).unwrap());
        self
    }

    fn parts(&self) -> RequestParts<'_> {
        RequestParts { method: &self.method, uri: &self.uri, headers: &self.headers }
    }

    fn verify_at(&self, now: u64, secret: &str) -> Result<(PayloadHash, Option<ChunkSigner>), AuthError> {
        let claim = match Claim::read(self.parts(), &RULES, Timestamp::from_seconds(now))? {
            Claim::Signed(claim) => claim,
            Claim::Anonymous { .. } | Claim::Version2(_) => panic!("every example is signed by version 4"),
        };
        assert_eq!(claim.access_key_id(), "AKIAIOSFODNN7EXAMPLE");
        let keys = SigningKeys::new();
        let first = claim.verify(&SecretKey(secret.into()), &keys)?;
        // The second time the key is a kept one.
        claim.verify(&SecretKey(secret.into()), &keys)?;
        Ok((first.payload, first.chunks))
    }

    fn verify(&self) -> Result<(PayloadHash, Option<ChunkSigner>), AuthError> {
        self.verify_at(SIGNED_AT, SECRET)
    }
}

fn get_object() -> Example {
    Example::new(
        Method::GET,
        "/test.txt",
        "examplebucket.s3.amazonaws.com",
        &[("range", "bytes=0-9"), ("x-amz-content-sha256", EMPTY), ("x-amz-date", "20130524T000000Z")],
    )
    .signed(
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    )
}

#[test]
fn get_object_is_true() {
    assert_eq!(get_object().verify().unwrap().0, PayloadHash::Sha256(EMPTY_SHA256));
}

#[test]
fn put_object_is_true() {
    let hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    let signature = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";
    // The `$` of the example may come encoded or not.
    for uri in ["/test$file.text", "/test%24file.text"] {
        let example = Example::new(
            Method::PUT,
            uri,
            "examplebucket.s3.amazonaws.com",
            &[
                ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                ("x-amz-date", "20130524T000000Z"),
                ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                ("x-amz-content-sha256", hash),
            ],
        );
        let example = example.signed("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", signature);
        let expected = PayloadHash::Sha256(Sha256::digest("Welcome to Amazon S3.").into());
        assert_eq!(example.verify().unwrap().0, expected);
    }
}

#[test]
fn bucket_lifecycle_and_list_are_true() {
    let headers = [("x-amz-content-sha256", EMPTY), ("x-amz-date", "20130524T000000Z")];
    for (uri, signature) in [
        ("/?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("/?max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
        ("/?prefix=J&max-keys=2", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ] {
        let example = Example::new(Method::GET, uri, "examplebucket.s3.amazonaws.com", &headers);
        example.signed("host;x-amz-content-sha256;x-amz-date", signature).verify().unwrap();
    }
}

const PRESIGNED: &str = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
    &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
    &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
    &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";

fn presigned(uri: &str) -> Example {
    Example::new(Method::GET, uri, "examplebucket.s3.amazonaws.com", &[])
}

#[test]
fn a_presigned_url_is_true_until_it_expires() {
    assert_eq!(presigned(PRESIGNED).verify().unwrap().0, PayloadHash::Unsigned);
    presigned(PRESIGNED).verify_at(SIGNED_AT + 86400, SECRET).unwrap();
    let error = presigned(PRESIGNED).verify_at(SIGNED_AT + 86401, SECRET).unwrap_err();
    assert_eq!((error.code, &*error.message), (AuthCode::AccessDenied, "Request has expired"));
    assert_eq!(error.fields[1], ("Expires", "2013-05-25T00:00:00Z".to_owned()));
    let error = presigned(PRESIGNED).verify_at(SIGNED_AT - 901, SECRET).unwrap_err();
    assert_eq!((error.code, &*error.message), (AuthCode::AccessDenied, "Request is not valid yet"));
}

#[test]
fn a_presigned_url_that_was_changed_is_false() {
    let error = presigned(&PRESIGNED.replace("test.txt", "tesT.txt")).verify().unwrap_err();
    assert_eq!(error.code, AuthCode::SignatureDoesNotMatch);
    let longer = PRESIGNED.replace("86400", "86401");
    assert_eq!(presigned(&longer).verify().unwrap_err().code, AuthCode::SignatureDoesNotMatch);
    for (what, with, words) in [
        ("X-Amz-Expires=86400", "X-Amz-Expires=604801", "X-Amz-Expires must be less than a week"),
        ("X-Amz-Expires=86400", "X-Amz-Expires=-1", "X-Amz-Expires must be non-negative"),
        ("X-Amz-Expires=86400", "X-Amz-Expires=0", "X-Amz-Expires must be greater than or equal to 1"),
        ("X-Amz-Expires=86400", "X-Amz-Expires=soon", "X-Amz-Expires should be a number"),
        ("&X-Amz-Expires=86400", "", "Query-string authentication version 4 requires"),
        ("20130524T000000Z", "yesterday", "X-Amz-Date must be in the ISO8601 Long Format"),
        ("%2Fs3%2F", "%2Fec2%2F", "Error parsing the X-Amz-Credential parameter; incorrect service \"ec2\"."),
        ("aws4_request", "aws5_request", "Error parsing the X-Amz-Credential parameter; incorrect terminal"),
        ("%2Faws4_request", "", "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed"),
        ("=AWS4-HMAC-SHA256", "=AWS9", "X-Amz-Algorithm only supports"),
    ] {
        let error = presigned(&PRESIGNED.replace(what, with)).verify().unwrap_err();
        assert_eq!(error.code, AuthCode::AuthorizationQueryParametersError, "{with}");
        assert!(error.message.starts_with(words), "{with}: {}", error.message);
    }
}

fn chunked(content_sha256: &str, more: &[(&'static str, &str)]) -> Example {
    let headers = [
        ("x-amz-date", "20130524T000000Z"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("x-amz-content-sha256", content_sha256),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"),
    ];
    let headers: Vec<_> = headers.iter().chain(more).copied().collect();
    Example::new(Method::PUT, "/examplebucket/chunkObject.txt", "s3.amazonaws.com", &headers)
}

fn verify_chunks(signer: &mut ChunkSigner, signatures: [&str; 3]) {
    let hash = |bytes: usize| Sha256::digest(vec![b'a'; bytes]).into();
    for (sha256, signature) in [hash(65536), hash(1024), EMPTY_SHA256].iter().zip(signatures) {
        signer.clone().verify_chunk(&hash(1), signature.as_bytes()).unwrap_err();
        signer.verify_chunk(sha256, signature.as_bytes()).unwrap();
    }
}

#[test]
fn chunks_are_true_in_order() {
    let example = chunked("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", &[("content-length", "66824")]).signed(
        "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;\
         x-amz-storage-class",
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    );
    let (payload, signer) = example.verify().unwrap();
    assert_eq!(payload, PayloadHash::StreamingSigned);
    let mut signer = signer.unwrap();
    let signatures = [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ];
    // The second chunk's signature doesn't hold without the first one's.
    let second: [u8; 32] = Sha256::digest(vec![b'a'; 1024]).into();
    signer.clone().verify_chunk(&second, signatures[1].as_bytes()).unwrap_err();
    verify_chunks(&mut signer, signatures);
}

#[test]
fn a_trailer_is_true_after_its_chunks() {
    let trailer = [("x-amz-trailer", "x-amz-checksum-crc32c")];
    let example = chunked("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", &trailer).signed(
        "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;\
         x-amz-trailer",
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    );
    let (payload, signer) = example.verify().unwrap();
    assert_eq!(payload, PayloadHash::StreamingSignedTrailer);
    let mut signer = signer.unwrap();
    verify_chunks(
        &mut signer,
        [
            "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
            "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
            "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
        ],
    );
    let sha256: [u8; 32] = Sha256::digest("x-amz-checksum-crc32c:sOO8/Q==\n").into();
    let signature = b"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435";
    signer.clone().verify_trailer(&EMPTY_SHA256, signature).unwrap_err();
    signer.verify_trailer(&sha256, signature).unwrap();
}

#[test]
fn another_key_or_request_is_false_and_shows_what_was_signed() {
    let error = get_object().verify_at(SIGNED_AT, "another secret").unwrap_err();
    assert_eq!(error.code, AuthCode::SignatureDoesNotMatch);
    let names: Vec<_> = error.fields.iter().map(|(name, _)| *name).collect();
    let expected = [
        "AWSAccessKeyId",
        "StringToSign",
        "SignatureProvided",
        "StringToSignBytes",
        "CanonicalRequest",
        "CanonicalRequestBytes",
    ];
    assert_eq!(names, expected);
    let canonical = "GET\n/test.txt\n\nhost:examplebucket.s3.amazonaws.com\nrange:bytes=0-9\nx-amz-content-sha256:";
    assert!(error.fields[4].1.starts_with(canonical), "{}", error.fields[4].1);
    let mut other = get_object();
    other.headers.insert("range", HeaderValue::from_static("bytes=0-99"));
    assert_eq!(other.verify().unwrap_err().code, AuthCode::SignatureDoesNotMatch);
}
