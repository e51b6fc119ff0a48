//! Checksums of all algorithms: in headers, in trailers, of whole objects and of parts.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedPart, ObjectAttributes};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::complete_multipart_upload::{PART_BYTES, named};
use super::raw::{Answer, Chunks, Connection, request, signed_chunks};
use super::{code_of, fresh, get, put};
use crate::body::body;
use crate::server::Server;

/// The check values of the algorithms' own specifications: of these nine bytes.
const NINE: &[u8] = b"123456789";
const OF_NINE: [(&str, &str, &str); 5] = [
    ("CRC32", "x-amz-checksum-crc32", "y/Q5Jg=="),
    ("CRC32C", "x-amz-checksum-crc32c", "4waSgw=="),
    ("CRC64NVME", "x-amz-checksum-crc64nvme", "rosUhgp5mIg="),
    ("SHA1", "x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
    ("SHA256", "x-amz-checksum-sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
];

/// A client as SDKs are by default: it sends a checksum with everything and checks those that it gets.
fn by_default(client: &Client) -> Client {
    let config = client.config().to_builder();
    Client::from_conf(config.request_checksum_calculation(RequestChecksumCalculation::WhenSupported).build())
}

/// The checksum headers that an answer has.
fn shown(answer: &Answer) -> Vec<(&str, &str)> {
    let headers = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    headers.filter(|(name, _)| name.starts_with("x-amz-checksum-")).collect()
}

#[tokio::test]
async fn a_checksum_of_any_algorithm_is_kept_and_shown_on_demand() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    let mode = [("x-amz-checksum-mode", "ENABLED")];
    for (algorithm, header, value) in OF_NINE {
        let target = format!("/{bucket}/{algorithm}");
        let whole = [(header, value), ("x-amz-checksum-type", "FULL_OBJECT")];
        let stored = request(server, "PUT", &target, &[(header, value)], NINE);
        assert_eq!((stored.status, shown(&stored)), (200, whole.to_vec()), "{}", stored.text());
        for method in ["GET", "HEAD"] {
            assert_eq!(shown(&request(server, method, &target, &mode, b"")), whole, "{method}");
            assert!(shown(&request(server, method, &target, &[], b"")).is_empty(), "{method}, nobody asked");
            let range = [mode[0], ("range", "bytes=1-3")];
            assert!(shown(&request(server, method, &target, &range, b"")).is_empty(), "{method} of a range");
        }
        let attributes = client.get_object_attributes().bucket(&bucket).key(algorithm);
        let attributes = attributes.object_attributes(ObjectAttributes::Checksum).send().await.expect("attributes");
        let checksum = attributes.checksum().expect("a checksum");
        assert_eq!(checksum.checksum_type(), Some(&ChecksumType::FullObject));
        let values = [
            checksum.checksum_crc32(),
            checksum.checksum_crc32_c(),
            checksum.checksum_crc64_nvme(),
            checksum.checksum_sha1(),
            checksum.checksum_sha256(),
        ];
        assert_eq!(values.into_iter().flatten().collect::<Vec<_>>(), [value]);
    }
    let listed = client.list_objects_v2().bucket(&bucket).send().await.expect("LIST");
    for object in listed.contents() {
        let algorithms: Vec<_> = object.checksum_algorithm().iter().map(ChecksumAlgorithm::as_str).collect();
        assert_eq!(algorithms, [object.key().expect("a key")]);
        assert_eq!(object.checksum_type(), Some(&ChecksumType::FullObject));
    }
}

#[tokio::test]
async fn a_wrong_checksum_in_header_or_trailer_leaves_nothing_behind() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    let target = format!("/{bucket}/k");
    let other = body(9, 1);
    for (algorithm, header, value) in OF_NINE {
        let wrong = request(server, "PUT", &target, &[(header, value)], &other);
        assert_eq!(wrong.error(), (400, "BadDigest"), "{algorithm}");
        let words = format!("The {algorithm} you specified did not match the calculated checksum.");
        assert_eq!(wrong.element("Message"), Some(words.as_str()));
        let broken = request(server, "PUT", &target, &[(header, &value[1..])], NINE);
        assert_eq!(broken.error(), (400, "InvalidRequest"), "{algorithm}");
        for is_signed in [true, false] {
            let chunks = Chunks { plain: &other, chunk_bytes: 8192, is_signed, trailer: Some((header, value)) };
            let (signed, body) = signed_chunks(server, &target, &[], &chunks);
            let wrong = Connection::open(server).exchange(&signed.with_body(&body), false);
            assert_eq!(wrong.error(), (400, "BadDigest"), "{algorithm}, signed: {is_signed}");
        }
    }
    let [(_, first, value), (_, second, other_value), ..] = OF_NINE;
    for headers in [
        &[(first, value), (second, other_value)][..],
        &[("x-amz-checksum-md4", "AAAA")],
        &[("x-amz-sdk-checksum-algorithm", "SHA1"), (first, value)],
        &[("x-amz-sdk-checksum-algorithm", "SHA1")],
    ] {
        assert_eq!(request(server, "PUT", &target, headers, NINE).error(), (400, "InvalidRequest"), "{headers:?}");
    }
    assert_eq!(client.list_objects_v2().bucket(&bucket).send().await.expect("LIST").key_count(), Some(0));
}

