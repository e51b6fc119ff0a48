//! Puts and deletes under the three kinds of versioning (S3 User Guide, "Using versioning in S3 buckets").

use index::command::{CommandBody, ETagCondition, PutObject, WhichVersion, WriteConditions};
use index::contract::samples::{self, delete, delete_object, inline_part, key, put, put_object};
use index::{Answer, Query, QueryAnswer, Refusal};
use types::{Version, VersionId, Versioning};

use crate::world::{World, refused};

fn id_of(answer: &Answer) -> VersionId {
    match answer {
        Answer::Put { id, .. } | Answer::Deleted { version: Some((id, _)), .. } => *id,
        other => panic!("{other:?} names no version"),
    }
}

fn listed(world: &mut World) -> Vec<(String, bool, bool, bool)> {
    let query = Query::Versions { range: samples::whole_bucket(1, 100), after_version: None };
    let QueryAnswer::Versions(page) = world.ask(query) else { panic!("versions were asked for") };
    let line = |entry: &index::query::ListEntry<index::query::ListedVersion>| match entry {
        index::query::ListEntry::Entry(v) => (v.key.to_string(), v.null, v.newest, v.marker),
        other => panic!("no delimiter was given, but {other:?} came"),
    };
    page.entries.iter().map(line).collect()
}

#[test]
fn a_bucket_that_never_was_versioned_keeps_one_null_version_a_key() {
    let (mut world, at) = World::with_bucket(Versioning::Off);
    let first = id_of(&world.command(put(at, "k", 1, b"one")));
    let second = world.command(put(at, "k", 2, b"three"));
    assert!(matches!(second, Answer::Put { null: true, .. }));
    assert_eq!(world.version("k", WhichVersion::Id(first)), None, "it was replaced");
    let Some(Version { plain_bytes: 5, null: true, .. }) = world.version("k", WhichVersion::Newest) else { panic!() };
    assert_eq!(listed(&mut world), [("k".to_owned(), true, true, false)]);

    let gone = world.command(delete(at, "k", 3, None));
    assert_eq!(gone, Answer::Deleted { marker: false, version: Some((id_of(&second), true)) });
    assert_eq!(world.command(delete(at, "k", 4, None)), Answer::Deleted { marker: false, version: None });
    assert_eq!(listed(&mut world), []);
}

#[test]
fn markers_stack_in_a_versioned_bucket_even_over_nothing() {
    let (mut world, at) = World::with_bucket(Versioning::Enabled);
    for random in [1, 2] {
        let answer = world.command(delete(at, "k", random, None));
        assert!(matches!(answer, Answer::Deleted { marker: true, version: Some((_, false)) }), "{answer:?}");
    }
    let marker = |newest| ("k".to_owned(), false, newest, true);
    assert_eq!(listed(&mut world), [marker(true), marker(false)]);
    let QueryAnswer::Objects(page) = world.ask(Query::Objects(samples::whole_bucket(1, 10))) else { panic!() };
    assert_eq!(page.entries, []);
}

#[test]
fn deleting_a_marker_by_id_brings_the_object_back() {
    let (mut world, at) = World::with_bucket(Versioning::Enabled);
    let object = id_of(&world.command(put(at, "k", 1, b"bytes")));
    let marker = id_of(&world.command(delete(at, "k", 2, None)));
    assert!(world.version("k", WhichVersion::Newest).unwrap().is_delete_marker());
    assert_eq!(world.version("k", WhichVersion::Id(object)).unwrap().superseded, Some(marker.stamp));

    let answer = world.command(delete(at, "k", 3, Some(WhichVersion::Id(marker))));
    assert_eq!(answer, Answer::Deleted { marker: true, version: Some((marker, false)) });
    let newest = world.version("k", WhichVersion::Newest).unwrap();
    assert_eq!((newest.id, newest.superseded), (object, None));
}

#[test]
fn a_suspended_bucket_replaces_its_null_version_wherever_it_stands() {
    let (mut world, at) = World::with_bucket(Versioning::Off);
    let null = id_of(&world.command(put(at, "k", 1, b"null")));
    let at = world.set_versioning(at, Versioning::Enabled);
    let named = id_of(&world.command(put(at, "k", 2, b"named")));
    let at = world.set_versioning(at, Versioning::Suspended);
    assert_eq!(world.version("k", WhichVersion::Null).unwrap().id, null, "found among the older ones");

    let replaced = world.command(put(at, "k", 3, b"new null"));
    assert!(matches!(replaced, Answer::Put { null: true, .. }));
    assert_eq!(world.version("k", WhichVersion::Id(null)), None);
    let line = |null, newest, marker| ("k".to_owned(), null, newest, marker);
    assert_eq!(listed(&mut world), [line(true, true, false), line(false, false, false)]);

    let marker = world.command(delete(at, "k", 4, None));
    assert!(matches!(marker, Answer::Deleted { marker: true, version: Some((_, true)) }), "a null marker: {marker:?}");
    assert_eq!(listed(&mut world), [line(true, true, true), line(false, false, false)]);

    let gone = world.command(delete(at, "k", 5, Some(WhichVersion::Null)));
    assert_eq!(gone, Answer::Deleted { marker: true, version: Some((id_of(&marker), true)) });
    assert_eq!(world.version("k", WhichVersion::Newest).unwrap().id, named);
}

