//! What Ceph answers and AWS does not, where the operator chose it: `--compat rgw`.

use std::sync::OnceLock;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    BucketVersioningStatus, ChecksumAlgorithm, CompletedPart, Delete, ObjectAttributes, ObjectIdentifier,
};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::complete_multipart_upload::{begin, named};
use super::{code_of, get, put, set_versioning, status_of};
use crate::server::Server;

async fn fresh() -> (Client, String) {
    static SERVER: OnceLock<Server> = OnceLock::new();
    let server = SERVER.get_or_init(|| Server::start_with(1, &["--compat", "rgw"]));
    (server.client(), server.bucket().await)
}

#[tokio::test]
async fn writes_may_be_conditional_on_a_tag_that_is_not_there() {
    let (client, bucket) = fresh().await;
    let (tag, _) = put(&client, &bucket, "k", b"one").await;
    let write = |tag: &str| client.put_object().bucket(&bucket).key("k").if_none_match(tag).send();
    assert_eq!(status_of(write(&tag).await), 412);
    assert_eq!(get(&client, &bucket, "k").await, b"one");
    write("\"00000000000000000000000000000000\"").await.expect("another tag");
    assert_eq!(get(&client, &bucket, "k").await, b"");
}

#[tokio::test]
async fn conditional_deletes_of_what_is_not_there_are_done() {
    let (client, bucket) = fresh().await;
    set_versioning(&client, &bucket, BucketVersioningStatus::Enabled).await;
    let delete = |version: Option<&str>, tag: &str| {
        let delete = client.delete_object().bucket(&bucket).key("k").if_match(tag);
        delete.set_version_id(version.map(str::to_owned)).send()
    };
    delete(None, "*").await.expect("nothing is there");
    let (tag, version) = put(&client, &bucket, "k", b"one").await;
    let version = version.expect("an id");
    let other = "\"00000000000000000000000000000000\"";
    assert_eq!(status_of(delete(Some(&version), other).await), 412);
    assert!(delete(None, &tag).await.expect("it is the one").delete_marker().unwrap_or_default());
    // A marker is there and has no tag.
    assert_eq!(status_of(delete(None, &tag).await), 412);
    delete(None, "*").await.expect("any");
    let several = |tag: &str| {
        let object = ObjectIdentifier::builder().key("k").version_id(&version).e_tag(tag).build().expect("a key");
        client.delete_objects().bucket(&bucket).delete(Delete::builder().objects(object).build().expect("one")).send()
    };
    let refused = several(other).await.expect("answered");
    assert_eq!(refused.errors()[0].code(), Some("PreconditionFailed"));
    assert_eq!(several(&tag).await.expect("answered").deleted().len(), 1);
    assert_eq!(several(&tag).await.expect("answered").deleted().len(), 1, "it is gone already");
}

#[tokio::test]
async fn uploads_end_without_checksums_of_their_parts_and_the_last_of_a_number_counts() {
    let (client, bucket) = fresh().await;
    let create = client.create_multipart_upload().bucket(&bucket).key("k");
    let upload = create.checksum_algorithm(ChecksumAlgorithm::Sha256).send().await.expect("begun");
    let upload = upload.upload_id().expect("an id").to_owned();
    let part = |bytes: &'static [u8]| {
        let part = client.upload_part().bucket(&bucket).key("k").upload_id(&upload).part_number(1);
        part.checksum_sha256(STANDARD.encode(Sha256::digest(bytes))).body(bytes.to_vec().into()).send()
    };
    let tags = [part(b"one").await.expect("stored"), part(b"two").await.expect("stored")];
    let parts =
        tags.iter().map(|part| CompletedPart::builder().part_number(1).e_tag(part.e_tag().expect("a tag")).build());
    let complete = client.complete_multipart_upload().bucket(&bucket).key("k").upload_id(&upload);
    complete.multipart_upload(named(parts.collect())).send().await.expect("completed");
    assert_eq!(get(&client, &bucket, "k").await, b"two");
    let attributes = client.get_object_attributes().bucket(&bucket).key("k");
    let attributes = attributes.object_attributes(ObjectAttributes::Checksum);
    let attributes = attributes.object_attributes(ObjectAttributes::ObjectParts).send().await.expect("attributes");
    let checksum = attributes.checksum().and_then(|checksum| checksum.checksum_sha256()).expect("a checksum");
    assert!(checksum.ends_with("-1"), "{checksum}");
    assert_eq!(attributes.object_parts().expect("parts").parts().len(), 1);
    // Parts out of order are refused by both.
    let upload = begin(&client, &bucket, "k").await;
    let parts = [2, 1].map(|number| {
        CompletedPart::builder().part_number(number).e_tag("\"00000000000000000000000000000000\"").build()
    });
    let complete = client.complete_multipart_upload().bucket(&bucket).key("k").upload_id(&upload);
    let complete = complete.multipart_upload(named(parts.to_vec())).send().await;
    assert_eq!(code_of(complete), "InvalidPartOrder");
}