#[tokio::test]
async fn trailers_bring_checksums_of_any_algorithm() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    for (algorithm, header, value) in OF_NINE {
        for is_signed in [true, false] {
            let target = format!("/{bucket}/{algorithm}-{is_signed}");
            let chunks = Chunks { plain: NINE, chunk_bytes: 8192, is_signed, trailer: Some((header, value)) };
            let announced = [("x-amz-sdk-checksum-algorithm", algorithm)];
            let (signed, body) = signed_chunks(server, &target, &announced, &chunks);
            let stored = Connection::open(server).exchange(&signed.with_body(&body), false);
            assert_eq!((stored.status, stored.header(header)), (200, Some(value)), "{}", stored.text());
            let head = request(server, "HEAD", &target, &[("x-amz-checksum-mode", "ENABLED")], b"");
            assert_eq!((head.header(header), head.header("content-encoding")), (Some(value), None));
            assert_eq!(get(&client, &bucket, &format!("{algorithm}-{is_signed}")).await, NINE);
        }
    }
}

/// What today's SDKs do unless they are told otherwise: a checksum with every upload, in the trailer of a stream, and
/// every download checked.
#[tokio::test]
async fn clients_that_check_everything_are_content() {
    let (client, bucket) = fresh().await;
    let client = by_default(&client);
    let file = tempfile::NamedTempFile::new().expect("a file");
    for (bytes, algorithm) in [
        (0, None),
        (1000, None),
        (300_000, Some(ChecksumAlgorithm::Crc32C)),
        (3_000_000, Some(ChecksumAlgorithm::Crc64Nvme)),
        (3_000_001, Some(ChecksumAlgorithm::Sha1)),
        (70_000, Some(ChecksumAlgorithm::Sha256)),
    ] {
        let sent = body(bytes, 8);
        std::fs::write(file.path(), &sent).expect("written");
        let stream = ByteStream::from_path(file.path()).await.expect("a stream");
        for (key, body) in [("stream", stream), ("memory", sent.clone().into())] {
            let put = client.put_object().bucket(&bucket).key(key).set_checksum_algorithm(algorithm.clone());
            put.body(body).send().await.expect("PUT");
        }
        let checksums = async |key: &str| {
            let head = client.head_object().bucket(&bucket).key(key).checksum_mode(ChecksumMode::Enabled);
            let head = head.send().await.expect("HEAD");
            (
                head.checksum_crc32,
                head.checksum_crc32_c,
                head.checksum_crc64_nvme,
                head.checksum_sha1,
                head.checksum_sha256,
            )
        };
        assert_eq!(checksums("stream").await, checksums("memory").await);
        assert!(get(&client, &bucket, "stream").await == sent && get(&client, &bucket, "memory").await == sent);
    }
}

/// Uploads two parts with the SDK's checksums; answers the upload and what Complete names.
async fn uploaded(
    client: &Client,
    bucket: &str,
    key: &str,
    algorithm: &ChecksumAlgorithm,
) -> (String, Vec<CompletedPart>) {
    let create = client.create_multipart_upload().bucket(bucket).key(key).checksum_algorithm(algorithm.clone());
    let upload = create.send().await.expect("begun").upload_id.expect("an id");
    let mut parts = Vec::new();
    for (number, bytes) in [(1, body(PART_BYTES, 1)), (2, body(100_000, 2))] {
        let part = client.upload_part().bucket(bucket).key(key).upload_id(&upload).part_number(number);
        let part = part.checksum_algorithm(algorithm.clone()).body(bytes.into()).send().await.expect("a part");
        let named = CompletedPart::builder().part_number(number).set_e_tag(part.e_tag);
        let named = named.set_checksum_crc32(part.checksum_crc32).set_checksum_crc32_c(part.checksum_crc32_c);
        let named = named.set_checksum_sha1(part.checksum_sha1).set_checksum_sha256(part.checksum_sha256);
        parts.push(named.set_checksum_crc64_nvme(part.checksum_crc64_nvme).build());
    }
    (upload, parts)
}

