//! ListObjectVersions: newest first within a key, markers among them, in pages.

use aws_sdk_s3::types::BucketVersioningStatus;

use super::{put, set_versioning};
use crate::server::Server;

#[tokio::test]
async fn versions_and_markers_come_newest_first_in_pages() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    set_versioning(&client, &bucket, BucketVersioningStatus::Enabled).await;
    let mut expected = Vec::new();
    for key in ["a", "b"] {
        let mut ids = Vec::new();
        for body in ["1", "2", "3"] {
            ids.push(put(&client, &bucket, key, body.as_bytes()).await.1.expect("an id"));
        }
        let gone = client.delete_object().bucket(&bucket).key(key).send().await.expect("DELETE");
        ids.push(gone.version_id.expect("a marker has an id"));
        expected.extend(ids.into_iter().rev().map(|id| (key.to_owned(), id)));
    }
    let (mut key_marker, mut id_marker, mut found) = (None, None, Vec::new());
    loop {
        let list = client.list_object_versions().bucket(&bucket).max_keys(3);
        let list = list.set_key_marker(key_marker).set_version_id_marker(id_marker);
        let page = list.send().await.expect("a page");
        let mut entries: Vec<(String, String)> = Vec::new();
        for version in page.versions() {
            entries.push((version.key().expect("key").to_owned(), version.version_id().expect("id").to_owned()));
        }
        for marker in page.delete_markers() {
            assert_eq!(marker.is_latest(), Some(true));
            entries.push((marker.key().expect("key").to_owned(), marker.version_id().expect("id").to_owned()));
        }
        entries.sort_by_key(|entry| expected.iter().position(|known| known == entry));
        found.extend(entries);
        if page.is_truncated() != Some(true) {
            break;
        }
        (key_marker, id_marker) = (page.next_key_marker, page.next_version_id_marker);
    }
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_bucket_that_never_was_versioned_lists_null_versions() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    put(&client, &bucket, "k", b"x").await;
    let listed = client.list_object_versions().bucket(&bucket).send().await.expect("versions");
    assert_eq!(listed.versions()[0].version_id(), Some("null"));
    assert_eq!(listed.versions()[0].is_latest(), Some(true));
}
