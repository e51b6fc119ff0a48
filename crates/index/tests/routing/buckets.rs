//! A bucket that has several ranges is one bucket.

use index::command::{BucketConfig, BucketRow, WhichVersion};
use index::contract::samples::{ask_version, at, plain, put};
use index::{Answer, Command, CommandBody, IndexService, Query, QueryAnswer, Refusal};
use types::{BucketEpoch, BucketId, BucketState, RangeDescriptor, Versioning};

use crate::world::World;

const BUCKET: BucketId = BucketId(1);

/// Bucket 1 in three ranges.
async fn split_bucket() -> (World, Vec<RangeDescriptor>) {
    let world = World::new();
    world.bucket(1).await;
    world.split(1, "m").await;
    let [first, second] = world.split(1, "f").await;
    let [_, third] = world.split(1, "t").await;
    let mut ranges = vec![first, second, third];
    for range in &mut ranges {
        range.epoch = types::SplitEpoch(2);
    }
    (world, ranges)
}

fn changed(epoch: u64, versioning: Versioning) -> CommandBody {
    let config = BucketConfig { versioning, ..BucketConfig::default() };
    CommandBody::ChangeBucketRow { bucket: at(1, epoch), config }
}

async fn row(world: &World) -> Option<BucketRow> {
    match world.ask(Query::BucketRow(BUCKET)).await {
        QueryAnswer::BucketRow(row) => row,
        other => panic!("a row was asked for, not {other:?}"),
    }
}

/// The row that a key's own range has.
async fn row_at(world: &World, text: &str) -> Option<BucketRow> {
    match world.ask(ask_version(1, text, WhichVersion::Newest)).await {
        QueryAnswer::Version { row, .. } => row,
        other => panic!("a version was asked for, not {other:?}"),
    }
}

async fn propose_in(world: &World, range: &RangeDescriptor, body: CommandBody) -> Answer {
    let body = CommandBody::Within { epoch: range.epoch, body: Box::new(body) };
    world.index.propose_to(range.id, plain(body)).await.expect("the range takes commands")
}

#[tokio::test]
async fn a_change_of_versioning_holds_in_every_range_before_it_is_answered() {
    let (world, _) = split_bucket().await;
    let Answer::BucketRow(answered) = world.propose(changed(1, Versioning::Enabled)).await else { panic!("changed") };
    assert_eq!(answered.epoch, BucketEpoch(2));
    for text in ["a", "g", "n", "z"] {
        assert_eq!(row_at(&world, text).await, Some(answered.clone()), "{text}");
        let stale = world.index.propose(put(at(1, 1), text, 1, b"x")).await.unwrap();
        assert_eq!(stale, Answer::Refused(Refusal::StaleBucket { row: Some(answered.clone()) }));
    }
}

/// Whoever changed the first range's row went away then.
#[tokio::test]
async fn ranges_that_a_change_did_not_come_to_follow_when_the_row_is_asked_for() {
    let (world, ranges) = split_bucket().await;
    let first = propose_in(&world, &ranges[0], changed(1, Versioning::Enabled)).await;
    assert!(matches!(first, Answer::BucketRow(_)), "{first:?}");
    assert_eq!(row_at(&world, "n").await.unwrap().config.versioning, Versioning::Off);
    let wanted = row(&world).await.unwrap();
    assert_eq!(wanted.config.versioning, Versioning::Enabled);
    for text in ["a", "g", "n", "z"] {
        assert_eq!(row_at(&world, text).await, Some(wanted.clone()), "{text}");
    }
}

