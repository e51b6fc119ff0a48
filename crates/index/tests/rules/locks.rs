//! Object lock (S3 User Guide, "Locking objects with Object Lock").

use index::command::{BucketConfig, CommandBody, DeleteObject, LockChange, SetObjectLock, WhichVersion};
use index::contract::samples::{
    at, create_upload, delete, delete_object, inline_part, key, put, put_object, put_part, upload_id,
};
use index::{Answer, Refusal};
use types::{
    BucketId, CommitStamp, DefaultRetention, LegalHold, ObjectLock, Part, Retention, RetentionMode, RetentionPeriod,
    Timestamp, Version, VersionId, Versioning,
};

use crate::uploads::complete;
use crate::world::{World, refused};

fn put_held(world: &mut World, retention: Option<Retention>, legal_hold: LegalHold) -> VersionId {
    let mut put = put_object(at(1, 1), key("k"), 1, inline_part(1, b"held"));
    (put.version.attributes.retention, put.version.attributes.legal_hold) = (retention, legal_hold);
    match world.apply(CommandBody::PutObject(Box::new(put))) {
        Answer::Put { id, .. } => id,
        other => panic!("a put, not {other:?}"),
    }
}

fn delete_by(world: &mut World, version: Option<VersionId>, bypass_governance: bool) -> Answer {
    let delete = delete_object(at(1, 1), key("k"), 2, version.map(WhichVersion::Id));
    world.apply(CommandBody::DeleteObject(Box::new(DeleteObject { bypass_governance, ..delete })))
}

fn until(world: &World, mode: RetentionMode) -> Option<Retention> {
    Some(Retention { mode, until: Timestamp(world.time.0 + 10_000_000) })
}

#[test]
fn a_held_version_is_not_deleted_by_id_but_a_marker_may_cover_it() {
    let (mut world, _) = World::with_bucket(Versioning::Enabled);
    let held = put_held(&mut world, None, LegalHold::On);
    for bypass in [false, true] {
        assert_eq!(delete_by(&mut world, Some(held), bypass), refused(Refusal::Locked));
    }
    assert!(matches!(delete_by(&mut world, None, false), Answer::Deleted { marker: true, .. }));
    assert!(world.version("k", WhichVersion::Id(held)).is_some());
}

#[test]
fn governance_may_be_bypassed_and_compliance_may_not() {
    let (mut world, _) = World::with_bucket(Versioning::Enabled);
    let retention = until(&world, RetentionMode::Governance);
    let governed = put_held(&mut world, retention, LegalHold::Unset);
    let retention = until(&world, RetentionMode::Compliance);
    let complied = put_held(&mut world, retention, LegalHold::Unset);
    assert_eq!(delete_by(&mut world, Some(governed), false), refused(Refusal::Locked));
    assert!(matches!(delete_by(&mut world, Some(governed), true), Answer::Deleted { version: Some(_), .. }));
    assert_eq!(delete_by(&mut world, Some(complied), true), refused(Refusal::Locked));
}

#[test]
fn retention_ends_by_the_commands_stamp() {
    let (mut world, _) = World::with_bucket(Versioning::Enabled);
    let retention = until(&world, RetentionMode::Compliance);
    let complied = put_held(&mut world, retention, LegalHold::Unset);
    world.time.0 += 10_000_000;
    assert!(matches!(delete_by(&mut world, Some(complied), false), Answer::Deleted { version: Some(_), .. }));
}

#[test]
fn a_held_null_version_is_not_replaced() {
    let (mut world, at) = World::with_bucket(Versioning::Off);
    let held = put_held(&mut world, None, LegalHold::On);
    let put = put_object(at, key("k"), 3, inline_part(1, b"other"));
    assert_eq!(world.apply(CommandBody::PutObject(Box::new(put))), refused(Refusal::Locked));
    assert_eq!(delete_by(&mut world, None, true), refused(Refusal::Locked));
    assert_eq!(world.version("k", WhichVersion::Newest).map(|version| version.id), Some(held));
}

