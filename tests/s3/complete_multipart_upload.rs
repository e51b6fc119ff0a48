//! CompleteMultipartUpload: parts become an object, once.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use super::{code_of, fresh, get};
use crate::body::body;

/// S3's smallest part.
pub(super) const PART_BYTES: usize = 5 << 20;

/// Begins an upload and returns its id.
pub(super) async fn begin(client: &Client, bucket: &str, key: &str) -> String {
    let created = client.create_multipart_upload().bucket(bucket).key(key).send().await.expect("begun");
    created.upload_id.expect("an upload has an id")
}

/// Uploads a part and returns what Complete names.
pub(super) async fn part(
    client: &Client,
    bucket: &str,
    key: &str,
    upload: &str,
    number: i32,
    bytes: Vec<u8>,
) -> CompletedPart {
    let part = client.upload_part().bucket(bucket).key(key).upload_id(upload).part_number(number).body(bytes.into());
    let part = part.send().await.expect("a part");
    CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).build()
}

pub(super) fn named(parts: Vec<CompletedPart>) -> CompletedMultipartUpload {
    CompletedMultipartUpload::builder().set_parts(Some(parts)).build()
}

#[tokio::test]
async fn parts_become_one_object_and_completing_again_answers_the_same() {
    let (client, bucket) = fresh().await;
    let sent = body(2 * PART_BYTES + 12_345, 11);
    let upload = begin(&client, &bucket, "k").await;
    let mut parts = Vec::new();
    // Numbers with gaps, sent out of order.
    for (number, bytes) in
        [(7, &sent[2 * PART_BYTES..]), (2, &sent[..PART_BYTES]), (5, &sent[PART_BYTES..2 * PART_BYTES])]
    {
        parts.push(part(&client, &bucket, "k", &upload, number, bytes.to_vec()).await);
    }
    parts.sort_by_key(CompletedPart::part_number);
    let complete = || {
        let complete = client.complete_multipart_upload().bucket(&bucket).key("k").upload_id(&upload);
        complete.multipart_upload(named(parts.clone())).send()
    };
    let first = complete().await.expect("completed");
    assert!(first.e_tag().expect("a tag").ends_with("-3\""));
    assert_eq!(complete().await.expect("again").e_tag(), first.e_tag());
    assert!(get(&client, &bucket, "k").await == sent);
    let second = client.get_object().bucket(&bucket).key("k").part_number(2).send().await.expect("GET");
    assert_eq!((second.parts_count(), second.content_length()), (Some(3), i64::try_from(PART_BYTES).ok()));
    assert!(second.body.collect().await.expect("the body").to_vec() == sent[PART_BYTES..2 * PART_BYTES]);
}

#[tokio::test]
async fn wrong_parts_are_refused_and_leave_the_upload_open() {
    let (client, bucket) = fresh().await;
    let upload = begin(&client, &bucket, "k").await;
    let one = part(&client, &bucket, "k", &upload, 1, vec![1; 1000]).await;
    let two = part(&client, &bucket, "k", &upload, 2, vec![2; 1000]).await;
    let complete = |parts: Vec<CompletedPart>| {
        let complete = client.complete_multipart_upload().bucket(&bucket).key("k").upload_id(&upload);
        complete.multipart_upload(named(parts)).send()
    };
    assert_eq!(code_of(complete(vec![one.clone(), two.clone()]).await), "EntityTooSmall");
    assert_eq!(code_of(complete(vec![two.clone(), one.clone()]).await), "InvalidPartOrder");
    let wrong = CompletedPart::builder().part_number(1).e_tag("\"0123456789abcdef0123456789abcdef\"").build();
    assert_eq!(code_of(complete(vec![wrong]).await), "InvalidPart");
    complete(vec![two]).await.expect("the last part may be small");
    assert_eq!(get(&client, &bucket, "k").await, vec![2; 1000]);
}

#[tokio::test]
async fn complete_with_if_none_match_loses_against_an_object() {
    let (client, bucket) = fresh().await;
    super::put(&client, &bucket, "k", b"first").await;
    let upload = begin(&client, &bucket, "k").await;
    let one = part(&client, &bucket, "k", &upload, 1, vec![1; 1000]).await;
    let complete = client.complete_multipart_upload().bucket(&bucket).key("k").upload_id(&upload);
    let complete = complete.if_none_match("*").multipart_upload(named(vec![one]));
    assert_eq!(code_of(complete.send().await), "PreconditionFailed");
    assert_eq!(get(&client, &bucket, "k").await, b"first");
}
