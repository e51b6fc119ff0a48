//! HeadBucket: whether it is there, and where.

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};

use super::raw::request;
use super::{fresh, status_of};
use crate::server::{ACCESS_KEY, Server};

#[tokio::test]
async fn a_bucket_tells_its_region_by_header_alone() {
    let (client, plain) = fresh().await;
    let located = format!("{plain}-north");
    let region = CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::EuNorth1).build();
    let create = client.create_bucket().bucket(&located).create_bucket_configuration(region);
    create.send().await.expect("created");
    for (bucket, region) in [(&plain, "us-east-1"), (&located, "eu-north-1")] {
        let head = client.head_bucket().bucket(bucket).send().await.expect("it is there");
        assert_eq!(head.bucket_region(), Some(region));
        let raw = request(Server::shared(), "HEAD", &format!("/{bucket}"), &[], b"");
        assert_eq!((raw.status, raw.header("x-amz-bucket-region")), (200, Some(region)));
    }
}

#[tokio::test]
async fn refusals_are_a_status_without_a_code() {
    let (client, bucket) = fresh().await;
    let server = Server::shared();
    assert_eq!(status_of(client.head_bucket().bucket("no-such-bucket-here").send().await), 404);
    assert_eq!(status_of(client.head_bucket().bucket("No_Bucket").send().await), 400);
    let others = client.head_bucket().bucket(&bucket).expected_bucket_owner("999999999999");
    assert_eq!(status_of(others.send().await), 403);
    for stranger in [server.client_as("nobody", "nothing"), server.client_as(ACCESS_KEY, "wrong")] {
        assert_eq!(status_of(stranger.head_bucket().bucket(&bucket).send().await), 403);
    }
}

/// Sub-resources have no HEAD, and a bucket has no version.
#[tokio::test]
async fn neither_a_sub_resource_nor_a_version_has_a_head() {
    let (_, bucket) = fresh().await;
    for (query, status) in
        [("?versioning", 405), ("?acl", 405), ("?uploads", 405), ("?versionId=null", 400), ("?x-id=HeadBucket", 200)]
    {
        let answer = request(Server::shared(), "HEAD", &format!("/{bucket}{query}"), &[], b"");
        assert_eq!(answer.status, status, "{query}");
    }
}
