//! ListObjects: order, prefixes, delimiters, pages.

use bytes::Bytes;
use objects::{ListEntry, ListObjectsRequest, ListStart, ListedVersion, ObjectsError, ObjectsPage};
use types::BucketName;

use crate::world::{World, bucket};

fn list(bucket: &BucketName) -> ListObjectsRequest {
    ListObjectsRequest {
        bucket: bucket.clone(),
        prefix: Bytes::new(),
        delimiter: Bytes::new(),
        start: ListStart::Beginning,
        max_keys: 1000,
    }
}

fn shown(page: &ObjectsPage) -> Vec<String> {
    let line = |entry: &ListEntry<ListedVersion>| match entry {
        ListEntry::Entry(version) => version.key.to_string(),
        ListEntry::CommonPrefix(prefix) => format!("{}*", String::from_utf8_lossy(prefix)),
    };
    page.entries.iter().map(line).collect()
}

async fn world_with(names: &[&str]) -> (World, BucketName) {
    let (world, bucket) = World::with_bucket("bucket").await;
    for name in names {
        world.put(&bucket, name, b"bytes").await;
    }
    (world, bucket)
}

#[tokio::test]
async fn keys_are_in_byte_order_and_prefixes_are_rolled_up_among_them() {
    let (world, bucket) = world_with(&["foo/2", "b", "foo+1", "foo", "foo/1", "z"]).await;
    let all = world.objects.list_objects(list(&bucket)).await.unwrap();
    assert_eq!(shown(&all), ["b", "foo", "foo+1", "foo/1", "foo/2", "z"]);
    assert_eq!((all.truncated, all.next_marker, all.next_token), (false, None, None));
    let rolled =
        world.objects.list_objects(ListObjectsRequest { delimiter: "/".into(), ..list(&bucket) }).await.unwrap();
    assert_eq!(shown(&rolled), ["b", "foo", "foo+1", "foo/*", "z"]);
    let below = ListObjectsRequest { prefix: "foo/".into(), delimiter: "/".into(), ..list(&bucket) };
    assert_eq!(shown(&world.objects.list_objects(below).await.unwrap()), ["foo/1", "foo/2"]);
    let ListEntry::Entry(first) = &all.entries[0] else { panic!("a key") };
    assert_eq!((first.plain_bytes, first.owner.clone()), (5, crate::world::owner()));
}

#[tokio::test]
async fn pages_go_on_where_the_last_one_ended() {
    let (world, bucket) = world_with(&["a", "b/1", "b/2", "c", "d/1", "e"]).await;
    let mut start = ListStart::Beginning;
    let mut found = Vec::new();
    loop {
        let request = ListObjectsRequest { delimiter: "/".into(), start, max_keys: 2, ..list(&bucket) };
        let page = world.objects.list_objects(request).await.unwrap();
        assert_eq!(page.truncated, page.next_token.is_some());
        found.extend(shown(&page));
        match page.next_token {
            Some(token) => start = ListStart::Token(token),
            None => break,
        }
    }
    assert_eq!(found, ["a", "b/*", "c", "d/*", "e"]);

    // Version 1 goes on by its marker, which may be a common prefix; without a delimiter it is not told.
    let request = ListObjectsRequest { delimiter: "/".into(), max_keys: 2, ..list(&bucket) };
    let page = world.objects.list_objects(request.clone()).await.unwrap();
    assert_eq!(page.next_marker.as_deref(), Some(&b"b/"[..]));
    let start = ListStart::After(page.next_marker.unwrap());
    let page = world.objects.list_objects(ListObjectsRequest { start, ..request }).await.unwrap();
    assert_eq!(shown(&page), ["c", "d/*"]);
    let plain = world.objects.list_objects(ListObjectsRequest { max_keys: 2, ..list(&bucket) }).await.unwrap();
    assert_eq!((plain.truncated, plain.next_marker), (true, None));
}

#[tokio::test]
async fn a_page_of_exactly_all_is_not_truncated_and_one_of_none_is_complete() {
    let (world, bucket) = world_with(&["a", "b"]).await;
    let exact = world.objects.list_objects(ListObjectsRequest { max_keys: 2, ..list(&bucket) }).await.unwrap();
    assert!(!exact.truncated);
    let none = world.objects.list_objects(ListObjectsRequest { max_keys: 0, ..list(&bucket) }).await.unwrap();
    assert!(none.entries.is_empty() && !none.truncated && none.next_token.is_none());
}

#[tokio::test]
async fn wrong_tokens_and_missing_buckets_are_refused() {
    let (world, name) = world_with(&[]).await;
    let request = ListObjectsRequest { start: ListStart::Token("nonsense".into()), ..list(&name) };
    assert!(matches!(world.objects.list_objects(request).await, Err(ObjectsError::InvalidToken)));
    let missing = bucket("missing");
    assert!(matches!(world.objects.list_objects(list(&missing)).await, Err(ObjectsError::NoSuchBucket { .. })));
    let request = ListObjectsRequest { max_keys: 0, ..list(&missing) };
    assert!(matches!(world.objects.list_objects(request).await, Err(ObjectsError::NoSuchBucket { .. })));
    assert!(world.objects.list_objects(list(&name)).await.unwrap().entries.is_empty());
}
