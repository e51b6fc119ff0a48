//! UploadPartCopy: a part out of an object that is there.

use aws_sdk_s3::types::CompletedPart;

use super::complete_multipart_upload::{PART_BYTES, begin, named};
use super::{code_of, get, put};
use crate::body::body;
use crate::server::Server;

#[tokio::test]
async fn a_range_of_an_object_becomes_a_part() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    let sent = body(PART_BYTES + 100_000, 5);
    put(&client, &bucket, "source", &sent).await;
    let upload = begin(&client, &bucket, "k").await;
    let mut parts = Vec::new();
    for (number, first, last) in [(1, 0, PART_BYTES - 1), (2, PART_BYTES, PART_BYTES + 99_999)] {
        let copy = client.upload_part_copy().bucket(&bucket).key("k").upload_id(&upload).part_number(number);
        let copy = copy.copy_source(format!("{bucket}/source")).copy_source_range(format!("bytes={first}-{last}"));
        let copied = copy.send().await.expect("copied").copy_part_result.expect("a result");
        parts.push(CompletedPart::builder().part_number(number).set_e_tag(copied.e_tag).build());
    }
    let complete = client.complete_multipart_upload().bucket(&bucket).key("k").upload_id(&upload);
    complete.multipart_upload(named(parts)).send().await.expect("completed");
    assert!(get(&client, &bucket, "k").await == sent);
}

#[tokio::test]
async fn a_range_past_the_end_is_refused() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    put(&client, &bucket, "source", b"short").await;
    let upload = begin(&client, &bucket, "k").await;
    let copy = client.upload_part_copy().bucket(&bucket).key("k").upload_id(&upload).part_number(1);
    let copy = copy.copy_source(format!("{bucket}/source")).copy_source_range("bytes=0-99");
    let code = code_of(copy.send().await);
    assert!(code == "InvalidRange" || code == "InvalidArgument", "{code}");
}
