//! Documents of buckets: set, replaced, removed, and gone with their bucket.

use bytes::Bytes;
use index::command::{
    BucketDocument, BucketRecord, BucketRecordState, CommandBody, DOCUMENT_BYTES_MAX, DocumentKind, SetBucketDocument,
};
use index::contract::samples::owner;
use index::{Answer, Query, QueryAnswer, Refusal};
use types::{BucketId, BucketName, CommitStamp, Namespace, Timestamp};

use crate::world::{World, refused};

const TOKEN: [u8; 16] = [1; 16];

fn set(bucket: BucketId, kind: DocumentKind, document: Option<&[u8]>) -> CommandBody {
    let document = document.map(Bytes::copy_from_slice);
    CommandBody::SetBucketDocument(Box::new(SetBucketDocument { bucket, kind, document }))
}

fn reserve(world: &mut World, name: &str) -> BucketId {
    let record = BucketRecord {
        id: BucketId(0),
        namespace: Namespace::default(),
        name: BucketName::new(name).expect("a name"),
        owner: owner(),
        region: String::new(),
        created: Timestamp(0),
        state: BucketRecordState::Live,
    };
    match world.apply(CommandBody::ReserveBucket { record: Box::new(record), token: TOKEN }) {
        Answer::BucketReserved(id) => id,
        other => panic!("a name is reserved, not {other:?}"),
    }
}

/// A visible bucket.
fn bucket(world: &mut World, name: &str) -> BucketId {
    let id = reserve(world, name);
    assert_eq!(world.apply(CommandBody::PublishBucket { id, token: TOKEN }), Answer::Done);
    id
}

fn ask(world: &mut World, bucket: BucketId, known: Option<CommitStamp>) -> (CommitStamp, Option<Vec<BucketDocument>>) {
    match world.ask(Query::BucketDocuments { bucket, known }) {
        QueryAnswer::BucketDocuments { changed, documents } => (changed, documents),
        other => panic!("documents were asked for, not {other:?}"),
    }
}

fn documents(world: &mut World, bucket: BucketId) -> Vec<(DocumentKind, Vec<u8>)> {
    let (_, documents) = ask(world, bucket, None);
    let all = documents.expect("nothing is known").into_iter();
    all.map(|document| (document.kind, document.document.to_vec())).collect()
}

#[test]
fn a_document_replaces_the_one_of_its_kind_alone() {
    let mut world = World::new();
    let (bucket, other) = (bucket(&mut world, "one"), bucket(&mut world, "other"));
    assert_eq!(ask(&mut world, bucket, None), (CommitStamp(0), Some(Vec::new())));
    for (kind, text) in [(DocumentKind::Cors, "old"), (DocumentKind::Tagging, "tags"), (DocumentKind::Cors, "new")] {
        assert_eq!(world.apply(set(bucket, kind, Some(text.as_bytes()))), Answer::Done);
    }
    let expected = [(DocumentKind::Tagging, b"tags".to_vec()), (DocumentKind::Cors, b"new".to_vec())];
    assert_eq!(documents(&mut world, bucket), expected);
    assert_eq!(documents(&mut world, other), []);
    assert_eq!(world.apply(set(bucket, DocumentKind::Cors, None)), Answer::Done);
    assert_eq!(world.apply(set(bucket, DocumentKind::Cors, None)), Answer::Done, "what isn't there is removed");
    assert_eq!(documents(&mut world, bucket), expected[..1]);
    assert_eq!(world.apply(set(bucket, DocumentKind::Tagging, Some(b""))), Answer::Done);
    assert_eq!(documents(&mut world, bucket), [(DocumentKind::Tagging, Vec::new())], "an empty one is one");
}

#[test]
fn who_knows_the_last_change_is_told_no_more() {
    let mut world = World::new();
    let bucket = bucket(&mut world, "bucket");
    world.apply(set(bucket, DocumentKind::Cors, Some(b"one")));
    let (first, _) = ask(&mut world, bucket, None);
    assert_eq!(ask(&mut world, bucket, Some(first)), (first, None));
    for document in [Some(&b"two"[..]), None] {
        let (before, _) = ask(&mut world, bucket, None);
        world.apply(set(bucket, DocumentKind::Cors, document));
        let (after, documents) = ask(&mut world, bucket, Some(before));
        assert!(after > before && documents.is_some(), "a removal is a change like another");
    }
}

#[test]
fn a_document_has_a_bound() {
    let mut world = World::new();
    let bucket = bucket(&mut world, "bucket");
    let long = vec![b'x'; DOCUMENT_BYTES_MAX + 1];
    assert_eq!(world.apply(set(bucket, DocumentKind::Policy, Some(&long))), refused(Refusal::DocumentTooLong));
    assert_eq!(documents(&mut world, bucket), []);
    assert_eq!(world.apply(set(bucket, DocumentKind::Policy, Some(&long[1..]))), Answer::Done);
}

#[test]
fn documents_are_of_a_bucket_that_is_there_and_go_with_it() {
    let mut world = World::new();
    let absent = set(BucketId(77), DocumentKind::Cors, Some(b"x"));
    assert_eq!(world.apply(absent), refused(Refusal::NoSuchBucket));
    let id = reserve(&mut world, "bucket");
    assert_eq!(world.apply(set(id, DocumentKind::Cors, Some(b"x"))), refused(Refusal::NoSuchBucket), "not yet");
    world.apply(CommandBody::PublishBucket { id, token: TOKEN });
    world.apply(set(id, DocumentKind::Cors, Some(b"x")));
    world.apply(CommandBody::BeginBucketDeletion { id, token: TOKEN });
    assert_eq!(world.apply(set(id, DocumentKind::Tagging, Some(b"y"))), Answer::Done, "it may be undone");
    assert_eq!(documents(&mut world, id).len(), 2);
    assert_eq!(world.apply(CommandBody::FinishBucketDeletion { id, token: TOKEN }), Answer::Done);
    assert_eq!(ask(&mut world, id, None), (CommitStamp(0), Some(Vec::new())));
    assert_eq!(world.apply(set(id, DocumentKind::Cors, Some(b"late"))), refused(Refusal::NoSuchBucket));
    let again = bucket(&mut world, "bucket");
    assert_eq!(documents(&mut world, again), [], "the name is another bucket's");
}
