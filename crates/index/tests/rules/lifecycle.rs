//! Lifecycle: which keys are noted when, and that nothing is done with what is not any more what was judged.

use index::command::{
    BucketAt, CommandBody, DocumentKind, Expire, ExpireAction, ExpireKey, ExpireKind, Expired, FollowLifecycle,
    FollowedLifecycle, LifecyclePass, LifecycleTimes, SetObjectTags, SplitRange, WhichVersion,
};
use index::contract::samples::{at, create_upload, delete, inline_part, key, plain, put, put_object, upload_id};
use index::query::{DueRow, KeyFacts, Usage};
use index::{Answer, FIRST_DATA_RANGE, Query, QueryAnswer, Refusal};
use types::{
    BucketId, CommitStamp, HomeKey, LegalHold, RangeId, Retention, RetentionMode, SplitEpoch, StorageClass, Timestamp,
    VersionId, Versioning,
};

use crate::world::World;

const DAY_US: u64 = 86_400_000_000;

fn times(fingerprint: u8, after_us: Option<u64>) -> LifecycleTimes {
    LifecycleTimes { fingerprint: [fingerprint; 16], after_us, round_us: DAY_US, date: None }
}

fn follow(bucket: BucketAt, rules: Option<LifecycleTimes>) -> CommandBody {
    CommandBody::FollowLifecycle(Box::new(FollowLifecycle { bucket, rules }))
}

/// Bucket 1, followed by rules of three days, without a pass under way.
fn followed(versioning: Versioning) -> (World, BucketAt) {
    let (mut world, bucket) = World::with_bucket(versioning);
    assert_eq!(world.apply(follow(bucket, Some(times(1, Some(3 * DAY_US))))), Answer::Done);
    assert_eq!(expire(&mut world, bucket, Vec::new(), Some(None)), Expired::default());
    (world, bucket)
}

fn expire(world: &mut World, bucket: BucketAt, keys: Vec<ExpireKey>, pass: Option<Option<Vec<u8>>>) -> Expired {
    let pass = pass.map(|after| LifecyclePass { fingerprint: [1; 16], after });
    match world.apply(CommandBody::Expire(Box::new(Expire { bucket, keys, pass }))) {
        Answer::Expired(expired) => expired,
        other => panic!("keys expire, not {other:?}"),
    }
}

fn one(text: &str, kind: ExpireKind) -> ExpireKey {
    let actions = vec![ExpireAction { kind, since: Timestamp(0) }];
    ExpireKey { key: key(text), noted: None, actions, next: None }
}

fn due_of(world: &mut World, range: RangeId) -> Vec<DueRow> {
    match world.database.query_at(range, &Query::Due { after: None, limit: 100 }).expect("answered") {
        QueryAnswer::Due(rows) => rows,
        other => panic!("notes were asked for, not {other:?}"),
    }
}

fn due(world: &mut World) -> Vec<(Timestamp, String)> {
    let rows = due_of(world, FIRST_DATA_RANGE);
    rows.into_iter().map(|row| (row.at, String::from_utf8_lossy(row.key.as_bytes()).into_owned())).collect()
}

fn clear(world: &mut World) {
    let rows = due_of(world, FIRST_DATA_RANGE).into_iter().map(|row| row.row).collect();
    assert_eq!(world.apply(CommandBody::DropDue { rows }), Answer::Done);
    assert_eq!(due(world), []);
}

fn rows_of(world: &mut World, range: RangeId) -> Vec<(BucketId, FollowedLifecycle)> {
    match world.database.query_at(range, &Query::Followed).expect("answered") {
        QueryAnswer::Followed(rows) => rows,
        other => panic!("rows were asked for, not {other:?}"),
    }
}

fn facts(world: &mut World, text: &str) -> KeyFacts {
    let query = Query::KeyFacts { bucket: BucketId(1), key: key(text), after: None, limit: 100 };
    match world.ask(query) {
        QueryAnswer::KeyFacts(facts) => *facts,
        other => panic!("a key was asked for, not {other:?}"),
    }
}