/// A world whose bucket 1 has this object lock.
fn locked(object_lock: ObjectLock) -> World {
    let mut world = World::new();
    let config = BucketConfig { versioning: Versioning::Enabled, object_lock };
    let row = world.apply(CommandBody::CreateBucketRow { id: BucketId(1), config });
    assert!(matches!(row, Answer::BucketRow(_)), "{row:?}");
    world
}

fn set(world: &mut World, version: WhichVersion, change: LockChange) -> Answer {
    let set = SetObjectLock { bucket: at(1, 1), key: key("k"), version, change };
    world.apply(CommandBody::SetObjectLock(Box::new(set)))
}

fn retain(world: &mut World, retention: Option<Retention>, bypass_governance: bool) -> Answer {
    set(world, WhichVersion::Newest, LockChange::Retention { retention, bypass_governance })
}

fn newest(world: &mut World) -> Version {
    world.version("k", WhichVersion::Newest).expect("there")
}

/// Begins an upload of one part, which it answers as it is stored.
fn part_of_upload(world: &mut World) -> Part {
    world.command(create_upload(at(1, 1), "k", upload_id(1)));
    let part = inline_part(1, b"part");
    assert_eq!(world.command(put_part(at(1, 1), "k", upload_id(1), part.clone())), Answer::Done);
    Part { modified: CommitStamp(world.time.0), ..part }
}

#[test]
fn a_default_retention_counts_from_the_commit_and_gives_way_to_ones_own() {
    let default = DefaultRetention { mode: RetentionMode::Compliance, period: RetentionPeriod::Days(2) };
    let mut world = locked(ObjectLock::Default(default));
    world.time.0 += 77;
    let id = put_held(&mut world, None, LegalHold::Unset);
    let second = id.stamp.time().0.div_ceil(1_000_000);
    let expected = Retention { mode: RetentionMode::Compliance, until: Timestamp::from_seconds(second + 2 * 86_400) };
    assert_eq!(newest(&mut world).attributes.retention, Some(expected));
    assert_eq!(delete_by(&mut world, Some(id), true), refused(Refusal::Locked));
    let own = until(&world, RetentionMode::Governance);
    put_held(&mut world, own, LegalHold::Unset);
    assert_eq!(newest(&mut world).attributes.retention, own);

    // Of an upload it counts from its completion, whenever it began.
    let part = part_of_upload(&mut world);
    world.time.0 += 5_000_000_000;
    let completed = world.apply(CommandBody::CompleteUpload(Box::new(complete(&[part]))));
    let Answer::Put { id, .. } = completed else { panic!("completed, not {completed:?}") };
    let second = id.stamp.time().0.div_ceil(1_000_000);
    let until = Timestamp::from_seconds(second + 2 * 86_400);
    assert_eq!(newest(&mut world).attributes.retention.map(|retention| retention.until), Some(until));
}

#[test]
fn a_retention_that_lasts_may_only_grow_unless_it_is_bypassed() {
    let mut world = locked(ObjectLock::On);
    let of = |mode, until| Some(Retention { mode, until: Timestamp::from_seconds(until) });
    let (governance, compliance) = (RetentionMode::Governance, RetentionMode::Compliance);
    let id = put_held(&mut world, None, LegalHold::Unset);
    let done = Answer::LockSet { id, null: false };
    for (wanted, bypass, answer) in [
        (None, false, done.clone()),
        (of(governance, 2_000_000), false, done.clone()),
        (of(governance, 2_000_000), false, done.clone()),
        (of(governance, 3_000_000), false, done.clone()),
        (of(governance, 2_999_999), false, refused(Refusal::Locked)),
        (of(compliance, 3_000_000), false, refused(Refusal::Locked)),
        (None, false, refused(Refusal::Locked)),
        (of(governance, 2_000_000), true, done.clone()),
        (None, true, done.clone()),
        (of(governance, 2_000_000), false, done.clone()),
        (of(governance, 1_000_000), true, refused(Refusal::RetainUntilPassed)),
        (of(compliance, 2_000_000), true, done.clone()),
        (of(compliance, 3_000_000), false, done.clone()),
        (of(compliance, 2_999_999), true, refused(Refusal::Locked)),
        (of(governance, 4_000_000), true, refused(Refusal::Locked)),
        (None, true, refused(Refusal::Locked)),
    ] {
        let before = newest(&mut world);
        assert_eq!(retain(&mut world, wanted, bypass), answer, "{wanted:?}, bypass {bypass}");
        let mut expected = before;
        if answer == done {
            expected.attributes.retention = wanted;
        }
        assert_eq!(newest(&mut world), expected, "nothing else changes");
    }
    // What is over holds nothing.
    world.time = Timestamp::from_seconds(3_000_000);
    assert_eq!(retain(&mut world, None, false), done);
    assert_eq!(newest(&mut world).attributes.retention, None);
}