#[tokio::test]
async fn a_composite_checksum_is_the_digest_of_the_parts_digests() {
    let (client, bucket) = fresh().await;
    let client = by_default(&client);
    let (upload, parts) = uploaded(&client, &bucket, "k", &ChecksumAlgorithm::Sha256).await;
    let digests: Vec<_> = parts.iter().map(|part| part.checksum_sha256().expect("its checksum").to_owned()).collect();
    let bytes: Vec<u8> = digests.iter().flat_map(|digest| STANDARD.decode(digest).expect("base64")).collect();
    let whole = STANDARD.encode(Sha256::digest(&bytes));
    let composite = format!("{whole}-2");
    let complete = |checksum: &str, parts: Vec<CompletedPart>| {
        let complete = client.complete_multipart_upload().bucket(&bucket).key("k").upload_id(&upload);
        complete.checksum_sha256(checksum).multipart_upload(named(parts)).send()
    };
    let wrong = format!("{}-2", STANDARD.encode([7; 32]));
    assert_eq!(code_of(complete(&wrong, parts.clone()).await), "BadDigest");
    let mut other = parts.clone();
    other[1].checksum_sha256 = Some(digests[0].clone());
    assert_eq!(code_of(complete(&composite, other).await), "InvalidPart");
    let completed = complete(&composite, parts).await.expect("completed");
    assert_eq!(completed.checksum_sha256(), Some(composite.as_str()));
    assert_eq!(completed.checksum_type(), Some(&ChecksumType::Composite));

    let head = client.head_object().bucket(&bucket).key("k").checksum_mode(ChecksumMode::Enabled);
    let head = head.send().await.expect("HEAD");
    assert_eq!(
        (head.checksum_sha256(), head.checksum_type()),
        (Some(composite.as_str()), Some(&ChecksumType::Composite))
    );
    let part = client.get_object().bucket(&bucket).key("k").part_number(2).checksum_mode(ChecksumMode::Enabled);
    let part = part.send().await.expect("GET");
    assert_eq!(part.checksum_sha256(), Some(digests[1].as_str()));
    assert!(part.body.collect().await.expect("it is checked by its own checksum").to_vec() == body(100_000, 2));
    // A range that is exactly the part is answered with its checksum too; another one with none.
    let first_bytes = head.content_length().expect("a length") - 100_000;
    for (first, expected) in [(first_bytes, Some(digests[1].as_str())), (first_bytes + 1, None)] {
        let ranged = client.get_object().bucket(&bucket).key("k").range(format!("bytes={first}-"));
        let ranged = ranged.checksum_mode(ChecksumMode::Enabled).send().await.expect("GET");
        assert_eq!((ranged.checksum_sha256(), ranged.parts_count()), (expected, None));
    }
    let attributes = client.get_object_attributes().bucket(&bucket).key("k");
    let attributes = attributes.object_attributes(ObjectAttributes::Checksum);
    let attributes = attributes.object_attributes(ObjectAttributes::ObjectParts).send().await.expect("attributes");
    // AWS shows it here without the number of parts.
    assert_eq!(attributes.checksum().and_then(|checksum| checksum.checksum_sha256()), Some(whole.as_str()));
    let of_parts = attributes.object_parts().expect("parts").parts();
    let of_parts: Vec<_> = of_parts.iter().filter_map(|part| part.checksum_sha256()).collect();
    assert_eq!(of_parts, digests);
}

