//! UploadPart: numbers, replacement, and what each part must be.

use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType};

use super::complete_multipart_upload::{PART_BYTES, begin, named, part};
use super::raw::request;
use super::{code_of, fresh, get};
use crate::body::body;
use crate::server::Server;

#[tokio::test]
async fn numbers_go_from_1_to_10000() {
    let (client, bucket) = fresh().await;
    let upload = begin(&client, &bucket, "k").await;
    let first = part(&client, &bucket, "k", &upload, 1, vec![1; PART_BYTES]).await;
    let last = part(&client, &bucket, "k", &upload, 10_000, vec![2; 10]).await;
    for number in ["0", "-1", "10001", "x", ""] {
        let target = format!("/{bucket}/k?uploadId={upload}&partNumber={number}");
        let answer = request(Server::shared(), "PUT", &target, &[], b"x");
        assert_eq!(answer.error(), (400, "InvalidArgument"), "{number}");
        let words = "Part number must be an integer between 1 and 10000, inclusive";
        assert_eq!(answer.element("Message"), Some(words));
    }
    let complete = client.complete_multipart_upload().bucket(&bucket).key("k").upload_id(&upload);
    complete.multipart_upload(named(vec![first, last])).send().await.expect("completed");
    // Parts of the object are counted, not named by the upload's numbers.
    let second = client.get_object().bucket(&bucket).key("k").part_number(2).send().await.expect("GET");
    assert_eq!((second.content_length(), second.parts_count()), (Some(10), Some(2)));
}

#[tokio::test]
async fn a_number_sent_again_replaces_its_part() {
    let (client, bucket) = fresh().await;
    let upload = begin(&client, &bucket, "k").await;
    // From inline to striped and back.
    let bodies = [body(1000, 1), body(300_000, 2), body(20_000, 3)];
    let mut parts = Vec::new();
    for bytes in &bodies {
        parts.push(part(&client, &bucket, "k", &upload, 3, bytes.clone()).await);
    }
    let listed = client.list_parts().bucket(&bucket).key("k").upload_id(&upload).send().await.expect("parts");
    assert_eq!((listed.parts().len(), listed.parts()[0].size()), (1, Some(20_000)));
    let complete = |part| {
        let complete = client.complete_multipart_upload().bucket(&bucket).key("k").upload_id(&upload);
        complete.multipart_upload(named(vec![part])).send()
    };
    assert_eq!(code_of(complete(parts[0].clone()).await), "InvalidPart");
    complete(parts[2].clone()).await.expect("completed");
    assert!(get(&client, &bucket, "k").await == bodies[2]);
}

#[tokio::test]
async fn an_upload_may_be_one_part_without_bytes() {
    let (client, bucket) = fresh().await;
    let upload = begin(&client, &bucket, "k").await;
    let one = part(&client, &bucket, "k", &upload, 1, Vec::new()).await;
    let complete = client.complete_multipart_upload().bucket(&bucket).key("k").upload_id(&upload);
    let completed = complete.multipart_upload(named(vec![one])).send().await.expect("completed");
    assert!(completed.e_tag().is_some_and(|tag| tag.ends_with("-1\"")), "{completed:?}");
    assert_eq!(get(&client, &bucket, "k").await, b"");
}

#[tokio::test]
async fn a_part_belongs_to_the_key_and_bucket_of_its_upload() {
    let (client, bucket) = fresh().await;
    let (_, other_bucket) = fresh().await;
    let upload = begin(&client, &bucket, "k").await;
    let send = |bucket: &str, key: &str, upload: &str| {
        let send = client.upload_part().bucket(bucket).key(key).upload_id(upload).part_number(1);
        send.body(vec![1; 10].into()).send()
    };
    assert_eq!(code_of(send(&bucket, "other", &upload).await), "NoSuchUpload");
    assert_eq!(code_of(send(&other_bucket, "k", &upload).await), "NoSuchUpload");
    assert_eq!(code_of(send(&bucket, "k", "0123456789abcdef0123456789abcdef").await), "NoSuchUpload");
    assert_eq!(code_of(send(&bucket, "k", "no upload's id").await), "NoSuchUpload");
    assert_eq!(code_of(send("no-such-bucket-here", "k", &upload).await), "NoSuchBucket");
}