#[test]
fn a_legal_hold_holds_until_it_is_lifted() {
    let mut world = locked(ObjectLock::On);
    let id = put_held(&mut world, None, LegalHold::Unset);
    let done = Answer::LockSet { id, null: false };
    for (hold, goes) in [(LegalHold::On, false), (LegalHold::Off, true)] {
        assert_eq!(set(&mut world, WhichVersion::Id(id), LockChange::LegalHold(hold)), done);
        assert_eq!(newest(&mut world).attributes.legal_hold, hold);
        let gone = matches!(delete_by(&mut world, Some(id), true), Answer::Deleted { version: Some(_), .. });
        assert_eq!(gone, goes, "{hold:?}");
    }
}

#[test]
fn nothing_is_held_without_object_lock_nor_are_markers() {
    let (mut world, _) = World::with_bucket(Versioning::Enabled);
    put_held(&mut world, None, LegalHold::Unset);
    let hold = LockChange::LegalHold(LegalHold::On);
    assert_eq!(set(&mut world, WhichVersion::Newest, hold), refused(Refusal::NoObjectLock));
    let mut world = locked(ObjectLock::On);
    assert_eq!(set(&mut world, WhichVersion::Newest, hold), refused(Refusal::NoSuchKey));
    assert_eq!(set(&mut world, WhichVersion::Null, hold), refused(Refusal::NoSuchVersion));
    put_held(&mut world, None, LegalHold::On);
    let Answer::Deleted { version: Some((id, null)), .. } = world.command(delete(at(1, 1), "k", 9, None)) else {
        panic!("a marker")
    };
    for which in [WhichVersion::Newest, WhichVersion::Id(id)] {
        assert_eq!(set(&mut world, which, hold), refused(Refusal::IsMarker { id, null }));
    }
    assert!(matches!(delete_by(&mut world, Some(id), false), Answer::Deleted { marker: true, .. }), "a marker goes");
}

#[test]
fn what_is_held_outlives_whatever_else_comes_to_its_key() {
    let default = DefaultRetention { mode: RetentionMode::Compliance, period: RetentionPeriod::Years(1) };
    let mut world = locked(ObjectLock::Default(default));
    let held = put_held(&mut world, None, LegalHold::Unset);
    world.command(put(at(1, 1), "k", 2, b"newer"));
    let part = part_of_upload(&mut world);
    let completed = world.apply(CommandBody::CompleteUpload(Box::new(complete(&[part]))));
    assert!(matches!(completed, Answer::Put { null: false, .. }), "{completed:?}");
    world.command(delete(at(1, 1), "k", 3, None));
    world.command(delete(at(1, 1), "k", 4, Some(WhichVersion::Null)));
    let suspended = BucketConfig { versioning: Versioning::Suspended, object_lock: ObjectLock::Off };
    world.apply(CommandBody::ChangeBucketRow { bucket: at(1, 1), config: suspended });
    assert!(matches!(world.command(put(at(1, 2), "k", 5, b"again")), Answer::Put { null: false, .. }));
    assert!(world.version("k", WhichVersion::Id(held)).is_some());
    assert!(matches!(world.apply(CommandBody::FenceBucket { id: BucketId(1) }), Answer::Fenced { empty: false, .. }));
    assert_eq!(world.apply(CommandBody::DropBucketRow { id: BucketId(1) }), refused(Refusal::BucketNotEmpty));
    assert_eq!(world.garbage(), [], "nothing of it was freed");
}
