//! DeleteObjects: up to 1000 keys at once.

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::raw::request;
use super::{code_of, fresh, get, put};
use crate::server::Server;

fn named(keys: impl IntoIterator<Item = String>, quiet: bool) -> Delete {
    let keys = keys.into_iter().map(|key| ObjectIdentifier::builder().key(key).build().expect("a key"));
    Delete::builder().set_objects(Some(keys.collect())).quiet(quiet).build().expect("objects")
}

#[tokio::test]
async fn many_keys_go_at_once_and_missing_ones_are_fine() {
    let (client, bucket) = fresh().await;
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
    let (client, bucket) = fresh().await;
    let keys = named((0..1001).map(|n| n.to_string()), false);
    assert_eq!(code_of(client.delete_objects().bucket(&bucket).delete(keys).send().await), "MalformedXML");
}

#[tokio::test]
async fn a_tag_that_is_named_must_be_the_objects() {
    let (client, bucket) = fresh().await;
    let (tag, _) = put(&client, &bucket, "a", b"a").await;
    put(&client, &bucket, "b", b"b").await;
    let of = |key: &str| ObjectIdentifier::builder().key(key).e_tag(&tag).build().expect("a key");
    let objects = Some(vec![of("a"), of("b"), of("none")]);
    let delete = Delete::builder().set_objects(objects).quiet(true).build().expect("objects");
    let answer = client.delete_objects().bucket(&bucket).delete(delete).send().await.expect("POST ?delete");
    let errors: Vec<_> = answer.errors().iter().map(|error| (error.key(), error.code())).collect();
    assert_eq!(errors, [(Some("b"), Some("PreconditionFailed")), (Some("none"), Some("NoSuchKey"))]);
    assert!(answer.deleted().is_empty(), "quiet tells errors alone");
    assert_eq!(code_of(client.get_object().bucket(&bucket).key("a").send().await), "NoSuchKey");
    assert_eq!(get(&client, &bucket, "b").await, b"b");
}

#[tokio::test]
async fn a_document_that_is_none_deletes_nothing() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"x").await;
    let object = "<Object><Key>k</Key></Object>";
    for (document, code) in [
        (String::new(), "MissingRequestBodyError"),
        ("<Delete></Delete>".to_owned(), "MalformedXML"),
        ("<Delete><Object></Object></Delete>".to_owned(), "MalformedXML"),
        (format!("<Other>{object}</Other>"), "MalformedXML"),
        (format!("<Delete>{object}"), "MalformedXML"),
        (format!("<!DOCTYPE Delete [<!ENTITY k \"k\">]><Delete>{object}</Delete>"), "MalformedXML"),
        (format!("<Delete>{}{object}{}</Delete>", "<a>".repeat(20), "</a>".repeat(20)), "MalformedXML"),
    ] {
        let sum = STANDARD.encode(Sha256::digest(&document));
        let summed = [("x-amz-checksum-sha256", sum.as_str())];
        let answer = request(Server::shared(), "POST", &format!("/{bucket}?delete"), &summed, document.as_bytes());
        assert_eq!(answer.error(), (400, code), "{document}");
    }
    assert_eq!(get(&client, &bucket, "k").await, b"x");
    let wrong = [("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")];
    let document = format!("<Delete>{object}</Delete>");
    for (headers, code) in [(&wrong[..], "BadDigest"), (&[], "InvalidRequest")] {
        let answer = request(Server::shared(), "POST", &format!("/{bucket}?delete"), headers, document.as_bytes());
        assert_eq!(answer.error(), (400, code), "a document comes with a digest");
    }
    assert_eq!(get(&client, &bucket, "k").await, b"x");
}
