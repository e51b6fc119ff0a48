//! Multipart uploads from Create to Complete, Abort and the lists.

use index::{CommandBody, Query, QueryAnswer};
use objects::data::ExpectedDigests;
use objects::records::{Manifest, NamedRecord, PartRecord};
use objects::{
    BodyFacts, CompleteMultipartUploadRequest, CopySource, CreateMultipartUploadRequest, ETagCondition,
    GetObjectAttributesRequest, ListEntry, ListMultipartUploadsRequest, ListPartsRequest, NamedPart, ObjectsError,
    PartsWanted, ReadConditions, UploadChecksum, UploadPartCopyRequest, UploadPartRequest, WhichVersion,
    WriteConditions, WrittenPart, WrittenVersion,
};
use types::{
    BucketName, Checksum, ChecksumAlgorithm, ChecksumType, ETag, ObjectAttributes, PartNumber, StorageClass, UploadId,
};

use crate::world::{Body, Fate, World, get, key, noise, owner};

pub(crate) const PART_MIN: usize = 5 << 20;

/// A completed upload whose parts are as small as the rules allow would be slow to test with; most tests need one part.
pub(crate) async fn begin(
    world: &World,
    bucket: &BucketName,
    name: &str,
    checksum: Option<UploadChecksum>,
) -> UploadId {
    let request = CreateMultipartUploadRequest {
        bucket: bucket.clone(),
        key: key(name),
        attributes: ObjectAttributes::default(),
        owner: owner(),
        checksum,
    };
    world.objects.create_multipart_upload(request).await.unwrap().upload
}

pub(crate) fn number(number: u32) -> PartNumber {
    PartNumber::new(number).unwrap()
}

pub(crate) async fn upload(
    world: &World,
    bucket: &BucketName,
    name: &str,
    id: UploadId,
    at: u32,
    bytes: &[u8],
) -> WrittenPart {
    try_upload(world, bucket, name, id, at, bytes, BodyFacts::default()).await.unwrap()
}

/// With the CRC32 that a part of a composite upload must come with; here it is computed of what arrives.
async fn upload_with_crc32(
    world: &World,
    bucket: &BucketName,
    name: &str,
    id: UploadId,
    at: u32,
    bytes: &[u8],
) -> WrittenPart {
    let said = BodyFacts { checksum: Some(ChecksumAlgorithm::Crc32), ..BodyFacts::default() };
    try_upload(world, bucket, name, id, at, bytes, said).await.unwrap()
}

async fn try_upload(
    world: &World,
    bucket: &BucketName,
    name: &str,
    upload: UploadId,
    at: u32,
    bytes: &[u8],
    said: BodyFacts,
) -> Result<WrittenPart, ObjectsError> {
    let request = UploadPartRequest { bucket: bucket.clone(), key: key(name), upload, number: number(at), said };
    world.objects.upload_part(request, &mut Body::of(bytes)).await
}

pub(crate) fn named(at: u32, part: &WrittenPart) -> NamedPart {
    NamedPart { number: number(at), etag: part.etag, checksums: part.checksum.iter().cloned().collect() }
}

pub(crate) fn complete(
    bucket: &BucketName,
    name: &str,
    upload: UploadId,
    parts: Vec<NamedPart>,
) -> CompleteMultipartUploadRequest {
    CompleteMultipartUploadRequest {
        bucket: bucket.clone(),
        key: key(name),
        upload,
        parts,
        conditions: WriteConditions::default(),
        checksum: None,
        checksum_type: None,
        object_bytes: None,
        needs_part_checksums: true,
    }
}

/// Uploads the parts and completes them.
pub(crate) async fn completed(
    world: &World,
    bucket: &BucketName,
    name: &str,
    parts: &[(u32, &Vec<u8>)],
) -> WrittenVersion {
    let id = begin(world, bucket, name, None).await;
    let mut names = Vec::new();
    for (at, bytes) in parts {
        names.push(named(*at, &upload(world, bucket, name, id, *at, bytes).await));
    }
    world.objects.complete_multipart_upload(complete(bucket, name, id, names)).await.unwrap()
}

