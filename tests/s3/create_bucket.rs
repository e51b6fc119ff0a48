//! CreateBucket, HeadBucket, DeleteBucket and GetBucketLocation: the life of a name.

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};

use super::{code_of, put, status_of};
use crate::server::Server;

#[tokio::test]
async fn a_bucket_is_made_found_and_deleted_when_it_is_empty() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    client.head_bucket().bucket(&bucket).send().await.expect("it is there");
    put(&client, &bucket, "k", b"x").await;
    assert_eq!(code_of(client.delete_bucket().bucket(&bucket).send().await), "BucketNotEmpty");
    client.delete_object().bucket(&bucket).key("k").send().await.expect("DELETE");
    client.delete_bucket().bucket(&bucket).send().await.expect("it is empty");
    assert_eq!(status_of(client.head_bucket().bucket(&bucket).send().await), 404);
    assert_eq!(code_of(client.delete_bucket().bucket(&bucket).send().await), "NoSuchBucket");
    let gone = client.put_object().bucket(&bucket).key("k").body(b"x".to_vec().into()).send().await;
    assert_eq!(code_of(gone), "NoSuchBucket");
    client.create_bucket().bucket(&bucket).send().await.expect("the name is free again");
    assert_eq!(code_of(client.get_object().bucket(&bucket).key("k").send().await), "NoSuchKey");
}

#[tokio::test]
async fn a_name_is_taken_once_and_must_be_valid() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    assert_eq!(code_of(client.create_bucket().bucket(&bucket).send().await), "BucketAlreadyOwnedByYou");
    assert_eq!(code_of(client.create_bucket().bucket("No_Bucket").send().await), "InvalidBucketName");
}

#[tokio::test]
async fn any_region_is_kept_and_answered() {
    let server = Server::shared();
    let (client, plain) = (server.client(), server.bucket().await);
    let located = format!("{plain}-eu");
    let region = CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::EuWest1).build();
    let create = client.create_bucket().bucket(&located).create_bucket_configuration(region);
    create.send().await.expect("any region is taken");
    let answered = client.get_bucket_location().bucket(&located).send().await.expect("location");
    assert_eq!(answered.location_constraint, Some(BucketLocationConstraint::EuWest1));
    let answered = client.get_bucket_location().bucket(&plain).send().await.expect("location");
    assert!(answered.location_constraint.is_none_or(|region| region.as_str().is_empty()));
}
