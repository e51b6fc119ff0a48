//! Buckets: made and deleted in steps that anybody can finish, found by name without ever serving a deleted one.

use std::time::Duration;

use index::CommandBody;
use objects::{CreateBucketRequest, ListBucketsRequest, ListStart, ObjectsError, VersioningStatus};
use types::{AccountId, Versioning};

use crate::multipart::begin;
use crate::world::{Fate, World, bucket, create, get, owner_of, put};

const OTHER_ACCOUNT: AccountId = AccountId(200_000_000_000);

fn list() -> ListBucketsRequest {
    ListBucketsRequest { owner: AccountId::ROOT, prefix: String::new(), region: None, token: None, max_buckets: 1000 }
}

async fn names(world: &World, request: ListBucketsRequest) -> Vec<String> {
    let page = world.objects.list_buckets(request).await.unwrap();
    page.buckets.iter().map(|bucket| bucket.name.to_string()).collect()
}

#[tokio::test]
async fn a_bucket_is_there_once_it_was_made_and_gone_once_it_was_deleted() {
    let world = World::new().await;
    let name = bucket("bucket");
    assert!(matches!(world.objects.head_bucket(&name).await, Err(ObjectsError::NoSuchBucket { .. })));
    assert!(matches!(world.objects.delete_bucket(&name).await, Err(ObjectsError::NoSuchBucket { .. })));

    let made =
        world.objects.create_bucket(CreateBucketRequest { region: "mars-1".into(), ..create(&name) }).await.unwrap();
    assert_eq!(world.objects.head_bucket(&name).await.unwrap(), made);
    assert_eq!(world.objects.bucket(&name).await.unwrap(), made);
    assert_eq!(world.objects.get_bucket_location(&name).await.unwrap(), "mars-1");
    assert_eq!(names(&world, list()).await, ["bucket"]);

    world.objects.delete_bucket(&name).await.unwrap();
    assert!(matches!(world.objects.bucket(&name).await, Err(ObjectsError::NoSuchBucket { .. })));
    assert!(matches!(world.get(&name, "key").await, Err(ObjectsError::NoSuchBucket { .. })));
    assert!(names(&world, list()).await.is_empty());
}

#[tokio::test]
async fn a_taken_name_is_refused_in_the_words_of_its_owner() {
    let (world, name) = World::with_bucket("bucket").await;
    let again = world.objects.create_bucket(create(&name)).await;
    assert!(matches!(again, Err(ObjectsError::BucketAlreadyOwnedByYou { .. })));
    let other =
        world.objects.create_bucket(CreateBucketRequest { owner: owner_of(OTHER_ACCOUNT), ..create(&name) }).await;
    assert!(matches!(other, Err(ObjectsError::BucketAlreadyExists { .. })));
}

#[tokio::test]
async fn a_bucket_with_a_version_or_a_marker_is_not_deleted() {
    let (world, name) = World::with_bucket("bucket").await;
    let refused = async || {
        let refused = world.objects.delete_bucket(&name).await;
        assert!(matches!(refused, Err(ObjectsError::BucketNotEmpty { .. })), "{refused:?}");
    };
    world.put(&name, "key", b"bytes").await;
    refused().await;
    assert_eq!(world.get(&name, "key").await.unwrap(), b"bytes");
    world.delete(&name, "key").await;

    world.objects.put_bucket_versioning(&name, VersioningStatus::Enabled).await.unwrap();
    world.delete(&name, "key").await;
    refused().await;
}

#[tokio::test]
async fn uploads_under_way_go_with_their_bucket() {
    let (world, name) = World::with_bucket("bucket").await;
    let mut uploads = Vec::new();
    for number in 0..3 {
        uploads.push(begin(&world, &name, &format!("key-{number}"), None).await);
    }
    world.objects.delete_bucket(&name).await.unwrap();
    world.create(&name).await;
    for (number, upload) in uploads.into_iter().enumerate() {
        let key = crate::world::key(&format!("key-{number}"));
        let aborted = world.objects.abort_multipart_upload(&name, &key, upload).await;
        assert!(matches!(aborted, Err(ObjectsError::NoSuchUpload { .. })), "{aborted:?}");
    }
}