fn etag_of(parts: &[&[u8]]) -> ETag {
    let md5s: Vec<u8> = parts.iter().flat_map(|part| md5_many::md5(part)).collect();
    ETag { md5: md5_many::md5(&md5s), parts: Some(parts.len() as u16) }
}

fn crc32(bytes: &[u8]) -> Vec<u8> {
    crc32fast::hash(bytes).to_be_bytes().to_vec()
}

const COMPOSITE_CRC32: UploadChecksum =
    UploadChecksum { algorithm: ChecksumAlgorithm::Crc32, checksum_type: ChecksumType::Composite };
const WHOLE_CRC32: UploadChecksum =
    UploadChecksum { algorithm: ChecksumAlgorithm::Crc32, checksum_type: ChecksumType::FullObject };

#[tokio::test]
async fn parts_become_one_object_with_the_tag_of_their_tags() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let (first, second) = (noise(PART_MIN), noise(1000));
    let written = completed(&world, &bucket, "key", &[(1, &first), (7, &second)]).await;
    assert_eq!(written.etag, etag_of(&[&first, &second]));
    let whole = [first, second].concat();
    assert!(world.get(&bucket, "key").await.unwrap() == whole);
    let head = world.objects.head_object(get(&bucket, "key")).await.unwrap().head;
    assert_eq!((head.parts, head.plain_bytes), (Some(2), whole.len() as u64));
    let crc64 = {
        let mut digest = crc64fast_nvme::Digest::new();
        digest.write(&whole);
        digest.sum64().to_be_bytes()
    };
    let checksum = head.checksum.unwrap();
    assert_eq!((checksum.algorithm, checksum.checksum_type), (ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject));
    assert_eq!(checksum.value(), crc64);
}

#[tokio::test]
async fn composite_and_full_object_checksums_are_made_of_the_parts() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let (first, second) = (noise(PART_MIN), noise(1000));
    for kind in [COMPOSITE_CRC32, WHOLE_CRC32] {
        let id = begin(&world, &bucket, "key", Some(kind)).await;
        let one = match kind.checksum_type {
            ChecksumType::Composite => {
                let bare = try_upload(&world, &bucket, "key", id, 1, &first, BodyFacts::default()).await;
                assert!(matches!(bare, Err(ObjectsError::ChecksumKindMismatch { given: None, .. })), "{bare:?}");
                upload_with_crc32(&world, &bucket, "key", id, 1, &first).await
            }
            ChecksumType::FullObject => upload(&world, &bucket, "key", id, 1, &first).await,
        };
        let two = upload_with_crc32(&world, &bucket, "key", id, 2, &second).await;
        assert_eq!(one.checksum.as_ref().unwrap().value(), crc32(&first), "computed though the client sent none");
        let value = match kind.checksum_type {
            ChecksumType::Composite => crc32(&[crc32(&first), crc32(&second)].concat()),
            ChecksumType::FullObject => crc32(&[first.clone(), second.clone()].concat()),
        };
        let whole = Checksum::new(kind.algorithm, kind.checksum_type, value).unwrap();
        let wrong = Checksum::new(kind.algorithm, kind.checksum_type, vec![0; 4]).unwrap();
        let request = complete(&bucket, "key", id, vec![named(1, &one), named(2, &two)]);

        let other_type = match kind.checksum_type {
            ChecksumType::Composite => ChecksumType::FullObject,
            ChecksumType::FullObject => ChecksumType::Composite,
        };
        let refused = CompleteMultipartUploadRequest { checksum_type: Some(other_type), ..request.clone() };
        let refused = world.objects.complete_multipart_upload(refused).await;
        assert!(matches!(refused, Err(ObjectsError::ChecksumTypeMismatch { .. })));
        let refused = CompleteMultipartUploadRequest { checksum: Some(wrong), ..request.clone() };
        let refused = world.objects.complete_multipart_upload(refused).await;
        assert!(matches!(refused, Err(ObjectsError::BadChecksum { .. })));
        let request = CompleteMultipartUploadRequest { checksum: Some(whole.clone()), ..request };
        let written = world.objects.complete_multipart_upload(request).await.unwrap();
        assert_eq!(written.checksum, Some(whole));
    }
}

