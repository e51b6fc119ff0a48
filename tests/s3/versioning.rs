//! Versions, null versions and delete markers, through every operation that reads, writes or lists them.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{BucketVersioningStatus, Delete, ObjectAttributes, ObjectIdentifier};

use super::complete_multipart_upload::{begin, named, part};
use super::raw::request;
use super::{code_of, fresh, get, put, set_versioning, status_of};
use crate::server::Server;

/// All versions and markers of a bucket as `key id` in the order of the list, markers with a `-`, the newest with a `*`.
async fn versions_of(client: &Client, bucket: &str) -> Vec<String> {
    let raw = request(Server::shared(), "GET", &format!("/{bucket}?versions"), &[], b"");
    assert_eq!(raw.status, 200);
    // Counted in the document itself: the SDK tells versions and markers apart and so loses their order.
    let entries = raw.text().split("<Version>").flat_map(|text| text.split("<DeleteMarker>")).skip(1);
    let field = |text: &str, name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>")).expect("the element is there");
        rest.split_once('<').expect("it ends").0.to_owned()
    };
    let entries: Vec<_> = entries
        .map(|text| {
            let is_marker = !text.contains("<ETag>");
            let newest = if field(text, "IsLatest") == "true" { "*" } else { "" };
            format!("{}{} {}{newest}", if is_marker { "-" } else { "" }, field(text, "Key"), field(text, "VersionId"))
        })
        .collect();
    let listed = client.list_object_versions().bucket(bucket).send().await.expect("versions");
    assert_eq!(entries.len(), listed.versions().len() + listed.delete_markers().len());
    entries
}

async fn delete(client: &Client, bucket: &str, key: &str, version: Option<&str>) -> (Option<bool>, Option<String>) {
    let delete = client.delete_object().bucket(bucket).key(key).set_version_id(version.map(str::to_owned));
    let deleted = delete.send().await.expect("DELETE");
    (deleted.delete_marker, deleted.version_id)
}

#[tokio::test]
async fn a_bucket_that_never_was_versioned_knows_the_null_version_alone() {
    let (client, bucket) = fresh().await;
    let (_, version) = put(&client, &bucket, "k", b"x").await;
    assert_eq!(version, None);
    let get = |version: &str| client.get_object().bucket(&bucket).key("k").version_id(version).send();
    let null = get("null").await.expect("GET");
    assert_eq!((null.version_id(), null.content_length()), (None, Some(1)));
    assert_eq!(code_of(get("0123456789abcdef0123456789abcdef").await), "NoSuchVersion");
    assert_eq!(code_of(get("no version's id").await), "InvalidArgument");
    assert_eq!(code_of(get("").await), "InvalidArgument");
    assert_eq!(delete(&client, &bucket, "k", None).await, (None, None));
    assert!(versions_of(&client, &bucket).await.is_empty(), "no marker is left");
    put(&client, &bucket, "k", b"x").await;
    delete(&client, &bucket, "k", Some("null")).await;
    assert!(versions_of(&client, &bucket).await.is_empty());
}

#[tokio::test]
async fn versions_stack_and_any_of_them_may_go() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"null").await;
    set_versioning(&client, &bucket, BucketVersioningStatus::Enabled).await;
    let first = put(&client, &bucket, "k", b"first").await.1.expect("an id");
    let (is_marker, marker) = delete(&client, &bucket, "k", None).await;
    let marker = marker.expect("a marker has an id");
    assert_eq!(is_marker, Some(true));
    let second_marker = delete(&client, &bucket, "k", None).await.1.expect("a marker has an id");
    assert_ne!(marker, second_marker, "each DELETE adds one");
    let last = put(&client, &bucket, "k", b"last").await.1.expect("an id");
    assert_eq!(
        versions_of(&client, &bucket).await,
        [
            format!("k {last}*"),
            format!("-k {second_marker}"),
            format!("-k {marker}"),
            format!("k {first}"),
            "k null".to_owned()
        ]
    );
    // Deleting the null version, a marker in the middle, and the newest: what is below comes up.
    assert_eq!(delete(&client, &bucket, "k", Some("null")).await, (None, Some("null".to_owned())));
    assert_eq!(delete(&client, &bucket, "k", Some(&marker)).await, (Some(true), Some(marker)));
    assert_eq!(delete(&client, &bucket, "k", Some(&last)).await, (None, Some(last)));
    assert_eq!(code_of(client.get_object().bucket(&bucket).key("k").send().await), "NoSuchKey");
    delete(&client, &bucket, "k", Some(&second_marker)).await;
    assert_eq!(get(&client, &bucket, "k").await, b"first");
    assert_eq!(versions_of(&client, &bucket).await, [format!("k {first}*")]);
    // A version that isn't there is as good as deleted.
    delete(&client, &bucket, "k", Some("0123456789abcdef0123456789abcdef")).await;
    delete(&client, &bucket, "k", Some("null")).await;
    assert_eq!(get(&client, &bucket, "k").await, b"first");
}