/// A fence that was lifted in one range alone has raised its epoch past that of the first.
#[tokio::test]
async fn a_change_prevails_over_a_range_whose_epoch_is_ahead() {
    let (world, ranges) = split_bucket().await;
    for _ in 0..2 {
        propose_in(&world, &ranges[2], CommandBody::FenceBucket { id: BUCKET }).await;
        propose_in(&world, &ranges[2], CommandBody::UnfenceBucket { id: BUCKET }).await;
    }
    assert_eq!(row_at(&world, "z").await.unwrap().epoch, BucketEpoch(3));
    let stale = world.propose(changed(1, Versioning::Enabled)).await;
    let Answer::Refused(Refusal::StaleBucket { row: Some(row) }) = stale else { panic!("decided anew, not {stale:?}") };
    let Answer::BucketRow(changed) = world.propose(changed(row.epoch.0, Versioning::Enabled)).await else {
        panic!("changed")
    };
    for text in ["a", "n", "z"] {
        assert_eq!(row_at(&world, text).await, Some(changed.clone()), "{text}");
    }
}

#[tokio::test]
async fn a_row_of_the_same_epoch_and_other_settings_gets_a_higher_one() {
    let (world, ranges) = split_bucket().await;
    let (first, third) = (&ranges[0], &ranges[2]);
    propose_in(&world, first, changed(1, Versioning::Enabled)).await;
    propose_in(&world, third, CommandBody::FenceBucket { id: BUCKET }).await;
    propose_in(&world, third, CommandBody::UnfenceBucket { id: BUCKET }).await;
    assert_eq!(row_at(&world, "a").await.unwrap().epoch, row_at(&world, "z").await.unwrap().epoch);
    let wanted = row(&world).await.unwrap();
    assert_eq!((wanted.epoch, wanted.config.versioning), (BucketEpoch(3), Versioning::Enabled));
    for text in ["a", "g", "z"] {
        assert_eq!(
            row_at(&world, text).await,
            Some(wanted.clone()),
            "{text}: what was decided under epoch 2 is refused"
        );
    }
}

#[tokio::test]
async fn a_bucket_is_empty_when_all_its_ranges_are_and_is_dropped_from_all() {
    let (world, _) = split_bucket().await;
    world.put(at(1, 1), "z", b"x").await;
    let fence = CommandBody::FenceBucket { id: BUCKET };
    assert!(matches!(world.propose(fence.clone()).await, Answer::Fenced { empty: false, .. }));
    for text in ["a", "g", "z"] {
        assert_eq!(row_at(&world, text).await.unwrap().state, BucketState::Fenced, "{text}");
    }
    assert_eq!(
        world.propose(CommandBody::DropBucketRow { id: BUCKET }).await,
        Answer::Refused(Refusal::BucketNotEmpty)
    );
    // The deletion is undone: what was dropped of it stands again, and takes writes.
    let lifted = world.propose(CommandBody::UnfenceBucket { id: BUCKET }).await;
    let Answer::BucketRow(row) = lifted else { panic!("lifted, not {lifted:?}") };
    for text in ["a", "g", "z"] {
        assert_eq!(row_at(&world, text).await, Some(row.clone()), "{text}");
    }
    let now = index::command::BucketAt { id: row.id, epoch: row.epoch };
    let delete = index::contract::samples::delete(now, "z", 1, None);
    assert!(matches!(world.index.propose(delete).await.unwrap(), Answer::Deleted { .. }));
    assert!(matches!(world.propose(fence).await, Answer::Fenced { empty: true, .. }));
    assert_eq!(world.propose(CommandBody::DropBucketRow { id: BUCKET }).await, Answer::Done);
    for text in ["a", "g", "z"] {
        assert_eq!(row_at(&world, text).await, None, "{text}");
    }
}

#[tokio::test]
async fn a_command_on_a_bucket_that_is_repeated_after_a_split_reaches_all_of_it() {
    let world = World::new();
    let bucket = world.bucket(1).await;
    world.put(bucket, "z", b"x").await;
    let fence = |number| index::contract::samples::numbered(5, number, 0, CommandBody::FenceBucket { id: BUCKET });
    let first: Command = fence(1);
    let answer = world.index.propose(first.clone()).await.unwrap();
    world.split(1, "m").await;
    assert_eq!(world.index.propose(first).await.unwrap(), answer, "the first answer");
    for text in ["a", "z"] {
        assert_eq!(row_at(&world, text).await.unwrap().state, BucketState::Fenced, "{text}");
    }
}