#[tokio::test]
async fn a_bucket_made_again_has_nothing_of_the_old_one_for_any_gateway() {
    let (world, name) = World::with_bucket("bucket").await;
    let other = world.second_gateway().await;
    world.put(&name, "key", b"old").await;
    // The other gateway has found the name, and keeps it for a second.
    other.bucket(&name).await.unwrap();
    world.delete(&name, "key").await;
    world.objects.delete_bucket(&name).await.unwrap();
    assert!(matches!(other.get_object(get(&name, "key")).await, Err(ObjectsError::NoSuchBucket { .. })));

    world.create(&name).await;
    other.bucket(&name).await.unwrap();
    world.objects.delete_bucket(&name).await.unwrap();
    world.create(&name).await;
    world.put(&name, "key", b"new").await;
    assert_eq!(crate::world::all_of(other.get_object(get(&name, "key")).await.unwrap()).await.unwrap(), b"new");
}

#[tokio::test]
async fn a_stale_name_is_found_out_by_writes_and_lists() {
    let (world, name) = World::with_bucket("bucket").await;
    let other = world.second_gateway().await;
    for round in 0..2 {
        other.bucket(&name).await.unwrap();
        world.objects.delete_bucket(&name).await.unwrap();
        let list = objects::ListObjectsRequest {
            bucket: name.clone(),
            prefix: Default::default(),
            delimiter: Default::default(),
            start: ListStart::Beginning,
            max_keys: 1000,
        };
        if round == 0 {
            assert!(matches!(other.list_objects(list).await, Err(ObjectsError::NoSuchBucket { .. })));
            let put = other.put_object(put(&name, "key"), &mut crate::world::Body::of(b"bytes")).await;
            assert!(matches!(put, Err(ObjectsError::NoSuchBucket { .. })));
            world.create(&name).await;
        } else {
            world.create(&name).await;
            other.put_object(put(&name, "key"), &mut crate::world::Body::of(b"bytes")).await.unwrap();
            assert_eq!(other.list_objects(list).await.unwrap().entries.len(), 1);
        }
    }
}

#[tokio::test]
async fn a_creation_that_was_left_unfinished_is_undone() {
    let world = World::new().await;
    let name = bucket("bucket");
    for _ in 0..6 {
        world.index.next(Fate::Unavailable, |body| matches!(body, CommandBody::PublishBucket { .. }));
    }
    assert!(matches!(world.objects.create_bucket(create(&name)).await, Err(ObjectsError::Unavailable { .. })));
    assert!(matches!(world.objects.head_bucket(&name).await, Err(ObjectsError::NoSuchBucket { .. })));
    assert!(names(&world, list()).await.is_empty());
    assert!(matches!(world.objects.create_bucket(create(&name)).await, Err(ObjectsError::BucketBusy { .. })));

    assert_eq!(world.objects.finish_unfinished_buckets().await.unwrap(), 0, "it may still be under way");
    world.clock.advance(Duration::from_secs(30));
    assert_eq!(world.objects.finish_unfinished_buckets().await.unwrap(), 1);
    assert_eq!(world.objects.finish_unfinished_buckets().await.unwrap(), 0);
    world.create(&name).await;
    world.put(&name, "key", b"bytes").await;
}

/// A deletion that stops after each of its steps is finished by another gateway's upkeep.
#[tokio::test]
async fn a_deletion_that_was_left_unfinished_is_finished() {
    type Step = fn(&CommandBody) -> bool;
    let steps: [Step; 3] = [
        |body| matches!(body, CommandBody::FenceBucket { .. }),
        |body| matches!(body, CommandBody::DropBucketRow { .. }),
        |body| matches!(body, CommandBody::FinishBucketDeletion { .. }),
    ];
    for step in steps {
        let (world, name) = World::with_bucket("bucket").await;
        let other = world.second_gateway().await;
        for _ in 0..6 {
            world.index.next(Fate::Unavailable, step);
        }
        assert!(matches!(world.objects.delete_bucket(&name).await, Err(ObjectsError::Unavailable { .. })));
        other.finish_unfinished_buckets().await.unwrap();
        world.clock.advance(Duration::from_secs(30));
        assert_eq!(other.finish_unfinished_buckets().await.unwrap(), 1);
        assert!(matches!(world.objects.head_bucket(&name).await, Err(ObjectsError::NoSuchBucket { .. })));
        world.create(&name).await;
    }
}

