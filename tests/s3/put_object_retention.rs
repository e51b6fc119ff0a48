//! PutObjectRetention and GetObjectRetention.

use aws_sdk_s3::types::ObjectLockRetentionMode;

use super::object_lock::{in_seconds, locked, retention};
use super::raw::request;
use super::{code_of, fresh, put, status_of};
use crate::server::Server;

const DAY: u64 = 86_400;

#[tokio::test]
async fn a_retention_may_grow_and_takes_a_bypass_for_anything_else() {
    let (client, bucket) = locked().await;
    let (_, version) = put(&client, &bucket, "k", b"x").await;
    let version = version.expect("an id");
    let (governance, compliance) = (ObjectLockRetentionMode::Governance, ObjectLockRetentionMode::Compliance);
    let set = |mode: &ObjectLockRetentionMode, until, bypass| {
        let set = client.put_object_retention().bucket(&bucket).key("k").version_id(&version);
        set.retention(retention(mode.clone(), until)).bypass_governance_retention(bypass).send()
    };
    let read = async || {
        let got = client.get_object_retention().bucket(&bucket).key("k").version_id(&version).send().await;
        got.expect("a retention").retention.expect("a retention")
    };
    let none = client.get_object_retention().bucket(&bucket).key("k").send().await;
    assert_eq!(code_of(none), "NoSuchObjectLockConfiguration");
    let (near, far) = (in_seconds(2 * DAY), in_seconds(3 * DAY));
    for until in [near, far] {
        set(&governance, until, false).await.expect("it grows");
        assert_eq!(read().await, retention(governance.clone(), until));
    }
    assert_eq!(code_of(set(&governance, near, false).await), "AccessDenied");
    assert_eq!(code_of(set(&compliance, far, false).await), "AccessDenied");
    set(&governance, near, true).await.expect("bypassed");
    assert_eq!(read().await, retention(governance.clone(), near));
    // An empty one removes it.
    let target = format!("/{bucket}/k?retention&versionId={version}");
    assert_eq!(request(Server::shared(), "PUT", &target, &[], b"<Retention/>").error(), (403, "AccessDenied"));
    let bypass = [("x-amz-bypass-governance-retention", "true")];
    assert_eq!(request(Server::shared(), "PUT", &target, &bypass, b"<Retention/>").status, 200);
    assert_eq!(request(Server::shared(), "GET", &target, &[], b"").error(), (404, "NoSuchObjectLockConfiguration"));

    set(&compliance, near, false).await.expect("set");
    set(&compliance, far, false).await.expect("it grows");
    for (mode, until) in [(&compliance, near), (&governance, in_seconds(9 * DAY))] {
        assert_eq!(code_of(set(mode, until, true).await), "AccessDenied");
    }
    let refused = request(Server::shared(), "PUT", &target, &bypass, b"<Retention/>");
    let words = "Access Denied because object protected by object lock.";
    assert_eq!((refused.error(), refused.element("Message")), ((403, "AccessDenied"), Some(words)));
    assert_eq!(read().await, retention(compliance, far));
}

#[tokio::test]
async fn what_takes_no_retention_says_why() {
    let (client, bucket) = locked().await;
    let (_, version) = put(&client, &bucket, "k", b"x").await;
    let target = |key: &str| format!("/{bucket}/{key}?retention");
    let send = |target: &str, document: &str| request(Server::shared(), "PUT", target, &[], document.as_bytes());
    let dated =
        |date: &str| format!("<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>{date}</RetainUntilDate></Retention>");
    for document in [
        "",
        "<Retention><Mode>GOVERNANCE</Mode></Retention>",
        "<Retention><Mode>governance</Mode><RetainUntilDate>2140-01-01T00:00:00Z</RetainUntilDate></Retention>",
        &dated("tomorrow"),
    ] {
        assert_eq!(send(&target("k"), document).error(), (400, "MalformedXML"), "{document}");
    }
    let past = send(&target("k"), &dated("2001-01-01T00:00:00Z"));
    let words = "The retain until date must be in the future!";
    assert_eq!((past.error(), past.element("Message")), ((400, "InvalidArgument"), Some(words)));
    assert_eq!(past.element("ArgumentName"), Some("RetainUntilDate"));
    let future = dated("2140-01-01T00:00:00Z");
    assert_eq!(send(&target("none"), &future).error(), (404, "NoSuchKey"));
    assert_eq!(send(&format!("{}&versionId=null", target("k")), &future).error(), (404, "NoSuchVersion"));
    assert_eq!(send(&format!("{}&versionId=nonsense", target("k")), &future).error(), (400, "InvalidArgument"));
    let marker = client.delete_object().bucket(&bucket).key("k").send().await.expect("a marker");
    assert_eq!(send(&target("k"), &future).error(), (405, "MethodNotAllowed"));
    let of_marker = client.get_object_retention().bucket(&bucket).key("k").set_version_id(marker.version_id);
    assert_eq!(status_of(of_marker.send().await), 405);
    let below = send(&format!("{}&versionId={}", target("k"), version.expect("an id")), &future);
    assert_eq!(below.status, 200, "{}", below.text());

    let (client, open) = fresh().await;
    put(&client, &open, "k", b"x").await;
    let words = "Bucket is missing Object Lock Configuration";
    for method in ["GET", "PUT"] {
        let body = if method == "PUT" { future.as_bytes() } else { b"" };
        let refused = request(Server::shared(), method, &format!("/{open}/k?retention"), &[], body);
        assert_eq!((refused.error(), refused.element("Message")), ((400, "InvalidRequest"), Some(words)), "{method}");
    }
}
