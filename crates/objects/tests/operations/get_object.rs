//! GetObject and HeadObject: ranges, conditions, parts, and bytes that move while they are read.

use futures::StreamExt;
use index::command::ReplacePart;
use index::{Command, CommandBody, IndexService, Query, QueryAnswer};
use objects::{
    ByteRange, Condition, ETagCondition, GetObjectRequest, ObjectsError, ReadConditions, Selection, WhichVersion,
};
use types::{ETag, ObjectKey, Part, PartNumber, RunId, Timestamp, Version, VersionKind};

use crate::multipart::{PART_MIN, completed};
use crate::world::{A_SECOND, World, all_of, get, key, noise};

async fn version_of(world: &World, bucket: &types::BucketName, key: ObjectKey) -> Version {
    let bucket = world.objects.bucket(bucket).await.unwrap().id;
    let query = Query::Version { bucket, key, which: WhichVersion::Newest };
    match world.index.query(query).await.unwrap() {
        QueryAnswer::Version { version: Some(version), .. } => *version,
        other => panic!("{other:?}"),
    }
}

fn runs_of(part: &Part) -> Vec<types::Run> {
    part.extents.iter().filter_map(|extent| extent.run().cloned()).collect()
}

fn single(version: &Version) -> Part {
    match &version.kind {
        VersionKind::Single(part) => part.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_range_reads_its_bytes_alone() {
    let (world, bucket) = World::with_bucket("bucket").await;
    for len in [10, 20_000, 600_000] {
        let bytes = noise(len);
        world.put(&bucket, "key", &bytes).await;
        for range in [0..1, 3..7, len as u64 - 1..len as u64, 0..len as u64] {
            let expected = &bytes[range.start as usize..range.end as usize];
            assert_eq!(world.read_range(&bucket, "key", range).await, expected);
        }
        let last = Selection::Range(ByteRange::Last { length: 3 });
        let read = world.read(GetObjectRequest { selection: last, ..get(&bucket, "key") }).await.unwrap();
        assert_eq!(read, bytes[len - 3..]);
        let behind = Selection::Range(ByteRange::From { first: len as u64 });
        let refused = world.read(GetObjectRequest { selection: behind, ..get(&bucket, "key") }).await;
        assert!(matches!(refused, Err(ObjectsError::InvalidRange { object_bytes }) if object_bytes == len as u64));
    }
    world.put(&bucket, "empty", b"").await;
    let any = Selection::Range(ByteRange::From { first: 0 });
    let refused = world.read(GetObjectRequest { selection: any, ..get(&bucket, "empty") }).await;
    assert!(matches!(refused, Err(ObjectsError::InvalidRange { object_bytes: 0 })));
}

#[tokio::test]
async fn a_missing_key_and_a_missing_version_are_told_apart() {
    let (world, bucket) = World::with_bucket("bucket").await;
    assert!(matches!(world.get(&bucket, "key").await, Err(ObjectsError::NoSuchKey { .. })));
    let named = GetObjectRequest { which: WhichVersion::Null, ..get(&bucket, "key") };
    assert!(matches!(world.read(named).await, Err(ObjectsError::NoSuchVersion { .. })));
}

#[tokio::test]
async fn conditions_are_checked_against_the_version_found() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let written = world.put(&bucket, "key", b"bytes").await;
    let read = |conditions| world.objects.head_object(GetObjectRequest { conditions, ..get(&bucket, "key") });
    let one_of = |etag| Some(ETagCondition::OneOf(vec![etag]));
    read(ReadConditions { if_match: one_of(written.etag), ..Default::default() }).await.unwrap();
    let refused = read(ReadConditions { if_match: one_of(ETag::of_body([0; 16])), ..Default::default() }).await;
    assert!(matches!(refused, Err(ObjectsError::PreconditionFailed { condition: Some(Condition::IfMatch) })));
    let kept = read(ReadConditions { if_none_match: one_of(written.etag), ..Default::default() }).await;
    assert!(matches!(kept, Err(ObjectsError::NotModified { head }) if head.etag == written.etag));
    let since = ReadConditions { if_modified_since: Some(written.modified), ..Default::default() };
    assert!(matches!(read(since).await, Err(ObjectsError::NotModified { .. })));
    let before = ReadConditions { if_unmodified_since: Some(Timestamp::from_seconds(1)), ..Default::default() };
    let refused = read(before).await;
    assert!(matches!(refused, Err(ObjectsError::PreconditionFailed { condition: Some(Condition::IfUnmodifiedSince) })));
}

#[tokio::test]
async fn a_read_is_one_question_to_the_index() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.put(&bucket, "key", &noise(300_000)).await;
    world.index.take_queries();
    world.get(&bucket, "key").await.unwrap();
    assert!(matches!(world.index.take_queries()[..], [Query::Version { .. }]));
    world.objects.head_object(get(&bucket, "key")).await.unwrap();
    assert!(matches!(world.index.take_queries()[..], [Query::VersionHead { .. }]));
    // A second later, the name is looked up anew.
    world.clock.advance(A_SECOND);
    world.objects.head_object(get(&bucket, "key")).await.unwrap();
    let queries = world.index.take_queries();
    assert!(matches!(queries[..], [Query::BucketByName { .. }, Query::BucketRow(_), Query::VersionHead { .. }]));
}

