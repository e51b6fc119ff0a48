//! CopyObject: bytes, metadata, conditions on the source.

use aws_sdk_s3::types::MetadataDirective;

use super::{code_of, get, put};
use crate::body::body;
use crate::server::Server;

#[tokio::test]
async fn a_copy_has_the_bytes_and_the_metadata_or_new_metadata() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    let sent = body(6_000_000, 3);
    let put = client.put_object().bucket(&bucket).key("a b+c").metadata("color", "blue").body(sent.clone().into());
    put.send().await.expect("PUT");
    let source = format!("{bucket}/a%20b%2Bc");
    let copy = || client.copy_object().bucket(&bucket).copy_source(&source);
    copy().key("same").send().await.expect("copied");
    assert!(get(&client, &bucket, "same").await == sent);
    let head = client.head_object().bucket(&bucket).key("same").send().await.expect("HEAD");
    assert_eq!(head.metadata().expect("metadata")["color"], "blue");
    let replaced = copy().key("new").metadata_directive(MetadataDirective::Replace).metadata("color", "red");
    replaced.send().await.expect("copied");
    let head = client.head_object().bucket(&bucket).key("new").send().await.expect("HEAD");
    assert_eq!(head.metadata().expect("metadata")["color"], "red");
}

#[tokio::test]
async fn conditions_on_the_source_hold_and_a_copy_onto_itself_must_change_something() {
    let server = Server::shared();
    let (client, bucket) = (server.client(), server.bucket().await);
    let (tag, _) = put(&client, &bucket, "k", b"x").await;
    let copy = || client.copy_object().bucket(&bucket).key("t").copy_source(format!("{bucket}/k"));
    copy().copy_source_if_match(&tag).send().await.expect("it matches");
    assert_eq!(code_of(copy().copy_source_if_none_match(&tag).send().await), "PreconditionFailed");
    let onto_itself = client.copy_object().bucket(&bucket).key("k").copy_source(format!("{bucket}/k"));
    assert_eq!(code_of(onto_itself.send().await), "InvalidRequest");
    let missing = client.copy_object().bucket(&bucket).key("t").copy_source(format!("{bucket}/none"));
    assert_eq!(code_of(missing.send().await), "NoSuchKey");
}
