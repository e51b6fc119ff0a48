//! PutObject: what is kept, what is checked, what is left behind (nothing), who wins.

use bytes::Bytes;
use futures::future::join_all;
use index::{CommandBody, Query, QueryAnswer};
use objects::data::ExpectedDigests;
use objects::records::{NamedRecord, PartRecord};
use objects::{BodyFacts, Condition, ETagCondition, ObjectsError, PutObjectRequest, WriteConditions};
use types::{Checksum, ChecksumAlgorithm, ChecksumType, ETag, ObjectAttributes, StorageClass, Versioning};

use crate::world::{Body, World, bucket, get, key, noise, put};

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

fn checksum(algorithm: ChecksumAlgorithm, value: &[u8]) -> Checksum {
    Checksum::new(algorithm, ChecksumType::FullObject, value.to_vec()).unwrap()
}

fn crc32(bytes: &[u8]) -> Checksum {
    checksum(ChecksumAlgorithm::Crc32, &crc32fast::hash(bytes).to_be_bytes())
}

fn only_if_new() -> WriteConditions {
    WriteConditions { if_match: None, if_none_match: Some(ETagCondition::Any) }
}

async fn nothing_is_left(world: &World, bucket: &types::BucketName) {
    assert!(matches!(world.get(bucket, "key").await, Err(ObjectsError::NoSuchKey { .. })));
    let id = world.objects.bucket(bucket).await.unwrap().id;
    let usage = index::IndexService::query(&*world.index, Query::Usage(id)).await.unwrap();
    assert!(matches!(usage, QueryAnswer::Usage(usage) if usage == Default::default()));
}

#[tokio::test]
async fn bytes_of_every_form_read_back() {
    let (world, bucket) = World::with_bucket("bucket").await;
    for len in [0, 1, 4096, 4097, 65_536, 65_537, 262_144, 262_145, 1_000_000] {
        let bytes = noise(len);
        let written = world.put(&bucket, "key", &bytes).await;
        assert_eq!(written.etag, ETag::of_body(md5_many::md5(&bytes)));
        assert_eq!(written.checksum.unwrap().algorithm, ChecksumAlgorithm::Crc64Nvme);
        assert_eq!(world.get(&bucket, "key").await.unwrap(), bytes, "{len} bytes");
    }
}

#[tokio::test]
async fn all_that_a_client_says_of_an_object_is_kept() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.objects.put_bucket_versioning(&bucket, objects::VersioningStatus::Enabled).await.unwrap();
    world.objects.put_object_lock_configuration(&bucket, None).await.unwrap();
    let attributes = ObjectAttributes {
        headers: vec![("content-type".into(), Bytes::from_static(b"text/plain"))],
        metadata: vec![("name".into(), Bytes::from_static(b"\xfc"))],
        tags: vec![("a".into(), "b".into())],
        storage_class: StorageClass::new("REDUCED").unwrap(),
        retention: None,
        legal_hold: types::LegalHold::On,
    };
    let written = world.try_put(PutObjectRequest { attributes: attributes.clone(), ..put(&bucket, "key") }, b"bytes");
    let written = written.await.unwrap();
    let head = world.objects.head_object(get(&bucket, "key")).await.unwrap().head;
    assert_eq!(head.attributes, attributes);
    assert_eq!(head.owner, crate::world::owner());
    assert_eq!((head.plain_bytes, head.etag, head.modified), (5, written.etag, written.modified));
    assert_eq!(head.checksum, written.checksum);
    assert_eq!(head.parts, None);
}

#[tokio::test]
async fn the_clients_checksum_is_kept_in_place_of_crc64nvme() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let bytes = noise(100_000);
    // In a header.
    let expected = ExpectedDigests { checksums: vec![crc32(&bytes)], ..Default::default() };
    let said = BodyFacts { expected, ..BodyFacts::default() };
    world.try_put(PutObjectRequest { said, ..put(&bucket, "key") }, &bytes).await.unwrap();
    let kept = async || world.objects.head_object(get(&bucket, "key")).await.unwrap().head.checksum.unwrap();
    assert_eq!(kept().await, crc32(&bytes));
    // Announced, and sent as a trailer.
    let said = BodyFacts { checksum: Some(ChecksumAlgorithm::Sha256), ..BodyFacts::default() };
    let trailer = checksum(ChecksumAlgorithm::Sha256, &sha256(&bytes));
    let mut body = Body { trailers: vec![trailer.clone()], ..Body::of(&bytes) };
    world.objects.put_object(PutObjectRequest { said, ..put(&bucket, "key") }, &mut body).await.unwrap();
    assert_eq!(kept().await, trailer);
    // Asked for, but not sent.
    let said = BodyFacts { checksum: Some(ChecksumAlgorithm::Crc32), ..BodyFacts::default() };
    world.try_put(PutObjectRequest { said, ..put(&bucket, "key") }, &bytes).await.unwrap();
    assert_eq!(kept().await, crc32(&bytes));
}

