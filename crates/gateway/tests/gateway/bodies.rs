//! Bodies of all forms, and that a broken one leaves nothing behind.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use platform::{Entropy, SeededEntropy};
use tokio::io::AsyncWriteExt;

use crate::client::{Chunks, Client, Payload, read_answer};
use crate::world::World;

fn noise(bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    SeededEntropy::new(bytes as u64).fill(&mut noise);
    noise
}

fn crc32(bytes: &[u8]) -> String {
    STANDARD.encode(crc32fast::hash(bytes).to_be_bytes())
}

/// That nothing is stored under the key.
async fn is_absent(client: &mut Client, target: &str) -> bool {
    client.get(target).await.status == 404
}

#[tokio::test]
async fn whole_bodies_are_stored_and_read_back() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    for bytes in [0, 1, 4096, 4097, 65_537, 1 << 20, (5 << 20) + 3] {
        let body = noise(bytes);
        let answer = client.put("/bucket/key", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("etag").unwrap(), format!("\"{}\"", hex::encode(Md5::digest(&body))));
        let read = client.get("/bucket/key").await;
        assert_eq!(read.header("content-length").unwrap(), bytes.to_string());
        assert!(read.body == body, "{bytes} bytes");
    }
}

#[tokio::test]
async fn signed_chunks_of_any_size_are_stored() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    for (bytes, chunk_bytes) in [(0, 8192), (5, 65_536), (200_000, 8192), (3 << 20, 65_536), (3 << 20, 2 << 20)] {
        let plain = noise(bytes);
        let chunks = Chunks { plain: &plain, chunk_bytes, is_signed: true, trailer: None, headers: &[] };
        let (signed, body) = client.sign_chunks("/bucket/key", &chunks);
        let answer = client.exchange(&signed, &body).await;
        assert_eq!(answer.status, 200, "{bytes} in {chunk_bytes}: {}", answer.text());
        assert!(client.get("/bucket/key").await.body == plain);
    }
}

#[tokio::test]
async fn trailers_signed_or_not_bring_the_checksum() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    let plain = noise(200_000);
    let crc = crc32(&plain);
    for is_signed in [true, false] {
        let trailer = Some(("x-amz-checksum-crc32", crc.as_str()));
        let headers = [("content-encoding", "aws-chunked"), ("x-amz-sdk-checksum-algorithm", "CRC32")];
        let chunks = Chunks { plain: &plain, chunk_bytes: 65_536, is_signed, trailer, headers: &headers };
        let (signed, body) = client.sign_chunks("/bucket/key", &chunks);
        let answer = client.exchange(&signed, &body).await;
        assert_eq!((answer.status, answer.header("x-amz-checksum-crc32")), (200, Some(crc.as_str())));
        let read = client.send("GET", "/bucket/key", &[("x-amz-checksum-mode", "ENABLED")], b"").await;
        assert_eq!(read.header("x-amz-checksum-crc32"), Some(crc.as_str()));
        assert_eq!(read.header("content-encoding"), None, "aws-chunked describes the transfer alone");
        assert!(read.body == plain);
    }
}

#[tokio::test]
async fn a_wrong_chunk_signature_leaves_nothing_behind() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    let plain = noise(500_000);
    let chunks = Chunks { plain: &plain, chunk_bytes: 65_536, is_signed: true, trailer: None, headers: &[] };
    // A byte of the first chunk, one in the middle, a digit of the last signature.
    for at in [200, 250_000, 500_795] {
        let (signed, mut body) = client.sign_chunks("/bucket/key", &chunks);
        body[at] = if body[at] == b'1' { b'2' } else { b'1' };
        let answer = client.exchange(&signed, &body).await;
        assert_eq!(answer.error(), (403, "SignatureDoesNotMatch".to_owned()), "byte {at}");
        assert!(is_absent(&mut client, "/bucket/key").await);
    }
}

