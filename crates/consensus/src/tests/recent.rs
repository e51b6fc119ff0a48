//! Lookups are answered out of memory where they can be, and never with something old.

use std::sync::atomic::{AtomicUsize, Ordering};

use index::DOCUMENTS_LEVEL;
use index::command::{
    BucketConfig, Expire, ExpireAction, ExpireKey, ExpireKind, FormCluster, SetObjectTags, WhichVersion,
};
use types::VersionKind;

use super::*;

/// Keys that are written and looked up all the time.
const KEYS: usize = 3;
/// Versions that each gets. Version `n` has `n` bytes.
const VERSIONS: usize = 400;
const READERS: usize = 6;

/// What anybody knows of the keys: whoever looks one up later must not be answered something older.
struct Known([AtomicUsize; KEYS]);

impl Known {
    fn at_least(&self, key: usize, version: usize) {
        self.0[key].fetch_max(version, Ordering::SeqCst);
    }

    fn version(&self, key: usize) -> usize {
        self.0[key].load(Ordering::SeqCst)
    }
}

/// The number of bytes of a key's newest version; those that lie in the index must all have come if `whole`.
async fn newest(index: &ReplicatedIndex, bucket: BucketAt, key: &str, whole: bool) -> usize {
    let (bucket, key, which) = (bucket.id, samples::key(key), WhichVersion::Newest);
    let query = if whole { Query::Version { bucket, key, which } } else { Query::VersionHead { bucket, key, which } };
    let QueryAnswer::Version { version, row } = index.query(query).await.expect("answered") else {
        panic!("a version")
    };
    assert!(row.is_some());
    let Some(version) = version else { return 0 };
    let VersionKind::Single(part) = &version.kind else { panic!("one part") };
    let bytes = usize::try_from(version.plain_bytes).expect("small");
    assert_eq!(part.extents.iter().map(types::Extent::length).sum::<u64>() as usize, if whole { bytes } else { 0 });
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_lookup_is_answered_what_is_older_than_any_answer_before_it() {
    let disks = RealDisks::new(1);
    let index = Arc::new(ReplicatedIndex::open(busy_settings(disks.disks(), 1)).await.expect("opened"));
    let bucket = make_bucket(&index).await;
    let known = Arc::new(Known(Default::default()));
    let write = |key: usize| {
        let (index, known) = (index.clone(), known.clone());
        tokio::spawn(async move {
            for version in 1..=VERSIONS {
                let answer = index.propose(put(bucket, &format!("{key}"), &vec![1; version])).await.expect("put");
                assert!(matches!(answer, index::Answer::Put { .. }), "{answer:?}");
                known.at_least(key, version);
            }
        })
    };
    let read = |reader: usize| {
        let (index, known) = (index.clone(), known.clone());
        tokio::spawn(async move {
            let mut key = reader % KEYS;
            while (0..KEYS).any(|key| known.version(key) < VERSIONS) {
                let least = known.version(key);
                let found = newest(&index, bucket, &format!("{key}"), reader.is_multiple_of(2)).await;
                assert!(found >= least, "key {key}: {found} after {least}");
                known.at_least(key, found);
                key = (key + 1) % KEYS;
            }
        })
    };
    let tasks: Vec<_> = (0..KEYS).map(write).chain((0..READERS).map(read)).collect();
    for task in tasks {
        task.await.expect("all went well");
    }
    index.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_shows_the_buckets_row_as_it_was_changed() {
    let disks = RealDisks::new(1);
    let index = ReplicatedIndex::open(settings(disks.disks(), 1)).await.expect("opened");
    let mut bucket = make_bucket(&index).await;
    index.propose(put(bucket, "key", b"bytes")).await.expect("put");
    for _ in 0..20 {
        for _ in 0..3 {
            let query = samples::ask_version(7, "key", WhichVersion::Newest);
            let QueryAnswer::Version { row, .. } = index.query(query).await.expect("answered") else { panic!() };
            assert_eq!(row.expect("it is there").epoch, bucket.epoch);
        }
        let change = CommandBody::ChangeBucketRow { bucket, config: BucketConfig::default() };
        let index::Answer::BucketRow(row) = index.propose(samples::plain(change)).await.expect("changed") else {
            panic!("a row")
        };
        bucket.epoch = row.epoch;
    }
    index.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_and_replaced_versions_are_not_looked_up_any_more() {
    let disks = RealDisks::new(1);
    let index = ReplicatedIndex::open(settings(disks.disks(), 1)).await.expect("opened");
    let bucket = make_bucket(&index).await;
    for version in 1..20 {
        index.propose(put(bucket, "key", &vec![1; version])).await.expect("put");
        for _ in 0..3 {
            assert_eq!(newest(&index, bucket, "key", version.is_multiple_of(2)).await, version);
        }
        index.propose(samples::delete(bucket, "key", 1, None)).await.expect("deleted");
        for _ in 0..3 {
            assert_eq!(newest(&index, bucket, "key", true).await, 0);
        }
    }
    index.shutdown().await;
}

/// Of several keys in one command each is looked up anew.
#[tokio::test(flavor = "multi_thread")]
async fn versions_that_expired_are_not_looked_up_any_more() {
    let disks = RealDisks::new(1);
    let index = ReplicatedIndex::open(settings(disks.disks(), 1)).await.expect("opened");
    let bucket = make_bucket(&index).await;
    let form = FormCluster { feature_level: DOCUMENTS_LEVEL, ..samples::form_cluster() };
    index.propose(samples::plain(CommandBody::Form(Box::new(form)))).await.expect("formed");
    for round in 1..10 {
        let mut keys = Vec::new();
        for text in ["a", "b", "c"] {
            let put = index.propose(put(bucket, text, &vec![1; round])).await;
            let Ok(index::Answer::Put { id: version, .. }) = put else { panic!("a put, not {put:?}") };
            assert_eq!(newest(&index, bucket, text, true).await, round);
            let kind = ExpireKind::Newest { version, tags: Vec::new(), random: 1 };
            let actions = vec![ExpireAction { kind, since: types::Timestamp(0) }];
            keys.push(ExpireKey { key: samples::key(text), noted: None, actions, next: None });
        }
        let expire = CommandBody::Expire(Box::new(Expire { bucket, keys, pass: None }));
        let answer = index.propose_to(index::FIRST_DATA_RANGE, samples::plain(expire)).await;
        assert!(matches!(answer, Ok(index::Answer::Expired(done)) if done.objects == 3), "{answer:?}");
        for text in ["a", "b", "c"] {
            assert_eq!(newest(&index, bucket, text, true).await, 0);
        }
    }
    index.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_shows_the_tags_that_were_set_last() {
    let disks = RealDisks::new(1);
    let index = ReplicatedIndex::open(settings(disks.disks(), 1)).await.expect("opened");
    let bucket = make_bucket(&index).await;
    let form = FormCluster { feature_level: DOCUMENTS_LEVEL, ..samples::form_cluster() };
    index.propose(samples::plain(CommandBody::Form(Box::new(form)))).await.expect("formed");
    index.propose(put(bucket, "key", b"bytes")).await.expect("put");
    for round in 0..20 {
        let tags = vec![("round".to_owned(), round.to_string())];
        let (key, version) = (samples::key("key"), WhichVersion::Newest);
        let set = SetObjectTags { bucket, key, version, tags: tags.clone() };
        let answer = index.propose(samples::plain(CommandBody::SetObjectTags(Box::new(set)))).await;
        assert!(matches!(answer, Ok(index::Answer::Tagged { .. })), "{answer:?}");
        for _ in 0..3 {
            let query = samples::ask_version(7, "key", WhichVersion::Newest);
            let QueryAnswer::Version { version, .. } = index.query(query).await.expect("answered") else { panic!() };
            assert_eq!(version.expect("it is there").attributes.tags, tags);
        }
    }
    index.shutdown().await;
}