#[tokio::test]
async fn a_checksum_of_another_algorithm_than_the_uploads_is_refused() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let id = begin(&world, &bucket, "key", Some(COMPOSITE_CRC32)).await;
    let said = BodyFacts { checksum: Some(ChecksumAlgorithm::Sha1), ..BodyFacts::default() };
    let refused = try_upload(&world, &bucket, "key", id, 1, b"bytes", said).await;
    assert!(matches!(refused, Err(ObjectsError::ChecksumKindMismatch { .. })));
    let wrong = Checksum::new(ChecksumAlgorithm::Crc32, ChecksumType::FullObject, vec![0; 4]).unwrap();
    let expected = ExpectedDigests { checksums: vec![wrong], ..Default::default() };
    let said = BodyFacts { expected, ..BodyFacts::default() };
    let refused = try_upload(&world, &bucket, "key", id, 1, b"bytes", said).await;
    assert!(matches!(refused, Err(ObjectsError::BadChecksum { .. })));
    let list = world.objects.list_parts(parts_of(&bucket, id)).await.unwrap();
    assert!(list.parts.is_empty());
}

#[tokio::test]
async fn complete_refuses_what_was_not_uploaded_so() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let id = begin(&world, &bucket, "key", None).await;
    let small = upload(&world, &bucket, "key", id, 1, &noise(PART_MIN - 1)).await;
    let large = upload(&world, &bucket, "key", id, 2, &noise(PART_MIN)).await;
    let refused = async |parts: Vec<NamedPart>| {
        world.objects.complete_multipart_upload(complete(&bucket, "key", id, parts)).await.unwrap_err()
    };
    assert!(matches!(refused(vec![]).await, ObjectsError::NoParts));
    let disorder = vec![named(2, &large), named(1, &small)];
    assert!(matches!(refused(disorder).await, ObjectsError::InvalidPartOrder { .. }));
    let twice = vec![named(2, &large), named(2, &large)];
    assert!(matches!(refused(twice).await, ObjectsError::InvalidPartOrder { .. }));
    let too_small = refused(vec![named(1, &small), named(2, &large)]).await;
    assert!(matches!(too_small, ObjectsError::EntityTooSmall { number, .. } if number.get() == 1));
    let missing = refused(vec![named(2, &large), named(3, &large)]).await;
    assert!(matches!(missing, ObjectsError::InvalidPart { number, .. } if number.get() == 3));
    let wrong_tag = NamedPart { etag: ETag::of_body([0; 16]), ..named(2, &large) };
    assert!(matches!(refused(vec![wrong_tag]).await, ObjectsError::InvalidPart { .. }));
    let checksum = Checksum::new(ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject, vec![0; 8]).unwrap();
    let wrong_checksum = NamedPart { checksums: vec![checksum], ..named(2, &large) };
    assert!(matches!(refused(vec![wrong_checksum]).await, ObjectsError::InvalidPart { .. }));
    let size = CompleteMultipartUploadRequest {
        object_bytes: Some(1),
        ..complete(&bucket, "key", id, vec![named(2, &large)])
    };
    let refused_size = world.objects.complete_multipart_upload(size).await;
    assert!(matches!(refused_size, Err(ObjectsError::ObjectSizeMismatch { expected: 1, .. })));

    assert!(matches!(world.get(&bucket, "key").await, Err(ObjectsError::NoSuchKey { .. })));
    world.objects.complete_multipart_upload(complete(&bucket, "key", id, vec![named(1, &small)])).await.unwrap();
    assert_eq!(world.get(&bucket, "key").await.unwrap().len(), PART_MIN - 1, "one part is the last part");
}

