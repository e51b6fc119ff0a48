//! Commands and answers that get lost: each write takes effect once, and says so.

use std::time::Duration;

use index::{Answer, Command, CommandBody, IndexService};
use objects::{ETagCondition, ObjectsError, PutObjectRequest, ShownVersion, VersioningStatus, WriteConditions};
use types::RequestNumber;

use crate::list_object_versions::{Line, lines};
use crate::multipart::{begin, complete, named, upload};
use crate::world::{Fate, World, bucket, create, noise, put};

fn is_put(body: &CommandBody) -> bool {
    matches!(body, CommandBody::PutObject(_))
}

fn is_delete(body: &CommandBody) -> bool {
    matches!(body, CommandBody::DeleteObject(_))
}

#[tokio::test]
async fn a_put_whose_answer_is_lost_takes_effect_once() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.objects.put_bucket_versioning(&bucket, VersioningStatus::Enabled).await.unwrap();
    world.index.next(Fate::AnswerLost, is_put);
    world.index.next(Fate::CommandLost, is_put);
    world.index.next(Fate::AnswerLost, is_put);
    let written = world.put(&bucket, "key", b"bytes").await;
    assert_eq!(lines(&world, &bucket).await, [Line::Newest("id")]);
    let read = world.objects.head_object(crate::world::get(&bucket, "key")).await.unwrap();
    assert_eq!(read.head.version, written.version);
}

#[tokio::test]
async fn a_conditional_put_whose_answer_is_lost_does_not_refuse_itself() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.index.next(Fate::AnswerLost, is_put);
    let conditions = WriteConditions { if_match: None, if_none_match: Some(ETagCondition::Any) };
    let request = PutObjectRequest { conditions, ..put(&bucket, "key") };
    world.try_put(request.clone(), &noise(300_000)).await.unwrap();
    let refused = world.try_put(request, b"bytes").await;
    assert!(matches!(refused, Err(ObjectsError::PreconditionFailed { .. })));
    assert!(world.get(&bucket, "key").await.unwrap() == noise(300_000));
}

#[tokio::test]
async fn a_delete_whose_answer_is_lost_adds_one_marker() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.objects.put_bucket_versioning(&bucket, VersioningStatus::Enabled).await.unwrap();
    world.put(&bucket, "key", b"bytes").await;
    world.index.next(Fate::AnswerLost, is_delete);
    let deleted = world.delete(&bucket, "key").await;
    assert!(deleted.marker && matches!(deleted.version, ShownVersion::Id(_)));
    assert_eq!(lines(&world, &bucket).await, [Line::NewestMarker("id"), Line::Older("id")]);
}

#[tokio::test]
async fn parts_and_completes_whose_answers_are_lost_succeed() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.index.next(Fate::AnswerLost, |body| matches!(body, CommandBody::PutPart(_)));
    world.index.next(Fate::AnswerLost, |body| matches!(body, CommandBody::CompleteUpload(_)));
    let id = begin(&world, &bucket, "key", None).await;
    let part = upload(&world, &bucket, "key", id, 1, &noise(100_000)).await;
    world.objects.complete_multipart_upload(complete(&bucket, "key", id, vec![named(1, &part)])).await.unwrap();
    assert!(world.get(&bucket, "key").await.unwrap() == noise(100_000));
    world.garbage_rows(0).await;
}

#[tokio::test]
async fn buckets_are_made_and_deleted_though_every_answer_is_lost_once() {
    let world = World::new().await;
    let name = bucket("bucket");
    type IsStep = fn(&CommandBody) -> bool;
    let steps: [IsStep; 7] = [
        |body| matches!(body, CommandBody::ReserveBucket { .. }),
        |body| matches!(body, CommandBody::CreateBucketRow { .. }),
        |body| matches!(body, CommandBody::PublishBucket { .. }),
        |body| matches!(body, CommandBody::BeginBucketDeletion { .. }),
        |body| matches!(body, CommandBody::FenceBucket { .. }),
        |body| matches!(body, CommandBody::DropBucketRow { .. }),
        |body| matches!(body, CommandBody::FinishBucketDeletion { .. }),
    ];
    for step in steps {
        world.index.next(Fate::AnswerLost, step);
    }
    world.objects.create_bucket(create(&name)).await.unwrap();
    world.objects.delete_bucket(&name).await.unwrap();
    assert!(matches!(world.objects.head_bucket(&name).await, Err(ObjectsError::NoSuchBucket { .. })));
}

#[tokio::test]
async fn an_index_that_is_away_for_long_is_told_so() {
    let (world, bucket) = World::with_bucket("bucket").await;
    for _ in 0..6 {
        world.index.next(Fate::Unavailable, is_put);
    }
    let refused = world.try_put(put(&bucket, "key"), &noise(300_000)).await;
    assert!(matches!(refused, Err(ObjectsError::Unavailable { outcome_unknown: false, .. })));
    world.garbage_rows(1).await;
    world.put(&bucket, "key", b"bytes").await;
}

/// The client hangs up while its put is being committed: the put takes effect or leaves nothing behind, and the runs
/// of a refused one go to the collector.
#[tokio::test]
async fn a_commit_goes_on_when_the_client_hangs_up() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.put(&bucket, "key", b"standing").await;
    let (reached, is_reached) = tokio::sync::oneshot::channel();
    let (go_on, may_go_on) = tokio::sync::oneshot::channel::<()>();
    world.index.interrupt(is_put, async move {
        reached.send(()).unwrap();
        may_go_on.await.unwrap();
    });
    let conditions = WriteConditions { if_match: None, if_none_match: Some(ETagCondition::Any) };
    let request = PutObjectRequest { conditions, ..put(&bucket, "key") };
    let bytes = noise(300_000);
    tokio::select! {
        biased;
        outcome = world.try_put(request, &bytes) => panic!("{outcome:?}"),
        _ = is_reached => {}
    }
    go_on.send(()).unwrap();
    world.garbage_rows(1).await;
    assert_eq!(world.get(&bucket, "key").await.unwrap(), b"standing");
}

async fn end_all_tickets(world: &World) {
    world.clock.advance(Duration::from_secs(3600));
    let expire = CommandBody::ExpireTickets { idle_us_max: 1 };
    let propose =
        async |body| world.index.propose(Command { request: None, answered: RequestNumber(0), body }).await.unwrap();
    let Answer::Floor(floor) = propose(expire).await else { panic!("a floor") };
    propose(CommandBody::RaiseFloor { floor }).await;
}

/// A writer that was paused for an hour finds its ticket over. What it has written may have been collected, so the
/// client must send it again; what has no bytes on disks is committed under a new ticket.
#[tokio::test]
async fn a_writer_whose_ticket_is_over_gets_a_new_one() {
    let (world, bucket) = World::with_bucket("bucket").await;
    end_all_tickets(&world).await;
    let refused = world.try_put(put(&bucket, "key"), &noise(300_000)).await;
    assert!(matches!(refused, Err(ObjectsError::TicketOver)));
    assert!(matches!(world.get(&bucket, "key").await, Err(ObjectsError::NoSuchKey { .. })));
    world.put(&bucket, "key", &noise(300_000)).await;

    end_all_tickets(&world).await;
    world.put(&bucket, "inline", b"bytes").await;
    end_all_tickets(&world).await;
    world.delete(&bucket, "inline").await;
    end_all_tickets(&world).await;
    world.objects.create_bucket(create(&crate::world::bucket("other"))).await.unwrap();
}