fn put_of(world: &mut World, bucket: BucketAt, text: &str, random: u64) -> VersionId {
    match world.command(put(bucket, text, random, b"bytes")) {
        Answer::Put { id, .. } => id,
        other => panic!("a put, not {other:?}"),
    }
}

fn midnight_after(world: &World, days: u64) -> Timestamp {
    Timestamp((world.time.0 / DAY_US + 1 + days) * DAY_US)
}

#[test]
fn a_change_is_noted_once_a_day_and_only_where_there_are_rules() {
    let (mut world, bucket) = World::with_bucket(Versioning::Enabled);
    put_of(&mut world, bucket, "before", 1);
    assert_eq!(due(&mut world), []);
    let (mut world, bucket) = followed(Versioning::Enabled);
    put_of(&mut world, bucket, "a", 1);
    put_of(&mut world, bucket, "a", 2);
    world.command(delete(bucket, "a", 3, None));
    world.command(create_upload(bucket, "u", upload_id(1)));
    let at = midnight_after(&world, 3);
    assert_eq!(due(&mut world), [(at, "a".to_owned()), (at, "u".to_owned())]);
    world.time.0 += DAY_US;
    put_of(&mut world, bucket, "a", 4);
    assert_eq!(due(&mut world).len(), 3, "another day, another note");
    clear(&mut world);
    let set = SetObjectTags { bucket, key: key("a"), version: WhichVersion::Newest, tags: Vec::new() };
    world.apply(CommandBody::SetObjectTags(Box::new(set)));
    let now = world.time;
    assert_eq!(due(&mut world), [(now, "a".to_owned())], "other tags may fall under other rules");
    world.apply(follow(bucket, None));
    clear(&mut world);
    put_of(&mut world, bucket, "a", 5);
    assert_eq!(due(&mut world), []);
}

#[test]
fn dates_are_noted_too_and_rules_that_do_nothing_note_nothing() {
    let (mut world, bucket) = World::with_bucket(Versioning::Off);
    let date = Timestamp(world.time.0 + 5 * DAY_US);
    let dated = LifecycleTimes { date: Some(date), ..times(1, None) };
    world.apply(follow(bucket, Some(dated)));
    put_of(&mut world, bucket, "a", 1);
    assert_eq!(due(&mut world), [(date, "a".to_owned())]);
    clear(&mut world);
    world.time.0 += 6 * DAY_US;
    put_of(&mut world, bucket, "a", 1);
    let now = world.time;
    assert_eq!(due(&mut world), [(now, "a".to_owned())], "the date is over");
    clear(&mut world);
    world.apply(follow(bucket, Some(times(2, None))));
    put_of(&mut world, bucket, "a", 1);
    assert_eq!(due(&mut world), []);
}

#[test]
fn other_rules_begin_a_pass_and_the_same_ones_do_not() {
    let (mut world, bucket) = World::with_bucket(Versioning::Off);
    let pass = |world: &mut World| rows_of(world, FIRST_DATA_RANGE).pop().map(|(_, row)| row.pass);
    world.apply(follow(bucket, Some(times(1, Some(1)))));
    assert_eq!(pass(&mut world), Some(Some(Vec::new())));
    expire(&mut world, bucket, Vec::new(), Some(Some(vec![7])));
    assert_eq!(pass(&mut world), Some(Some(vec![7])));
    world.apply(follow(bucket, Some(times(1, Some(2)))));
    assert_eq!(pass(&mut world), Some(Some(vec![7])), "the same rules");
    expire(&mut world, bucket, Vec::new(), Some(None));
    assert_eq!(pass(&mut world), Some(None));
    world.apply(follow(bucket, Some(times(2, Some(1)))));
    expire(&mut world, bucket, Vec::new(), Some(None));
    assert_eq!(pass(&mut world), Some(Some(Vec::new())), "a pass by other rules says nothing of these");
    world.apply(follow(bucket, None));
    assert_eq!(pass(&mut world), None);
}