#[tokio::test]
async fn complete_repeated_answers_the_same_again() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let id = begin(&world, &bucket, "key", None).await;
    let part = upload(&world, &bucket, "key", id, 1, b"bytes").await;
    let request = complete(&bucket, "key", id, vec![named(1, &part)]);
    let written = world.objects.complete_multipart_upload(request.clone()).await.unwrap();
    assert_eq!(world.objects.complete_multipart_upload(request).await.unwrap(), written);
    // A completed upload is over for everything else.
    let late = try_upload(&world, &bucket, "key", id, 2, b"bytes", BodyFacts::default()).await;
    assert!(matches!(late, Err(ObjectsError::NoSuchUpload { .. })));
    let list = world.objects.list_parts(parts_of(&bucket, id)).await;
    assert!(matches!(list, Err(ObjectsError::NoSuchUpload { .. })));
    let abort = world.objects.abort_multipart_upload(&bucket, &key("key"), id).await;
    assert!(matches!(abort, Err(ObjectsError::NoSuchUpload { .. })));
    assert_eq!(world.get(&bucket, "key").await.unwrap(), b"bytes");
}

/// Another Complete commits between this one's look and its commit. Both answer the same, and the manifest that was
/// written in vain goes to the collector.
#[tokio::test]
async fn of_two_completes_at_once_both_answer_the_same() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let other = world.second_gateway().await;
    let id = begin(&world, &bucket, "key", None).await;
    let part = upload(&world, &bucket, "key", id, 1, b"bytes").await;
    let request = complete(&bucket, "key", id, vec![named(1, &part)]);
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let faster = request.clone();
    world.index.interrupt(|body| matches!(body, CommandBody::CompleteUpload(_)), async move {
        sender.send(other.complete_multipart_upload(faster).await.unwrap()).unwrap();
    });
    let written = world.objects.complete_multipart_upload(request).await.unwrap();
    assert_eq!(receiver.await.unwrap(), written);
    world.garbage_rows(1).await;
}

/// A part is sent again between Complete's look and its commit: what was named is not what is there any more.
#[tokio::test]
async fn a_part_replaced_during_complete_is_noticed() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let other = world.second_gateway().await;
    let id = begin(&world, &bucket, "key", None).await;
    let part = upload(&world, &bucket, "key", id, 1, b"bytes").await;
    let again = UploadPartRequest {
        bucket: bucket.clone(),
        key: key("key"),
        upload: id,
        number: number(1),
        said: BodyFacts::default(),
    };
    world.index.interrupt(|body| matches!(body, CommandBody::CompleteUpload(_)), async move {
        other.upload_part(again, &mut Body::of(b"other")).await.unwrap();
    });
    let outcome = world.objects.complete_multipart_upload(complete(&bucket, "key", id, vec![named(1, &part)])).await;
    assert!(matches!(outcome, Err(ObjectsError::InvalidPart { .. })), "{outcome:?}");
}

#[tokio::test]
async fn complete_is_decided_under_its_conditions() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.put(&bucket, "key", b"standing").await;
    let id = begin(&world, &bucket, "key", None).await;
    let part = upload(&world, &bucket, "key", id, 1, b"bytes").await;
    let conditions = WriteConditions { if_match: None, if_none_match: Some(ETagCondition::Any) };
    let request = CompleteMultipartUploadRequest { conditions, ..complete(&bucket, "key", id, vec![named(1, &part)]) };
    let refused = world.objects.complete_multipart_upload(request.clone()).await;
    assert!(matches!(refused, Err(ObjectsError::PreconditionFailed { .. })));
    world.delete(&bucket, "key").await;
    world.objects.complete_multipart_upload(request).await.unwrap();
    assert_eq!(world.get(&bucket, "key").await.unwrap(), b"bytes");
}

