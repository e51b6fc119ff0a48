//! PutObjectTagging, GetObjectTagging, DeleteObjectTagging.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{BucketVersioningStatus, CompletedMultipartUpload, CompletedPart, Tag, Tagging};

use super::raw::request;
use super::{code_of, fresh, put, set_versioning, status_of};
use crate::server::Server;

fn tagging(tags: &[(&str, &str)]) -> Tagging {
    let tag = |(key, value): &(&str, &str)| Tag::builder().key(*key).value(*value).build().expect("a tag");
    Tagging::builder().set_tag_set(Some(tags.iter().map(tag).collect())).build().expect("tags")
}

async fn tags(client: &Client, bucket: &str, version: Option<&str>) -> Vec<(String, String)> {
    let get = client.get_object_tagging().bucket(bucket).key("k").set_version_id(version.map(str::to_owned));
    let got = get.send().await.expect("tags");
    got.tag_set().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect()
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[tokio::test]
async fn tags_are_set_replaced_counted_and_removed_and_nothing_else_changes() {
    let (client, bucket) = fresh().await;
    let first = client.put_object().bucket(&bucket).key("k").tagging("given=first").metadata("color", "blue");
    first.body(b"bytes".to_vec().into()).send().await.expect("PUT");
    let head = async || client.head_object().bucket(&bucket).key("k").send().await.expect("HEAD");
    let before = head().await;
    assert_eq!(before.tag_count(), Some(1));
    for set in [&[("a", "1"), ("b", "ä 2")][..], &[("c", "")], &[]] {
        let put = client.put_object_tagging().bucket(&bucket).key("k").tagging(tagging(set));
        assert_eq!(put.send().await.expect("set").version_id, None);
        let expected: Vec<_> = set.iter().map(|(key, value)| pair(key, value)).collect();
        assert_eq!(tags(&client, &bucket, None).await, expected);
        let after = head().await;
        assert_eq!(after.tag_count(), i32::try_from(set.len()).ok().filter(|count| *count > 0));
        assert_eq!((after.last_modified(), after.e_tag()), (before.last_modified(), before.e_tag()));
        assert_eq!(after.metadata(), before.metadata());
    }
    let put = client.put_object_tagging().bucket(&bucket).key("k").tagging(tagging(&[("a", "1")]));
    put.send().await.expect("set");
    client.delete_object_tagging().bucket(&bucket).key("k").send().await.expect("removed");
    assert_eq!(tags(&client, &bucket, None).await, []);
    client.delete_object_tagging().bucket(&bucket).key("k").send().await.expect("none are removed");
    assert_eq!(super::get(&client, &bucket, "k").await, b"bytes");
    // A copy takes the tags that were set last.
    let put = client.put_object_tagging().bucket(&bucket).key("k").tagging(tagging(&[("late", "yes")]));
    put.send().await.expect("set");
    let copy = client.copy_object().bucket(&bucket).key("copy").copy_source(format!("{bucket}/k"));
    copy.send().await.expect("copied");
    let copied = client.get_object_tagging().bucket(&bucket).key("copy").send().await.expect("tags");
    assert_eq!(copied.tag_set(), tagging(&[("late", "yes")]).tag_set());
}

#[tokio::test]
async fn each_version_has_its_own_tags() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"null").await;
    set_versioning(&client, &bucket, BucketVersioningStatus::Enabled).await;
    let (_, older) = put(&client, &bucket, "k", b"older").await;
    let (_, newest) = put(&client, &bucket, "k", b"newest").await;
    let (older, newest) = (older.expect("an id"), newest.expect("an id"));
    let listed = async || client.list_object_versions().bucket(&bucket).send().await.expect("versions");
    let before = listed().await;
    for (version, named) in [(Some("null"), "null"), (Some(older.as_str()), older.as_str()), (None, newest.as_str())] {
        let put = client.put_object_tagging().bucket(&bucket).key("k").set_version_id(version.map(str::to_owned));
        let set = put.tagging(tagging(&[("of", named)])).send().await.expect("set");
        assert_eq!(set.version_id(), Some(named));
    }
    for version in ["null", &older, &newest] {
        assert_eq!(tags(&client, &bucket, Some(version)).await, [pair("of", version)]);
    }
    let removed = client.delete_object_tagging().bucket(&bucket).key("k").version_id(&older).send().await;
    assert_eq!(removed.expect("removed").version_id(), Some(older.as_str()));
    assert_eq!(tags(&client, &bucket, Some(&older)).await, []);
    assert_eq!(tags(&client, &bucket, None).await, [pair("of", &newest)]);
    assert_eq!(listed().await.versions(), before.versions(), "order and dates stay");
}

