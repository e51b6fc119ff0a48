//! Re-striping: what was written while disks were away gets its wanted width, its readers notice nothing.

use index::query::DegradedRow;
use index::{CommandBody, IndexService, Query, QueryAnswer};
use objects::{Aim, Restriped, VersioningStatus};

use crate::multipart::{begin, complete, named, upload};
use crate::world::{Fate, World, get, key, noise};

async fn degraded(world: &World) -> Vec<DegradedRow> {
    match world.index.query(Query::Degraded { after: None, limit: 100 }).await.unwrap() {
        QueryAnswer::Degraded(rows) => rows,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn degraded_objects_parts_and_manifests_become_whole() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.take_down(3);
    let (large, small) = (noise(600_000), noise(20_000));
    world.put(&bucket, "large", &large).await;
    let id = begin(&world, &bucket, "upload", None).await;
    let part = upload(&world, &bucket, "upload", id, 3, &large).await;
    let parts = vec![named(3, &part)];
    world.objects.complete_multipart_upload(complete(&bucket, "upload", id, parts)).await.unwrap();
    // Whole copies need no more than 1+m slots: three disks hold them as wanted.
    world.put(&bucket, "small", &small).await;
    let rows = degraded(&world).await;
    assert!(rows.len() >= 2, "{rows:?}");
    let shards = world.disks.headers().len();
    for row in &rows {
        assert_eq!(world.objects.restripe_part(row, Aim::AtLeast).await.unwrap(), Restriped::NotYet);
    }
    assert_eq!(world.disks.headers().len(), shards, "nothing is written while there is nowhere wider to write it");
    let before = world.objects.head_object(get(&bucket, "large")).await.unwrap().head;

    world.take_down(0);
    for row in degraded(&world).await {
        assert_eq!(world.objects.restripe_part(&row, Aim::AtLeast).await.unwrap(), Restriped::Whole);
        assert_eq!(
            world.objects.restripe_part(&row, Aim::AtLeast).await.unwrap(),
            Restriped::Changed,
            "nothing is left to do"
        );
    }
    assert_eq!(degraded(&world).await, []);
    world.take_down(2);
    assert!(world.get(&bucket, "large").await.unwrap() == large);
    assert!(world.get(&bucket, "upload").await.unwrap() == large);
    assert!(world.get(&bucket, "small").await.unwrap() == small);
    assert_eq!(world.objects.head_object(get(&bucket, "large")).await.unwrap().head, before);
}

#[tokio::test]
async fn a_part_that_is_gone_needs_nothing() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.take_down(3);
    world.put(&bucket, "key", &noise(600_000)).await;
    let rows = degraded(&world).await;
    world.take_down(0);
    world.delete(&bucket, "key").await;
    assert_eq!(degraded(&world).await, []);
    assert_eq!(world.objects.restripe_part(&rows[0], Aim::AtLeast).await.unwrap(), Restriped::Changed);
}

/// The object is replaced while its bytes are written anew: what was written goes to the collector.
#[tokio::test]
async fn a_part_that_is_replaced_meanwhile_is_left_alone() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.objects.put_bucket_versioning(&bucket, VersioningStatus::Suspended).await.unwrap();
    world.take_down(3);
    world.put(&bucket, "key", &noise(600_000)).await;
    let rows = degraded(&world).await;
    world.take_down(0);
    let other = world.second_gateway().await;
    let again = crate::world::put(&bucket, "key");
    world.index.interrupt(|body| matches!(body, CommandBody::ReplacePart(_)), async move {
        other.put_object(again, &mut crate::world::Body::of(b"inline")).await.unwrap();
    });
    assert_eq!(world.objects.restripe_part(&rows[0], Aim::AtLeast).await.unwrap(), Restriped::Changed);
    assert_eq!(world.get(&bucket, "key").await.unwrap(), b"inline");
    world.garbage_rows(2).await;
}

#[tokio::test]
async fn a_replacement_whose_answer_is_lost_keeps_its_bytes() {
    let (world, bucket) = World::with_bucket("bucket").await;
    world.take_down(3);
    let bytes = noise(600_000);
    world.put(&bucket, "key", &bytes).await;
    let rows = degraded(&world).await;
    assert_eq!(rows[0].key, key("key"));
    world.take_down(0);
    world.index.next(Fate::AnswerLost, |body| matches!(body, CommandBody::ReplacePart(_)));
    assert_eq!(world.objects.restripe_part(&rows[0], Aim::AtLeast).await.unwrap(), Restriped::Whole);
    assert_eq!(degraded(&world).await, []);
    world.garbage_rows(1).await;
    assert!(world.get(&bucket, "key").await.unwrap() == bytes);
}