#[test]
fn a_delete_by_id_of_nothing_does_nothing() {
    let (mut world, at) = World::with_bucket(Versioning::Enabled);
    let object = id_of(&world.command(put(at, "k", 1, b"bytes")));
    let guessed = VersionId { random: object.random + 1, ..object };
    let answer = world.command(delete(at, "k", 2, Some(WhichVersion::Id(guessed))));
    assert_eq!(answer, Answer::Deleted { marker: false, version: None }, "the random half counts");
    assert!(world.version("k", WhichVersion::Id(object)).is_some());
    assert_eq!(world.command(delete(at, "none", 3, Some(WhichVersion::Null))), answer);
}

#[test]
fn conditions_are_of_the_newest_version_and_a_marker_is_no_object() {
    let (mut world, at) = World::with_bucket(Versioning::Enabled);
    let tag = |bytes: u64| ETagCondition::OneOf(vec![samples::etag(bytes)]);
    let mut put_if = |if_match, if_none_match| {
        let put = put_object(at, key("k"), 1, inline_part(1, b"12345"));
        let conditions = WriteConditions { if_match, if_none_match };
        world.apply(CommandBody::PutObject(Box::new(PutObject { conditions, ..put })))
    };
    assert_eq!(put_if(Some(ETagCondition::Any), None), refused(Refusal::NoSuchKey), "nothing is there");
    assert!(matches!(put_if(None, Some(ETagCondition::Any)), Answer::Put { .. }));
    assert_eq!(put_if(None, Some(ETagCondition::Any)), refused(Refusal::PreconditionFailed));
    assert_eq!(put_if(Some(tag(4)), None), refused(Refusal::PreconditionFailed));
    assert_eq!(put_if(None, Some(tag(5))), refused(Refusal::PreconditionFailed));
    assert!(matches!(put_if(Some(tag(5)), None), Answer::Put { .. }));
    assert!(matches!(put_if(None, Some(tag(4))), Answer::Put { .. }));

    let conditional = |if_match| {
        let delete = delete_object(at, key("k"), 2, None);
        let conditions = WriteConditions { if_match: Some(if_match), if_none_match: None };
        CommandBody::DeleteObject(Box::new(index::command::DeleteObject { conditions, ..delete }))
    };
    assert_eq!(world.apply(conditional(tag(4))), refused(Refusal::PreconditionFailed));
    assert!(matches!(world.apply(conditional(tag(5))), Answer::Deleted { marker: true, .. }));
    assert_eq!(world.apply(conditional(ETagCondition::Any)), refused(Refusal::NoSuchKey), "a marker is there");
}

#[test]
fn what_a_version_holds_comes_back_whole() {
    let (mut world, at) = World::with_bucket(Versioning::Enabled);
    let mut put = put_object(at, key("k"), 9, inline_part(1, &[1, 0, 255]));
    put.version.attributes.metadata = vec![("name".to_owned(), bytes::Bytes::from_static(b"\xff raw"))];
    put.version.attributes.tags = vec![("a".to_owned(), "b".to_owned())];
    put.version.attributes.storage_class = types::StorageClass::new("COLD").unwrap();
    let answer = world.apply(CommandBody::PutObject(Box::new(put.clone())));
    let version = world.version("k", WhichVersion::Newest).unwrap();
    let expected = Version {
        id: id_of(&answer),
        null: false,
        kind: types::VersionKind::Single(types::Part { modified: id_of(&answer).stamp, ..put.part }),
        plain_bytes: 3,
        etag: put.version.etag,
        checksum: put.version.checksum,
        attributes: put.version.attributes,
        owner: put.version.owner,
        superseded: None,
    };
    assert_eq!(version, expected);
}

#[test]
fn last_modified_never_goes_back_though_the_clock_does() {
    let (mut world, at) = World::with_bucket(Versioning::Off);
    let first = id_of(&world.command(put(at, "k", 1, b"1")));
    world.time.0 -= 3_600_000_000;
    let second = id_of(&world.command(put(at, "k", 2, b"2")));
    assert_eq!(second.stamp.0, first.stamp.0 + 1);
}