#[tokio::test]
async fn completed_uploads_take_tags() {
    let (client, bucket) = fresh().await;
    let begun = client.create_multipart_upload().bucket(&bucket).key("k").tagging("given=first").send().await;
    let upload = begun.expect("begun").upload_id.expect("an id");
    let part = client.upload_part().bucket(&bucket).key("k").upload_id(&upload).part_number(1);
    let part = part.body(vec![7; 100_000].into()).send().await.expect("a part");
    let part = CompletedPart::builder().part_number(1).set_e_tag(part.e_tag).build();
    let parts = CompletedMultipartUpload::builder().parts(part).build();
    let complete = client.complete_multipart_upload().bucket(&bucket).key("k").upload_id(&upload);
    complete.multipart_upload(parts).send().await.expect("completed");
    assert_eq!(tags(&client, &bucket, None).await, [pair("given", "first")]);
    let put = client.put_object_tagging().bucket(&bucket).key("k").tagging(tagging(&[("set", "later")]));
    put.send().await.expect("set");
    assert_eq!(tags(&client, &bucket, None).await, [pair("set", "later")]);
    assert_eq!(super::get(&client, &bucket, "k").await, vec![7; 100_000]);
}

#[tokio::test]
async fn what_takes_no_tags_says_why() {
    let (client, bucket) = fresh().await;
    let put_tags = |key: &str, version: Option<&str>| {
        let put = client.put_object_tagging().bucket(&bucket).key(key).set_version_id(version.map(str::to_owned));
        put.tagging(tagging(&[("a", "1")])).send()
    };
    assert_eq!(code_of(put_tags("none", None).await), "NoSuchKey");
    assert_eq!(code_of(client.delete_object_tagging().bucket(&bucket).key("none").send().await), "NoSuchKey");
    assert_eq!(code_of(put_tags("none", Some("null")).await), "NoSuchVersion");
    assert_eq!(code_of(put_tags("none", Some("nonsense")).await), "InvalidArgument");
    set_versioning(&client, &bucket, BucketVersioningStatus::Enabled).await;
    put(&client, &bucket, "k", b"x").await;
    let marker = client.delete_object().bucket(&bucket).key("k").send().await.expect("a marker");
    let marker = marker.version_id().expect("an id").to_owned();
    for version in [None, Some(marker.as_str())] {
        assert_eq!(status_of(put_tags("k", version).await), 405);
        let removed = client.delete_object_tagging().bucket(&bucket).key("k");
        assert_eq!(code_of(removed.set_version_id(version.map(str::to_owned)).send().await), "MethodNotAllowed");
    }
    let nowhere = client.put_object_tagging().bucket("no-such-bucket-here").key("k").tagging(tagging(&[]));
    assert_eq!(code_of(nowhere.send().await), "NoSuchBucket");
}

#[tokio::test]
async fn tags_are_bounded_and_refused_in_aws_words() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"x").await;
    let target = format!("/{bucket}/k?tagging");
    let send = |tags: &[(&str, &str)]| {
        let tags = tags.iter().map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>"));
        let document = format!("<Tagging><TagSet>{}</TagSet></Tagging>", tags.collect::<String>());
        request(Server::shared(), "PUT", &target, &[], document.as_bytes())
    };
    let names: Vec<String> = (0..11).map(|number| format!("key-{number}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
    assert_eq!(send(&many[..10]).status, 200);
    let (long, longer) = ("k".repeat(129), "v".repeat(257));
    let invalid_key = "The TagKey you have provided is invalid";
    for (tags, code, message) in [
        (&many[..], "BadRequest", "Object tags cannot be greater than 10"),
        (&[("a", "1"), ("a", "2")], "InvalidTag", "Cannot provide multiple Tags with the same key"),
        (&[("aws:a", "1")], "InvalidTag", "Your TagKey cannot be prefixed with aws:"),
        (&[(long.as_str(), "1")], "InvalidTag", invalid_key),
        (&[("", "1")], "InvalidTag", invalid_key),
        (&[("a", longer.as_str())], "InvalidTag", "The TagValue you have provided is invalid"),
    ] {
        let refused = send(tags);
        assert_eq!((refused.error(), refused.element("Message")), ((400, code), Some(message)), "{tags:?}");
    }
    let malformed = request(Server::shared(), "PUT", &target, &[], b"<Tagging><Other/></Tagging>");
    assert_eq!(malformed.error(), (400, "MalformedXML"));
    assert_eq!(tags(&client, &bucket, None).await.len(), 10, "what is refused changes nothing");
    assert_eq!(request(Server::shared(), "DELETE", &target, &[], b"").status, 204);
}