#[tokio::test]
async fn parts_are_read_by_their_place_and_ranges_across_them() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let parts = [noise(PART_MIN), noise(PART_MIN + 1), noise(100), noise(70_000)];
    // Only the last part may be small, so the third one is left out.
    let numbers = [(2, &parts[0]), (5, &parts[1]), (9, &parts[3])];
    completed(&world, &bucket, "key", &numbers).await;
    let whole = [&parts[0][..], &parts[1], &parts[3]].concat();
    assert_eq!(world.get(&bucket, "key").await.unwrap(), whole);

    let chosen = |number| {
        let selection = Selection::Part(PartNumber::new(number).unwrap());
        world.objects.get_object(GetObjectRequest { selection, ..get(&bucket, "key") })
    };
    let second = chosen(2).await.unwrap();
    assert_eq!(second.selected.head.parts, Some(3));
    assert_eq!(second.selected.range, PART_MIN as u64..2 * PART_MIN as u64 + 1);
    let part = second.selected.part.clone().unwrap();
    assert_eq!(part.number.get(), 2);
    assert!(part.checksum.is_some());
    assert_eq!(all_of(second).await.unwrap(), parts[1]);
    assert!(matches!(chosen(4).await, Err(ObjectsError::InvalidPartNumber { parts: 3, .. })));

    let edge = PART_MIN as u64;
    for range in [0..1, edge - 1..edge + 1, edge..edge + 1, 2 * edge..whole.len() as u64, edge - 5..2 * edge + 9] {
        let expected = &whole[range.start as usize..range.end as usize];
        assert_eq!(world.read_range(&bucket, "key", range).await, expected);
    }
}

#[tokio::test]
async fn part_1_of_a_plain_object_is_all_of_it() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let written = world.put(&bucket, "key", b"bytes").await;
    let part = |number| Selection::Part(PartNumber::new(number).unwrap());
    let request = |number| GetObjectRequest { selection: part(number), ..get(&bucket, "key") };
    let head = world.objects.head_object(request(1)).await.unwrap();
    assert_eq!((head.range, head.head.parts), (0..5, None));
    assert_eq!(head.part.unwrap().checksum, written.checksum);
    let refused = world.objects.head_object(request(2)).await;
    assert!(matches!(refused, Err(ObjectsError::InvalidPartNumber { parts: 1, .. })));
}

/// Re-striping puts the bytes into other runs and frees the old ones while a read is under way: it goes on at the byte
/// where it was.
#[tokio::test]
async fn a_read_follows_bytes_that_moved() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let bytes = noise(12 << 20);
    world.put(&bucket, "key", &bytes).await;
    // The same bytes once more, to be named in place of the first.
    world.put(&bucket, "spare", &bytes).await;
    let version = version_of(&world, &bucket, key("key")).await;
    let old = single(&version);
    let mut new = single(&version_of(&world, &bucket, key("spare")).await);
    let spare_home = types::HomeKey { bucket: world.objects.bucket(&bucket).await.unwrap().id, key: key("spare") };
    for extent in &mut new.extents {
        if let types::Extent::Slice { run, .. } = extent {
            run.home = Some(spare_home.clone());
        }
    }

    let mut read = world.objects.get_object(get(&bucket, "key")).await.unwrap();
    let mut received = read.body.next().await.unwrap().unwrap().to_vec();
    let replace = ReplacePart {
        bucket: spare_home.bucket,
        key: key("key"),
        version: Some(version.id),
        upload: None,
        number: PartNumber::ONE,
        expected: runs_of(&old),
        part: new,
        degraded: false,
    };
    let body = CommandBody::ReplacePart(Box::new(replace));
    let answer = world.index.propose(Command { request: None, answered: Default::default(), body }).await.unwrap();
    assert_eq!(answer, index::Answer::Done);
    world.disks.free_runs(&runs_of(&old).iter().map(|run| run.id).collect::<Vec<RunId>>());
    while let Some(piece) = read.body.next().await {
        received.extend_from_slice(&piece.unwrap());
    }
    assert!(received == bytes);
}

#[tokio::test]
async fn a_read_whose_version_went_away_breaks_off() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.put(&bucket, "key", &noise(12 << 20)).await;
    let runs: Vec<_> = runs_of(&single(&version_of(&world, &bucket, key("key")).await));
    let mut read = world.objects.get_object(get(&bucket, "key")).await.unwrap();
    read.body.next().await.unwrap().unwrap();
    world.delete(&bucket, "key").await;
    world.disks.free_runs(&runs.iter().map(|run| run.id).collect::<Vec<_>>());
    let mut last = None;
    while let Some(piece) = read.body.next().await {
        last = Some(piece);
    }
    assert!(matches!(last, Some(Err(ObjectsError::Unavailable { .. }))), "{last:?}");
}

/// The version was replaced and its bytes freed between the question and the first byte: the new version is read.
#[tokio::test]
async fn a_read_that_comes_too_late_for_a_version_begins_anew() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.put(&bucket, "key", &noise(300_000)).await;
    let version = version_of(&world, &bucket, key("key")).await;
    let runs: Vec<_> = runs_of(&single(&version)).iter().map(|run| run.id).collect();
    world.disks.free_runs(&runs);
    // Still named by the index, but gone: nothing that a reader could go on with.
    assert!(matches!(world.get(&bucket, "key").await, Err(ObjectsError::Damaged { .. })));
    let replaced = noise(300_001);
    world.put(&bucket, "key", &replaced).await;
    assert!(world.get(&bucket, "key").await.unwrap() == replaced);
}