#[test]
fn what_was_judged_under_other_settings_of_the_bucket_is_refused() {
    let (mut world, bucket) = followed(Versioning::Off);
    let id = put_of(&mut world, bucket, "a", 1);
    let newer = world.set_versioning(bucket, Versioning::Enabled);
    let newest = || one("a", ExpireKind::Newest { version: id, tags: Vec::new(), random: 9 });
    let late = Expire { bucket, keys: vec![newest()], pass: None };
    let answer = world.apply(CommandBody::Expire(Box::new(late)));
    assert!(matches!(answer, Answer::Refused(Refusal::StaleBucket { .. })), "{answer:?}");
    let answer = world.apply(follow(bucket, Some(times(5, None))));
    assert!(matches!(answer, Answer::Refused(Refusal::StaleBucket { .. })), "{answer:?}");
    let answer = world.apply(follow(bucket, None));
    assert!(matches!(answer, Answer::Refused(Refusal::StaleBucket { .. })), "{answer:?}");
    assert_eq!(expire(&mut world, newer, vec![newest()], None).objects, 1);
}

#[test]
fn the_newest_is_deleted_as_by_a_client() {
    let (mut world, bucket) = followed(Versioning::Off);
    let id = put_of(&mut world, bucket, "a", 1);
    let newest = |version| one("a", ExpireKind::Newest { version, tags: Vec::new(), random: 9 });
    assert_eq!(expire(&mut world, bucket, vec![newest(id)], None), Expired { objects: 1, ..Expired::default() });
    assert!(facts(&mut world, "a").versions.is_empty(), "for good");

    for versioning in [Versioning::Enabled, Versioning::Suspended] {
        let (mut world, bucket) = followed(Versioning::Enabled);
        let first = put_of(&mut world, bucket, "a", 1);
        let bucket = world.set_versioning(bucket, versioning);
        let second = put_of(&mut world, bucket, "a", 2);
        assert_eq!(expire(&mut world, bucket, vec![newest(first)], None).left, 1, "it is not the newest");
        assert_eq!(expire(&mut world, bucket, vec![newest(second)], None).objects, 1);
        let left = facts(&mut world, "a").versions;
        assert!(left[0].marker && left[0].superseded.is_none());
        let expected = if versioning == Versioning::Enabled { vec![second, first] } else { vec![first] };
        assert_eq!(left[1..].iter().map(|version| version.id).collect::<Vec<_>>(), expected);
        assert_eq!(expire(&mut world, bucket, vec![newest(second)], None).left, 1, "a repeat does nothing");
    }
}

#[test]
fn nothing_is_done_before_its_time_or_with_other_tags() {
    let (mut world, bucket) = followed(Versioning::Off);
    let id = put_of(&mut world, bucket, "a", 1);
    clear(&mut world);
    let kind = |tags: &[(String, String)]| ExpireKind::Newest { version: id, tags: tags.to_vec(), random: 9 };
    let mut early = one("a", kind(&[]));
    early.actions[0].since = Timestamp(world.time.0 + 10_000_000);
    assert_eq!(expire(&mut world, bucket, vec![early], None), Expired { left: 1, ..Expired::default() });
    let now = world.time;
    assert_eq!(due(&mut world), [(now, "a".to_owned())], "it is looked at again");
    let tags = vec![("a".to_owned(), "1".to_owned())];
    assert_eq!(expire(&mut world, bucket, vec![one("a", kind(&tags))], None).left, 1);
    let set = SetObjectTags { bucket, key: key("a"), version: WhichVersion::Newest, tags: tags.clone() };
    world.apply(CommandBody::SetObjectTags(Box::new(set)));
    assert_eq!(expire(&mut world, bucket, vec![one("a", kind(&[]))], None).left, 1);
    assert_eq!(expire(&mut world, bucket, vec![one("a", kind(&tags))], None).objects, 1);
}

#[test]
fn a_noted_look_goes_and_the_next_one_comes_in_the_same_command() {
    let (mut world, bucket) = followed(Versioning::Enabled);
    put_of(&mut world, bucket, "a", 1);
    let noted = due(&mut world)[0].0;
    let next = Timestamp(noted.0 + DAY_US);
    let looked = ExpireKey { key: key("a"), noted: Some(noted), actions: Vec::new(), next: Some(next) };
    expire(&mut world, bucket, vec![looked.clone()], None);
    assert_eq!(due(&mut world), [(next, "a".to_owned())]);
    expire(&mut world, bucket, vec![ExpireKey { noted: Some(next), next: None, ..looked }], None);
    assert_eq!(due(&mut world), []);
}

