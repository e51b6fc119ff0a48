//! Object lock: of buckets, and of versions that are there. What holds a version is decided in `apply`
//! (crates/index/tests/rules/locks.rs).

use index::CommandBody;
use objects::{
    CreateMultipartUploadRequest, DeleteObjectRequest, ObjectsError, PutObjectLegalHoldRequest, PutObjectRequest,
    PutObjectRetentionRequest, VersioningStatus, WhichVersion,
};
use types::{
    BucketName, DefaultRetention, LegalHold, ObjectAttributes, ObjectLock, Retention, RetentionMode, RetentionPeriod,
    Timestamp,
};

use crate::world::{Fate, World, get, key, put};

const DEFAULT: DefaultRetention =
    DefaultRetention { mode: RetentionMode::Governance, period: RetentionPeriod::Days(1) };

/// A world with a bucket that has object lock.
async fn locked() -> (World, BucketName) {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.objects.put_bucket_versioning(&bucket, VersioningStatus::Enabled).await.unwrap();
    world.objects.put_object_lock_configuration(&bucket, None).await.unwrap();
    (world, bucket)
}

fn held() -> ObjectAttributes {
    ObjectAttributes { legal_hold: LegalHold::On, ..ObjectAttributes::default() }
}

fn hold(bucket: &BucketName, hold: LegalHold) -> PutObjectLegalHoldRequest {
    PutObjectLegalHoldRequest { bucket: bucket.clone(), key: key("key"), which: WhichVersion::Newest, hold }
}

fn retain(bucket: &BucketName, until: u64) -> PutObjectRetentionRequest {
    let retention = Some(Retention { mode: RetentionMode::Compliance, until: Timestamp::from_seconds(until) });
    let (key, which) = (key("key"), WhichVersion::Newest);
    PutObjectRetentionRequest { bucket: bucket.clone(), key, which, retention, bypass_governance: true }
}

async fn attributes(world: &World, bucket: &BucketName) -> ObjectAttributes {
    world.objects.head_object(get(bucket, "key")).await.unwrap().head.attributes
}

#[tokio::test]
async fn object_lock_takes_versioning_and_stays() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let set = async |default| world.objects.put_object_lock_configuration(&bucket, default).await;
    let lock = async || world.objects.get_object_lock_configuration(&bucket).await.unwrap();
    for status in [None, Some(VersioningStatus::Suspended)] {
        if let Some(status) = status {
            world.objects.put_bucket_versioning(&bucket, status).await.unwrap();
        }
        assert!(matches!(set(None).await, Err(ObjectsError::VersioningNotEnabled { .. })));
    }
    assert_eq!(lock().await, ObjectLock::Off);
    world.objects.put_bucket_versioning(&bucket, VersioningStatus::Enabled).await.unwrap();
    for default in [Some(DEFAULT), None, Some(DEFAULT)] {
        set(default).await.unwrap();
        assert_eq!(lock().await, default.map_or(ObjectLock::On, ObjectLock::Default));
    }
    let suspended = world.objects.put_bucket_versioning(&bucket, VersioningStatus::Suspended).await;
    assert!(matches!(suspended, Err(ObjectsError::InvalidBucketState { .. })));
    let absent = world.objects.put_object_lock_configuration(&crate::world::bucket("absent"), None).await;
    assert!(matches!(absent, Err(ObjectsError::NoSuchBucket { .. })));
}

#[tokio::test]
async fn every_version_that_commits_after_the_default_has_it() {
    let (world, bucket) = locked().await;
    let before = world.put(&bucket, "key", b"before").await;
    assert_eq!(attributes(&world, &bucket).await.retention, None);
    world.objects.put_object_lock_configuration(&bucket, Some(DEFAULT)).await.unwrap();
    assert_eq!(attributes(&world, &bucket).await.retention, None, "not what is there");
    let after = world.put(&bucket, "key", b"after").await;
    let until = Timestamp::from_seconds(after.modified.0.div_ceil(1_000_000) + 86_400);
    let expected = Some(Retention { mode: RetentionMode::Governance, until });
    assert_eq!(attributes(&world, &bucket).await.retention, expected);
    let delete = async |version, bypass_governance| {
        let objects::ShownVersion::Id(id) = version else { panic!("an id") };
        let version = Some(WhichVersion::Id(id));
        let owner = crate::world::owner();
        let (key, conditions) = (key("key"), objects::WriteConditions::default());
        let bucket = bucket.clone();
        let request = DeleteObjectRequest { bucket, key, version, conditions, owner, bypass_governance };
        world.objects.delete_object(request).await
    };
    assert!(matches!(delete(after.version, false).await, Err(ObjectsError::Locked { .. })));
    delete(before.version, false).await.unwrap();
    delete(after.version, true).await.unwrap();
}

#[tokio::test]
async fn a_bucket_without_object_lock_holds_nothing() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.objects.put_bucket_versioning(&bucket, VersioningStatus::Enabled).await.unwrap();
    world.put(&bucket, "key", b"bytes").await;
    let no_lock = |error: ObjectsError| assert!(matches!(error, ObjectsError::NoObjectLock { .. }), "{error}");
    no_lock(world.try_put(PutObjectRequest { attributes: held(), ..put(&bucket, "key") }, b"x").await.unwrap_err());
    let begin = CreateMultipartUploadRequest {
        bucket: bucket.clone(),
        key: key("key"),
        attributes: held(),
        owner: crate::world::owner(),
        checksum: None,
    };
    no_lock(world.objects.create_multipart_upload(begin.clone()).await.unwrap_err());
    no_lock(world.objects.put_object_legal_hold(hold(&bucket, LegalHold::On)).await.unwrap_err());
    no_lock(world.objects.put_object_retention(retain(&bucket, 9_000_000_000)).await.unwrap_err());
    world.objects.put_object_lock_configuration(&bucket, None).await.unwrap();
    world.objects.create_multipart_upload(begin).await.unwrap();
    world.try_put(PutObjectRequest { attributes: held(), ..put(&bucket, "key") }, b"x").await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_set_says_why() {
    let (world, bucket) = locked().await;
    let set = async |until| world.objects.put_object_retention(retain(&bucket, until)).await;
    assert!(matches!(set(9_000_000_000).await, Err(ObjectsError::NoSuchKey { .. })));
    let written = world.put(&bucket, "key", b"bytes").await;
    assert!(matches!(set(1).await, Err(ObjectsError::RetainUntilPassed)));
    assert_eq!(set(9_000_000_000).await.unwrap(), written.version);
    assert!(matches!(set(8_999_999_999).await, Err(ObjectsError::Locked { .. })));
    world.delete(&bucket, "key").await;
    assert!(matches!(set(9_000_000_001).await, Err(ObjectsError::NamedIsMarker { .. })));
}

#[tokio::test]
async fn a_lock_whose_answer_is_lost_is_set_once() {
    let (world, bucket) = locked().await;
    world.put(&bucket, "key", b"bytes").await;
    for (lost, wanted) in [(Fate::AnswerLost, LegalHold::On), (Fate::CommandLost, LegalHold::Off)] {
        world.index.next(lost, |command| matches!(command, CommandBody::SetObjectLock(_)));
        world.objects.put_object_legal_hold(hold(&bucket, wanted)).await.unwrap();
        assert_eq!(attributes(&world, &bucket).await.legal_hold, wanted);
    }
}