#[tokio::test]
async fn a_part_with_a_wrong_digest_is_none() {
    let (client, bucket) = fresh().await;
    let upload = begin(&client, &bucket, "k").await;
    let send = || client.upload_part().bucket(&bucket).key("k").upload_id(&upload).part_number(1);
    for bytes in [100, 100_000] {
        let send = || send().body(vec![1; bytes].into());
        assert_eq!(code_of(send().content_md5("AAAAAAAAAAAAAAAAAAAAAA==").send().await), "BadDigest");
        assert_eq!(code_of(send().content_md5("short").send().await), "InvalidDigest");
        assert_eq!(code_of(send().checksum_sha1("AAAAAAAAAAAAAAAAAAAAAAAAAAA=").send().await), "BadDigest");
        assert_eq!(code_of(send().checksum_crc32("short").send().await), "InvalidRequest");
    }
    let listed = client.list_parts().bucket(&bucket).key("k").upload_id(&upload).send().await.expect("parts");
    assert!(listed.parts().is_empty(), "{listed:?}");
}

/// A composite checksum is made of the parts' own, so each must come with one; a full-object one is not.
#[tokio::test]
async fn a_part_of_a_composite_upload_must_come_with_its_checksum() {
    let (client, bucket) = fresh().await;
    let (crc32, sha256) = ("NhCmhg==", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
    for (algorithm, of_type, refusal) in [
        (ChecksumAlgorithm::Crc32, ChecksumType::Composite, Some(("crc32", crc32))),
        (ChecksumAlgorithm::Sha256, ChecksumType::Composite, Some(("sha256", sha256))),
        (ChecksumAlgorithm::Crc32, ChecksumType::FullObject, None),
        (ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject, None),
    ] {
        let create = client.create_multipart_upload().bucket(&bucket).key("k");
        let created = create.checksum_algorithm(algorithm).checksum_type(of_type).send().await.expect("begun");
        let upload = created.upload_id.expect("an id");
        let target = format!("/{bucket}/k?uploadId={upload}&partNumber=1");
        let bare = request(Server::shared(), "PUT", &target, &[], b"hello");
        let Some((name, sum)) = refusal else {
            assert_eq!(bare.status, 200, "{}", bare.text());
            continue;
        };
        assert_eq!(bare.error(), (400, "InvalidRequest"));
        let words =
            format!("Checksum Type mismatch occurred, expected checksum Type: {name}, actual checksum Type: null");
        assert_eq!(bare.element("Message"), Some(words.as_str()));
        let listed = client.list_parts().bucket(&bucket).key("k").upload_id(&upload).send().await.expect("parts");
        assert!(listed.parts().is_empty());
        let header = format!("x-amz-checksum-{name}");
        let summed = request(Server::shared(), "PUT", &target, &[(&header, sum)], b"hello");
        assert_eq!((summed.status, summed.header(&header)), (200, Some(sum)), "{}", summed.text());
        assert_eq!(summed.header("x-amz-checksum-type"), None, "the type is the whole's");
    }
}

#[tokio::test]
async fn a_checksum_of_another_algorithm_than_the_uploads_is_refused() {
    let (client, bucket) = fresh().await;
    let create = client.create_multipart_upload().bucket(&bucket).key("k").checksum_algorithm(ChecksumAlgorithm::Sha1);
    let upload = create.send().await.expect("begun").upload_id.expect("an id");
    let send = client.upload_part().bucket(&bucket).key("k").upload_id(&upload).part_number(1);
    let other = send.body(b"hello".to_vec().into()).checksum_crc32("NhCmhg==");
    assert_eq!(code_of(other.send().await), "InvalidRequest");
}

#[tokio::test]
async fn half_of_a_parts_address_is_no_address() {
    let (client, bucket) = fresh().await;
    let upload = begin(&client, &bucket, "k").await;
    for query in [format!("uploadId={upload}"), "partNumber=1".to_owned()] {
        let answer = request(Server::shared(), "PUT", &format!("/{bucket}/k?{query}"), &[], b"x");
        assert_eq!(answer.error(), (400, "InvalidArgument"), "{query}");
    }
    let target = format!("/{bucket}/k?uploadId={upload}&partNumber=1&versionId=null");
    assert_eq!(request(Server::shared(), "PUT", &target, &[], b"x").error(), (400, "InvalidArgument"));
    assert_eq!(code_of(client.get_object().bucket(&bucket).key("k").send().await), "NoSuchKey");
}
