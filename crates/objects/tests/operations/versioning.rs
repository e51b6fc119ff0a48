//! Versioning off, enabled and suspended: what writes, deletes and reads do to versions, `null` ones and markers.

use objects::{DeleteObjectRequest, GetObjectRequest, ObjectsError, ShownVersion, VersioningStatus, WhichVersion};
use types::{BucketName, VersionId, Versioning};

use crate::list_object_versions::{Line, lines};
use crate::world::{World, delete, get};

async fn read(world: &World, bucket: &BucketName, which: WhichVersion) -> Result<Vec<u8>, ObjectsError> {
    world.read(GetObjectRequest { which, ..get(bucket, "key") }).await
}

async fn delete_version(world: &World, bucket: &BucketName, which: WhichVersion) -> objects::DeletedObject {
    let request = DeleteObjectRequest { version: Some(which), ..delete(bucket, "key") };
    world.objects.delete_object(request).await.unwrap()
}

fn id_of(version: ShownVersion) -> VersionId {
    match version {
        ShownVersion::Id(id) => id,
        other => panic!("{other:?} has no id"),
    }
}

async fn set(world: &World, bucket: &BucketName, status: VersioningStatus) {
    world.objects.put_bucket_versioning(bucket, status).await.unwrap();
}

#[tokio::test]
async fn without_versioning_a_key_has_one_version_without_an_id() {
    let (world, bucket) = World::with_bucket("bucket").await;
    assert_eq!(world.objects.get_bucket_versioning(&bucket).await.unwrap(), Versioning::Off);
    assert_eq!(world.put(&bucket, "key", b"one").await.version, ShownVersion::Unversioned);
    world.put(&bucket, "key", b"two").await;
    assert_eq!(read(&world, &bucket, WhichVersion::Newest).await.unwrap(), b"two");
    assert_eq!(read(&world, &bucket, WhichVersion::Null).await.unwrap(), b"two");
    assert_eq!(lines(&world, &bucket).await, [Line::Newest("null")]);

    let deleted = world.delete(&bucket, "key").await;
    assert_eq!((deleted.marker, deleted.version), (false, ShownVersion::Unversioned));
    assert!(matches!(world.get(&bucket, "key").await, Err(ObjectsError::NoSuchKey { .. })));
    // Deleting what isn't there succeeds.
    world.delete(&bucket, "key").await;
}

#[tokio::test]
async fn with_versioning_every_write_adds_a_version_and_every_delete_a_marker() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.put(&bucket, "key", b"before").await;
    set(&world, &bucket, VersioningStatus::Enabled).await;
    assert_eq!(world.objects.get_bucket_versioning(&bucket).await.unwrap(), Versioning::Enabled);

    let one = id_of(world.put(&bucket, "key", b"one").await.version);
    let two = id_of(world.put(&bucket, "key", b"two").await.version);
    assert!(one < two);
    assert_eq!(read(&world, &bucket, WhichVersion::Newest).await.unwrap(), b"two");
    assert_eq!(read(&world, &bucket, WhichVersion::Id(one)).await.unwrap(), b"one");
    assert_eq!(read(&world, &bucket, WhichVersion::Null).await.unwrap(), b"before");

    let deleted = world.delete(&bucket, "key").await;
    assert!(deleted.marker);
    let marker = id_of(deleted.version);
    let gone = world.get(&bucket, "key").await;
    assert!(matches!(gone, Err(ObjectsError::NewestIsMarker { marker: shown, .. }) if shown == deleted.version));
    let named = read(&world, &bucket, WhichVersion::Id(marker)).await;
    assert!(matches!(named, Err(ObjectsError::NamedIsMarker { .. })));
    assert_eq!(read(&world, &bucket, WhichVersion::Id(two)).await.unwrap(), b"two");

    let again = world.delete(&bucket, "key").await;
    assert!(again.marker && again.version != deleted.version, "a second delete stacks a second marker");
    let removed = delete_version(&world, &bucket, WhichVersion::Id(id_of(again.version))).await;
    assert!(removed.marker && removed.version == again.version);
    delete_version(&world, &bucket, WhichVersion::Id(marker)).await;
    assert_eq!(world.get(&bucket, "key").await.unwrap(), b"two", "without its markers the object is back");

    let removed = delete_version(&world, &bucket, WhichVersion::Id(two)).await;
    assert_eq!((removed.marker, removed.version), (false, ShownVersion::Id(two)));
    assert_eq!(world.get(&bucket, "key").await.unwrap(), b"one");
    assert!(matches!(read(&world, &bucket, WhichVersion::Id(two)).await, Err(ObjectsError::NoSuchVersion { .. })));
    // A version that isn't there is deleted already; it is named in the answer all the same.
    assert_eq!(delete_version(&world, &bucket, WhichVersion::Id(two)).await.version, ShownVersion::Id(two));

    assert_eq!(delete_version(&world, &bucket, WhichVersion::Null).await.version, ShownVersion::Null);
    assert_eq!(lines(&world, &bucket).await, [Line::Newest("id")]);
}

#[tokio::test]
async fn with_versioning_suspended_writes_and_deletes_replace_the_null_version() {
    let (world, bucket) = World::with_bucket("bucket").await;
    set(&world, &bucket, VersioningStatus::Enabled).await;
    let kept = id_of(world.put(&bucket, "key", b"kept").await.version);
    set(&world, &bucket, VersioningStatus::Suspended).await;

    assert_eq!(world.put(&bucket, "key", b"one").await.version, ShownVersion::Null);
    assert_eq!(world.put(&bucket, "key", b"two").await.version, ShownVersion::Null);
    assert_eq!(lines(&world, &bucket).await, [Line::Newest("null"), Line::Older("id")]);
    assert_eq!(read(&world, &bucket, WhichVersion::Null).await.unwrap(), b"two");

    let deleted = world.delete(&bucket, "key").await;
    assert_eq!((deleted.marker, deleted.version), (true, ShownVersion::Null));
    assert!(matches!(world.get(&bucket, "key").await, Err(ObjectsError::NewestIsMarker { .. })));
    assert_eq!(lines(&world, &bucket).await, [Line::NewestMarker("null"), Line::Older("id")]);

    world.put(&bucket, "key", b"three").await;
    assert_eq!(lines(&world, &bucket).await, [Line::Newest("null"), Line::Older("id")]);
    assert_eq!(delete_version(&world, &bucket, WhichVersion::Null).await.version, ShownVersion::Null);
    assert_eq!(read(&world, &bucket, WhichVersion::Newest).await.unwrap(), b"kept");
    assert_eq!(read(&world, &bucket, WhichVersion::Id(kept)).await.unwrap(), b"kept");
}

/// A gateway that has found the bucket unversioned must not replace an object after versioning was enabled elsewhere.
#[tokio::test]
async fn a_write_is_decided_under_the_versioning_of_its_commit() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let other = world.second_gateway().await;
    world.put(&bucket, "key", b"one").await;
    other.put_bucket_versioning(&bucket, VersioningStatus::Enabled).await.unwrap();
    let written = world.put(&bucket, "key", b"two").await;
    assert!(matches!(written.version, ShownVersion::Id(_)));
    assert_eq!(lines(&world, &bucket).await, [Line::Newest("id"), Line::Older("null")]);
    other.put_bucket_versioning(&bucket, VersioningStatus::Suspended).await.unwrap();
    assert!(world.delete(&bucket, "key").await.version == ShownVersion::Null);
}
