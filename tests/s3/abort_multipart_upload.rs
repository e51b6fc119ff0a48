//! AbortMultipartUpload: an upload and its parts go, and nothing else.

use super::complete_multipart_upload::{begin, named, part};
use super::raw::request;
use super::{code_of, fresh, get, put};
use crate::server::Server;

#[tokio::test]
async fn an_aborted_upload_is_gone() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"older").await;
    let upload = begin(&client, &bucket, "k").await;
    let one = part(&client, &bucket, "k", &upload, 1, vec![1; 100_000]).await;
    let abort = || client.abort_multipart_upload().bucket(&bucket).key("k").upload_id(&upload).send();
    abort().await.expect("aborted");
    assert_eq!(code_of(abort().await), "NoSuchUpload");
    let late = client.upload_part().bucket(&bucket).key("k").upload_id(&upload).part_number(2);
    assert_eq!(code_of(late.body(vec![2; 10].into()).send().await), "NoSuchUpload");
    let complete = client.complete_multipart_upload().bucket(&bucket).key("k").upload_id(&upload);
    assert_eq!(code_of(complete.multipart_upload(named(vec![one])).send().await), "NoSuchUpload");
    assert_eq!(code_of(client.list_parts().bucket(&bucket).key("k").upload_id(&upload).send().await), "NoSuchUpload");
    assert_eq!(get(&client, &bucket, "k").await, b"older");
}

#[tokio::test]
async fn a_completed_upload_is_no_more_and_its_object_stays() {
    let (client, bucket) = fresh().await;
    let upload = begin(&client, &bucket, "k").await;
    let one = part(&client, &bucket, "k", &upload, 1, vec![1; 100_000]).await;
    let complete = client.complete_multipart_upload().bucket(&bucket).key("k").upload_id(&upload);
    complete.multipart_upload(named(vec![one])).send().await.expect("completed");
    let abort = client.abort_multipart_upload().bucket(&bucket).key("k").upload_id(&upload);
    assert_eq!(code_of(abort.send().await), "NoSuchUpload");
    assert_eq!(get(&client, &bucket, "k").await, vec![1; 100_000]);
}

#[tokio::test]
async fn another_key_or_bucket_aborts_nothing() {
    let (client, bucket) = fresh().await;
    let upload = begin(&client, &bucket, "k").await;
    let abort = |bucket: &str, key: &str, upload: &str| {
        client.abort_multipart_upload().bucket(bucket).key(key).upload_id(upload).send()
    };
    assert_eq!(code_of(abort(&bucket, "other", &upload).await), "NoSuchUpload");
    assert_eq!(code_of(abort(&bucket, "k", "x").await), "NoSuchUpload");
    assert_eq!(code_of(abort("no-such-bucket-here", "k", &upload).await), "NoSuchBucket");
    let timed = [("x-amz-if-match-initiated-time", "Tue, 24 Nov 2026 18:00:00 GMT")];
    let target = format!("/{bucket}/k?uploadId={upload}");
    let answer = request(Server::shared(), "DELETE", &target, &timed, b"");
    assert_eq!((answer.error(), answer.element("Header")), ((501, "NotImplemented"), Some(timed[0].0)));
    part(&client, &bucket, "k", &upload, 1, vec![1; 10]).await;
}

/// Parts are under way while the upload goes: each is stored before, or refused.
#[tokio::test]
async fn parts_that_race_the_end_of_their_upload_leave_nothing() {
    let (client, bucket) = fresh().await;
    let upload = begin(&client, &bucket, "k").await;
    let mut sending = tokio::task::JoinSet::new();
    for number in 1..=12 {
        let send = client.upload_part().bucket(&bucket).key("k").upload_id(&upload).part_number(number);
        sending.spawn(send.body(vec![1; 70_000].into()).send());
    }
    sending.join_next().await.expect("one has ended").expect("it did not panic").expect("a part");
    client.abort_multipart_upload().bucket(&bucket).key("k").upload_id(&upload).send().await.expect("aborted");
    for outcome in sending.join_all().await {
        if outcome.is_err() {
            assert_eq!(code_of(outcome), "NoSuchUpload");
        }
    }
    let listed = client.list_multipart_uploads().bucket(&bucket).send().await.expect("uploads");
    assert!(listed.uploads().is_empty());
    client.delete_bucket().bucket(&bucket).send().await.expect("nothing is left in it");
}
