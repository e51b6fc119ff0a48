//! What isn't there yet: reading it answers AWS's own words for one that was never set, deleting it succeeds, setting
//! it is 501; all of it only where bucket and object exist.

use super::raw::{Answer, request};
use super::{fresh, put};
use crate::server::Server;

fn answer(method: &str, target: &str) -> Answer {
    request(Server::shared(), method, target, &[], if method == "PUT" { b"<x/>" } else { b"" })
}

/// What GET, PUT and DELETE of a bucket's sub-resource answer: the status, and the code of an error.
const OF_A_BUCKET: [(&str, &str, &str, &str); 20] = [
    ("abac", "200", "501 NotImplemented", "405 MethodNotAllowed"),
    ("acl", "200", "501 NotImplemented", "405 MethodNotAllowed"),
    ("analytics", "200", "501 NotImplemented", "404 NoSuchConfiguration"),
    ("analytics&id=1", "404 NoSuchConfiguration", "501 NotImplemented", "404 NoSuchConfiguration"),
    ("encryption", "404 ServerSideEncryptionConfigurationNotFoundError", "501 NotImplemented", "204"),
    ("intelligent-tiering", "200", "501 NotImplemented", "404 NoSuchConfiguration"),
    ("intelligent-tiering&id=1", "404 NoSuchConfiguration", "501 NotImplemented", "404 NoSuchConfiguration"),
    ("inventory", "200", "501 NotImplemented", "404 NoSuchConfiguration"),
    ("inventory&id=1", "404 NoSuchConfiguration", "501 NotImplemented", "404 NoSuchConfiguration"),
    ("logging", "200", "501 NotImplemented", "405 MethodNotAllowed"),
    ("metadataAnnotationTable", "405 MethodNotAllowed", "501 NotImplemented", "405 MethodNotAllowed"),
    ("metadataConfiguration", "404 MetadataConfigurationNotFound", "405 MethodNotAllowed", "501 NotImplemented"),
    ("metadataInventoryTable", "405 MethodNotAllowed", "501 NotImplemented", "405 MethodNotAllowed"),
    ("metadataTable", "404 MetadataConfigurationNotFound", "405 MethodNotAllowed", "501 NotImplemented"),
    ("metrics", "200", "501 NotImplemented", "404 NoSuchConfiguration"),
    ("metrics&id=1", "404 NoSuchConfiguration", "501 NotImplemented", "404 NoSuchConfiguration"),
    ("notification", "200", "501 NotImplemented", "405 MethodNotAllowed"),
    ("ownershipControls", "404 OwnershipControlsNotFoundError", "501 NotImplemented", "204"),
    ("replication", "404 ReplicationConfigurationNotFoundError", "501 NotImplemented", "204"),
    ("website", "404 NoSuchWebsiteConfiguration", "501 NotImplemented", "204"),
];

/// The same of an object's.
const OF_AN_OBJECT: [(&str, &str, &str, &str); 7] = [
    ("acl", "200", "501 NotImplemented", "405 MethodNotAllowed"),
    ("annotation", "501 NotImplemented", "501 NotImplemented", "501 NotImplemented"),
    ("encryption", "405 MethodNotAllowed", "501 NotImplemented", "405 MethodNotAllowed"),
    ("renameObject", "405 MethodNotAllowed", "501 NotImplemented", "405 MethodNotAllowed"),
    ("restore", "405 MethodNotAllowed", "405 MethodNotAllowed", "405 MethodNotAllowed"),
    ("select", "405 MethodNotAllowed", "405 MethodNotAllowed", "405 MethodNotAllowed"),
    ("torrent", "501 NotImplemented", "405 MethodNotAllowed", "405 MethodNotAllowed"),
];

fn check(path: &str, rows: &[(&str, &str, &str, &str)]) {
    for (query, got, set, deleted) in rows {
        for (method, expected) in [("GET", got), ("PUT", set), ("DELETE", deleted)] {
            let answer = answer(method, &format!("{path}?{query}"));
            let code = if answer.status >= 400 { format!(" {}", answer.error().1) } else { String::new() };
            assert_eq!(format!("{}{code}", answer.status), **expected, "{method} {path}?{query}");
        }
    }
}

#[tokio::test]
async fn sub_resources_that_are_not_built_answer_as_never_set_and_setting_them_is_501() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"x").await;
    check(&format!("/{bucket}"), &OF_A_BUCKET);
    check(&format!("/{bucket}/k"), &OF_AN_OBJECT);
    // Nothing of this was taken for the bucket or the object itself.
    assert_eq!(super::get(&client, &bucket, "k").await, b"x");
}

#[tokio::test]
async fn other_methods_that_are_not_built_are_501() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"x").await;
    for (method, target, operation) in [
        ("POST", format!("/{bucket}/k?restore"), "RestoreObject"),
        ("POST", format!("/{bucket}/k?select&select-type=2"), "SelectObjectContent"),
        ("POST", format!("/{bucket}?metadataTable"), "CreateBucketMetadataTableConfiguration"),
        ("GET", format!("/{bucket}?session"), "CreateSession"),
    ] {
        let answer = answer(method, &target);
        assert_eq!(answer.error(), (501, "NotImplemented"), "{method} {target}");
        assert_eq!(answer.element("Operation"), Some(operation));
        let words = "A header you provided implies functionality that is not implemented";
        assert_eq!(answer.element("Message"), Some(words));
    }
}

#[tokio::test]
async fn of_what_is_not_there_only_that_is_told() {
    let (_, bucket) = fresh().await;
    for query in ["acl", "policy", "logging", "lifecycle"] {
        let path = "/no-such-bucket-here";
        for method in ["GET", "PUT"] {
            assert_eq!(answer(method, &format!("{path}?{query}")).error(), (404, "NoSuchBucket"), "{method} {query}");
        }
    }
    for query in ["acl", "tagging", "legal-hold", "retention"] {
        assert_eq!(answer("GET", &format!("/{bucket}/none?{query}")).error(), (404, "NoSuchKey"), "{query}");
    }
}

#[tokio::test]
async fn a_bucket_and_an_object_are_their_owners_alone() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"x").await;
    let of_bucket = client.get_bucket_acl().bucket(&bucket).send().await.expect("?acl");
    let of_object = client.get_object_acl().bucket(&bucket).key("k").send().await.expect("?acl");
    for (owner, grants) in [(of_bucket.owner(), of_bucket.grants()), (of_object.owner(), of_object.grants())] {
        let owner = owner.and_then(|owner| owner.id()).expect("an owner");
        assert_eq!(grants.len(), 1);
        assert_eq!(grants[0].permission().map(|permission| permission.as_str()), Some("FULL_CONTROL"));
        assert_eq!(grants[0].grantee().and_then(|grantee| grantee.id()), Some(owner));
    }
}

#[tokio::test]
async fn two_sub_resources_at_once_are_refused() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"x").await;
    let two = answer("GET", &format!("/{bucket}?acl&policy"));
    assert_eq!(two.error(), (400, "InvalidArgument"));
    assert_eq!(two.element("Message"), Some("Conflicting query string parameters: acl, policy"));
    assert_eq!(answer("GET", &format!("/{bucket}/k?acl&tagging")).error(), (400, "InvalidArgument"));
    // The same one twice is one, and what nobody knows is passed over.
    assert_eq!(answer("GET", &format!("/{bucket}?acl&acl&x-id=GetBucketAcl&color=blue")).status, 200);
}
