//! Multipart uploads.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Client, Payload, read_rest};
use crate::world::World;

const PART_BYTES: usize = 5 << 20;

async fn begin(client: &mut Client, target: &str) -> String {
    let begun = client.send("POST", &format!("{target}?uploads"), &[], b"").await;
    begun.element("UploadId").unwrap_or_else(|| panic!("{}", begun.text()))
}

/// Uploads two parts and returns the document that names them.
async fn upload(client: &mut Client, target: &str, id: &str) -> String {
    let mut parts = String::new();
    for (number, body) in [(1, vec![1; PART_BYTES]), (2, vec![2; 10])] {
        let stored = client.put(&format!("{target}?partNumber={number}&uploadId={id}"), &body).await;
        assert_eq!(stored.status, 200, "{}", stored.text());
        let etag = stored.header("etag").unwrap();
        parts.push_str(&format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"));
    }
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
}

#[tokio::test]
async fn parts_become_an_object_that_is_read_by_part() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    let id = begin(&mut client, "/bucket/key").await;
    assert!(client.get("/bucket?uploads").await.text().contains(&id));
    let document = upload(&mut client, "/bucket/key", &id).await;
    let parts = client.get(&format!("/bucket/key?uploadId={id}&max-parts=1")).await;
    assert_eq!(parts.element("NextPartNumberMarker").as_deref(), Some("1"));
    assert_eq!(parts.element("IsTruncated").as_deref(), Some("true"));

    let target = format!("/bucket/key?uploadId={id}");
    let mut answers = Vec::new();
    for _ in 0..2 {
        let completed = client.send("POST", &target, &[], document.as_bytes()).await;
        assert_eq!(completed.status, 200, "{}", completed.text());
        answers.push(completed.element("ETag").unwrap());
    }
    assert_eq!(answers[0], answers[1], "a repeated Complete answers the same");
    assert!(answers[0].ends_with("-2&quot;"), "{}", answers[0]);

    let part = client.get("/bucket/key?partNumber=2").await;
    assert_eq!((part.status, part.header("x-amz-mp-parts-count")), (206, Some("2")));
    assert_eq!(
        part.header("content-range").unwrap(),
        format!("bytes {PART_BYTES}-{}/{}", PART_BYTES + 9, PART_BYTES + 10)
    );
    assert_eq!(part.body, [2; 10]);
    let head = client.send("HEAD", "/bucket/key?partNumber=1", &[], b"").await;
    assert_eq!((head.status, head.header("content-length").unwrap()), (206, PART_BYTES.to_string().as_str()));
    assert_eq!(client.get("/bucket/key?partNumber=3").await.error(), (416, "InvalidPartNumber".to_owned()));
    let whole = client.get("/bucket/key").await;
    assert!(whole.body.len() == PART_BYTES + 10 && whole.header("x-amz-mp-parts-count").is_none());
}

#[tokio::test]
async fn parts_are_copied_from_objects() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    assert_eq!(client.put("/bucket/source", &vec![7; PART_BYTES]).await.status, 200);
    let id = begin(&mut client, "/bucket/key").await;
    let copy = |range: &'static str| [("x-amz-copy-source", "/bucket/source"), ("x-amz-copy-source-range", range)];
    let target = format!("/bucket/key?partNumber=1&uploadId={id}");
    let copied = client.send("PUT", &target, &copy("bytes=10-19"), b"").await;
    assert_eq!(copied.status, 200, "{}", copied.text());
    let etag = copied.element("ETag").unwrap();
    let outside = client.send("PUT", &target, &copy("bytes=0-99999999"), b"").await;
    assert_eq!(outside.error(), (416, "InvalidRange".to_owned()));
    let broken = client.send("PUT", &target, &copy("bytes=9-1"), b"").await;
    assert_eq!(broken.error(), (400, "InvalidArgument".to_owned()));
    let document = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    );
    let completed = client.send("POST", &format!("/bucket/key?uploadId={id}"), &[], document.as_bytes()).await;
    assert_eq!(completed.status, 200, "{}", completed.text());
    assert_eq!(client.get("/bucket/key").await.body, [7; 10]);
}

