//! Bucket rows: epochs, fences, and that versioning never goes back.

use index::command::{BucketConfig, CommandBody, WhichVersion};
use index::contract::samples::{at, create_upload, delete, put, upload_id};
use index::query::Usage;
use index::{Answer, Query, QueryAnswer, Refusal};
use types::{
    BucketEpoch, BucketId, BucketState, DefaultRetention, ObjectLock, RetentionMode, RetentionPeriod, Versioning,
};

use crate::world::{World, refused};

#[test]
fn a_row_that_stands_is_not_made_again() {
    let (mut world, _) = World::with_bucket(Versioning::Enabled);
    let again = CommandBody::CreateBucketRow { id: BucketId(1), config: BucketConfig::default() };
    let Answer::BucketRow(row) = world.apply(again) else { panic!() };
    assert_eq!((row.epoch, row.config.versioning), (BucketEpoch(1), Versioning::Enabled));
}

#[test]
fn a_command_of_another_epoch_learns_the_row() {
    let (mut world, old) = World::with_bucket(Versioning::Off);
    world.set_versioning(old, Versioning::Enabled);
    let row = world.bucket_row(1);
    assert_eq!(world.command(put(old, "k", 1, b"x")), refused(Refusal::StaleBucket { row: row.clone() }));
    assert_eq!(world.command(put(at(1, 3), "k", 1, b"x")), refused(Refusal::StaleBucket { row }));
    assert_eq!(world.command(put(at(2, 1), "k", 1, b"x")), refused(Refusal::StaleBucket { row: None }));
}

#[test]
fn versioning_is_suspended_but_never_off_again_and_object_lock_stays() {
    let (mut world, bucket) = World::with_bucket(Versioning::Enabled);
    let change = CommandBody::ChangeBucketRow { bucket, config: BucketConfig::default() };
    let Answer::BucketRow(row) = world.apply(change) else { panic!() };
    assert_eq!(row.config, BucketConfig { versioning: Versioning::Suspended, object_lock: ObjectLock::Off });

    let default = DefaultRetention { mode: RetentionMode::Governance, period: RetentionPeriod::Years(1) };
    for (wanted, expected) in [
        (ObjectLock::Default(default), ObjectLock::Default(default)),
        (ObjectLock::Off, ObjectLock::On),
        (ObjectLock::On, ObjectLock::On),
    ] {
        let row = world.bucket_row(1).expect("there");
        let config = BucketConfig { versioning: Versioning::Suspended, object_lock: wanted };
        let change = CommandBody::ChangeBucketRow { bucket: at(1, row.epoch.0), config };
        let Answer::BucketRow(row) = world.apply(change) else { panic!() };
        let expected = BucketConfig { versioning: Versioning::Enabled, object_lock: expected };
        assert_eq!(row.config, expected, "object lock stays, and versioning with it");
    }
    let config = BucketConfig { versioning: Versioning::Off, object_lock: ObjectLock::On };
    let Answer::BucketRow(row) = world.apply(CommandBody::CreateBucketRow { id: BucketId(2), config }) else {
        panic!()
    };
    assert_eq!(row.config.versioning, Versioning::Enabled);
}

#[test]
fn a_fenced_bucket_takes_no_writes_until_it_is_unfenced() {
    let (mut world, bucket) = World::with_bucket(Versioning::Off);
    world.command(put(bucket, "k", 1, b"x"));
    let fence = CommandBody::FenceBucket { id: BucketId(1) };
    assert_eq!(world.apply(fence.clone()), Answer::Fenced { empty: false, epoch: BucketEpoch(1) });
    assert_eq!(world.apply(fence), Answer::Fenced { empty: false, epoch: BucketEpoch(1) }, "twice is once");
    let row = world.bucket_row(1);
    assert_eq!(row.as_ref().map(|row| row.state), Some(BucketState::Fenced));
    assert_eq!(world.command(delete(bucket, "k", 1, None)), refused(Refusal::StaleBucket { row }));
    assert_eq!(world.apply(CommandBody::DropBucketRow { id: BucketId(1) }), refused(Refusal::BucketNotEmpty));

    let Answer::BucketRow(row) = world.apply(CommandBody::UnfenceBucket { id: BucketId(1) }) else { panic!() };
    assert_eq!((row.epoch, row.state), (BucketEpoch(2), BucketState::Live));
    assert!(matches!(world.command(put(at(1, 2), "k", 1, b"x")), Answer::Put { .. }));
}

#[test]
fn only_a_fenced_and_empty_bucket_is_dropped() {
    let (mut world, bucket) = World::with_bucket(Versioning::Enabled);
    let (fence, unfence, drop) = (
        CommandBody::FenceBucket { id: BucketId(1) },
        CommandBody::UnfenceBucket { id: BucketId(1) },
        CommandBody::DropBucketRow { id: BucketId(1) },
    );
    assert_eq!(world.apply(drop.clone()), refused(Refusal::BucketBusy));
    let fenced = |empty, epoch| Answer::Fenced { empty, epoch: BucketEpoch(epoch) };

    let Answer::Deleted { version: Some((marker, _)), .. } = world.command(delete(bucket, "k", 1, None)) else {
        panic!()
    };
    assert_eq!(world.apply(fence.clone()), fenced(false, 1), "a marker counts");
    world.apply(unfence.clone());
    world.command(delete(at(1, 2), "k", 2, Some(WhichVersion::Id(marker))));
    world.command(create_upload(at(1, 2), "k", upload_id(1)));
    assert_eq!(world.apply(fence.clone()), fenced(false, 2), "an upload counts");
    world.apply(unfence);
    let abort =
        CommandBody::AbortUpload { bucket: at(1, 3), key: index::contract::samples::key("k"), upload: upload_id(1) };
    assert_eq!(world.apply(abort), Answer::Done);
    assert_eq!(world.apply(fence.clone()), fenced(true, 3));
    assert_eq!(world.apply(drop.clone()), Answer::Done);
    assert_eq!(world.bucket_row(1), None);
    assert_eq!(world.ask(Query::Usage(BucketId(1))), QueryAnswer::Usage(Usage::default()));
    assert_eq!(world.apply(drop), Answer::Done, "gone is gone");
    assert_eq!(world.apply(fence), fenced(true, 0), "nothing can be in a bucket without a row");
}

#[test]
fn keys_of_one_bucket_are_not_those_of_the_next() {
    let (mut world, bucket) = World::with_bucket(Versioning::Off);
    world.apply(CommandBody::CreateBucketRow { id: BucketId(2), config: BucketConfig::default() });
    world.command(put(at(2, 1), "k", 1, b"x"));
    assert_eq!(
        world.apply(CommandBody::FenceBucket { id: bucket.id }),
        Answer::Fenced { empty: true, epoch: BucketEpoch(1) }
    );
    let QueryAnswer::Objects(page) = world.ask(Query::Objects(index::contract::samples::whole_bucket(1, 10))) else {
        panic!()
    };
    assert_eq!(page.entries, []);
}