#[tokio::test]
async fn wrong_digests_leave_nothing_behind() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    for bytes in [10, 100_000] {
        let body = noise(bytes);
        let wrong_md5 = STANDARD.encode([1; 16]);
        let wrong_crc = STANDARD.encode([1; 4]);
        for (header, code) in [
            (("content-md5", wrong_md5.as_str()), "BadDigest"),
            (("content-md5", "short"), "InvalidDigest"),
            (("x-amz-checksum-crc32", wrong_crc.as_str()), "BadDigest"),
            (("x-amz-checksum-crc32", "short"), "InvalidRequest"),
        ] {
            let answer = client.send("PUT", "/bucket/key", &[header], &body).await;
            assert_eq!(answer.error(), (400, code.to_owned()), "{header:?}");
        }
        let other = noise(bytes + 1)[1..].to_vec();
        let length = bytes.to_string();
        let signed = client.sign("PUT", "/bucket/key", &[], &Payload::Whole(&body)).with("content-length", &length);
        let answer = client.exchange(&signed, &other).await;
        assert_eq!(answer.error(), (400, "XAmzContentSHA256Mismatch".to_owned()));

        let trailer = Some(("x-amz-checksum-crc32", wrong_crc.as_str()));
        let chunks = Chunks { plain: &body, chunk_bytes: 65_536, is_signed: false, trailer, headers: &[] };
        let (signed, chunked) = client.sign_chunks("/bucket/key", &chunks);
        assert_eq!(client.exchange(&signed, &chunked).await.error(), (400, "BadDigest".to_owned()));
        assert!(is_absent(&mut client, "/bucket/key").await);
    }
    let right = STANDARD.encode(Md5::digest(b"body"));
    assert_eq!(client.send("PUT", "/bucket/key", &[("content-md5", &right)], b"body").await.status, 200);
}

#[tokio::test]
async fn short_bodies_leave_nothing_behind() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    for bytes in [10, 100_000] {
        let signed = client.sign("PUT", "/bucket/key", &[], &Payload::Unsigned);
        let signed = signed.with("content-length", &(bytes + 1).to_string());
        let mut stream = client.connect().await;
        stream.write_all(&signed.head()).await.unwrap();
        stream.write_all(&noise(bytes)).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(read_answer(&mut stream, false).await.error(), (400, "IncompleteBody".to_owned()));

        let plain = noise(bytes);
        let chunks = Chunks { plain: &plain, chunk_bytes: 65_536, is_signed: true, trailer: None, headers: &[] };
        let (mut signed, body) = client.sign_chunks("/bucket/key", &chunks);
        let cut = &body[..body.len() - 100];
        signed.headers.last_mut().unwrap().1 = cut.len().to_string();
        assert_eq!(client.exchange(&signed, cut).await.error(), (400, "IncompleteBody".to_owned()));
        assert!(is_absent(&mut client, "/bucket/key").await);
    }
}

#[tokio::test]
async fn http_chunks_are_taken_and_a_missing_length_is_not() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    let signed = client.sign("PUT", "/bucket/key", &[], &Payload::Unsigned);
    let chunked = signed.clone().with("transfer-encoding", "chunked");
    let answer = client.exchange(&chunked, b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(client.get("/bucket/key").await.body, b"hello world");
    assert_eq!(client.exchange(&signed, b"").await.error(), (411, "MissingContentLength".to_owned()));
    let broken = client.exchange(&chunked, b"5\r\nhello\r\nxyz\r\n").await;
    assert_eq!(broken.status, 400);
    assert_eq!(client.get("/bucket/key").await.body, b"hello world");
}

#[tokio::test]
async fn bodies_over_5_gib_are_refused_before_they_are_sent() {
    let (_world, client) = World::with_bucket("bucket").await;
    let signed = client.sign("PUT", "/bucket/key", &[], &Payload::Unsigned).with("content-length", "5368709121");
    assert_eq!(client.exchange(&signed, b"").await.error(), (400, "EntityTooLarge".to_owned()));
}

