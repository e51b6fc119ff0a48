//! Pages of listings over the boundaries of ranges are those of an index that was never split.

use bytes::Bytes;
use index::command::{BucketConfig, CommandBody, WhichVersion};
use index::contract::samples::{self, create_upload, upload_id};
use index::query::{ListEntry, ListPage, ListRange, ListedUpload, ListedVersion};
use index::{Answer, IndexService, Query, QueryAnswer};
use types::{BucketId, Versioning};

use crate::world::World;

const KEYS: [&[u8]; 16] = [
    b"a", b"a/1", b"a/2", b"a/3/x", b"a/3/y", b"a/4", b"b", b"dir/a", b"dir/b", b"dir/c", b"dir0", b"m\0", b"m\0\0",
    b"m\x01", b"n/", b"z",
];
const CUTS: [&[u8]; 7] = [b"a/3/y", b"dir/b", b"a", b"m\0\0", b"dir/bb", b"n", b"zz"];

/// The same rows in a whole index, and in one that is split at some of the cuts.
async fn filled(cuts: &[&[u8]]) -> World {
    let world = World::new();
    let config = BucketConfig { versioning: Versioning::Enabled, ..BucketConfig::default() };
    world.propose(CommandBody::CreateBucketRow { id: BucketId(1), config }).await;
    let bucket = samples::at(1, 1);
    for (round, key) in [0, 1].into_iter().flat_map(|round| KEYS.map(|key| (round, key))) {
        // Some of the splits come in between.
        if round == 1 && key == KEYS[5] {
            for cut in cuts {
                world.split(1, cut).await;
            }
        }
        world.put(bucket, key, b"x").await;
        let delete = samples::delete_object(bucket, samples::key(key), 3, None);
        if key.len() == 3 {
            world.propose(CommandBody::DeleteObject(Box::new(delete))).await;
        }
    }
    for (seed, text) in (1..).zip(["a/3/y", "a/3/y", "dir/b", "dir/c", "q"]) {
        let command = create_upload(bucket, text, upload_id(seed));
        let answer = world.propose(command.body).await;
        assert!(matches!(answer, Answer::UploadCreated { .. }), "{answer:?}");
    }
    world
}

fn ranges() -> Vec<ListRange> {
    let mut all = Vec::new();
    for prefix in [&b""[..], b"a", b"a/", b"dir/", b"m", b"zzz"] {
        for delimiter in [&b""[..], b"/", b"3"] {
            for after in [&b""[..], b"a", b"a/", b"a/3/", b"dir/b", b"dir/", b"m\0", b"zz"] {
                for limit in [0, 1, 2, 5, 100] {
                    let bytes = Bytes::from_static;
                    let (prefix, delimiter, after) = (bytes(prefix), bytes(delimiter), bytes(after));
                    all.push(ListRange { bucket: BucketId(1), prefix, delimiter, after, limit });
                }
            }
        }
    }
    all
}

async fn objects(world: &World, range: ListRange) -> ListPage<ListedVersion> {
    match world.ask(Query::Objects(range)).await {
        QueryAnswer::Objects(page) => page,
        other => panic!("objects were asked for, not {other:?}"),
    }
}

async fn versions(world: &World, range: ListRange, after_version: Option<WhichVersion>) -> ListPage<ListedVersion> {
    match world.ask(Query::Versions { range, after_version }).await {
        QueryAnswer::Versions(page) => page,
        other => panic!("versions were asked for, not {other:?}"),
    }
}

async fn uploads(world: &World, range: ListRange) -> ListPage<ListedUpload> {
    match world.ask(Query::Uploads { range, after_upload: None }).await {
        QueryAnswer::Uploads(page) => page,
        other => panic!("uploads were asked for, not {other:?}"),
    }
}

#[tokio::test]
async fn every_page_is_that_of_an_index_that_was_never_split() {
    let whole = filled(&[]).await;
    for cuts in [&CUTS[..1], &CUTS[..2], &CUTS] {
        let split = filled(cuts).await;
        for range in ranges() {
            let expected = objects(&whole, range.clone()).await;
            assert_eq!(objects(&split, range.clone()).await, expected, "{range:?}, {} cuts", cuts.len());
            let expected = versions(&whole, range.clone(), None).await;
            assert_eq!(versions(&split, range.clone(), None).await, expected, "{range:?}, {} cuts", cuts.len());
            let expected = uploads(&whole, range.clone()).await;
            assert_eq!(uploads(&split, range.clone()).await, expected, "{range:?}, {} cuts", cuts.len());
        }
    }
}

#[tokio::test]
async fn pages_of_versions_follow_one_another_within_a_key_and_over_a_boundary() {
    let (whole, split) = (filled(&[]).await, filled(&CUTS).await);
    for limit in [1, 2, 3, 7] {
        let mut pages = Vec::new();
        for world in [&whole, &split] {
            let mut range = samples::whole_bucket(1, limit);
            let (mut after, mut all) = (None, Vec::new());
            loop {
                let page = versions(world, range.clone(), after).await;
                if let Some(ListEntry::Entry(last)) = page.entries.last() {
                    range.after = Bytes::copy_from_slice(last.key.as_bytes());
                    after = Some(WhichVersion::Id(last.id));
                }
                all.extend(page.entries);
                if !page.truncated {
                    break;
                }
            }
            pages.push(all);
        }
        assert_eq!(pages[0], pages[1], "pages of {limit}");
    }
}

#[tokio::test]
async fn a_listing_by_an_old_map_passes_over_no_key() {
    let world = World::new();
    let bucket = world.bucket(1).await;
    for number in 0..50 {
        world.put(bucket, format!("{number:02}"), b"x").await;
    }
    let old = index::Router::default();
    for cut in ["10", "20", "30", "40", "15"] {
        world.split(1, cut).await;
        let query = Query::Objects(samples::whole_bucket(1, 100));
        let QueryAnswer::Objects(page) = old.query(&*world.index as &dyn IndexService, query).await.unwrap() else {
            panic!("objects")
        };
        assert_eq!((page.entries.len(), page.truncated), (50, false), "after the split at {cut}");
    }
}