#[tokio::test]
async fn suspended_writes_and_deletes_touch_the_null_version_alone() {
    let (client, bucket) = fresh().await;
    set_versioning(&client, &bucket, BucketVersioningStatus::Enabled).await;
    let kept = put(&client, &bucket, "k", b"kept").await.1.expect("an id");
    set_versioning(&client, &bucket, BucketVersioningStatus::Suspended).await;
    put(&client, &bucket, "k", b"null").await;
    assert_eq!(versions_of(&client, &bucket).await, ["k null*".to_owned(), format!("k {kept}")]);
    // The marker takes the null version's place, and the next write the marker's.
    assert_eq!(delete(&client, &bucket, "k", None).await, (Some(true), Some("null".to_owned())));
    assert_eq!(versions_of(&client, &bucket).await, ["-k null*".to_owned(), format!("k {kept}")]);
    delete(&client, &bucket, "k", None).await;
    assert_eq!(versions_of(&client, &bucket).await, ["-k null*".to_owned(), format!("k {kept}")]);
    put(&client, &bucket, "k", b"again").await;
    assert_eq!(versions_of(&client, &bucket).await, ["k null*".to_owned(), format!("k {kept}")]);
    // Enabled again, the null version stays where it is.
    set_versioning(&client, &bucket, BucketVersioningStatus::Enabled).await;
    let newer = put(&client, &bucket, "k", b"newer").await.1.expect("an id");
    assert_eq!(versions_of(&client, &bucket).await, [format!("k {newer}*"), "k null".to_owned(), format!("k {kept}")]);
    let null = client.get_object().bucket(&bucket).key("k").version_id("null").send().await.expect("GET");
    assert_eq!(null.version_id(), Some("null"));
    assert_eq!(null.body.collect().await.expect("the body").to_vec(), b"again");
    set_versioning(&client, &bucket, BucketVersioningStatus::Suspended).await;
    delete(&client, &bucket, "k", Some("null")).await;
    assert_eq!(versions_of(&client, &bucket).await, [format!("k {newer}*"), format!("k {kept}")]);
}

#[tokio::test]
async fn every_read_takes_a_version_and_tells_a_marker() {
    let (client, bucket) = fresh().await;
    set_versioning(&client, &bucket, BucketVersioningStatus::Enabled).await;
    let old = client.put_object().bucket(&bucket).key("k").tagging("age=old").metadata("age", "old");
    let old = old.body(b"old".to_vec().into()).send().await.expect("PUT").version_id.expect("an id");
    put(&client, &bucket, "k", b"newer").await;
    let marker = delete(&client, &bucket, "k", None).await.1.expect("a marker has an id");

    let head = client.head_object().bucket(&bucket).key("k").version_id(&old).send().await.expect("HEAD");
    assert_eq!((head.content_length(), head.version_id()), (Some(3), Some(old.as_str())));
    assert_eq!(head.metadata().expect("metadata")["age"], "old");
    let range = client.get_object().bucket(&bucket).key("k").version_id(&old).range("bytes=1-1");
    assert_eq!(range.send().await.expect("GET").content_range(), Some("bytes 1-1/3"));
    let tags = client.get_object_tagging().bucket(&bucket).key("k").version_id(&old).send().await.expect("tags");
    assert_eq!((tags.tag_set().len(), tags.tag_set()[0].value()), (1, "old"));
    let attributes = client.get_object_attributes().bucket(&bucket).key("k").version_id(&old);
    let attributes = attributes.object_attributes(ObjectAttributes::ObjectSize).send().await.expect("attributes");
    assert_eq!((attributes.object_size(), attributes.version_id()), (Some(3), Some(old.as_str())));

    for method in ["GET", "HEAD"] {
        let newest = request(Server::shared(), method, &format!("/{bucket}/k"), &[], b"");
        assert_eq!((newest.status, newest.header("x-amz-delete-marker")), (404, Some("true")), "{method}");
        assert_eq!(newest.header("x-amz-version-id"), Some(marker.as_str()));
        let of_marker = request(Server::shared(), method, &format!("/{bucket}/k?versionId={marker}"), &[], b"");
        assert_eq!((of_marker.status, of_marker.header("allow")), (405, Some("DELETE")), "{method}");
        assert_eq!(of_marker.header("x-amz-delete-marker"), Some("true"));
        assert!(of_marker.header("last-modified").is_some());
    }
    let attributes = client.get_object_attributes().bucket(&bucket).key("k").version_id(&marker);
    assert_eq!(status_of(attributes.object_attributes(ObjectAttributes::Etag).send().await), 405);
}

