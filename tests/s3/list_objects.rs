//! ListObjects and ListObjectsV2: byte order, prefixes, delimiters, pages, odd keys.

use aws_sdk_s3::types::EncodingType;

use super::put;
use crate::server::Server;

/// Keys in the byte order in which they must come back.
const KEYS: [&str; 9] = ["a", "a/", "a/b", "a/c/d", "foo+1", "foo/bar", "ü", "z\u{1}", "zz"];

async fn filled(server: &Server) -> String {
    let (client, bucket) = (server.client(), server.bucket().await);
    for key in KEYS {
        put(&client, &bucket, key, b"").await;
    }
    bucket
}

fn sorted() -> Vec<String> {
    let mut keys = KEYS.map(str::to_owned).to_vec();
    keys.sort();
    keys
}

#[tokio::test]
async fn keys_come_in_byte_order_whatever_the_page() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), filled(server).await);
    for size in [1, 2, 4, 1000] {
        let list = client.list_objects_v2().bucket(&bucket).encoding_type(EncodingType::Url);
        let mut pages = list.into_paginator().page_size(size).send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.expect("a page");
            assert!(page.contents().len() <= usize::try_from(size).expect("small"));
            keys.extend(page.contents().iter().filter_map(|object| object.key().map(decoded)));
        }
        assert_eq!(keys, sorted(), "pages of {size}");
    }
}

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
async fn a_delimiter_rolls_keys_up_and_counts_them_once() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), filled(server).await);
    let top = client.list_objects_v2().bucket(&bucket).delimiter("/").encoding_type(EncodingType::Url);
    let top = top.send().await.expect("LIST");
    let prefixes: Vec<_> = top.common_prefixes().iter().filter_map(|prefix| prefix.prefix()).collect();
    assert_eq!(prefixes, ["a/", "foo/"]);
    assert_eq!(top.contents().len(), 5);
    let below = client.list_objects_v2().bucket(&bucket).delimiter("/").prefix("a/").send().await.expect("LIST");
    let keys: Vec<_> = below.contents().iter().filter_map(|object| object.key()).collect();
    let prefixes: Vec<_> = below.common_prefixes().iter().filter_map(|prefix| prefix.prefix()).collect();
    assert_eq!((keys, prefixes), (vec!["a/", "a/b"], vec!["a/c/"]));
    let one = client.list_objects_v2().bucket(&bucket).delimiter("/").max_keys(2).send().await.expect("LIST");
    assert_eq!((one.contents().len(), one.common_prefixes().len(), one.is_truncated()), (1, 1, Some(true)));
}

#[tokio::test]
async fn version_one_goes_on_by_marker() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), filled(server).await);
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
async fn version_two_starts_after_a_key_and_shows_owners_on_demand() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), filled(server).await);
    let list = client.list_objects_v2().bucket(&bucket).prefix("foo").start_after("foo+1");
    let page = list.send().await.expect("LIST");
    assert_eq!(page.contents().len(), 1);
    assert!(page.contents()[0].owner().is_none());
    let owned = client.list_objects_v2().bucket(&bucket).prefix("foo").fetch_owner(true).send().await.expect("LIST");
    assert!(owned.contents()[0].owner().is_some());
}