#[tokio::test]
async fn what_an_object_does_not_need_any_more_is_freed() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let bytes = noise(100_000);
    let id = begin(&world, &bucket, "key", None).await;
    upload(&world, &bucket, "key", id, 1, &bytes).await;
    upload(&world, &bucket, "key", id, 1, &noise(100_001)).await;
    world.garbage_rows(1).await;
    world.objects.abort_multipart_upload(&bucket, &key("key"), id).await.unwrap();
    world.garbage_rows(2).await;
    let gone = world.objects.abort_multipart_upload(&bucket, &key("key"), id).await;
    assert!(matches!(gone, Err(ObjectsError::NoSuchUpload { .. })));

    // A part that Complete doesn't name, then the object with its manifest.
    let id = begin(&world, &bucket, "key", None).await;
    let part = upload(&world, &bucket, "key", id, 1, &bytes).await;
    upload(&world, &bucket, "key", id, 2, &bytes).await;
    world.objects.complete_multipart_upload(complete(&bucket, "key", id, vec![named(1, &part)])).await.unwrap();
    world.garbage_rows(3).await;
    world.delete(&bucket, "key").await;
    world.garbage_rows(5).await;
}

#[tokio::test]
async fn the_manifest_on_the_disks_tells_the_object() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let attributes = ObjectAttributes { tags: vec![("a".into(), "b".into())], ..ObjectAttributes::default() };
    let request = CreateMultipartUploadRequest {
        bucket: bucket.clone(),
        key: key("key"),
        attributes: attributes.clone(),
        owner: owner(),
        checksum: Some(COMPOSITE_CRC32),
    };
    let id = world.objects.create_multipart_upload(request).await.unwrap().upload;
    let first = noise(PART_MIN);
    let one = upload_with_crc32(&world, &bucket, "key", id, 1, &first).await;
    let two = upload_with_crc32(&world, &bucket, "key", id, 2, b"inline").await;
    let parts = vec![named(1, &one), named(2, &two)];
    let written = world.objects.complete_multipart_upload(complete(&bucket, "key", id, parts)).await.unwrap();

    let is_manifest = |header: &shards::ShardHeader| header.part == PartNumber::MANIFEST.get();
    let header = world.disks.headers().into_iter().find(is_manifest).unwrap();
    assert_eq!(header.home.key, key("key"));
    let record = NamedRecord::decode(&header.part_metadata.unwrap()).unwrap();
    assert_eq!(record.bucket.as_ref(), Some(&bucket));
    let record = record.record;
    assert!(matches!(record, PartRecord::Manifest { upload, .. } if upload == id));
    let manifest = Manifest::decode(&world.disks.whole_copy(is_manifest).unwrap()).unwrap();
    assert_eq!((manifest.upload, manifest.etag, manifest.checksum), (id, written.etag, written.checksum));
    assert_eq!((manifest.attributes, manifest.owner), (attributes, owner()));
    assert_eq!(manifest.parts.len(), 2);
    assert_eq!(manifest.parts[0].inline, None);
    assert_eq!(
        manifest.parts[1].inline.as_deref(),
        Some(&b"inline"[..]),
        "what lies on no disk stands in the manifest"
    );
    let parts = world.disks.headers().into_iter().filter(|header| header.part == 1);
    for record in parts.filter_map(|header| header.part_metadata) {
        let record = NamedRecord::decode(&record).unwrap().record;
        assert!(matches!(record, PartRecord::UploadPart { upload, .. } if upload == id));
    }
}

#[tokio::test]
async fn an_upload_of_another_key_is_not_found() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let id = begin(&world, &bucket, "key", None).await;
    let refused = try_upload(&world, &bucket, "other", id, 1, b"bytes", BodyFacts::default()).await;
    assert!(matches!(refused, Err(ObjectsError::NoSuchUpload { .. })));
    let missing = crate::world::bucket("missing");
    let refused = try_upload(&world, &missing, "key", id, 1, b"bytes", BodyFacts::default()).await;
    assert!(matches!(refused, Err(ObjectsError::NoSuchBucket { .. })));
}

/// The upload is aborted while its part is on its way: the part's bytes go to the collector.
#[tokio::test]
async fn a_part_that_comes_too_late_leaves_nothing_behind() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let other = world.second_gateway().await;
    let id = begin(&world, &bucket, "key", None).await;
    let name = bucket.clone();
    world.index.interrupt(|body| matches!(body, CommandBody::PutPart(_)), async move {
        other.abort_multipart_upload(&name, &key("key"), id).await.unwrap()
    });
    let late = try_upload(&world, &bucket, "key", id, 1, &noise(100_000), BodyFacts::default()).await;
    assert!(matches!(late, Err(ObjectsError::NoSuchUpload { .. })));
    world.garbage_rows(1).await;
}