/// A body is asked for only once its request may have one.
#[tokio::test]
async fn continue_is_said_after_authentication_alone() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    let signed = client.sign("PUT", "/bucket/key", &[], &Payload::Whole(b"hello"));
    let signed = signed.with("content-length", "5").with("expect", "100-continue");
    let mut stream = client.connect().await;
    stream.write_all(&signed.head()).await.unwrap();
    assert_eq!(crate::client::read_one(&mut stream, false).await.unwrap().status, 100);
    stream.write_all(b"hello").await.unwrap();
    assert_eq!(read_answer(&mut stream, false).await.status, 200);

    let mut wrong = signed.clone();
    wrong.target = "/bucket/other".to_owned();
    let mut stream = client.connect().await;
    stream.write_all(&wrong.head()).await.unwrap();
    let answer = crate::client::read_one(&mut stream, false).await.unwrap();
    assert_eq!(answer.error(), (403, "SignatureDoesNotMatch".to_owned()));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(crate::client::ends(&mut stream).await);

    let other = client.sign("PUT", "/bucket/key", &[], &Payload::Whole(b"hello"));
    let other = other.with("content-length", "5").with("expect", "the unexpected");
    assert_eq!(client.exchange(&other, b"hello").await.status, 200);
    assert_eq!(client.get("/bucket/key").await.body, b"hello");
}

/// The client sends on although the answer is there: it must be able to read it.
#[tokio::test]
async fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let (_world, client) = World::with_bucket("bucket").await;
    let bytes = 8 << 20;
    let signed = client.sign("PUT", "/nowhere/key", &[], &Payload::Unsigned);
    let signed = signed.with("content-length", &bytes.to_string());
    let mut stream = client.connect().await;
    stream.write_all(&signed.head()).await.unwrap();
    stream.write_all(&noise(bytes)).await.unwrap();
    let answer = read_answer(&mut stream, false).await;
    assert_eq!(answer.error(), (404, "NoSuchBucket".to_owned()));
    assert_eq!(answer.header("connection"), Some("close"));
}

#[tokio::test]
async fn documents_are_bounded_and_their_digests_compared() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    let long = vec![b' '; (1 << 20) + 1];
    let answer = client.send("PUT", "/bucket?versioning", &[], &long).await;
    assert_eq!(answer.error(), (400, "MaxMessageLengthExceeded".to_owned()));
    let document = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let wrong = STANDARD.encode([1; 16]);
    let answer = client.send("PUT", "/bucket?versioning", &[("content-md5", &wrong)], document).await;
    assert_eq!(answer.error(), (400, "BadDigest".to_owned()));
    let crc = crc32(document);
    let chunks = Chunks {
        plain: document,
        chunk_bytes: 65_536,
        is_signed: false,
        trailer: Some(("x-amz-checksum-crc32", &crc)),
        headers: &[],
    };
    let (signed, body) = client.sign_chunks("/bucket?versioning", &chunks);
    let answer = client.exchange(&signed, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(client.get("/bucket?versioning").await.element("Status").as_deref(), Some("Enabled"));
}

#[tokio::test]
async fn a_trailer_that_was_not_announced_is_refused() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    for (trailer, expected) in [("x-amz-checksum-crc32:AAAAAA==\r\n", 400), ("foo:bar\r\n", 400), ("", 200)] {
        let headers = [("x-amz-decoded-content-length", "5")];
        let signed = client.sign("PUT", "/bucket/key", &headers, &Payload::Named("STREAMING-UNSIGNED-PAYLOAD-TRAILER"));
        let body = format!("5\r\nhello\r\n0\r\n{trailer}\r\n");
        let answer = client.exchange(&signed.with("content-length", &body.len().to_string()), body.as_bytes()).await;
        assert_eq!(answer.status, expected, "{trailer:?}: {}", answer.text());
        if expected == 400 {
            assert_eq!(answer.error().1, "MalformedTrailerError");
            assert_eq!(client.get("/bucket/key").await.status, 404, "nothing is left behind");
        }
    }
}
