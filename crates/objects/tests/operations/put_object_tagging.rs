//! Tags that are set later.

use index::CommandBody;
use objects::{ObjectsError, PutObjectTaggingRequest, ShownVersion, VersioningStatus, WhichVersion};
use types::BucketName;

use crate::world::{Fate, World, bucket, get, key};

fn tags(value: &str) -> Vec<(String, String)> {
    vec![("key".to_owned(), value.to_owned())]
}

fn tag(bucket: &BucketName, which: WhichVersion, value: &str) -> PutObjectTaggingRequest {
    PutObjectTaggingRequest { bucket: bucket.clone(), key: key("key"), which, tags: tags(value) }
}

fn id_of(version: ShownVersion) -> WhichVersion {
    match version {
        ShownVersion::Id(id) => WhichVersion::Id(id),
        other => panic!("{other:?} has no id"),
    }
}

#[tokio::test]
async fn tags_are_of_one_version_and_change_no_date() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.objects.put_bucket_versioning(&bucket, VersioningStatus::Enabled).await.unwrap();
    let first = world.put(&bucket, "key", b"one").await;
    let second = world.put(&bucket, "key", b"two").await;
    let older = id_of(first.version);
    assert_eq!(world.objects.put_object_tagging(tag(&bucket, older, "old")).await.unwrap(), first.version);
    let newest = tag(&bucket, WhichVersion::Newest, "new");
    assert_eq!(world.objects.put_object_tagging(newest).await.unwrap(), second.version);
    for (which, written, value) in [(older, &first, "old"), (WhichVersion::Newest, &second, "new")] {
        let request = objects::GetObjectRequest { which, ..get(&bucket, "key") };
        let head = world.objects.head_object(request).await.unwrap().head;
        assert_eq!(head.attributes.tags, tags(value));
        assert_eq!((head.version, head.etag, head.modified), (written.version, written.etag, written.modified));
    }
    assert_eq!(world.get(&bucket, "key").await.unwrap(), b"two");
}

#[tokio::test]
async fn what_takes_no_tags_says_why() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let refused = |request| async { world.objects.put_object_tagging(request).await.unwrap_err() };
    let missing = refused(tag(&bucket, WhichVersion::Newest, "x")).await;
    assert!(matches!(missing, ObjectsError::NoSuchKey { .. }), "{missing}");
    let missing = refused(tag(&bucket, WhichVersion::Null, "x")).await;
    assert!(matches!(missing, ObjectsError::NoSuchVersion { version: ShownVersion::Null, .. }), "{missing}");
    world.objects.put_bucket_versioning(&bucket, VersioningStatus::Enabled).await.unwrap();
    world.put(&bucket, "key", b"bytes").await;
    let deleted = world.delete(&bucket, "key").await;
    for which in [WhichVersion::Newest, id_of(deleted.version)] {
        let error = refused(tag(&bucket, which, "x")).await;
        let ObjectsError::NamedIsMarker { marker, .. } = error else { panic!("{error}") };
        assert_eq!(marker, deleted.version);
    }
    let absent = refused(tag(&crate::world::bucket("absent"), WhichVersion::Newest, "x")).await;
    assert!(matches!(absent, ObjectsError::NoSuchBucket { .. }), "{absent}");
}

#[tokio::test]
async fn a_tag_whose_answer_is_lost_is_set_once() {
    let (world, name) = World::with_bucket("bucket").await;
    world.put(&name, "key", b"bytes").await;
    for lost in [Fate::AnswerLost, Fate::CommandLost] {
        world.index.next(lost, |command| matches!(command, CommandBody::SetObjectTags(_)));
        world.objects.put_object_tagging(tag(&name, WhichVersion::Newest, "set")).await.unwrap();
    }
    let head = world.objects.head_object(get(&bucket("bucket"), "key")).await.unwrap().head;
    assert_eq!(head.attributes.tags, tags("set"));
}
