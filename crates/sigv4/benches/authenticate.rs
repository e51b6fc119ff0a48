//! What it costs to authenticate a request of warp's: a HEAD signed in headers, a presigned GET, a chunk's signature.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use sigv4::{Claim, EMPTY_SHA256, RequestParts, Rules, SigningKeys};
use types::{SecretKey, Timestamp};

const RULES: Rules<'static> = Rules { service: "s3", region: None, version2: false };
const NOW: Timestamp = Timestamp::from_seconds(1_369_353_600);
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

fn authenticate(uri: &Uri, headers: &HeaderMap, secret: &SecretKey, keys: &SigningKeys) {
    let request = RequestParts { method: &Method::GET, uri, headers };
    let Ok(Claim::Signed(claim)) = Claim::read(black_box(request), &RULES, NOW) else {
        panic!("the request is well-formed")
    };
    black_box(claim.verify(secret, keys)).expect("the signature is AWS's example");
}

fn requests(criterion: &mut Criterion) {
    let (secret, keys) = (SecretKey(SECRET.into()), SigningKeys::new());
    let uri = Uri::from_static("/test.txt");
    let signed = headers(&[
        ("host", "examplebucket.s3.amazonaws.com"),
        ("range", "bytes=0-9"),
        ("user-agent", "MinIO (linux; amd64) minio-go/v7.0.70 warp/1.6.1"),
        ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("x-amz-date", "20130524T000000Z"),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
    ]);
    criterion.bench_function("header", |bencher| bencher.iter(|| authenticate(&uri, &signed, &secret, &keys)));
    let presigned = Uri::from_static(
        "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
         &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
         &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
    );
    let host = headers(&[("host", "examplebucket.s3.amazonaws.com")]);
    criterion.bench_function("presigned", |bencher| bencher.iter(|| authenticate(&presigned, &host, &secret, &keys)));
}

fn chunks(criterion: &mut Criterion) {
    let uri = Uri::from_static("/examplebucket/chunkObject.txt");
    let signed = headers(&[
        ("host", "s3.amazonaws.com"),
        ("x-amz-date", "20130524T000000Z"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"),
        ("content-length", "66824"),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;\
             x-amz-decoded-content-length;x-amz-storage-class,\
             Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        ),
    ]);
    let request = RequestParts { method: &Method::PUT, uri: &uri, headers: &signed };
    let Ok(Claim::Signed(claim)) = Claim::read(request, &RULES, NOW) else { panic!("the request is well-formed") };
    let verified = claim.verify(&SecretKey(SECRET.into()), &SigningKeys::new()).expect("AWS's example is true");
    let mut signer = verified.chunks.expect("the chunks are signed");
    criterion.bench_function("chunk signature", |bencher| {
        // A false signature costs what a true one does.
        bencher.iter(|| signer.verify_chunk(black_box(&EMPTY_SHA256), &[b'0'; 64]).is_err());
    });
}

criterion_group!(benches, requests, chunks);
criterion_main!(benches);
