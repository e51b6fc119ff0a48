//! CreateBucket: the life of a name.

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