#[tokio::test]
async fn copies_take_versions_and_bring_old_ones_back() {
    let (client, bucket) = fresh().await;
    put(&client, &bucket, "k", b"null").await;
    set_versioning(&client, &bucket, BucketVersioningStatus::Enabled).await;
    let old = put(&client, &bucket, "k", b"old").await.1.expect("an id");
    put(&client, &bucket, "k", b"newest").await;
    let copy = |version: &str, key: &str| {
        client.copy_object().bucket(&bucket).key(key).copy_source(format!("{bucket}/k?versionId={version}")).send()
    };
    for (version, bytes) in [("null", &b"null"[..]), (&old, b"old")] {
        let copied = copy(version, "copy").await.expect("copied");
        assert_eq!(copied.copy_source_version_id(), Some(version));
        assert!(copied.version_id().is_some());
        assert_eq!(get(&client, &bucket, "copy").await, bytes);
    }
    // Onto itself: an older version becomes the newest again, with nothing else changed.
    let restored = copy(&old, "k").await.expect("copied").version_id.expect("an id");
    assert_ne!(restored, old);
    assert_eq!(get(&client, &bucket, "k").await, b"old");
    assert_eq!(versions_of(&client, &bucket).await.iter().filter(|entry| entry.starts_with("k ")).count(), 4);
    assert_eq!(code_of(copy("0123456789abcdef0123456789abcdef", "copy").await), "NoSuchVersion");
    // A part of an upload may come of a version, too.
    let upload = begin(&client, &bucket, "upload").await;
    let copy = client.upload_part_copy().bucket(&bucket).key("upload").upload_id(&upload).part_number(1);
    let copied = copy.copy_source(format!("{bucket}/k?versionId=null")).send().await.expect("copied");
    assert_eq!(copied.copy_source_version_id(), Some("null"));
}

#[tokio::test]
async fn a_completed_upload_is_a_version() {
    let (client, bucket) = fresh().await;
    set_versioning(&client, &bucket, BucketVersioningStatus::Enabled).await;
    let older = put(&client, &bucket, "k", b"older").await.1.expect("an id");
    let upload = begin(&client, &bucket, "k").await;
    let one = part(&client, &bucket, "k", &upload, 1, vec![1; 10]).await;
    let complete = || {
        let complete = client.complete_multipart_upload().bucket(&bucket).key("k").upload_id(&upload);
        complete.multipart_upload(named(vec![one.clone()])).send()
    };
    let version = complete().await.expect("completed").version_id.expect("an id");
    assert_eq!(versions_of(&client, &bucket).await, [format!("k {version}*"), format!("k {older}")]);
    assert_eq!(complete().await.expect("again").version_id, Some(version), "a repeated Complete adds none");
    assert_eq!(versions_of(&client, &bucket).await.len(), 2);
}

