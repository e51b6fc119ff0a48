//! HeadObject: what GET says, without the bytes.

use aws_sdk_s3::types::ChecksumMode;

use super::status_of;
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
