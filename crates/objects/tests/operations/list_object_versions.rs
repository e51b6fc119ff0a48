//! ListObjectVersions: all versions and markers, newest first, in pages.

use bytes::Bytes;
use objects::{ListEntry, ListObjectVersionsRequest, ListedVersion, VersioningStatus, VersionsPage};
use types::BucketName;

use crate::world::World;

/// One line of a listing of the only key's versions.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    Newest(&'static str),
    NewestMarker(&'static str),
    Older(&'static str),
    OlderMarker(&'static str),
}

fn list(bucket: &BucketName) -> ListObjectVersionsRequest {
    ListObjectVersionsRequest {
        bucket: bucket.clone(),
        prefix: Bytes::new(),
        delimiter: Bytes::new(),
        key_marker: Bytes::new(),
        version_marker: None,
        max_keys: 1000,
    }
}

fn line(version: &ListedVersion) -> Line {
    let id = if version.null { "null" } else { "id" };
    match (version.newest, version.marker) {
        (true, false) => Line::Newest(id),
        (true, true) => Line::NewestMarker(id),
        (false, false) => Line::Older(id),
        (false, true) => Line::OlderMarker(id),
    }
}

pub(crate) async fn lines(world: &World, bucket: &BucketName) -> Vec<Line> {
    let page = world.objects.list_object_versions(list(bucket)).await.unwrap();
    let of_entry = |entry: &ListEntry<ListedVersion>| match entry {
        ListEntry::Entry(version) => line(version),
        ListEntry::CommonPrefix(prefix) => panic!("{prefix:?}"),
    };
    page.entries.iter().map(of_entry).collect()
}

fn shown(page: &VersionsPage) -> Vec<String> {
    let of_entry = |entry: &ListEntry<ListedVersion>| match entry {
        ListEntry::Entry(version) => format!("{}{}", version.key, if version.marker { "-" } else { "" }),
        ListEntry::CommonPrefix(prefix) => format!("{}*", String::from_utf8_lossy(prefix)),
    };
    page.entries.iter().map(of_entry).collect()
}

#[tokio::test]
async fn pages_go_on_within_a_key_and_behind_a_prefix() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.put(&bucket, "b", b"null").await;
    world.objects.put_bucket_versioning(&bucket, VersioningStatus::Enabled).await.unwrap();
    for name in ["a/1", "b", "b", "c"] {
        world.put(&bucket, name, b"bytes").await;
    }
    world.delete(&bucket, "b").await;
    let all = world.objects.list_object_versions(list(&bucket)).await.unwrap();
    assert_eq!(shown(&all), ["a/1", "b-", "b", "b", "b", "c"]);

    for size in 1..=6 {
        let mut request = ListObjectVersionsRequest { delimiter: "/".into(), max_keys: size, ..list(&bucket) };
        let mut found = Vec::new();
        loop {
            let page = world.objects.list_object_versions(request.clone()).await.unwrap();
            found.extend(shown(&page));
            assert_eq!(page.truncated, page.next_key_marker.is_some());
            let Some(key_marker) = page.next_key_marker else { break };
            request = ListObjectVersionsRequest { key_marker, version_marker: page.next_version_marker, ..request };
        }
        assert_eq!(found, ["a/*", "b-", "b", "b", "b", "c"], "pages of {size}");
    }
    let none = world.objects.list_object_versions(ListObjectVersionsRequest { max_keys: 0, ..list(&bucket) }).await;
    assert!(none.unwrap().entries.is_empty());
    let behind = ListObjectVersionsRequest { key_marker: "b".into(), ..list(&bucket) };
    assert_eq!(shown(&world.objects.list_object_versions(behind).await.unwrap()), ["c"]);
}