#[tokio::test]
async fn many_are_deleted_by_version_and_markers_are_told() {
    let (client, bucket) = fresh().await;
    set_versioning(&client, &bucket, BucketVersioningStatus::Enabled).await;
    let old = put(&client, &bucket, "a", b"old").await.1.expect("an id");
    put(&client, &bucket, "a", b"new").await;
    put(&client, &bucket, "b", b"b").await;
    let of = |key: &str, version: Option<&str>| {
        ObjectIdentifier::builder().key(key).set_version_id(version.map(str::to_owned)).build().expect("a key")
    };
    let all = async |objects: Vec<ObjectIdentifier>| {
        let delete = Delete::builder().set_objects(Some(objects)).build().expect("objects");
        client.delete_objects().bucket(&bucket).delete(delete).send().await.expect("POST ?delete")
    };
    let unknown = "0123456789abcdef0123456789abcdef";
    let first = all(vec![of("a", Some(&old)), of("b", None), of("none", None), of("c", Some(unknown))]).await;
    assert_eq!((first.deleted().len(), first.errors().len()), (4, 0), "{first:?}");
    assert_eq!((first.deleted()[0].version_id(), first.deleted()[0].delete_marker()), (Some(old.as_str()), None));
    let marker = first.deleted()[1].delete_marker_version_id().expect("a marker was made").to_owned();
    assert_eq!((first.deleted()[1].delete_marker(), first.deleted()[1].version_id()), (Some(true), None));
    assert_eq!(first.deleted()[2].delete_marker(), Some(true), "also of a key that never was");
    let second = all(vec![of("b", Some(&marker)), of("a", Some("not an id"))]).await;
    assert_eq!(second.deleted()[0].delete_marker_version_id(), Some(marker.as_str()));
    assert_eq!(second.deleted()[0].version_id(), Some(marker.as_str()));
    assert_eq!(second.errors().len(), 1, "{second:?}");
    assert_eq!((second.errors()[0].key(), second.errors()[0].code()), (Some("a"), Some("InvalidArgument")));
    assert_eq!(get(&client, &bucket, "b").await, b"b");
    assert_eq!(get(&client, &bucket, "a").await, b"new");
}

#[tokio::test]
async fn lists_of_objects_hide_what_is_not_current_and_lists_of_versions_roll_up() {
    let (client, bucket) = fresh().await;
    set_versioning(&client, &bucket, BucketVersioningStatus::Enabled).await;
    for key in ["a/1", "a/2", "b", "c/1"] {
        put(&client, &bucket, key, b"old").await;
        put(&client, &bucket, key, b"newer").await;
    }
    delete(&client, &bucket, "a/1", None).await;
    delete(&client, &bucket, "b", None).await;
    let objects = client.list_objects_v2().bucket(&bucket).send().await.expect("LIST");
    let keys: Vec<_> = objects.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!(keys, ["a/2", "c/1"]);
    assert!(objects.contents().iter().all(|object| object.size() == Some(5)));
    let rolled = client.list_objects_v2().bucket(&bucket).delimiter("/").send().await.expect("LIST");
    assert_eq!((rolled.contents().len(), rolled.common_prefixes().len()), (0, 2));
    let versions = client.list_object_versions().bucket(&bucket).delimiter("/").send().await.expect("versions");
    assert_eq!((versions.versions().len(), versions.delete_markers().len()), (2, 1));
    assert_eq!(versions.common_prefixes().len(), 2);
    let below = client.list_object_versions().bucket(&bucket).prefix("a/").max_keys(4).send().await.expect("versions");
    assert_eq!((below.versions().len(), below.delete_markers().len(), below.is_truncated()), (3, 1, Some(true)));
    let rest = client.list_object_versions().bucket(&bucket).prefix("a/");
    let rest = rest.set_key_marker(below.next_key_marker).set_version_id_marker(below.next_version_id_marker);
    let rest = rest.send().await.expect("versions");
    assert_eq!((rest.versions().len(), rest.versions()[0].key()), (1, Some("a/2")));
}

#[tokio::test]
async fn a_version_is_no_marker_without_its_key() {
    let (_, bucket) = fresh().await;
    for (query, words) in [
        ("version-id-marker=x", "A version-id marker cannot be specified without a key marker."),
        ("key-marker=k&version-id-marker=x", "Invalid version id specified"),
        ("key-marker=k&version-id-marker=", "A version-id marker cannot be empty."),
        ("max-keys=-1", "Argument max-keys must be an integer between 0 and 2147483647"),
        ("max-keys=x", "Provided max-keys not an integer or within integer range"),
        ("encoding-type=x", "Invalid Encoding Method specified in Request"),
    ] {
        let answer = request(Server::shared(), "GET", &format!("/{bucket}?versions&{query}"), &[], b"");
        assert_eq!((answer.error(), answer.element("Message")), ((400, "InvalidArgument"), Some(words)), "{query}");
    }
}
