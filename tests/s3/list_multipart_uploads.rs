//! ListMultipartUploads: by key, then by age, in pages.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, EncodingType};

use super::complete_multipart_upload::{begin, named, part};
use super::raw::request;
use super::{code_of, fresh};
use crate::server::Server;

#[tokio::test]
async fn uploads_are_listed_by_key_and_rolled_up() {
    let (client, bucket) = fresh().await;
    for key in ["b", "a/1", "a/2"] {
        begin(&client, &bucket, key).await;
    }
    let all = client.list_multipart_uploads().bucket(&bucket).send().await.expect("uploads");
    let keys: Vec<_> = all.uploads().iter().filter_map(|upload| upload.key()).collect();
    assert_eq!(keys, ["a/1", "a/2", "b"]);
    let rolled = client.list_multipart_uploads().bucket(&bucket).delimiter("/").send().await.expect("uploads");
    assert_eq!((rolled.uploads().len(), rolled.common_prefixes().len()), (1, 1));
    let below = client.list_multipart_uploads().bucket(&bucket).delimiter("/").prefix("a/").send().await.expect("page");
    assert_eq!((below.uploads().len(), below.common_prefixes().len(), below.prefix()), (2, 0, Some("a/")));
}

/// Everything that the bucket lists in pages of `size`: keys with upload ids, and common prefixes without.
async fn in_pages(client: &Client, bucket: &str, size: i32, delimiter: Option<&str>) -> Vec<(String, Option<String>)> {
    let (mut key_marker, mut id_marker, mut found) = (None, None, Vec::new());
    loop {
        let list = client.list_multipart_uploads().bucket(bucket).max_uploads(size);
        let list = list.set_delimiter(delimiter.map(str::to_owned));
        let page = list.set_key_marker(key_marker).set_upload_id_marker(id_marker).send().await.expect("a page");
        let lines = page.uploads().len() + page.common_prefixes().len();
        assert!((1..=size).contains(&i32::try_from(lines).expect("few")), "{page:?}");
        let mut lines: Vec<_> = page.common_prefixes().iter().map(|it| (it.prefix().expect("text"), None)).collect();
        lines.extend(page.uploads().iter().map(|upload| (upload.key().expect("a key"), upload.upload_id())));
        // Stable: uploads of one key stay as they came.
        lines.sort_by_key(|(key, _)| *key);
        found.extend(lines.into_iter().map(|(key, id)| (key.to_owned(), id.map(str::to_owned))));
        if page.is_truncated() != Some(true) {
            return found;
        }
        (key_marker, id_marker) = (page.next_key_marker, page.next_upload_id_marker);
        assert!(key_marker.is_some());
    }
}

#[tokio::test]
async fn pages_of_any_size_end_at_the_same_list_oldest_first_within_a_key() {
    let (client, bucket) = fresh().await;
    let mut expected = Vec::new();
    for key in ["b", "a/1", "b", "c", "b", "a/2", "d/x"] {
        expected.push((key.to_owned(), Some(begin(&client, &bucket, key).await)));
    }
    expected.sort_by(|(a, _), (b, _)| a.cmp(b));
    for size in [1, 2, 3, 1000] {
        assert_eq!(in_pages(&client, &bucket, size, None).await, expected, "pages of {size}");
    }
    let mut rolled: Vec<_> = expected.clone().into_iter().filter(|(key, _)| !key.contains('/')).collect();
    rolled.extend([("a/".to_owned(), None), ("d/".to_owned(), None)]);
    rolled.sort_by(|(a, _), (b, _)| a.cmp(b));
    for size in [1, 2, 1000] {
        assert_eq!(in_pages(&client, &bucket, size, Some("/")).await, rolled, "rolled pages of {size}");
    }
    // Without a key an upload is no marker.
    let id = expected[3].1.clone().expect("an id");
    let all = client.list_multipart_uploads().bucket(&bucket).upload_id_marker(id).send().await.expect("uploads");
    assert_eq!(all.uploads().len(), expected.len());
}

#[tokio::test]
async fn an_upload_is_told_with_owner_class_and_checksum_until_it_is_over() {
    let (client, bucket) = fresh().await;
    let create = client.create_multipart_upload().bucket(&bucket).key("k").checksum_algorithm(ChecksumAlgorithm::Crc32);
    let upload = create.checksum_type(ChecksumType::FullObject).send().await.expect("begun").upload_id.expect("an id");
    let aborted = begin(&client, &bucket, "aborted").await;
    let list = || client.list_multipart_uploads().bucket(&bucket).send();
    let listed = list().await.expect("uploads");
    let told = &listed.uploads()[1];
    assert_eq!((told.key(), told.upload_id()), (Some("k"), Some(upload.as_str())));
    assert_eq!(told.storage_class().map(|class| class.as_str()), Some("STANDARD"));
    assert_eq!(told.checksum_algorithm(), Some(&ChecksumAlgorithm::Crc32));
    assert_eq!(told.checksum_type(), Some(&ChecksumType::FullObject));
    let owner = told.owner().and_then(|owner| owner.id()).expect("an owner");
    assert_eq!(told.initiator().and_then(|initiator| initiator.id()), Some(owner));
    assert!(told.initiated().is_some());
    let one = part(&client, &bucket, "k", &upload, 1, vec![1; 10]).await;
    let complete = client.complete_multipart_upload().bucket(&bucket).key("k").upload_id(&upload);
    complete.multipart_upload(named(vec![one])).send().await.expect("completed");
    let abort = client.abort_multipart_upload().bucket(&bucket).key("aborted").upload_id(aborted);
    abort.send().await.expect("aborted");
    assert!(list().await.expect("uploads").uploads().is_empty());
}

#[tokio::test]
async fn odd_keys_are_encoded_when_that_is_asked_for() {
    let (client, bucket) = fresh().await;
    begin(&client, &bucket, "a b+c&<ü>\u{1}").await;
    let list = client.list_multipart_uploads().bucket(&bucket).prefix("a b").encoding_type(EncodingType::Url);
    let listed = list.send().await.expect("uploads");
    assert_eq!(listed.encoding_type(), Some(&EncodingType::Url));
    assert_eq!(listed.uploads()[0].key(), Some("a+b%2Bc%26%3C%C3%BC%3E%01"));
    assert_eq!(listed.prefix(), Some("a+b"));
}

#[tokio::test]
async fn limits_are_checked() {
    let (client, bucket) = fresh().await;
    begin(&client, &bucket, "k").await;
    let list = |size| client.list_multipart_uploads().bucket(&bucket).max_uploads(size).send();
    let most = list(5000).await.expect("uploads");
    assert_eq!((most.max_uploads(), most.uploads().len()), (Some(1000), 1));
    let none = list(0).await.expect("no uploads");
    assert_eq!((none.uploads().len(), none.is_truncated()), (0, Some(false)));
    for query in ["max-uploads=-1", "max-uploads=blah", "max-uploads=2147483648", "encoding-type=base64"] {
        let answer = request(Server::shared(), "GET", &format!("/{bucket}?uploads&{query}"), &[], b"");
        assert_eq!(answer.error(), (400, "InvalidArgument"), "{query}");
    }
    let missing = client.list_multipart_uploads().bucket("no-such-bucket-here");
    assert_eq!(code_of(missing.send().await), "NoSuchBucket");
    // The sub-resource is the bucket's.
    let of_key = request(Server::shared(), "GET", &format!("/{bucket}/k?uploads"), &[], b"");
    assert_eq!(of_key.error(), (400, "InvalidRequest"));
}