#[test]
fn noncurrent_versions_go_while_enough_newer_ones_stand() {
    let (mut world, bucket) = followed(Versioning::Enabled);
    let ids: Vec<VersionId> = (1..=4).map(|random| put_of(&mut world, bucket, "a", random)).collect();
    let superseded = |world: &mut World, id| {
        let found = facts(world, "a").versions.into_iter().find(|version| version.id == id).expect("there");
        found.superseded.expect("it is not the newest")
    };
    let oldest = superseded(&mut world, ids[0]);
    let remove =
        |version, superseded, newer| one("a", ExpireKind::Noncurrent { version, superseded, tags: Vec::new(), newer });
    assert_eq!(expire(&mut world, bucket, vec![remove(ids[0], oldest, 3)], None).left, 1, "two are newer");
    assert_eq!(expire(&mut world, bucket, vec![remove(ids[0], CommitStamp(1), 2)], None).left, 1);
    clear(&mut world);
    assert_eq!(expire(&mut world, bucket, vec![remove(ids[0], oldest, 2)], None).noncurrent, 1);
    let now = world.time;
    assert_eq!(due(&mut world), [(now, "a".to_owned())], "what is left may be due at once");
    // The newest goes, the second newest becomes the newest: it is not noncurrent any more.
    let third = superseded(&mut world, ids[2]);
    world.command(delete(bucket, "a", 9, Some(WhichVersion::Id(ids[3]))));
    assert_eq!(expire(&mut world, bucket, vec![remove(ids[2], third, 0)], None).left, 1);
    assert_eq!(facts(&mut world, "a").versions.len(), 2);
}

#[test]
fn a_marker_goes_only_alone() {
    let (mut world, bucket) = followed(Versioning::Enabled);
    let object = put_of(&mut world, bucket, "a", 1);
    let Answer::Deleted { version: Some((marker, _)), .. } = world.command(delete(bucket, "a", 2, None)) else {
        panic!("a marker")
    };
    let remove = || one("a", ExpireKind::Marker { version: marker });
    assert_eq!(expire(&mut world, bucket, vec![remove()], None).left, 1);
    world.command(delete(bucket, "a", 3, Some(WhichVersion::Id(object))));
    let other = put_of(&mut world, bucket, "a", 4);
    assert_eq!(expire(&mut world, bucket, vec![remove()], None).left, 1, "an object came meanwhile");
    world.command(delete(bucket, "a", 5, Some(WhichVersion::Id(other))));
    clear(&mut world);
    assert_eq!(expire(&mut world, bucket, vec![remove()], None).markers, 1);
    assert!(facts(&mut world, "a").versions.is_empty());
    assert_eq!(due(&mut world), [], "nothing is left to look at");
}

#[test]
fn what_a_lock_holds_stays() {
    let (mut world, bucket) = followed(Versioning::Enabled);
    let locked = |attributes: &mut types::ObjectAttributes, hold: bool| {
        attributes.legal_hold = if hold { LegalHold::On } else { LegalHold::Unset };
        let until = Timestamp(u64::MAX / 2);
        attributes.retention = (!hold).then_some(Retention { mode: RetentionMode::Governance, until });
    };
    for (text, hold) in [("held", true), ("kept", false)] {
        let mut first = put_object(bucket, key(text), 1, inline_part(1, b"inline bytes"));
        locked(&mut first.version.attributes, hold);
        let Answer::Put { id, .. } = world.apply(CommandBody::PutObject(Box::new(first))) else { panic!("a put") };
        put_of(&mut world, bucket, text, 2);
        let found = facts(&mut world, text).versions.pop().expect("there");
        assert_eq!((found.legal_hold, found.retention.is_some()), (hold, !hold));
        let superseded = found.superseded.expect("it is not the newest");
        let remove = ExpireKind::Noncurrent { version: id, superseded, tags: Vec::new(), newer: 0 };
        assert_eq!(
            expire(&mut world, bucket, vec![one(text, remove)], None),
            Expired { left: 1, ..Expired::default() }
        );
        assert_eq!(facts(&mut world, text).versions.len(), 2);
    }
}