fn parts_of(bucket: &BucketName, upload: UploadId) -> ListPartsRequest {
    ListPartsRequest { bucket: bucket.clone(), key: key("key"), upload, after: 0, max_parts: 1000 }
}

#[tokio::test]
async fn parts_are_listed_in_pages() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let id = begin(&world, &bucket, "key", Some(WHOLE_CRC32)).await;
    for at in [3, 1, 10, 2] {
        upload(&world, &bucket, "key", id, at, format!("part {at}").as_bytes()).await;
    }
    let page =
        |after, max_parts| world.objects.list_parts(ListPartsRequest { after, max_parts, ..parts_of(&bucket, id) });
    let numbers = |page: &objects::PartsPage| page.parts.iter().map(|part| part.number.get()).collect::<Vec<_>>();
    let first = page(0, 3).await.unwrap();
    assert_eq!((numbers(&first), first.truncated, first.next_after), (vec![1, 2, 3], true, 3));
    assert_eq!(first.parts[0].checksum.as_ref().unwrap().value(), crc32(b"part 1"));
    assert_eq!(first.parts[0].plain_bytes, 6);
    assert_eq!((first.owner, first.checksum), (owner(), Some(WHOLE_CRC32)));
    assert_eq!(first.storage_class, StorageClass::default());
    let second = page(3, 3).await.unwrap();
    assert_eq!((numbers(&second), second.truncated, second.next_after), (vec![10], false, 10));
    let none = page(2, 0).await.unwrap();
    assert_eq!((numbers(&none), none.truncated, none.next_after), (vec![], false, 2));
    let exact = page(0, 4).await.unwrap();
    assert!(!exact.truncated);
}

#[tokio::test]
async fn uploads_are_listed_in_pages_by_key_and_time() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let mut ids = Vec::new();
    for name in ["a/1", "b", "b", "c/1", "c/2", "d"] {
        ids.push(begin(&world, &bucket, name, None).await);
    }
    let list = |delimiter: &'static str, key_marker: &[u8], upload_marker, max_uploads| {
        world.objects.list_multipart_uploads(ListMultipartUploadsRequest {
            bucket: bucket.clone(),
            prefix: Default::default(),
            delimiter: delimiter.into(),
            key_marker: key_marker.to_vec().into(),
            upload_marker,
            max_uploads,
        })
    };
    let shown = |page: &objects::UploadsPage| {
        let line = |entry: &ListEntry<objects::ListedUpload>| match entry {
            ListEntry::Entry(upload) => upload.key.to_string(),
            ListEntry::CommonPrefix(prefix) => format!("{}*", String::from_utf8_lossy(prefix)),
        };
        page.entries.iter().map(line).collect::<Vec<_>>()
    };
    let first = list("/", b"", None, 2).await.unwrap();
    assert_eq!((shown(&first), first.truncated), (vec!["a/*".into(), "b".into()], true));
    assert_eq!(first.next_key_marker.as_deref(), Some(&b"b"[..]));
    assert_eq!(first.next_upload_marker, Some(ids[1]), "of two uploads of one key the older one comes first");
    let second = list("/", b"b", first.next_upload_marker, 2).await.unwrap();
    assert_eq!(shown(&second), ["b", "c/*"]);
    assert_eq!((second.next_key_marker.as_deref(), second.next_upload_marker), (Some(&b"c/"[..]), None));
    let third = list("/", b"c/", None, 2).await.unwrap();
    assert_eq!((shown(&third), third.truncated, third.next_key_marker), (vec!["d".into()], false, None));
    assert!(list("", b"", None, 0).await.unwrap().entries.is_empty());
    assert_eq!(list("", b"", None, 1000).await.unwrap().entries.len(), 6);
}

