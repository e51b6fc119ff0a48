//! GetBucketVersioning: off has no status at all.

use aws_sdk_s3::types::BucketVersioningStatus;

use super::raw::request;
use super::{code_of, fresh, set_versioning};
use crate::server::Server;

#[tokio::test]
async fn versioning_is_off_then_enabled_then_suspended() {
    let (client, bucket) = fresh().await;
    let status = async || client.get_bucket_versioning().bucket(&bucket).send().await.expect("versioning").status;
    assert_eq!(status().await, None);
    let raw = request(Server::shared(), "GET", &format!("/{bucket}?versioning"), &[], b"");
    assert!(raw.text().contains("<VersioningConfiguration ") && raw.element("Status").is_none(), "{}", raw.text());
    for wanted in [BucketVersioningStatus::Enabled, BucketVersioningStatus::Suspended, BucketVersioningStatus::Enabled]
    {
        set_versioning(&client, &bucket, wanted.clone()).await;
        assert_eq!(status().await, Some(wanted));
    }
}

#[tokio::test]
async fn of_a_bucket_that_is_not_there_nothing_is_told() {
    let (client, bucket) = fresh().await;
    let missing = client.get_bucket_versioning().bucket("no-such-bucket-here");
    assert_eq!(code_of(missing.send().await), "NoSuchBucket");
    let others = client.get_bucket_versioning().bucket(&bucket).expected_bucket_owner("999999999999");
    assert_eq!(code_of(others.send().await), "AccessDenied");
}

/// A bucket has no versions of its own; AWS says so of every bucket's sub-resource.
#[tokio::test]
async fn no_operation_on_a_bucket_takes_a_version() {
    let (_, bucket) = fresh().await;
    let server = Server::shared();
    for (method, query) in [
        ("GET", "versioning&versionId=null"),
        ("GET", "versionId=x"),
        ("GET", "list-type=2&versionId="),
        ("GET", "versions&versionId=x"),
        ("GET", "uploads&versionId=x"),
        ("GET", "location&versionId=x"),
        ("PUT", "versioning&versionId=x"),
        ("DELETE", "versionId=x"),
    ] {
        let answer = request(server, method, &format!("/{bucket}?{query}"), &[], b"");
        assert_eq!(answer.error(), (400, "InvalidArgument"), "{method} {query}");
        assert_eq!(answer.element("Message"), Some("This operation does not accept a version-id."));
        assert_eq!(answer.element("ArgumentName"), Some("versionId"));
    }
    let acl = request(server, "GET", &format!("/{bucket}?acl&versionId=x"), &[], b"");
    assert_eq!((acl.status, acl.element("Message")), (400, Some("Invalid version id specified")));
}
