//! Object lock (S3 User Guide, "Locking objects with Object Lock").

use index::command::{CommandBody, DeleteObject, WhichVersion};
use index::contract::samples::{delete_object, inline_part, key, put_object};
use index::{Answer, Refusal};
use types::{Retention, RetentionMode, Timestamp, VersionId, Versioning};

use crate::world::{World, refused};

fn put_held(world: &mut World, retention: Option<Retention>, legal_hold: bool) -> VersionId {
    let mut put = put_object(index::contract::samples::at(1, 1), key("k"), 1, inline_part(1, b"held"));
    (put.version.attributes.retention, put.version.attributes.legal_hold) = (retention, legal_hold);
    match world.apply(CommandBody::PutObject(Box::new(put))) {
        Answer::Put { id, .. } => id,
        other => panic!("a put, not {other:?}"),
    }
}

fn delete(world: &mut World, version: Option<VersionId>, bypass_governance: bool) -> Answer {
    let bucket = index::contract::samples::at(1, 1);
    let delete = delete_object(bucket, key("k"), 2, version.map(WhichVersion::Id));
    world.apply(CommandBody::DeleteObject(Box::new(DeleteObject { bypass_governance, ..delete })))
}

fn until(world: &World, mode: RetentionMode) -> Option<Retention> {
    Some(Retention { mode, until: Timestamp(world.time.0 + 10_000_000) })
}

#[test]
fn a_held_version_is_not_deleted_by_id_but_a_marker_may_cover_it() {
    let (mut world, _) = World::with_bucket(Versioning::Enabled);
    let held = put_held(&mut world, None, true);
    for bypass in [false, true] {
        assert_eq!(delete(&mut world, Some(held), bypass), refused(Refusal::Locked));
    }
    assert!(matches!(delete(&mut world, None, false), Answer::Deleted { marker: true, .. }));
    assert!(world.version("k", WhichVersion::Id(held)).is_some());
}

#[test]
fn governance_may_be_bypassed_and_compliance_may_not() {
    let (mut world, _) = World::with_bucket(Versioning::Enabled);
    let retention = until(&world, RetentionMode::Governance);
    let governed = put_held(&mut world, retention, false);
    let retention = until(&world, RetentionMode::Compliance);
    let complied = put_held(&mut world, retention, false);
    assert_eq!(delete(&mut world, Some(governed), false), refused(Refusal::Locked));
    assert!(matches!(delete(&mut world, Some(governed), true), Answer::Deleted { version: Some(_), .. }));
    assert_eq!(delete(&mut world, Some(complied), true), refused(Refusal::Locked));
}

#[test]
fn retention_ends_by_the_commands_stamp() {
    let (mut world, _) = World::with_bucket(Versioning::Enabled);
    let retention = until(&world, RetentionMode::Compliance);
    let complied = put_held(&mut world, retention, false);
    world.time.0 += 10_000_000;
    assert!(matches!(delete(&mut world, Some(complied), false), Answer::Deleted { version: Some(_), .. }));
}

#[test]
fn a_held_null_version_is_not_replaced() {
    let (mut world, at) = World::with_bucket(Versioning::Off);
    let held = put_held(&mut world, None, true);
    let put = put_object(at, key("k"), 3, inline_part(1, b"other"));
    assert_eq!(world.apply(CommandBody::PutObject(Box::new(put))), refused(Refusal::Locked));
    assert_eq!(delete(&mut world, None, true), refused(Refusal::Locked));
    assert_eq!(world.version("k", WhichVersion::Newest).map(|version| version.id), Some(held));
}
