//! GetObjectAttributes: size, tag, checksum, parts.

use aws_sdk_s3::types::ObjectAttributes;

use super::complete_multipart_upload::{begin, named, part};
use super::raw::request;
use super::{code_of, fresh, put};
use crate::server::Server;

#[tokio::test]
async fn attributes_of_a_plain_object_and_of_an_upload() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    let (tag, _) = put(&client, &bucket, "plain", b"hello").await;
    let ask = |key: &str| {
        let ask = client.get_object_attributes().bucket(&bucket).key(key);
        let ask = ask.object_attributes(ObjectAttributes::ObjectSize).object_attributes(ObjectAttributes::Etag);
        ask.object_attributes(ObjectAttributes::ObjectParts).object_attributes(ObjectAttributes::Checksum).send()
    };
    let plain = ask("plain").await.expect("attributes");
    assert_eq!((plain.object_size(), plain.e_tag()), (Some(5), Some(tag.trim_matches('"'))));
    assert!(plain.checksum().is_some_and(|checksum| checksum.checksum_crc64_nvme().is_some()));
    let upload = begin(&client, &bucket, "parts").await;
    let one = part(&client, &bucket, "parts", &upload, 1, vec![0; 1234]).await;
    let complete = client.complete_multipart_upload().bucket(&bucket).key("parts").upload_id(&upload);
    complete.multipart_upload(named(vec![one])).send().await.expect("completed");
    let uploaded = ask("parts").await.expect("attributes");
    assert_eq!(uploaded.object_size(), Some(1234));
    assert_eq!(uploaded.object_parts().and_then(|parts| parts.total_parts_count()), Some(1));
    assert_eq!(code_of(ask("none").await), "NoSuchKey");
}

#[tokio::test]
async fn only_what_is_asked_for_is_told() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"hello").await;
    let ask = |wanted: &str| {
        let headers = [("x-amz-object-attributes", wanted)];
        request(Server::shared(), "GET", &format!("/{bucket}/k?attributes"), &headers, b"")
    };
    let size = ask("ObjectSize");
    assert_eq!((size.element("ObjectSize"), size.element("ETag"), size.element("Checksum")), (Some("5"), None, None));
    assert!(size.header("last-modified").is_some(), "the time is always told");
    let two = ask("ETag,StorageClass");
    assert_eq!((two.element("StorageClass"), two.element("ObjectSize")), (Some("STANDARD"), None));
    assert!(two.element("ETag").is_some());
    // Not an upload: there are no parts to tell.
    assert_eq!(ask("ObjectParts").element("PartsCount"), None);
    for none in ["", "Color", "ETag,Color"] {
        assert_eq!(ask(none).status, 400, "{none}");
    }
    let bare = request(Server::shared(), "GET", &format!("/{bucket}/k?attributes"), &[], b"");
    assert_eq!(bare.error(), (400, "InvalidRequest"));
}