#[tokio::test]
async fn a_body_that_is_not_what_the_client_said_leaves_nothing_behind() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let bytes = noise(300_000);
    let refused = async |said: BodyFacts, mut body: Body| {
        let refused = world.objects.put_object(PutObjectRequest { said, ..put(&bucket, "key") }, &mut body).await;
        nothing_is_left(&world, &bucket).await;
        refused.unwrap_err()
    };
    let said = |expected| BodyFacts { expected, ..BodyFacts::default() };

    let wrong = ExpectedDigests { md5: Some([0; 16]), ..Default::default() };
    assert!(matches!(refused(said(wrong), Body::of(&bytes)).await, ObjectsError::BadDigest));
    let wrong = ExpectedDigests { payload_sha256: Some([0; 32]), ..Default::default() };
    assert!(matches!(refused(said(wrong), Body::of(&bytes)).await, ObjectsError::BadPayloadHash));
    let wrong = ExpectedDigests { checksums: vec![crc32(b"other")], ..Default::default() };
    assert!(matches!(refused(said(wrong), Body::of(&bytes)).await, ObjectsError::BadChecksum { .. }));
    let trailer = Body { trailers: vec![crc32(b"other")], ..Body::of(&bytes) };
    let announced = BodyFacts { checksum: Some(ChecksumAlgorithm::Crc32), ..BodyFacts::default() };
    assert!(matches!(refused(announced, trailer).await, ObjectsError::BadChecksum { .. }));
    let broken = Body { breaks: true, ..Body::of(&bytes) };
    assert!(matches!(refused(BodyFacts::default(), broken).await, ObjectsError::Body(_)));
    let short = BodyFacts { declared_bytes: Some(300_001), ..BodyFacts::default() };
    assert!(matches!(refused(short, Body::of(&bytes)).await, ObjectsError::BodyLength { .. }));
    let huge = BodyFacts { declared_bytes: Some((5 << 30) + 1), ..BodyFacts::default() };
    assert!(matches!(refused(huge, Body::of(&bytes)).await, ObjectsError::EntityTooLarge { .. }));
    assert!(world.objects.head_bucket(&bucket).await.is_ok());
}

#[tokio::test]
async fn an_unknown_class_and_an_unknown_bucket_are_refused_before_the_body() {
    let (world, name) = World::with_bucket("bucket").await;
    let storage_class = StorageClass::new("GLACIER").unwrap();
    let attributes = ObjectAttributes { storage_class, ..ObjectAttributes::default() };
    let refused = world.try_put(PutObjectRequest { attributes, ..put(&name, "key") }, b"bytes").await;
    assert!(matches!(refused, Err(ObjectsError::InvalidStorageClass { .. })));
    let refused = world.try_put(put(&bucket("missing"), "key"), b"bytes").await;
    assert!(matches!(refused, Err(ObjectsError::NoSuchBucket { .. })));
}

#[tokio::test]
async fn of_fifty_that_want_to_be_first_one_is() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let bodies: Vec<_> = (0..50_usize).map(|number| noise(70_000 + number)).collect();
    let puts = bodies
        .iter()
        .map(|bytes| world.try_put(PutObjectRequest { conditions: only_if_new(), ..put(&bucket, "key") }, bytes));
    let outcomes = join_all(puts).await;
    let winners: Vec<_> = outcomes.iter().enumerate().filter(|(_, outcome)| outcome.is_ok()).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(world.get(&bucket, "key").await.unwrap(), bodies[winners[0].0]);
    let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    let by_condition = |error: &ObjectsError| {
        matches!(error, ObjectsError::PreconditionFailed { condition: Some(Condition::IfNoneMatch) })
    };
    assert!(refused.into_iter().all(by_condition));
    // What the losers wrote goes to the collector.
    world.garbage_rows(49).await;
}

#[tokio::test]
async fn if_match_replaces_only_what_was_seen() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let if_match = |etag| WriteConditions { if_match: Some(ETagCondition::OneOf(vec![etag])), if_none_match: None };
    let request = |etag| PutObjectRequest { conditions: if_match(etag), ..put(&bucket, "key") };
    let missing = world.try_put(request(ETag::of_body([0; 16])), b"one").await;
    assert!(matches!(missing, Err(ObjectsError::NoSuchKey { .. })));
    let etag = world.put(&bucket, "key", b"one").await.etag;
    world.try_put(request(etag), b"two").await.unwrap();
    let stale = world.try_put(request(etag), b"three").await;
    assert!(matches!(stale, Err(ObjectsError::PreconditionFailed { condition: Some(Condition::IfMatch) })));
    assert_eq!(world.get(&bucket, "key").await.unwrap(), b"two");
}

/// The object that a rebuild makes of shard headers alone has everything but what its bytes tell.
#[tokio::test]
async fn shard_headers_say_what_the_object_is() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let attributes = ObjectAttributes { tags: vec![("a".into(), "b".into())], ..ObjectAttributes::default() };
    let said = BodyFacts { declared_bytes: Some(300_000), ..BodyFacts::default() };
    let request = PutObjectRequest { attributes: attributes.clone(), said, ..put(&bucket, "key") };
    world.try_put(request, &noise(300_000)).await.unwrap();
    let records: Vec<_> = world.disks.headers().into_iter().filter_map(|header| header.part_metadata).collect();
    assert!(records.len() >= 6, "each shard of the first stripe has the record");
    for record in records {
        let NamedRecord { bucket: named, record } = NamedRecord::decode(&record).unwrap();
        assert_eq!(named.as_ref(), Some(&bucket));
        let PartRecord::Object(object) = record else { panic!("an object was put") };
        assert_eq!(object.attributes, attributes);
        assert_eq!(object.declared_bytes, Some(300_000));
        assert_eq!(object.versioning, Versioning::Off);
        assert_eq!(object.owner, crate::world::owner());
    }
    assert!(world.disks.headers().iter().all(|header| header.home.key == key("key") && header.part == 1));
}

#[tokio::test]
async fn a_put_is_one_command_and_no_question_once_the_bucket_is_known() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.put(&bucket, "key", b"bytes").await;
    world.index.take_queries();
    world.index.take_commands();
    world.put(&bucket, "key", b"bytes").await;
    assert_eq!(world.index.take_queries(), []);
    assert!(matches!(&world.index.take_commands()[..], [one] if matches!(one.body, CommandBody::PutObject(_))));
}
