//! GetObject: ranges, conditions, overrides, versions.

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};

use super::{code_of, put, status_of};
use crate::body::body;
use crate::server::Server;

#[tokio::test]
async fn ranges_answer_exactly_their_bytes() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    // Inline, copies, one short stripe, several stripes.
    for bytes in [1000, 50_000, 300_000, 9_000_001] {
        let (key, sent) = (format!("{bytes}"), body(bytes, 7));
        put(&client, &bucket, &key, &sent).await;
        let middle = bytes / 2;
        let ranges = [
            ("bytes=0-0".to_owned(), 0..1),
            (format!("bytes={middle}-{}", middle + 99), middle..middle + 100),
            (format!("bytes={}-", bytes - 10), bytes - 10..bytes),
            ("bytes=-7".to_owned(), bytes - 7..bytes),
            (format!("bytes=5-{}", bytes * 2), 5..bytes),
        ];
        for (range, expected) in ranges {
            let got = client.get_object().bucket(&bucket).key(&key).range(&range).send().await.expect("GET");
            let header = format!("bytes {}-{}/{bytes}", expected.start, expected.end - 1);
            assert_eq!(got.content_range(), Some(header.as_str()));
            let got = got.body.collect().await.expect("the body arrives").to_vec();
            assert!(got == sent[expected], "{key} {range}");
        }
        let beyond = client.get_object().bucket(&bucket).key(&key).range(format!("bytes={bytes}-")).send().await;
        assert_eq!(code_of(beyond), "InvalidRange");
        let whole = client.get_object().bucket(&bucket).key(&key).range("bytes=x-y").send().await.expect("ignored");
        assert_eq!(whole.content_length(), i64::try_from(bytes).ok());
    }
}

#[tokio::test]
async fn a_range_of_an_empty_object_is_416() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    put(&client, &bucket, "empty", b"").await;
    assert_eq!(
        code_of(client.get_object().bucket(&bucket).key("empty").range("bytes=0-").send().await),
        "InvalidRange"
    );
}

#[tokio::test]
async fn conditions_are_read_as_rfc_9110_orders_them() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    let (tag, _) = put(&client, &bucket, "k", b"x").await;
    let get = || client.get_object().bucket(&bucket).key("k");
    let (past, future) = (DateTime::from_secs(1_000_000_000), DateTime::from_secs(4_000_000_000));
    assert!(get().if_match(&tag).if_unmodified_since(past).send().await.is_ok());
    assert_eq!(status_of(get().if_match("\"other\"").send().await), 412);
    assert_eq!(status_of(get().if_none_match(&tag).send().await), 304);
    assert_eq!(status_of(get().if_none_match("*").send().await), 304);
    assert!(get().if_none_match("\"other\"").if_modified_since(future).send().await.is_ok());
    assert_eq!(status_of(get().if_modified_since(future).send().await), 304);
    assert!(get().if_modified_since(past).send().await.is_ok());
    assert_eq!(status_of(get().if_unmodified_since(past).send().await), 412);
    let unquoted = tag.trim_matches('"');
    assert!(get().if_match(unquoted).send().await.is_ok());
}

#[tokio::test]
async fn response_headers_may_be_overridden() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    let put = client.put_object().bucket(&bucket).key("k").content_type("a/b").cache_control("no-store");
    put.body(b"x".to_vec().into()).send().await.expect("PUT");
    let got = client.get_object().bucket(&bucket).key("k").send().await.expect("GET");
    assert_eq!((got.content_type(), got.cache_control()), (Some("a/b"), Some("no-store")));
    let get = client.get_object().bucket(&bucket).key("k").response_content_type("c/d");
    let expires = DateTime::from_str("2030-01-01T00:00:00Z", DateTimeFormat::DateTime).expect("a date");
    let got = get.response_content_disposition("attachment").response_expires(expires).send().await.expect("GET");
    assert_eq!((got.content_type(), got.content_disposition()), (Some("c/d"), Some("attachment")));
}

#[tokio::test]
async fn what_is_not_there_is_said_in_awss_words() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    assert_eq!(code_of(client.get_object().bucket(&bucket).key("none").send().await), "NoSuchKey");
    assert_eq!(code_of(client.get_object().bucket("no-such-bucket-here").key("k").send().await), "NoSuchBucket");
    put(&client, &bucket, "k", b"x").await;
    let version = "0123456789abcdef0123456789abcdef";
    assert_eq!(code_of(client.get_object().bucket(&bucket).key("k").version_id(version).send().await), "NoSuchVersion");
    let stranger = server.client_as("nobody", "nothing");
    assert_eq!(code_of(stranger.get_object().bucket(&bucket).key("k").send().await), "InvalidAccessKeyId");
    let forger = server.client_as(crate::server::ACCESS_KEY, "wrong");
    assert_eq!(code_of(forger.get_object().bucket(&bucket).key("k").send().await), "SignatureDoesNotMatch");
}
