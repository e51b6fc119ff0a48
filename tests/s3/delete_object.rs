//! DeleteObject: what is gone is gone, and deleting twice is fine.

use super::{code_of, get, put};
use crate::server::Server;

#[tokio::test]
async fn deleting_is_repeatable() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    put(&client, &bucket, "k", b"x").await;
    for _ in 0..2 {
        client.delete_object().bucket(&bucket).key("k").send().await.expect("DELETE");
        assert_eq!(code_of(client.get_object().bucket(&bucket).key("k").send().await), "NoSuchKey");
    }
}

#[tokio::test]
async fn if_match_is_decided_at_commit() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    let (old, _) = put(&client, &bucket, "k", b"1").await;
    let (new, _) = put(&client, &bucket, "k", b"2").await;
    let delete = || client.delete_object().bucket(&bucket).key("k");
    assert_eq!(code_of(delete().if_match(old).send().await), "PreconditionFailed");
    assert_eq!(get(&client, &bucket, "k").await, b"2");
    delete().if_match(&new).send().await.expect("it is this one");
    assert_eq!(code_of(delete().if_match(new).send().await), "NoSuchKey");
}