#[test]
fn uploads_end_and_classes_change() {
    let (mut world, bucket) = followed(Versioning::Enabled);
    world.command(create_upload(bucket, "u", upload_id(1)));
    assert_eq!(facts(&mut world, "u").uploads.len(), 1);
    let abort = || one("u", ExpireKind::Upload { upload: upload_id(1) });
    assert_eq!(expire(&mut world, bucket, vec![abort()], None).uploads, 1);
    assert_eq!(expire(&mut world, bucket, vec![abort()], None).left, 1);
    assert!(facts(&mut world, "u").uploads.is_empty());

    let first = put_of(&mut world, bucket, "a", 1);
    let second = put_of(&mut world, bucket, "a", 2);
    let class = |name| StorageClass::new(name).expect("a class");
    for version in facts(&mut world, "a").versions {
        let kind = |from| ExpireKind::Class {
            version: version.id,
            superseded: version.superseded,
            tags: Vec::new(),
            newer: 0,
            from,
            to: class("COLD"),
        };
        assert_eq!(expire(&mut world, bucket, vec![one("a", kind(class("ICE")))], None).left, 1);
        let from = version.storage_class.clone();
        assert_eq!(expire(&mut world, bucket, vec![one("a", kind(from))], None).moved, 1);
    }
    for id in [first, second] {
        let version = world.version("a", WhichVersion::Id(id)).expect("there");
        assert_eq!((version.attributes.storage_class, version.id), (class("COLD"), id));
    }
}

#[test]
fn places_are_told_in_order_each_once() {
    let (mut world, bucket) = followed(Versioning::Enabled);
    for text in ["b", "a", "b", "d"] {
        put_of(&mut world, bucket, text, 1);
    }
    world.command(delete(bucket, "c", 2, None));
    world.command(create_upload(bucket, "e", upload_id(1)));
    world.command(create_upload(bucket, "a", upload_id(2)));
    let mut places = |after: Vec<u8>, limit| match world.ask(Query::Places { bucket: BucketId(1), after, limit }) {
        QueryAnswer::Places(keys) => {
            keys.into_iter().map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned()).collect::<Vec<_>>()
        }
        other => panic!("keys were asked for, not {other:?}"),
    };
    assert_eq!(places(Vec::new(), 9), ["a", "b", "c", "d", "e"]);
    assert_eq!(places(index::place(BucketId(1), &key("b")), 2), ["c", "d"]);
    assert_eq!(places(index::place(BucketId(1), &key("e")), 9), Vec::<String>::new());
}

#[test]
fn a_child_of_a_split_looks_at_its_keys_by_a_pass_of_its_own() {
    let (mut world, bucket) = followed(Versioning::Enabled);
    put_of(&mut world, bucket, "a", 1);
    put_of(&mut world, bucket, "n", 1);
    let at = HomeKey { bucket: BucketId(1), key: key("m") };
    let split = SplitRange { expected: SplitEpoch(0), child: RangeId(2), at, moved: Usage::default() };
    let moved = Usage { objects: 1, versions: 1, bytes: 5, ..Usage::default() };
    let answer = world.command(plain(CommandBody::SplitRange(Box::new(SplitRange { moved, ..split }))));
    assert!(matches!(answer, Answer::Split(_)), "{answer:?}");
    assert_eq!(rows_of(&mut world, FIRST_DATA_RANGE)[0].1.pass, None);
    assert_eq!(rows_of(&mut world, RangeId(2))[0].1.pass, Some(Vec::new()));
    assert_eq!(due_of(&mut world, RangeId(2)), []);
    let within = |body| plain(CommandBody::Within { epoch: SplitEpoch(1), body: Box::new(body) });
    // The parent's note of what it hasn't any more does nothing, and goes.
    let note = due_of(&mut world, FIRST_DATA_RANGE).into_iter().find(|row| row.key == key("n")).expect("noted");
    let id = facts(&mut world, "a").versions[0].id;
    let stray = one("n", ExpireKind::Newest { version: id, tags: Vec::new(), random: 9 });
    let expire = Expire { bucket, keys: vec![stray], pass: None };
    let answer = world.command_to(FIRST_DATA_RANGE, within(CommandBody::Expire(Box::new(expire))));
    assert_eq!(answer, Answer::Expired(Expired::default()));
    let drop = CommandBody::DropDue { rows: vec![note.row] };
    assert_eq!(world.command_to(RangeId(2), plain(drop.clone())), Answer::Done, "another range's");
    assert_eq!(due_of(&mut world, FIRST_DATA_RANGE).len(), 2);
    assert_eq!(world.command_to(FIRST_DATA_RANGE, plain(drop)), Answer::Done);
    assert_eq!(due_of(&mut world, FIRST_DATA_RANGE).len(), 1);
    let put = CommandBody::PutObject(Box::new(put_object(bucket, key("o"), 1, inline_part(1, b"x"))));
    assert!(matches!(world.command_to(RangeId(2), plain(put)), Answer::Put { .. }));
    assert_eq!(due_of(&mut world, RangeId(2)).len(), 1);
}

