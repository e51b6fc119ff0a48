//! PutBucketTagging, GetBucketTagging, DeleteBucketTagging.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{Tag, Tagging};

use super::raw::request;
use super::{code_of, fresh};
use crate::server::Server;

fn tagging(tags: &[(&str, &str)]) -> Tagging {
    let tag = |(key, value): &(&str, &str)| Tag::builder().key(*key).value(*value).build().expect("a tag");
    Tagging::builder().set_tag_set(Some(tags.iter().map(tag).collect())).build().expect("tags")
}

async fn tags(client: &Client, bucket: &str) -> Vec<(String, String)> {
    let got = client.get_bucket_tagging().bucket(bucket).send().await.expect("tags");
    got.tag_set().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect()
}

#[tokio::test]
async fn tags_of_a_bucket_are_set_replaced_and_removed() {
    let (client, bucket) = fresh().await;
    let put = |tags: &[(&str, &str)]| client.put_bucket_tagging().bucket(&bucket).tagging(tagging(tags)).send();
    assert_eq!(code_of(client.get_bucket_tagging().bucket(&bucket).send().await), "NoSuchTagSet");
    put(&[("project", "ä b"), ("empty", "")]).await.expect("set");
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(tags(&client, &bucket).await, [pair("project", "ä b"), pair("empty", "")]);
    put(&[("other", "1")]).await.expect("replaced");
    assert_eq!(tags(&client, &bucket).await, [pair("other", "1")]);
    client.delete_bucket_tagging().bucket(&bucket).send().await.expect("removed");
    assert_eq!(code_of(client.get_bucket_tagging().bucket(&bucket).send().await), "NoSuchTagSet");
    client.delete_bucket_tagging().bucket(&bucket).send().await.expect("what isn't there is removed");
}

#[tokio::test]
async fn tags_go_with_their_bucket() {
    let (client, bucket) = fresh().await;
    client.put_bucket_tagging().bucket(&bucket).tagging(tagging(&[("a", "1")])).send().await.expect("set");
    client.delete_bucket().bucket(&bucket).send().await.expect("deleted");
    client.create_bucket().bucket(&bucket).send().await.expect("made again");
    assert_eq!(code_of(client.get_bucket_tagging().bucket(&bucket).send().await), "NoSuchTagSet");
}

#[tokio::test]
async fn tags_of_a_bucket_are_bounded() {
    let (client, bucket) = fresh().await;
    let put = |tags: &[(&str, &str)]| client.put_bucket_tagging().bucket(&bucket).tagging(tagging(tags)).send();
    let names: Vec<String> = (0..51).map(|number| format!("key-{number}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
    put(&many[..50]).await.expect("fifty tags");
    let (long_key, long_value) = ("k".repeat(128), "v".repeat(256));
    put(&[(&long_key, &long_value)]).await.expect("the longest");
    let (longer_key, longer_value) = ("k".repeat(129), "v".repeat(257));
    for (tags, code) in [
        (&many[..], "BadRequest"),
        (&[("a", "1"), ("a", "2")], "InvalidTag"),
        (&[("aws:a", "1")], "InvalidTag"),
        (&[("", "1")], "InvalidTag"),
        (&[("a<", "1")], "InvalidTag"),
        (&[("a", "<")], "InvalidTag"),
        (&[(longer_key.as_str(), "1")], "InvalidTag"),
        (&[("a", longer_value.as_str())], "InvalidTag"),
    ] {
        assert_eq!(code_of(put(tags).await), code, "{tags:?}");
    }
    assert_eq!(tags(&client, &bucket).await, [(long_key, long_value)], "what is refused changes nothing");
}

#[tokio::test]
async fn by_hand_it_answers_204_and_refuses_what_is_no_document() {
    let (client, bucket) = fresh().await;
    let target = format!("/{bucket}?tagging");
    let send = |method: &str, body: &[u8]| request(Server::shared(), method, &target, &[], body);
    let document = b"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>";
    assert_eq!(send("PUT", document).status, 204);
    let got = send("GET", b"");
    assert_eq!((got.status, got.header("content-type")), (200, Some("application/xml")));
    assert!(got.text().contains("<Tagging xmlns=") && got.element("Key") == Some("k"), "{}", got.text());
    for (body, code) in [
        (&b""[..], "MissingRequestBodyError"),
        (b"<Tagging/>", "MalformedXML"),
        (b"<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>", "MalformedXML"),
        (b"<!DOCTYPE a><Tagging><TagSet/></Tagging>", "MalformedXML"),
    ] {
        assert_eq!(send("PUT", body).error(), (400, code));
    }
    let duplicate = b"<Tagging><TagSet><Tag><Key>k</Key><Value>1</Value></Tag><Tag><Key>k</Key><Value>2</Value></Tag>\
        </TagSet></Tagging>";
    let refused = send("PUT", duplicate);
    assert_eq!(refused.element("Message"), Some("Cannot provide multiple Tags with the same key"));
    assert_eq!(send("PUT", b"<Tagging><TagSet></TagSet></Tagging>").status, 204, "no tags are tags");
    assert_eq!(send("DELETE", b"").status, 204);
    for outcome in [
        code_of(client.get_bucket_tagging().bucket("no-such-bucket-here").send().await),
        code_of(client.delete_bucket_tagging().bucket("no-such-bucket-here").send().await),
        code_of(client.put_bucket_tagging().bucket("no-such-bucket-here").tagging(tagging(&[])).send().await),
    ] {
        assert_eq!(outcome, "NoSuchBucket");
    }
    let others = client.put_bucket_tagging().bucket(&bucket).expected_bucket_owner("999999999999");
    assert_eq!(code_of(others.tagging(tagging(&[])).send().await), "AccessDenied");
}
