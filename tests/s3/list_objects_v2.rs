//! ListObjectsV2: byte order, prefixes, delimiters, pages, and the tokens by which they go on.

use aws_sdk_s3::types::EncodingType;

use super::list_objects::{KEYS, decoded, filled};
use super::raw::request;
use super::{code_of, fresh, put};
use crate::server::Server;

fn sorted() -> Vec<String> {
    let mut keys = KEYS.map(str::to_owned).to_vec();
    keys.sort();
    keys
}

#[tokio::test]
async fn keys_come_in_byte_order_whatever_the_page() {
    let (client, bucket) = filled().await;
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

#[tokio::test]
async fn a_delimiter_rolls_keys_up_and_counts_them_once() {
    let (client, bucket) = filled().await;
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
async fn version_two_starts_after_a_key_and_shows_owners_on_demand() {
    let (client, bucket) = filled().await;
    let list = client.list_objects_v2().bucket(&bucket).prefix("foo").start_after("foo+1");
    let page = list.send().await.expect("LIST");
    assert_eq!(page.contents().len(), 1);
    assert!(page.contents()[0].owner().is_none());
    let owned = client.list_objects_v2().bucket(&bucket).prefix("foo").fetch_owner(true).send().await.expect("LIST");
    assert!(owned.contents()[0].owner().is_some());
}

#[tokio::test]
async fn rolled_pages_of_any_size_end_at_the_same_list() {
    let (client, bucket) = fresh().await;
    let mut expected = Vec::new();
    for number in 0..6 {
        for key in [format!("{number}"), format!("{number}/a"), format!("{number}/b/c"), format!("{number}0")] {
            put(&client, &bucket, &key, b"").await;
        }
        expected.extend([format!("{number}"), format!("{number}/"), format!("{number}0")]);
    }
    for size in [1, 2, 3, 5, 17] {
        let list = client.list_objects_v2().bucket(&bucket).delimiter("/");
        let mut pages = list.into_paginator().page_size(size).send();
        let mut lines = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.expect("a page");
            let keys = page.contents().iter().filter_map(|object| object.key());
            let mut on_page: Vec<_> = keys.chain(page.common_prefixes().iter().filter_map(|it| it.prefix())).collect();
            assert_eq!(page.key_count(), i32::try_from(on_page.len()).ok());
            assert!(page.is_truncated() != Some(true) || page.key_count() == Some(size));
            on_page.sort_unstable();
            lines.extend(on_page.into_iter().map(str::to_owned));
        }
        assert_eq!(lines, expected, "pages of {size}");
    }
}

#[tokio::test]
async fn a_token_goes_before_start_after_and_must_be_one() {
    let (client, bucket) = filled().await;
    let list = || client.list_objects_v2().bucket(&bucket).prefix("a").start_after("a");
    let first = list().max_keys(1).send().await.expect("LIST");
    assert_eq!((first.contents()[0].key(), first.start_after()), (Some("a/"), Some("a")));
    let token = first.next_continuation_token.expect("more follow");
    let second = list().continuation_token(&token).send().await.expect("LIST");
    assert_eq!((second.contents()[0].key(), second.continuation_token()), (Some("a/b"), Some(token.as_str())));
    // Keys that come and go meanwhile move nothing.
    put(&client, &bucket, "a/0", b"").await;
    client.delete_object().bucket(&bucket).key("a/").send().await.expect("DELETE");
    let again = list().continuation_token(&token).send().await.expect("LIST");
    assert_eq!(again.contents()[0].key(), Some("a/0"), "it goes on behind the last key");
    assert_eq!(code_of(list().continuation_token("no token").send().await), "InvalidArgument");
    let empty = request(Server::shared(), "GET", &format!("/{bucket}?list-type=2&continuation-token="), &[], b"");
    assert_eq!((empty.status, empty.element("ContinuationToken")), (200, Some("")), "an empty one is echoed");
}

#[tokio::test]
async fn a_page_of_nothing_is_whole() {
    let (client, bucket) = filled().await;
    let none = client.list_objects_v2().bucket(&bucket).max_keys(0).send().await.expect("LIST");
    assert_eq!((none.key_count(), none.is_truncated(), none.next_continuation_token()), (Some(0), Some(false), None));
    let missing = client.list_objects_v2().bucket(&bucket).prefix("none").delimiter("/").send().await.expect("LIST");
    assert_eq!((missing.key_count(), missing.is_truncated()), (Some(0), Some(false)));
}