/// An object that is put between the first look and the fence saves the bucket, and the bucket takes writes again.
#[tokio::test]
async fn a_deletion_that_finds_an_object_is_undone() {
    let (world, name) = World::with_bucket("bucket").await;
    let other = world.second_gateway().await;
    let late = put(&name, "late");
    world.index.interrupt(|body| matches!(body, CommandBody::BeginBucketDeletion { .. }), async move {
        other.put_object(late, &mut crate::world::Body::of(b"bytes")).await.unwrap();
    });
    assert!(matches!(world.objects.delete_bucket(&name).await, Err(ObjectsError::BucketNotEmpty { .. })));
    assert_eq!(world.get(&name, "late").await.unwrap(), b"bytes");
    world.put(&name, "later", b"bytes").await;
    world.objects.head_bucket(&name).await.unwrap();
}

/// Whoever undid a deletion went away before lifting the fence: the next writer lifts it.
#[tokio::test]
async fn a_forgotten_fence_is_lifted_by_a_writer() {
    let (world, name) = World::with_bucket("bucket").await;
    let id = world.objects.bucket(&name).await.unwrap().id;
    let fence = index::Command { request: None, answered: Default::default(), body: CommandBody::FenceBucket { id } };
    index::IndexService::propose(&*world.index, fence).await.unwrap();
    world.put(&name, "key", b"bytes").await;
    assert_eq!(world.get(&name, "key").await.unwrap(), b"bytes");
}

#[tokio::test]
async fn buckets_are_listed_in_pages_by_owner_prefix_and_region() {
    let world = World::new().await;
    for (name, region) in [("a-1", ""), ("a-2", "mars-1"), ("a-3", ""), ("b-1", "")] {
        world
            .objects
            .create_bucket(CreateBucketRequest { region: region.into(), ..create(&bucket(name)) })
            .await
            .unwrap();
    }
    let foreign = CreateBucketRequest { owner: owner_of(OTHER_ACCOUNT), ..create(&bucket("a-0")) };
    let orphan = world.objects.create_bucket(foreign.clone()).await;
    assert!(matches!(orphan, Err(ObjectsError::NoSuchAccount)), "{orphan:?}");
    let account = index::contract::samples::account(OTHER_ACCOUNT.0);
    let change = index::command::IdentityChange::CreateAccount(Box::new(account));
    let body = CommandBody::ChangeIdentity(Box::new(change));
    let made = index::Command { request: None, answered: Default::default(), body };
    index::IndexService::propose(&*world.index, made).await.unwrap();
    world.objects.create_bucket(foreign).await.unwrap();

    let mut found = Vec::new();
    let mut request = ListBucketsRequest { prefix: "a-".into(), max_buckets: 2, ..list() };
    let first = world.objects.list_buckets(request.clone()).await.unwrap();
    found.extend(first.buckets.iter().map(|bucket| bucket.name.to_string()));
    assert_eq!(found, ["a-1", "a-2"]);
    request.token = first.next_token;
    let second = world.objects.list_buckets(request.clone()).await.unwrap();
    assert_eq!(second.buckets.len(), 1);
    assert_eq!(second.buckets[0].name.as_str(), "a-3");
    assert_eq!(second.next_token, None);

    let by_region = |region: &str| ListBucketsRequest { region: Some(region.into()), ..list() };
    assert_eq!(names(&world, by_region("mars-1")).await, ["a-2"]);
    assert_eq!(names(&world, by_region("us-east-1")).await, ["a-1", "a-3", "b-1"]);
    let foreign = ListBucketsRequest { owner: OTHER_ACCOUNT, ..list() };
    assert_eq!(names(&world, foreign).await, ["a-0"]);
    let wrong = ListBucketsRequest { token: Some("?".into()), ..list() };
    assert!(matches!(world.objects.list_buckets(wrong).await, Err(ObjectsError::InvalidToken)));
}

#[tokio::test]
async fn object_lock_comes_with_versioning_that_cannot_be_suspended() {
    let world = World::new().await;
    let name = bucket("bucket");
    world.objects.create_bucket(CreateBucketRequest { object_lock: true, ..create(&name) }).await.unwrap();
    assert_eq!(world.objects.get_bucket_versioning(&name).await.unwrap(), Versioning::Enabled);
    let refused = world.objects.put_bucket_versioning(&name, VersioningStatus::Suspended).await;
    assert!(matches!(refused, Err(ObjectsError::InvalidBucketState { .. })));
    world.objects.put_bucket_versioning(&name, VersioningStatus::Enabled).await.unwrap();
}
