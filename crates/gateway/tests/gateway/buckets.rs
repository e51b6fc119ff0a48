//! Buckets: made, listed, looked at, deleted, and what isn't configured of them.

use crate::client::Payload;
use crate::world::World;
use gateway::Compat;

#[tokio::test]
async fn buckets_are_made_listed_and_deleted() {
    let (_world, mut client) = World::with_bucket("one").await;
    let region =
        b"<CreateBucketConfiguration><LocationConstraint>eu-north-9</LocationConstraint></CreateBucketConfiguration>";
    let made = client.put("/two", region).await;
    assert_eq!((made.status, made.header("location")), (200, Some("/two")));
    let list = client.get("/").await.text();
    assert!(list.contains("<Name>one</Name>") && list.contains("<Name>two</Name>"), "{list}");
    let head = client.send("HEAD", "/two", &[], b"").await;
    assert_eq!((head.status, head.header("x-amz-bucket-region")), (200, Some("eu-north-9")));
    assert_eq!(client.get("/two?location").await.element("LocationConstraint"), None, "the root has a namespace");
    assert!(client.get("/two?location").await.text().contains(">eu-north-9</LocationConstraint>"));
    assert_eq!(client.send("DELETE", "/two", &[], b"").await.status, 204);
    assert_eq!(client.send("HEAD", "/two", &[], b"").await.status, 404);
    assert_eq!(client.put("/one", b"").await.error(), (409, "BucketAlreadyOwnedByYou".to_owned()));
}

#[tokio::test]
async fn lists_of_buckets_come_in_pages() {
    let (_world, mut client) = World::with_bucket("one").await;
    for name in ["two", "three"] {
        assert_eq!(client.put(&format!("/{name}"), b"").await.status, 200);
    }
    let first = client.get("/?max-buckets=2").await;
    let token = first.element("ContinuationToken").unwrap();
    assert!(first.text().contains("<Name>one</Name>") && first.text().contains("<Name>three</Name>"));
    let second = client.get(&format!("/?max-buckets=2&continuation-token={token}")).await;
    assert!(second.text().contains("<Name>two</Name>") && !second.text().contains("<Name>one</Name>"));
    assert_eq!(second.element("ContinuationToken"), None);
    assert_eq!(client.get("/?continuation-token=x").await.error(), (400, "InvalidArgument".to_owned()));
}

#[tokio::test]
async fn rgw_lets_an_owner_make_a_bucket_again() {
    let world = World::with(|settings| settings.compat = Compat::Rgw).await;
    let mut client = world.client();
    assert_eq!(client.put("/bucket", b"").await.status, 200);
    assert_eq!(client.put("/bucket", b"").await.status, 200);
}

#[tokio::test]
async fn a_bucket_that_could_not_be_reached_is_not_made() {
    let world = World::new().await;
    assert_eq!(world.client().put("/minio", b"").await.error(), (400, "InvalidBucketName".to_owned()));
    assert_eq!(world.client().put("/Wrong", b"").await.error(), (400, "InvalidBucketName".to_owned()));
}

/// Reading a sub-resource that isn't built answers as for one that was never set; setting one is 501.
#[tokio::test]
async fn what_is_not_built_answers_as_not_configured() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    for (target, code) in
        [("?replication", "ReplicationConfigurationNotFoundError"), ("?website", "NoSuchWebsiteConfiguration")]
    {
        let answer = client.get(&format!("/bucket{target}")).await;
        assert_eq!(answer.error(), (404, code.to_owned()), "{target}");
        let answer = client.put(&format!("/bucket{target}"), b"<x/>").await;
        assert_eq!(answer.error(), (501, "NotImplemented".to_owned()), "{target}");
    }
    assert!(client.get("/bucket?acl").await.text().contains("FULL_CONTROL"));
    assert_eq!(client.get("/bucket?logging").await.status, 200);
    assert_eq!(client.get("/nowhere?policy").await.error(), (404, "NoSuchBucket".to_owned()));
    assert_eq!(client.get("/bucket/key?acl").await.error(), (404, "NoSuchKey".to_owned()));
    assert_eq!(client.put("/bucket/key", b"x").await.status, 200);
    assert!(client.get("/bucket/key?acl").await.text().contains("FULL_CONTROL"));
}

#[tokio::test]
async fn a_host_under_a_base_domain_names_the_bucket() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    assert_eq!(client.put("/bucket/key", b"hello").await.status, 200);
    // The signature covers the host, so it is signed as it is sent.
    let port = client.address.port();
    let mut signed = client.sign_for(&format!("bucket.localhost:{port}"), "GET", "/key", &[], &Payload::Whole(b""));
    assert_eq!(client.exchange(&signed, b"").await.body, b"hello");
    signed.headers[0].1 = format!("bucket.elsewhere:{port}");
    assert_eq!(client.exchange(&signed, b"").await.status, 403);
}
