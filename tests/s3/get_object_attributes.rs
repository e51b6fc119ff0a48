//! GetObjectAttributes: size, tag, checksum, parts.

use aws_sdk_s3::types::ObjectAttributes;

use super::complete_multipart_upload::{begin, named, part};
use super::{code_of, put};
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