#[tokio::test]
async fn composites_of_other_algorithms_are_taken_and_read_back() {
    let (client, bucket) = fresh().await;
    let client = by_default(&client);
    for algorithm in [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32C, ChecksumAlgorithm::Sha1] {
        let (upload, parts) = uploaded(&client, &bucket, algorithm.as_str(), &algorithm).await;
        let complete = client.complete_multipart_upload().bucket(&bucket).key(algorithm.as_str()).upload_id(&upload);
        let completed = complete.multipart_upload(named(parts)).send().await.expect("completed");
        assert_eq!(completed.checksum_type(), Some(&ChecksumType::Composite));
        let values = [completed.checksum_crc32(), completed.checksum_crc32_c(), completed.checksum_sha1()];
        assert!(values.into_iter().flatten().all(|value| value.ends_with("-2")), "{completed:?}");
        let sent = [body(PART_BYTES, 1), body(100_000, 2)].concat();
        assert!(get(&client, &bucket, algorithm.as_str()).await == sent);
    }
}

/// However the bytes came, the checksum of all of them is the same.
#[tokio::test]
async fn a_full_object_checksum_of_parts_is_that_of_the_bytes() {
    let (client, bucket) = fresh().await;
    let client = by_default(&client);
    let sent = [body(PART_BYTES, 1), body(100_000, 2)].concat();
    for algorithm in [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32C, ChecksumAlgorithm::Crc64Nvme] {
        let put = client.put_object().bucket(&bucket).key("put").checksum_algorithm(algorithm.clone());
        let put = put.body(sent.clone().into()).send().await.expect("PUT");
        let create = client.create_multipart_upload().bucket(&bucket).key("k").checksum_algorithm(algorithm.clone());
        let create = create.checksum_type(ChecksumType::FullObject).send().await.expect("begun");
        let upload = create.upload_id.expect("an id");
        let mut parts = Vec::new();
        for (number, bytes) in [(1, &sent[..PART_BYTES]), (2, &sent[PART_BYTES..])] {
            let part = client.upload_part().bucket(&bucket).key("k").upload_id(&upload).part_number(number);
            let part = part.checksum_algorithm(algorithm.clone()).body(bytes.to_vec().into());
            let part = part.send().await.expect("a part");
            parts.push(CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).build());
        }
        let complete = |size: i64| {
            let complete = client.complete_multipart_upload().bucket(&bucket).key("k").upload_id(&upload);
            let complete = complete.set_checksum_crc32(put.checksum_crc32.clone());
            let complete = complete.set_checksum_crc32_c(put.checksum_crc32_c.clone());
            let complete = complete.set_checksum_crc64_nvme(put.checksum_crc64_nvme.clone());
            complete.mpu_object_size(size).multipart_upload(named(parts.clone())).send()
        };
        let size = i64::try_from(sent.len()).expect("small");
        assert_eq!(code_of(complete(size - 1).await), "InvalidRequest");
        let completed = complete(size).await.expect("completed");
        assert_eq!(completed.checksum_type(), Some(&ChecksumType::FullObject));
        assert_eq!(
            (completed.checksum_crc32, completed.checksum_crc32_c, completed.checksum_crc64_nvme),
            (put.checksum_crc32, put.checksum_crc32_c, put.checksum_crc64_nvme)
        );
    }
}

#[tokio::test]
async fn a_copy_keeps_the_checksum_or_gets_the_one_that_is_asked_for() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    let [(_, crc32, of_crc32), .., (_, sha256, of_sha256)] = OF_NINE;
    assert_eq!(request(server, "PUT", &format!("/{bucket}/k"), &[(crc32, of_crc32)], NINE).status, 200);
    let shown_of = |key: &str| {
        let head = request(server, "HEAD", &format!("/{bucket}/{key}"), &[("x-amz-checksum-mode", "ENABLED")], b"");
        (head.header(crc32).map(str::to_owned), head.header(sha256).map(str::to_owned))
    };
    let copy = |key: &str| client.copy_object().bucket(&bucket).key(key).copy_source(format!("{bucket}/k"));
    copy("same").send().await.expect("copied");
    assert_eq!(shown_of("same"), (Some(of_crc32.to_owned()), None));
    let copied = copy("other").checksum_algorithm(ChecksumAlgorithm::Sha256).send().await.expect("copied");
    assert_eq!(copied.copy_object_result().and_then(|result| result.checksum_sha256()), Some(of_sha256));
    assert_eq!(shown_of("other"), (None, Some(of_sha256.to_owned())));
    // Without a client's checksum one is computed, and copied like others.
    put(&client, &bucket, "k", NINE).await;
    copy("computed").send().await.expect("copied");
    let head = request(server, "HEAD", &format!("/{bucket}/computed"), &[("x-amz-checksum-mode", "ENABLED")], b"");
    assert_eq!(head.header(OF_NINE[2].1), Some(OF_NINE[2].2));
}
