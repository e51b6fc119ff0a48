//! DeleteObject and DeleteObjects: conditions, and many at once.

use objects::{
    DeleteEntry, DeleteObjectRequest, DeleteObjectsRequest, ETagCondition, ObjectsError, ShownVersion,
    VersioningStatus, WriteConditions,
};
use types::ETag;

use crate::world::{World, bucket, delete, key, noise, owner};

fn if_match(etag: ETag) -> WriteConditions {
    WriteConditions { if_match: Some(ETagCondition::OneOf(vec![etag])), if_none_match: None }
}

fn entry(name: &str) -> DeleteEntry {
    DeleteEntry { key: key(name), version: None, conditions: WriteConditions::default() }
}

#[tokio::test]
async fn if_match_is_decided_at_commit() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let etag = world.put(&bucket, "key", b"bytes").await.etag;
    let other = ETag::of_body([0; 16]);
    let request = |conditions| DeleteObjectRequest { conditions, ..delete(&bucket, "key") };
    let refused = world.objects.delete_object(request(if_match(other))).await;
    assert!(matches!(refused, Err(ObjectsError::PreconditionFailed { condition: Some(_) })));
    assert_eq!(world.get(&bucket, "key").await.unwrap(), b"bytes");
    world.objects.delete_object(request(if_match(etag))).await.unwrap();
    let missing = world.objects.delete_object(request(if_match(etag))).await;
    assert!(matches!(missing, Err(ObjectsError::NoSuchKey { .. })));
}

#[tokio::test]
async fn the_bytes_of_a_deleted_object_go_to_the_collector() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.put(&bucket, "large", &noise(300_000)).await;
    world.put(&bucket, "small", &noise(20_000)).await;
    world.put(&bucket, "inline", b"bytes").await;
    for name in ["large", "small", "inline"] {
        world.delete(&bucket, name).await;
    }
    world.garbage_rows(2).await;
}

#[tokio::test]
async fn many_are_deleted_each_with_its_own_answer() {
    let (world, bucket) = World::with_bucket("bucket").await;
    for number in 0..300 {
        world.put(&bucket, &format!("key-{number}"), b"bytes").await;
    }
    let mut entries: Vec<_> = (0..300).map(|number| entry(&format!("key-{number}"))).collect();
    entries[7].conditions = if_match(ETag::of_body([0; 16]));
    entries.push(entry("missing"));
    let request = DeleteObjectsRequest { bucket: bucket.clone(), entries, owner: owner(), bypass_governance: false };
    let answers = world.objects.delete_objects(request).await.unwrap();
    assert_eq!(answers.len(), 301);
    for (place, answer) in answers.iter().enumerate() {
        match answer {
            Ok(deleted) => assert!(!deleted.marker && deleted.version == ShownVersion::Unversioned && place != 7),
            Err(error) => assert!(matches!(error, ObjectsError::PreconditionFailed { .. }) && place == 7),
        }
    }
    assert_eq!(world.get(&bucket, "key-7").await.unwrap(), b"bytes");
    assert!(matches!(world.get(&bucket, "key-8").await, Err(ObjectsError::NoSuchKey { .. })));
}

#[tokio::test]
async fn entries_of_one_key_take_effect_in_their_order() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.objects.put_bucket_versioning(&bucket, VersioningStatus::Enabled).await.unwrap();
    world.put(&bucket, "key", b"bytes").await;
    let entries = vec![entry("key"), entry("other"), entry("key")];
    let request = DeleteObjectsRequest { bucket: bucket.clone(), entries, owner: owner(), bypass_governance: false };
    let answers = world.objects.delete_objects(request).await.unwrap();
    let id = |place: usize| match answers[place].as_ref().unwrap().version {
        ShownVersion::Id(id) => id,
        other => panic!("{other:?}"),
    };
    assert!(id(0) < id(2));
}

#[tokio::test]
async fn deleting_in_a_missing_bucket_is_one_error() {
    let world = World::new().await;
    let request = DeleteObjectsRequest {
        bucket: bucket("missing"),
        entries: vec![entry("key")],
        owner: owner(),
        bypass_governance: false,
    };
    assert!(matches!(world.objects.delete_objects(request).await, Err(ObjectsError::NoSuchBucket { .. })));
}
