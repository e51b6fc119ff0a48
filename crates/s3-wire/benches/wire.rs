//! What the wire costs: a page of 1000 keys, the head of a GET, taking a HEAD apart, a signed body of 64 KiB chunks.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use s3_wire::chunked::{ChunkDecoder, ChunkedForm};
use s3_wire::complete_multipart_upload::CompleteMultipartUploadRequest;
use s3_wire::get_object::{Content, GetObjectRequest, ObjectAnswer, ObjectFacts, ResponseOverrides};
use s3_wire::list_objects::{ListLine, ListedObject};
use s3_wire::list_objects_v2::{ListObjectsV2Request, answer};
use s3_wire::{BaseDomains, Query, RequestHead, Target};
use types::{ETag, ObjectAttributes, StorageClass, Timestamp};

const AT: Timestamp = Timestamp::from_seconds(1_369_353_600);

fn lists(criterion: &mut Criterion) {
    let keys: Vec<String> = (0..1000).map(|at| format!("some/folder/of/a/bucket/object-{at:08}.bin")).collect();
    let class = StorageClass::default();
    let etag = ETag::of_body([0xab; 16]);
    let lines: Vec<_> = keys
        .iter()
        .map(|key| {
            ListLine::Entry(ListedObject {
                key: key.as_bytes(),
                modified: AT,
                etag,
                size: 123_456_789,
                storage_class: &class,
                checksum: None,
                owner: None,
            })
        })
        .collect();
    for (name, text) in [("list 1000 keys", "list-type=2"), ("list 1000 keys, url", "list-type=2&encoding-type=url")] {
        let target = Target::parse(None, "/bucket", &BaseDomains::new([])).expect("a plain path");
        let query = Query::parse(Some(text)).expect("a plain query");
        let headers = HeaderMap::new();
        let head = RequestHead { method: &Method::GET, target: &target, query: &query, headers: &headers };
        let request = ListObjectsV2Request::parse(&head).expect("a plain request");
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| answer(&request, black_box(&lines), Some("token")).into_body().len());
        });
    }
}

fn heads(criterion: &mut Criterion) {
    let bases = BaseDomains::new(["s3.example.com"]);
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "127.0.0.1:9000"),
        ("user-agent", "MinIO (linux; amd64) minio-go/v7.0.70 warp/1.6.1"),
        ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("x-amz-date", "20130524T000000Z"),
        ("authorization", "AWS4-HMAC-SHA256 Credential=..."),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    criterion.bench_function("read a HEAD", |bencher| {
        bencher.iter(|| {
            let target = Target::parse(Some("127.0.0.1:9000"), "/warp-bucket/abc/def(1).rnd", &bases)?;
            let query = Query::parse(None)?;
            let head = RequestHead { method: &Method::HEAD, target: &target, query: &query, headers: &headers };
            black_box(head.operation()?);
            GetObjectRequest::parse(&head).map(black_box)
        });
    });
    let attributes = ObjectAttributes {
        headers: vec![("content-type".into(), Bytes::from_static(b"application/octet-stream"))],
        metadata: vec![("mtime".into(), Bytes::from_static(b"1369353600"))],
        ..ObjectAttributes::default()
    };
    let (etag, overrides) = (ETag::of_body([0xab; 16]), ResponseOverrides::default());
    let object =
        ObjectFacts { attributes: &attributes, etag: &etag, modified: AT, plain_bytes: 4096, version_id: None };
    let answer =
        ObjectAnswer { object, content: Content::Whole, parts_count: None, checksum: None, overrides: &overrides };
    criterion.bench_function("write the head of an object", |bencher| bencher.iter(|| black_box(&answer).write()));
}

fn bodies(criterion: &mut Criterion) {
    let mut body = Vec::new();
    for _ in 0..16 {
        body.extend_from_slice(format!("10000;chunk-signature={}\r\n", "a".repeat(64)).as_bytes());
        body.resize(body.len() + 65536, 7);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("0;chunk-signature={}\r\n\r\n", "a".repeat(64)).as_bytes());
    let body = Bytes::from(body);
    let mut group = criterion.benchmark_group("aws-chunked");
    group.throughput(Throughput::Bytes(1 << 20));
    group.bench_function("1 MiB in frames of 16 KiB", |bencher| {
        bencher.iter(|| {
            let mut decoder = ChunkDecoder::new(ChunkedForm::Signed, 1 << 20);
            let mut rest = body.clone();
            while !rest.is_empty() {
                let mut frame = rest.split_to(rest.len().min(16384));
                while let Some(event) = decoder.decode(&mut frame).expect("the body is whole") {
                    black_box(event);
                }
            }
            decoder.finish().is_ok()
        });
    });
    group.finish();
    let part = |number: usize| {
        format!("<Part><PartNumber>{number}</PartNumber><ETag>\"5eb63bbbe01eeed093cb22bb8f5acdc3\"</ETag></Part>")
    };
    let parts: String = (1..=1000).map(part).collect();
    let document = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    let target = Target::parse(None, "/bucket/key", &BaseDomains::new([])).expect("a plain path");
    let query = Query::parse(Some("uploadId=000102030405060708090a0b0c0d0e0f")).expect("a plain query");
    let headers = HeaderMap::new();
    let head = RequestHead { method: &Method::POST, target: &target, query: &query, headers: &headers };
    criterion.bench_function("read a Complete of 1000 parts", |bencher| {
        bencher.iter(|| CompleteMultipartUploadRequest::parse(&head, black_box(document.as_bytes())).is_ok());
    });
}

criterion_group!(benches, lists, heads, bodies);
criterion_main!(benches);
