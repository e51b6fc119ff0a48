//! CopyObject: bytes through the data path, metadata by its directives.

use bytes::Bytes;
use objects::{
    CopyMetadata, CopyObjectRequest, CopySource, ETagCondition, ObjectsError, PutObjectRequest, ReadConditions,
    ShownVersion, VersioningStatus, WhichVersion, WriteConditions,
};
use types::{BucketName, ChecksumAlgorithm, ChecksumType, ETag, ObjectAttributes, StorageClass};

use crate::multipart::{PART_MIN, completed};
use crate::world::{World, bucket, get, key, noise, owner, put};

fn copy(bucket: &BucketName, from: &str, to: &str) -> CopyObjectRequest {
    let conditions = ReadConditions::default();
    CopyObjectRequest {
        source: CopySource { bucket: bucket.clone(), key: key(from), which: WhichVersion::Newest, conditions },
        bucket: bucket.clone(),
        key: key(to),
        owner: owner(),
        conditions: WriteConditions::default(),
        metadata: None,
        website_redirect: None,
        tags: None,
        storage_class: None,
        checksum: None,
        retention: None,
        legal_hold: types::LegalHold::Unset,
    }
}

fn rich_attributes() -> ObjectAttributes {
    ObjectAttributes {
        headers: vec![
            ("content-type".into(), Bytes::from_static(b"text/plain")),
            ("x-amz-website-redirect-location".into(), Bytes::from_static(b"/elsewhere")),
        ],
        metadata: vec![("name".into(), Bytes::from_static(b"value"))],
        tags: vec![("a".into(), "b".into())],
        storage_class: StorageClass::new("REDUCED").unwrap(),
        retention: None,
        legal_hold: types::LegalHold::Unset,
    }
}

async fn attributes(world: &World, bucket: &BucketName, name: &str) -> ObjectAttributes {
    world.objects.head_object(get(bucket, name)).await.unwrap().head.attributes
}

#[tokio::test]
async fn a_copy_has_the_sources_bytes_metadata_and_tags() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let bytes = noise(300_000);
    let source = world.try_put(PutObjectRequest { attributes: rich_attributes(), ..put(&bucket, "a") }, &bytes).await;
    let copied = world.objects.copy_object(copy(&bucket, "a", "b")).await.unwrap();
    assert_eq!(copied.etag, source.unwrap().etag);
    assert!(world.get(&bucket, "b").await.unwrap() == bytes);
    let kept = attributes(&world, &bucket, "b").await;
    assert_eq!(kept.headers, [("content-type".into(), Bytes::from_static(b"text/plain"))], "no redirect");
    assert_eq!((kept.metadata, kept.tags), (rich_attributes().metadata, rich_attributes().tags));
    assert_eq!(kept.storage_class, StorageClass::default());
}

#[tokio::test]
async fn directives_replace_metadata_and_tags_each_for_itself() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.try_put(PutObjectRequest { attributes: rich_attributes(), ..put(&bucket, "a") }, b"bytes").await.unwrap();
    let metadata = CopyMetadata { headers: vec![], metadata: vec![("other".into(), Bytes::from_static(b"1"))] };
    let request = CopyObjectRequest { metadata: Some(metadata.clone()), ..copy(&bucket, "a", "b") };
    world.objects.copy_object(request).await.unwrap();
    let kept = attributes(&world, &bucket, "b").await;
    assert_eq!((kept.headers, kept.metadata), (vec![], metadata.metadata));
    assert_eq!(kept.tags, rich_attributes().tags);

    let storage_class = StorageClass::new("REDUCED").unwrap();
    let request = CopyObjectRequest {
        tags: Some(vec![]),
        storage_class: Some(storage_class.clone()),
        website_redirect: Some(Bytes::from_static(b"/new")),
        ..copy(&bucket, "a", "b")
    };
    world.objects.copy_object(request).await.unwrap();
    let kept = attributes(&world, &bucket, "b").await;
    assert_eq!((kept.metadata, kept.tags, kept.storage_class), (rich_attributes().metadata, vec![], storage_class));
    let redirect = ("x-amz-website-redirect-location".into(), Bytes::from_static(b"/new"));
    assert!(kept.headers.contains(&redirect));
}

