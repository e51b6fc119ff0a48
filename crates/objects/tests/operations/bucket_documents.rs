//! Documents of buckets: what one gateway changes, others see; what is remembered costs nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use index::{CommandBody, Query};
use objects::{DocumentKind, Objects, ObjectsError, VersioningStatus};
use types::{BucketName, Versioning};

use crate::world::{Fate, World, bucket, create, get};

const KIND: DocumentKind = DocumentKind::Cors;

async fn set(objects: &Objects, bucket: &BucketName, text: &'static str) -> Result<(), ObjectsError> {
    objects.put_bucket_document(bucket, KIND, Some(Bytes::from_static(text.as_bytes()))).await
}

async fn seen(objects: &Objects, bucket: &BucketName) -> Option<Bytes> {
    objects.bucket_documents(bucket).await.unwrap().text(KIND).cloned()
}

async fn seen_now(objects: &Objects, bucket: &BucketName) -> Option<Bytes> {
    objects.bucket_documents_now(bucket).await.unwrap().text(KIND).cloned()
}

fn is_row_change(command: &CommandBody) -> bool {
    matches!(command, CommandBody::ChangeBucketRow { .. })
}

#[tokio::test]
async fn what_one_gateway_sets_another_sees_with_its_next_answer() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let other = world.second_gateway().await;
    world.put(&bucket, "key", b"bytes").await;
    assert_eq!(seen(&other, &bucket).await, None);
    for text in ["one", "two"] {
        set(&world.objects, &bucket, text).await.unwrap();
        assert_eq!(seen(&world.objects, &bucket).await.as_deref(), Some(text.as_bytes()), "one's own at once");
        other.head_object(get(&bucket, "key")).await.unwrap();
        assert_eq!(seen(&other, &bucket).await.as_deref(), Some(text.as_bytes()), "{text}: the answer's row says so");
    }
    set(&world.objects, &bucket, "three").await.unwrap();
    assert_eq!(seen(&other, &bucket).await.as_deref(), Some(&b"two"[..]), "it has heard nothing since");
    assert_eq!(seen_now(&other, &bucket).await.as_deref(), Some(&b"three"[..]), "whoever asks, knows");
    world.objects.put_bucket_document(&bucket, KIND, None).await.unwrap();
    assert_eq!(other.get_bucket_document(&bucket, KIND).await.unwrap(), None);
    assert_eq!(seen_now(&other, &bucket).await, None);
}

#[tokio::test]
async fn what_is_remembered_is_neither_asked_for_nor_parsed_again() {
    let (world, bucket) = World::with_bucket("bucket").await;
    set(&world.objects, &bucket, "document").await.unwrap();
    world.put(&bucket, "key", b"bytes").await;
    let parses = std::cell::Cell::new(0);
    let parse = |bytes: &[u8]| {
        parses.set(parses.get() + 1);
        bytes.to_vec()
    };
    let parsed = |documents: Arc<objects::BucketDocuments>| documents.parsed(KIND, parse).unwrap();
    parsed(world.objects.bucket_documents(&bucket).await.unwrap());
    world.index.take_queries();
    for _ in 0..10 {
        world.get(&bucket, "key").await.unwrap();
        world.put(&bucket, "key", b"bytes").await;
        parsed(world.objects.bucket_documents(&bucket).await.unwrap());
    }
    let queries = world.index.take_queries();
    let is_of_gets = |query: &Query| matches!(query, Query::Version { .. });
    assert!(queries.len() == 10 && queries.iter().all(is_of_gets), "{queries:?}");
    world.clock.advance(Duration::from_secs(1));
    parsed(world.objects.bucket_documents(&bucket).await.unwrap());
    let queries = world.index.take_queries();
    let documents: Vec<_> = queries.iter().filter(|query| matches!(query, Query::BucketDocuments { .. })).collect();
    assert!(matches!(documents[..], [Query::BucketDocuments { known: Some(_), .. }]), "{queries:?}");
    assert_eq!(parses.get(), 1);
}

#[tokio::test]
async fn a_change_that_was_not_answered_is_seen_by_all_within_a_second() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let other = world.second_gateway().await;
    assert_eq!(seen(&other, &bucket).await, None);
    for _ in 0..6 {
        world.index.next(Fate::Unavailable, is_row_change);
    }
    let outcome = set(&world.objects, &bucket, "document").await;
    assert!(matches!(outcome, Err(ObjectsError::Unavailable { .. })), "{outcome:?}");
    assert_eq!(seen(&other, &bucket).await, None);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(seen(&other, &bucket).await.as_deref(), Some(&b"document"[..]));
}

#[tokio::test]
async fn a_document_that_races_with_versioning_changes_nothing_of_it() {
    let (world, bucket) = World::with_bucket("bucket").await;
    let other = world.second_gateway().await;
    let enabled = {
        let (other, bucket) = (other.clone(), bucket.clone());
        async move { other.put_bucket_versioning(&bucket, VersioningStatus::Enabled).await.unwrap() }
    };
    world.index.interrupt(is_row_change, enabled);
    set(&world.objects, &bucket, "document").await.unwrap();
    assert_eq!(world.objects.get_bucket_versioning(&bucket).await.unwrap(), Versioning::Enabled);
    assert_eq!(seen_now(&other, &bucket).await.as_deref(), Some(&b"document"[..]));
}

#[tokio::test]
async fn lost_answers_set_a_document_once_and_raise_the_epoch() {
    for lost in [Fate::AnswerLost, Fate::CommandLost] {
        let (world, bucket) = World::with_bucket("bucket").await;
        let other = world.second_gateway().await;
        world.put(&bucket, "key", b"bytes").await;
        assert_eq!(seen(&other, &bucket).await, None);
        world.index.next(lost, |command| matches!(command, CommandBody::SetBucketDocument(_)));
        world.index.next(lost, is_row_change);
        set(&world.objects, &bucket, "document").await.unwrap();
        other.head_object(get(&bucket, "key")).await.unwrap();
        assert_eq!(seen(&other, &bucket).await.as_deref(), Some(&b"document"[..]), "{lost:?}");
    }
}

#[tokio::test]
async fn documents_go_with_their_bucket() {
    let (world, name) = World::with_bucket("bucket").await;
    set(&world.objects, &name, "document").await.unwrap();
    assert!(matches!(set(&world.objects, &bucket("other"), "x").await, Err(ObjectsError::NoSuchBucket { .. })));
    world.objects.delete_bucket(&name).await.unwrap();
    let gone = world.objects.get_bucket_document(&name, KIND).await;
    assert!(matches!(gone, Err(ObjectsError::NoSuchBucket { .. })));
    assert!(matches!(set(&world.objects, &name, "x").await, Err(ObjectsError::NoSuchBucket { .. })));
    world.objects.create_bucket(create(&name)).await.unwrap();
    assert_eq!(seen(&world.objects, &name).await, None, "the name is another bucket's");
}

#[tokio::test]
async fn a_bucket_that_is_deleted_while_a_document_is_set_is_gone() {
    let (world, name) = World::with_bucket("bucket").await;
    let other = world.second_gateway().await;
    let (deletes, bucket) = (other.clone(), name.clone());
    world.index.interrupt(is_row_change, async move { deletes.delete_bucket(&bucket).await.unwrap() });
    let late = set(&world.objects, &name, "document").await;
    assert!(matches!(late, Err(ObjectsError::NoSuchBucket { .. })), "{late:?}");
    other.create_bucket(create(&name)).await.unwrap();
    assert_eq!(seen_now(&world.objects, &name).await, None);
}
