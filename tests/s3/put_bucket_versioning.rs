//! PutBucketVersioning, and what it means for writes.

use aws_sdk_s3::types::BucketVersioningStatus;

use super::{code_of, get, put, set_versioning, status_of};
use crate::server::Server;

#[tokio::test]
async fn enabled_keeps_versions_and_a_delete_adds_a_marker() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    put(&client, &bucket, "k", b"null").await;
    set_versioning(&client, &bucket, BucketVersioningStatus::Enabled).await;
    let (_, first) = put(&client, &bucket, "k", b"1").await;
    let (_, second) = put(&client, &bucket, "k", b"2").await;
    let (first, second) = (first.expect("an id"), second.expect("an id"));
    assert_ne!(first, second);
    let gone = client.delete_object().bucket(&bucket).key("k").send().await.expect("DELETE");
    assert_eq!(gone.delete_marker(), Some(true));
    let marker = gone.version_id().expect("a marker has an id");
    assert_eq!(code_of(client.get_object().bucket(&bucket).key("k").send().await), "NoSuchKey");
    let of = |version: &str| client.get_object().bucket(&bucket).key("k").version_id(version);
    assert_eq!(status_of(of(marker).send().await), 405);
    for (version, bytes) in [("null", "null"), (first.as_str(), "1"), (second.as_str(), "2")] {
        let got = of(version).send().await.expect("GET").body.collect().await.expect("the body").to_vec();
        assert_eq!(got, bytes.as_bytes());
    }
    client.delete_object().bucket(&bucket).key("k").version_id(marker).send().await.expect("the marker goes");
    assert_eq!(get(&client, &bucket, "k").await, b"2");
    client.delete_object().bucket(&bucket).key("k").version_id(&second).send().await.expect("the newest goes");
    assert_eq!(get(&client, &bucket, "k").await, b"1");
}

#[tokio::test]
async fn suspended_replaces_the_null_version_alone() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    set_versioning(&client, &bucket, BucketVersioningStatus::Enabled).await;
    let (_, kept) = put(&client, &bucket, "k", b"kept").await;
    set_versioning(&client, &bucket, BucketVersioningStatus::Suspended).await;
    put(&client, &bucket, "k", b"one").await;
    put(&client, &bucket, "k", b"two").await;
    let listed = client.list_object_versions().bucket(&bucket).send().await.expect("versions");
    let ids: Vec<_> = listed.versions().iter().filter_map(|version| version.version_id()).collect();
    assert_eq!(ids, ["null", kept.as_deref().expect("an id")]);
    assert_eq!(get(&client, &bucket, "k").await, b"two");
}
