//! UploadPartCopy: a part out of an object that is there.

use aws_sdk_s3::types::CompletedPart;

use super::complete_multipart_upload::{PART_BYTES, begin, named};
use super::{code_of, fresh, get, put};
use crate::body::body;

#[tokio::test]
async fn a_range_of_an_object_becomes_a_part() {
    let (client, bucket) = fresh().await;
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
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "source", b"short").await;
    let upload = begin(&client, &bucket, "k").await;
    let copy = client.upload_part_copy().bucket(&bucket).key("k").upload_id(&upload).part_number(1);
    let copy = copy.copy_source(format!("{bucket}/source")).copy_source_range("bytes=0-99");
    assert_eq!(code_of(copy.send().await), "InvalidRange");
}

#[tokio::test]
async fn what_is_no_range_or_no_source_is_refused() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "source", &body(100, 1)).await;
    let upload = begin(&client, &bucket, "k").await;
    let copy = |source: &str| {
        let copy = client.upload_part_copy().bucket(&bucket).key("k").upload_id(&upload).part_number(1);
        copy.copy_source(source)
    };
    let source = format!("{bucket}/source");
    for range in ["bytes=5-", "bytes=-5", "bytes=9-1", "bytes=a-b", "0-5", "bytes=0-5,7-9", ""] {
        assert_eq!(code_of(copy(&source).copy_source_range(range).send().await), "InvalidArgument", "{range}");
    }
    assert_eq!(code_of(copy(&format!("{bucket}/none")).send().await), "NoSuchKey");
    assert_eq!(code_of(copy("no-such-bucket-here/source").send().await), "NoSuchBucket");
    for broken in [bucket.as_str(), "/", "No_Bucket/key", &format!("{bucket}/")] {
        assert_eq!(code_of(copy(broken).send().await), "InvalidArgument", "{broken}");
    }
    let other = client.upload_part_copy().bucket(&bucket).key("other").upload_id(&upload).part_number(1);
    assert_eq!(code_of(other.copy_source(&source).send().await), "NoSuchUpload");
    let listed = client.list_parts().bucket(&bucket).key("k").upload_id(&upload).send().await.expect("parts");
    assert!(listed.parts().is_empty());
}

/// Bytes of inline, small and striped objects, across the ends of parts and stripes.
#[tokio::test]
async fn ranges_of_objects_of_every_form_become_parts() {
    let (client, bucket) = fresh().await;
    for (seed, bytes) in [(1, 3000_usize), (2, 50_000), (3, 5_000_000)] {
        let sent = body(bytes, seed);
        put(&client, &bucket, "source", &sent).await;
        let upload = begin(&client, &bucket, "k").await;
        let (first, last) = (bytes / 3, 2 * bytes / 3);
        let copy = client.upload_part_copy().bucket(&bucket).key("k").upload_id(&upload).part_number(7);
        let copy = copy.copy_source(format!("{bucket}/source")).copy_source_range(format!("bytes={first}-{last}"));
        let copied = copy.send().await.expect("copied").copy_part_result.expect("a result");
        let part = CompletedPart::builder().part_number(7).set_e_tag(copied.e_tag).build();
        let complete = client.complete_multipart_upload().bucket(&bucket).key("k").upload_id(&upload);
        complete.multipart_upload(named(vec![part])).send().await.expect("completed");
        assert!(get(&client, &bucket, "k").await == sent[first..=last], "{bytes} bytes");
    }
}
