//! DeleteObjects: up to 1000 keys at once.

use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use super::{code_of, put};
use crate::server::Server;

fn named(keys: impl IntoIterator<Item = String>, quiet: bool) -> Delete {
    let keys = keys.into_iter().map(|key| ObjectIdentifier::builder().key(key).build().expect("a key"));
    Delete::builder().set_objects(Some(keys.collect())).quiet(quiet).build().expect("objects")
}

#[tokio::test]
async fn many_keys_go_at_once_and_missing_ones_are_fine() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    for n in 0..20 {
        put(&client, &bucket, &format!("k{n}"), b"x").await;
    }
    let keys = (0..25).map(|n| format!("k{n}"));
    let gone = client.delete_objects().bucket(&bucket).delete(named(keys, false)).send().await.expect("POST ?delete");
    assert_eq!((gone.deleted().len(), gone.errors().len()), (25, 0));
    let listed = client.list_objects_v2().bucket(&bucket).send().await.expect("LIST");
    assert_eq!(listed.key_count(), Some(0));
    let quiet = named(["k1".to_owned()], true);
    let gone = client.delete_objects().bucket(&bucket).delete(quiet).send().await.expect("POST ?delete");
    assert!(gone.deleted().is_empty());
}

#[tokio::test]
async fn more_than_a_thousand_keys_are_malformed() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    let keys = named((0..1001).map(|n| n.to_string()), false);
    assert_eq!(code_of(client.delete_objects().bucket(&bucket).delete(keys).send().await), "MalformedXML");
}