#[test]
fn a_bucket_that_goes_is_followed_no_more() {
    let (mut world, bucket) = followed(Versioning::Off);
    world.apply(CommandBody::FenceBucket { id: bucket.id });
    assert_eq!(world.apply(CommandBody::DropBucketRow { id: bucket.id }), Answer::Done);
    assert_eq!(rows_of(&mut world, FIRST_DATA_RANGE), []);
    assert_eq!(world.apply(follow(at(1, 0), None)), Answer::Done, "of one that is gone, too");
    let answer = world.apply(follow(at(1, 1), Some(times(1, None))));
    assert!(matches!(answer, Answer::Refused(Refusal::StaleBucket { row: None })), "{answer:?}");
}

#[test]
fn who_knows_which_buckets_have_rules_is_told_no_more() {
    use index::command::{BucketRecord, BucketRecordState, SetBucketDocument};
    use types::Namespace;
    let mut world = World::new();
    world.command(index::contract::samples::form_at_newest_level());
    let ask = |world: &mut World, known| match world.ask(Query::LifecycleBuckets { known }) {
        QueryAnswer::LifecycleBuckets { changed, buckets } => (changed, buckets),
        other => panic!("buckets were asked for, not {other:?}"),
    };
    assert_eq!(ask(&mut world, None), (CommitStamp(0), Some(Vec::new())));
    let token = [1; 16];
    let record = BucketRecord {
        id: BucketId(0),
        namespace: Namespace::default(),
        name: types::BucketName::new("bucket").expect("a name"),
        owner: index::contract::samples::owner(),
        region: String::new(),
        created: Timestamp(1),
        state: BucketRecordState::Live,
    };
    let reserve = CommandBody::ReserveBucket { record: Box::new(record), token };
    let Answer::BucketReserved(id) = world.apply(reserve) else { panic!("reserved") };
    assert_eq!(world.apply(CommandBody::PublishBucket { id, token }), Answer::Done);
    let set = |kind, document: Option<&'static [u8]>| {
        let document = document.map(bytes::Bytes::from_static);
        CommandBody::SetBucketDocument(Box::new(SetBucketDocument { bucket: id, kind, document }))
    };
    world.apply(set(DocumentKind::Cors, Some(b"x")));
    assert_eq!(ask(&mut world, None), (CommitStamp(0), Some(Vec::new())), "other documents are of no matter");
    world.apply(set(DocumentKind::Lifecycle, Some(b"x")));
    let (changed, buckets) = ask(&mut world, None);
    assert_eq!(buckets, Some(vec![(id, changed)]));
    assert_eq!(ask(&mut world, Some(changed)), (changed, None));
    world.apply(set(DocumentKind::Lifecycle, None));
    let (later, buckets) = ask(&mut world, Some(changed));
    assert!(later > changed && buckets == Some(Vec::new()));
}
