//! CreateMultipartUpload: what it says of the object that will be.

use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, StorageClass};

use super::complete_multipart_upload::{begin, named, part};
use super::raw::request;
use super::{code_of, fresh, get};
use crate::server::Server;

#[tokio::test]
async fn the_object_has_what_its_upload_was_begun_with() {
    let (client, bucket) = fresh().await;
    let create =
        client.create_multipart_upload().bucket(&bucket).key("k").content_type("a/b").cache_control("no-store");
    let create = create.content_disposition("attachment").content_encoding("br").content_language("de");
    let create = create.metadata("color", "blue").tagging("a=1&b=2").storage_class(StorageClass::Standard);
    let upload = create.send().await.expect("begun").upload_id.expect("an id");
    // Nothing of it is seen before it is complete.
    assert_eq!(code_of(client.get_object().bucket(&bucket).key("k").send().await), "NoSuchKey");
    assert_eq!(client.list_objects_v2().bucket(&bucket).send().await.expect("LIST").key_count(), Some(0));
    let one = part(&client, &bucket, "k", &upload, 1, vec![1; 10]).await;
    let complete = client.complete_multipart_upload().bucket(&bucket).key("k").upload_id(&upload);
    complete.multipart_upload(named(vec![one])).send().await.expect("completed");
    let got = client.get_object().bucket(&bucket).key("k").send().await.expect("GET");
    assert_eq!((got.content_type(), got.cache_control()), (Some("a/b"), Some("no-store")));
    assert_eq!((got.content_disposition(), got.content_encoding()), (Some("attachment"), Some("br")));
    assert_eq!((got.content_language(), got.tag_count()), (Some("de"), Some(2)));
    assert_eq!(got.metadata().expect("metadata")["color"], "blue");
}

#[tokio::test]
async fn two_uploads_of_a_key_know_nothing_of_each_other() {
    let (client, bucket) = fresh().await;
    let (first, second) = (begin(&client, &bucket, "k").await, begin(&client, &bucket, "k").await);
    assert_ne!(first, second);
    let mut parts = Vec::new();
    for (upload, byte) in [(&first, 1_u8), (&second, 2)] {
        parts.push((upload, byte, part(&client, &bucket, "k", upload, 1, vec![byte; 20_000]).await));
    }
    // The part of one is none of the other.
    let complete = |upload: &str, part| {
        let complete = client.complete_multipart_upload().bucket(&bucket).key("k").upload_id(upload);
        complete.multipart_upload(named(vec![part])).send()
    };
    assert_eq!(code_of(complete(&first, parts[1].2.clone()).await), "InvalidPart");
    for (upload, byte, part) in parts.into_iter().rev() {
        complete(upload, part).await.expect("completed");
        assert_eq!(get(&client, &bucket, "k").await, vec![byte; 20_000], "the last that is completed is the object");
    }
}

#[tokio::test]
async fn the_checksum_is_settled_at_the_beginning() {
    use ChecksumAlgorithm::{Crc32, Crc32C, Crc64Nvme, Sha1, Sha256};
    let (client, bucket) = fresh().await;
    let create = |algorithm, of_type| {
        let create = client.create_multipart_upload().bucket(&bucket).key("k");
        create.set_checksum_algorithm(algorithm).set_checksum_type(of_type).send()
    };
    for (algorithm, asked, answered) in [
        (Crc32, None, ChecksumType::Composite),
        (Crc32, Some(ChecksumType::FullObject), ChecksumType::FullObject),
        (Crc32C, None, ChecksumType::Composite),
        (Crc32C, Some(ChecksumType::FullObject), ChecksumType::FullObject),
        (Crc64Nvme, None, ChecksumType::FullObject),
        (Sha1, None, ChecksumType::Composite),
        (Sha256, Some(ChecksumType::Composite), ChecksumType::Composite),
    ] {
        let created = create(Some(algorithm.clone()), asked).await.expect("begun");
        assert_eq!((created.checksum_algorithm, created.checksum_type), (Some(algorithm), Some(answered)));
    }
    for (algorithm, of_type) in [
        (Some(Sha1), ChecksumType::FullObject),
        (Some(Sha256), ChecksumType::FullObject),
        (Some(Crc64Nvme), ChecksumType::Composite),
        (Some(ChecksumAlgorithm::from("MD4")), ChecksumType::Composite),
        (None, ChecksumType::Composite),
    ] {
        assert_eq!(code_of(create(algorithm, Some(of_type)).await), "InvalidRequest");
    }
}

#[tokio::test]
async fn what_no_object_may_have_begins_no_upload() {
    let (client, bucket) = fresh().await;
    let create = || client.create_multipart_upload().bucket(&bucket).key("k");
    let long = "m".repeat(2100);
    assert_eq!(code_of(create().metadata("long", long).send().await), "MetadataTooLarge");
    assert_eq!(code_of(create().storage_class(StorageClass::from("NOWHERE")).send().await), "InvalidStorageClass");
    assert_eq!(code_of(create().tagging("a=1&a=2").send().await), "InvalidArgument");
    assert_eq!(code_of(create().tagging("a=%3C").send().await), "InvalidTag");
    assert_eq!(code_of(create().key("k".repeat(1025)).send().await), "KeyTooLongError");
    assert_eq!(code_of(create().bucket("no-such-bucket-here").send().await), "NoSuchBucket");
    let encrypted = create().server_side_encryption(aws_sdk_s3::types::ServerSideEncryption::Aes256);
    assert_eq!(code_of(encrypted.send().await), "NotImplemented");
    let listed = client.list_multipart_uploads().bucket(&bucket).send().await.expect("uploads");
    assert!(listed.uploads().is_empty(), "{listed:?}");
}

#[tokio::test]
async fn an_upload_begins_no_version_that_is_named() {
    let (_, bucket) = fresh().await;
    for version in ["null", "x", ""] {
        let target = format!("/{bucket}/k?uploads&versionId={version}");
        let answer = request(Server::shared(), "POST", &target, &[], b"");
        assert_eq!(answer.error(), (400, "InvalidArgument"), "{version}");
        assert_eq!(answer.element("Message"), Some("This operation does not accept a version-id."));
    }
}