#[tokio::test]
async fn a_copy_onto_itself_must_change_something() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.put(&bucket, "a", b"bytes").await;
    let refused = world.objects.copy_object(copy(&bucket, "a", "a")).await;
    assert!(matches!(refused, Err(ObjectsError::CopyChangesNothing)));
    let request = CopyObjectRequest { metadata: Some(CopyMetadata::default()), ..copy(&bucket, "a", "a") };
    world.objects.copy_object(request).await.unwrap();
    let refused = world.objects.copy_object(copy(&bucket, "missing", "missing")).await;
    assert!(matches!(refused, Err(ObjectsError::NoSuchKey { .. })));
}

#[tokio::test]
async fn an_old_version_is_copied_over_the_newest() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.objects.put_bucket_versioning(&bucket, VersioningStatus::Enabled).await.unwrap();
    let old = world.put(&bucket, "a", b"old").await.version;
    world.put(&bucket, "a", b"new").await;
    let ShownVersion::Id(id) = old else { panic!("{old:?}") };
    let mut request = copy(&bucket, "a", "a");
    request.source.which = WhichVersion::Id(id);
    let copied = world.objects.copy_object(request).await.unwrap();
    assert_eq!(copied.source_version, old);
    assert_eq!(world.get(&bucket, "a").await.unwrap(), b"old");
    world.delete(&bucket, "a").await;
    let refused = world.objects.copy_object(copy(&bucket, "a", "b")).await;
    assert!(matches!(refused, Err(ObjectsError::NewestIsMarker { .. })));
}

#[tokio::test]
async fn a_completed_upload_is_copied_into_one_part() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let parts = [noise(PART_MIN), noise(1000)];
    completed(&world, &bucket, "a", &[(1, &parts[0]), (2, &parts[1])]).await;
    let request = CopyObjectRequest { checksum: Some(ChecksumAlgorithm::Crc32), ..copy(&bucket, "a", "b") };
    let copied = world.objects.copy_object(request).await.unwrap();
    let bytes = parts.concat();
    assert_eq!(copied.etag, ETag::of_body(md5_many::md5(&bytes)));
    let checksum = copied.checksum.unwrap();
    assert_eq!((checksum.algorithm, checksum.checksum_type), (ChecksumAlgorithm::Crc32, ChecksumType::FullObject));
    assert_eq!(checksum.value(), crc32fast::hash(&bytes).to_be_bytes());
    let head = world.objects.head_object(get(&bucket, "b")).await.unwrap().head;
    assert_eq!(head.parts, None);
}

#[tokio::test]
async fn conditions_on_the_source_and_on_the_target_hold() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let etag = world.put(&bucket, "a", b"bytes").await.etag;
    let mut request = copy(&bucket, "a", "b");
    request.source.conditions.if_none_match = Some(ETagCondition::OneOf(vec![etag]));
    let refused = world.objects.copy_object(request).await;
    assert!(matches!(refused, Err(ObjectsError::PreconditionFailed { .. })));

    let conditions = WriteConditions { if_match: None, if_none_match: Some(ETagCondition::Any) };
    let request = CopyObjectRequest { conditions, ..copy(&bucket, "a", "b") };
    world.objects.copy_object(request.clone()).await.unwrap();
    let refused = world.objects.copy_object(request).await;
    assert!(matches!(refused, Err(ObjectsError::PreconditionFailed { .. })));
}

#[tokio::test]
async fn copies_go_between_buckets() {
    let (world, from) = World::with_bucket("bucket").await;
    let to = bucket("other");
    world.put(&from, "a", b"bytes").await;
    let request = CopyObjectRequest { bucket: to.clone(), ..copy(&from, "a", "a") };
    let refused = world.objects.copy_object(request.clone()).await;
    assert!(matches!(refused, Err(ObjectsError::NoSuchBucket { bucket }) if bucket == to));
    world.create(&to).await;
    world.objects.copy_object(request).await.unwrap();
    assert_eq!(world.get(&to, "a").await.unwrap(), b"bytes");
}
