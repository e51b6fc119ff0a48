//! HeadObject: what GET says, without the bytes.

use aws_sdk_s3::types::ChecksumMode;

use super::raw::request;
use super::{fresh, put, status_of};
use crate::server::Server;

#[tokio::test]
async fn metadata_headers_and_checksum_come_back() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    let put = client.put_object().bucket(&bucket).key("k").body(b"hello".to_vec().into());
    let put = put.content_type("text/plain").content_language("de").content_encoding("gzip");
    let put = put.metadata("color", "blue").metadata("shape", "round").tagging("a=1&b=2");
    put.send().await.expect("PUT");
    let head = client.head_object().bucket(&bucket).key("k").checksum_mode(ChecksumMode::Enabled);
    let head = head.send().await.expect("HEAD");
    assert_eq!(head.content_length(), Some(5));
    assert_eq!(head.e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""));
    assert_eq!(head.content_type(), Some("text/plain"));
    assert_eq!((head.content_language(), head.content_encoding()), (Some("de"), Some("gzip")));
    let metadata = head.metadata().expect("metadata");
    assert_eq!((metadata["color"].as_str(), metadata["shape"].as_str()), ("blue", "round"));
    assert!(head.last_modified().is_some() && head.accept_ranges() == Some("bytes"));
    assert!(head.checksum_crc64_nvme().is_some(), "without a client's checksum CRC64NVME is kept");
}

#[tokio::test]
async fn a_missing_key_is_404() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    assert_eq!(status_of(client.head_object().bucket(&bucket).key("none").send().await), 404);
}

#[tokio::test]
async fn sub_resources_of_an_object_have_no_head() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"x").await;
    for (query, status) in
        [("?acl", 405), ("?tagging", 405), ("?uploads", 405), ("?partNumber=1", 206), ("?x-id=HeadObject", 200)]
    {
        assert_eq!(
            request(Server::shared(), "HEAD", &format!("/{bucket}/k{query}"), &[], b"").status,
            status,
            "{query}"
        );
    }
}

/// How an object is encrypted is said where it begins; AWS refuses the header everywhere else.
#[tokio::test]
async fn the_header_of_encryption_is_refused_where_nothing_begins() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"x").await;
    let header = [("x-amz-server-side-encryption", "AES256")];
    for (method, target) in [
        ("GET", format!("/{bucket}/k")),
        ("GET", format!("/{bucket}?list-type=2")),
        ("PUT", format!("/{bucket}/k?partNumber=1&uploadId=0")),
        ("POST", format!("/{bucket}/k?uploadId=0")),
        ("DELETE", format!("/{bucket}/k")),
    ] {
        let answer = request(Server::shared(), method, &target, &header, b"");
        assert_eq!(answer.error(), (400, "InvalidArgument"), "{method} {target}");
        let words = "x-amz-server-side-encryption header is not supported for this operation.";
        assert_eq!(answer.element("Message"), Some(words));
    }
    assert_eq!(request(Server::shared(), "HEAD", &format!("/{bucket}/k"), &header, b"").status, 400);
    assert_eq!(request(Server::shared(), "GET", &format!("/{bucket}/k"), &[], b"").body, b"x");
}
