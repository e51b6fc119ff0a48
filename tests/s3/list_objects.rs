//! ListObjects, version 1: what it has of its own, markers and owners. The rest is version 2's file.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::EncodingType;

use super::raw::request;
use super::{fresh, put};
use crate::server::Server;

/// Keys in the byte order in which they must come back.
pub(super) const KEYS: [&str; 9] = ["a", "a/", "a/b", "a/c/d", "foo+1", "foo/bar", "ü", "z\u{1}", "zz"];

pub(super) async fn filled() -> (Client, String) {
    let (client, bucket) = fresh().await;
    for key in KEYS {
        put(&client, &bucket, key, b"").await;
    }
    (client, bucket)
}

/// A key as `encoding-type=url` writes it, read back.
pub(super) fn decoded(key: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = key.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next().expect("two digits"), rest.next().expect("two digits")];
                u8::from_str_radix(std::str::from_utf8(&digits).expect("ASCII"), 16).expect("hex")
            }
            b'+' => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).expect("the keys are UTF-8")
}

#[tokio::test]
async fn version_one_goes_on_by_marker() {
    let (client, bucket) = filled().await;
    let page = client.list_objects().bucket(&bucket).prefix("a").max_keys(2).send().await.expect("LIST");
    assert_eq!((page.contents().len(), page.is_truncated(), page.next_marker()), (2, Some(true), None));
    assert!(page.contents()[0].owner().is_some());
    let rest = client.list_objects().bucket(&bucket).prefix("a").marker("a/").send().await.expect("LIST");
    let keys: Vec<_> = rest.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!(keys, ["a/b", "a/c/d"]);
    let rolled = client.list_objects().bucket(&bucket).delimiter("/").max_keys(2).send().await.expect("LIST");
    assert_eq!(rolled.next_marker(), Some("a/"));
    let none = client.list_objects().bucket(&bucket).max_keys(0).send().await.expect("LIST");
    assert_eq!((none.contents().len(), none.is_truncated()), (0, Some(false)));
}

#[tokio::test]
async fn a_marker_may_be_any_text_and_pages_roll_on_by_it() {
    let (client, bucket) = filled().await;
    let list = || client.list_objects().bucket(&bucket).encoding_type(EncodingType::Url);
    // Between two keys, within a prefix that is rolled up, behind everything.
    let between = list().marker("a/bb").send().await.expect("LIST");
    assert_eq!(between.contents()[0].key(), Some("a/c/d"));
    let within = list().marker("a/b").delimiter("/").send().await.expect("LIST");
    assert_eq!(within.common_prefixes()[0].prefix(), Some("foo/"), "a prefix that the marker lies in is behind it");
    let behind = list().marker("\u{10ffff}").send().await.expect("LIST");
    assert_eq!((behind.contents().len(), behind.is_truncated()), (0, Some(false)));
    let (mut marker, mut lines) = (None, Vec::new());
    loop {
        let page = list().delimiter("/").max_keys(1).set_marker(marker).send().await.expect("LIST");
        lines.extend(page.contents().iter().filter_map(|object| object.key().map(decoded)));
        lines.extend(page.common_prefixes().iter().filter_map(|prefix| prefix.prefix().map(decoded)));
        marker = page.next_marker.as_deref().map(decoded);
        if page.is_truncated != Some(true) {
            break;
        }
    }
    assert_eq!(lines, ["a", "a/", "foo+1", "foo/", "z\u{1}", "zz", "ü"]);
}

#[tokio::test]
async fn what_was_asked_for_is_echoed_as_it_is_encoded() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "a&b <c>+d/1", b"").await;
    let list = client.list_objects().bucket(&bucket).prefix("a&b ").delimiter("<c>").marker("a & z");
    let plain = list.clone().send().await.expect("LIST");
    assert_eq!((plain.prefix(), plain.delimiter(), plain.marker()), (Some("a&b "), Some("<c>"), Some("a & z")));
    assert_eq!(plain.common_prefixes()[0].prefix(), Some("a&b <c>"));
    let url = list.encoding_type(EncodingType::Url).send().await.expect("LIST");
    assert_eq!((url.prefix(), url.delimiter(), url.marker()), (Some("a%26b+"), Some("%3Cc%3E"), Some("a+%26+z")));
    assert_eq!(url.common_prefixes()[0].prefix(), Some("a%26b+%3Cc%3E"));
}

#[tokio::test]
async fn what_is_no_number_or_encoding_is_refused_by_both_versions() {
    let (_, bucket) = fresh().await;
    for version in ["", "list-type=2&"] {
        for query in ["max-keys=-1", "max-keys=blah", "max-keys=2147483648", "encoding-type=base64"] {
            let answer = request(Server::shared(), "GET", &format!("/{bucket}?{version}{query}"), &[], b"");
            assert_eq!(answer.error(), (400, "InvalidArgument"), "{version}{query}");
        }
        let missing = request(Server::shared(), "GET", &format!("/no-such-bucket-here?{version}"), &[], b"");
        assert_eq!(missing.error(), (404, "NoSuchBucket"));
        let most = request(Server::shared(), "GET", &format!("/{bucket}?{version}max-keys=5000"), &[], b"");
        assert_eq!(most.element("MaxKeys"), Some("1000"));
    }
}