fn part_copy(bucket: &BucketName, upload: UploadId, at: u32) -> UploadPartCopyRequest {
    let conditions = ReadConditions::default();
    let source = CopySource { bucket: bucket.clone(), key: key("source"), which: WhichVersion::Newest, conditions };
    UploadPartCopyRequest { source, range: None, bucket: bucket.clone(), key: key("key"), upload, number: number(at) }
}

#[tokio::test]
async fn parts_are_copied_from_objects() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let source = noise(PART_MIN + 1000);
    world.put(&bucket, "source", &source).await;
    let id = begin(&world, &bucket, "key", Some(WHOLE_CRC32)).await;
    let one = world.objects.upload_part_copy(part_copy(&bucket, id, 1)).await.unwrap();
    assert_eq!(one.part.etag, ETag::of_body(md5_many::md5(&source)));
    assert_eq!(one.part.checksum.as_ref().unwrap().value(), crc32(&source));
    let ranged = UploadPartCopyRequest { range: Some(10..110), ..part_copy(&bucket, id, 2) };
    let two = world.objects.upload_part_copy(ranged).await.unwrap();
    let listed = world.objects.list_parts(parts_of(&bucket, id)).await.unwrap();
    assert_eq!(listed.parts[1].modified, two.modified);

    let outside = UploadPartCopyRequest { range: Some(0..source.len() as u64 + 1), ..part_copy(&bucket, id, 3) };
    let refused = world.objects.upload_part_copy(outside).await;
    assert!(matches!(refused, Err(ObjectsError::InvalidCopyRange { .. })));
    let mut conditional = part_copy(&bucket, id, 3);
    conditional.source.conditions.if_none_match = Some(ETagCondition::Any);
    let refused = world.objects.upload_part_copy(conditional).await;
    assert!(matches!(refused, Err(ObjectsError::PreconditionFailed { .. })));

    let parts = vec![named(1, &one.part), named(2, &two.part)];
    world.objects.complete_multipart_upload(complete(&bucket, "key", id, parts)).await.unwrap();
    assert!(world.get(&bucket, "key").await.unwrap() == [&source[..], &source[10..110]].concat());
}

#[tokio::test]
async fn attributes_tell_parts_with_their_checksums() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let id = begin(&world, &bucket, "key", Some(COMPOSITE_CRC32)).await;
    let first = noise(PART_MIN);
    let one = upload_with_crc32(&world, &bucket, "key", id, 1, &first).await;
    let two = upload_with_crc32(&world, &bucket, "key", id, 5, b"bytes").await;
    let parts = vec![named(1, &one), named(5, &two)];
    world.objects.complete_multipart_upload(complete(&bucket, "key", id, parts)).await.unwrap();
    let ask = |parts| GetObjectAttributesRequest {
        bucket: bucket.clone(),
        key: key("key"),
        which: WhichVersion::Newest,
        parts,
    };
    let wanted = Some(PartsWanted { after: 0, max_parts: 1 });
    let answer = world.objects.get_object_attributes(ask(wanted)).await.unwrap();
    assert_eq!(answer.head.checksum.unwrap().checksum_type, ChecksumType::Composite);
    let page = answer.parts.unwrap();
    assert_eq!((page.total, page.truncated, page.next_after), (2, true, 1));
    assert_eq!(page.parts[0].checksum, one.checksum);
    let wanted = Some(PartsWanted { after: 1, max_parts: 10 });
    let page = world.objects.get_object_attributes(ask(wanted)).await.unwrap().parts.unwrap();
    assert_eq!((page.parts.len(), page.parts[0].number.get(), page.truncated), (1, 5, false));
    assert!(world.objects.get_object_attributes(ask(None)).await.unwrap().parts.is_none());
}

#[tokio::test]
async fn an_upload_whose_creation_was_answered_late_is_one_upload() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.index.next(Fate::AnswerLost, |body| matches!(body, CommandBody::CreateUpload(_)));
    begin(&world, &bucket, "key", None).await;
    let id = world.objects.bucket(&bucket).await.unwrap().id;
    let usage = index::IndexService::query(&*world.index, Query::Usage(id)).await.unwrap();
    assert!(matches!(usage, QueryAnswer::Usage(usage) if usage.uploads == 1));
}