#[tokio::test]
async fn an_aborted_upload_is_gone() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    let id = begin(&mut client, "/bucket/key").await;
    let target = format!("/bucket/key?uploadId={id}");
    assert_eq!(client.send("DELETE", &target, &[], b"").await.status, 204);
    assert_eq!(client.send("DELETE", &target, &[], b"").await.error(), (404, "NoSuchUpload".to_owned()));
    assert_eq!(client.get(&target).await.error(), (404, "NoSuchUpload".to_owned()));
    let part = client.put(&format!("/bucket/key?partNumber=1&uploadId={id}"), b"x").await;
    assert_eq!(part.error(), (404, "NoSuchUpload".to_owned()));
}

/// While the index makes Complete wait, the answer begins with 200; the outcome comes at its end, also when it is an
/// error.
#[tokio::test]
async fn a_long_complete_is_kept_alive_and_may_end_in_an_error() {
    let world = World::with(|settings| settings.complete_patience = Duration::from_millis(10)).await;
    let mut client = world.client();
    assert_eq!(client.put("/bucket", b"").await.status, 200);
    let id = begin(&mut client, "/bucket/key").await;
    let document = upload(&mut client, "/bucket/key", &id).await;
    let target = format!("/bucket/key?uploadId={id}");
    let wrong = document.replace("<PartNumber>2<", "<PartNumber>3<");
    let mut outcomes = Vec::new();
    for document in [wrong, document] {
        let signed = client.sign("POST", &target, &[], &Payload::Whole(document.as_bytes()));
        let signed = signed.with("content-length", &document.len().to_string());
        world.index_answers.send(false).unwrap();
        let mut stream = client.connect().await;
        stream.write_all(&[signed.head(), document.into_bytes()].concat()).await.unwrap();
        let mut begun = [0; 12];
        stream.read_exact(&mut begun).await.unwrap();
        assert_eq!(&begun, b"HTTP/1.1 200", "before the index has answered");
        world.index_answers.send(true).unwrap();
        outcomes.push(read_rest(&mut stream, &begun).await);
    }
    assert_eq!(outcomes[0].header("transfer-encoding"), Some("chunked"));
    assert_eq!(outcomes[0].error(), (200, "InvalidPart".to_owned()));
    assert_eq!(outcomes[0].element("RequestId").as_deref(), outcomes[0].header("x-amz-request-id"));
    assert!(outcomes[1].text().starts_with("<?xml") && outcomes[1].element("ETag").is_some());
}

#[tokio::test]
async fn a_composite_checksum_asks_for_that_of_each_part() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    let algorithm = [("x-amz-checksum-algorithm", "SHA256")];
    let created = client.send("POST", "/bucket/key?uploads", &algorithm, b"").await;
    let id = created.element("UploadId").unwrap();
    let target = format!("/bucket/key?partNumber=1&uploadId={id}");
    assert_eq!(client.put(&target, b"x").await.error(), (400, "InvalidRequest".to_owned()));
    let sum = [("x-amz-checksum-sha256", "LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=")];
    let stored = client.send("PUT", &target, &sum, b"x").await;
    assert_eq!(stored.status, 200, "{}", stored.text());
    assert_eq!(stored.header("x-amz-checksum-type"), None, "a part's checksum has no type");
    let etag = stored.header("etag").unwrap().to_owned();
    let sum = stored.header("x-amz-checksum-sha256").unwrap().to_owned();
    let document = |more: &str| {
        format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag>{more}</Part></CompleteMultipartUpload>"
        )
    };
    let target = format!("/bucket/key?uploadId={id}");
    let bare = client.send("POST", &target, &[], document("").as_bytes()).await;
    assert_eq!(bare.error(), (400, "InvalidRequest".to_owned()));
    assert!(bare.text().contains("It was missing for part 1 in the request."), "{}", bare.text());
    let with_sum = document(&format!("<ChecksumSHA256>{sum}</ChecksumSHA256>"));
    let completed = client.send("POST", &target, &[], with_sum.as_bytes()).await;
    assert_eq!(completed.status, 200, "{}", completed.text());
}
