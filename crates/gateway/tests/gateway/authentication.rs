//! Who may ask: signatures in header and query, clocks, unknown keys, accounts without rights.

use std::time::Duration;

use crate::client::Payload;
use crate::world::{POOR_ACCESS_KEY, World};

#[tokio::test]
async fn signed_and_presigned_requests_are_let_in() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    assert_eq!(client.put("/bucket/a%20b?x-id=PutObject", b"hello").await.status, 200);
    let presigned = client.presign("GET", "/bucket/a%20b");
    let answer = client.exchange(&presigned, b"").await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"hello"[..]));
}

#[tokio::test]
async fn what_was_changed_after_signing_is_refused() {
    let (_world, client) = World::with_bucket("bucket").await;
    let signed = client.sign("GET", "/bucket/key", &[], &Payload::Unsigned);
    let mut other = signed.clone();
    other.target = "/bucket/other".to_owned();
    assert_eq!(client.exchange(&other, b"").await.error(), (403, "SignatureDoesNotMatch".to_owned()));
    let unsigned_header = signed.with("x-amz-meta-a", "b");
    let answer = client.exchange(&unsigned_header, b"").await;
    assert_eq!(answer.error(), (403, "AccessDenied".to_owned()));
    assert_eq!(answer.element("HeadersNotSigned").as_deref(), Some("x-amz-meta-a"));
}

#[tokio::test]
async fn clocks_that_are_too_far_apart_and_urls_that_are_over_are_refused() {
    let (world, mut client) = World::with_bucket("bucket").await;
    let presigned = client.presign("GET", "/bucket");
    world.clock.advance(Duration::from_secs(16 * 60));
    assert_eq!(client.get("/bucket").await.error(), (403, "RequestTimeTooSkewed".to_owned()));
    let answer = client.exchange(&presigned, b"").await;
    assert_eq!(answer.error(), (403, "AccessDenied".to_owned()));
    assert_eq!(answer.element("Message").as_deref(), Some("Request has expired"));
}

#[tokio::test]
async fn unknown_keys_and_two_credentials_at_once_are_refused() {
    let (world, client) = World::with_bucket("bucket").await;
    let answer = world.client_of("nobody").get("/bucket").await;
    assert_eq!(answer.error(), (403, "InvalidAccessKeyId".to_owned()));
    let both = client.presign("GET", "/bucket").with("authorization", "AWS4-HMAC-SHA256 Credential=x");
    assert_eq!(client.exchange(&both, b"").await.error(), (400, "InvalidArgument".to_owned()));
}

/// Nobody but root has a right; of buckets that are not there everybody is told that.
#[tokio::test]
async fn other_accounts_and_the_anonymous_are_denied() {
    let (world, _client) = World::with_bucket("bucket").await;
    let mut poor = world.client_of(POOR_ACCESS_KEY);
    for (method, target) in [
        ("GET", "/bucket"),
        ("PUT", "/bucket/key"),
        ("GET", "/bucket/key"),
        ("DELETE", "/bucket/key"),
        ("GET", "/bucket?policy"),
        ("PUT", "/bucket?policy"),
        ("DELETE", "/bucket"),
    ] {
        let answer = poor.send(method, target, &[], b"").await;
        assert_eq!(answer.error(), (403, "AccessDenied".to_owned()), "{method} {target}");
        let anonymous = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        let answer = poor.exchange_bytes(anonymous.as_bytes(), false).await;
        assert_eq!(answer.error(), (403, "AccessDenied".to_owned()), "anonymous {method} {target}");
    }
    assert_eq!(poor.get("/nowhere/key").await.error(), (404, "NoSuchBucket".to_owned()));
    // Each account has buckets of its own, and sees no others.
    assert!(!poor.get("/").await.text().contains("<Bucket>"));
    assert_eq!(poor.put("/other", b"").await.status, 200);
    assert!(poor.get("/").await.text().contains("<Name>other</Name>"));
    assert_eq!(poor.put("/other/key", b"x").await.status, 200);
    for (method, target) in [("GET", "/"), ("PUT", "/third")] {
        let anonymous = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        let answer = poor.exchange_bytes(anonymous.as_bytes(), false).await;
        assert_eq!(answer.error(), (403, "AccessDenied".to_owned()), "anonymous {method} {target}");
    }
}

#[tokio::test]
async fn the_expected_bucket_owner_is_compared() {
    let (_world, mut client) = World::with_bucket("bucket").await;
    let owner = |account| [("x-amz-expected-bucket-owner", account)];
    assert_eq!(client.send("GET", "/bucket", &owner("100000000000"), b"").await.status, 200);
    let answer = client.send("GET", "/bucket", &owner("200000000000"), b"").await;
    assert_eq!(answer.error(), (403, "AccessDenied".to_owned()));
    let answer = client.send("GET", "/bucket", &owner("me"), b"").await;
    assert_eq!(answer.error(), (400, "InvalidBucketOwnerAWSAccountID".to_owned()));
}

#[tokio::test]
async fn a_configured_region_is_the_only_one() {
    let world = World::with(|settings| settings.region = Some("home".to_owned())).await;
    let answer = world.client().get("/").await;
    assert_eq!(answer.error(), (400, "AuthorizationHeaderMalformed".to_owned()));
    assert_eq!(answer.element("Region").as_deref(), Some("home"));
}
