//! The lifecycle duty over an index in memory and a clock that is moved by hand: days pass in no time.
//!
//! A random history of writes, deletions, tags, uploads, splits, other rules and restarts of the duty, day after day.
//! After each night what is left must be exactly what a plain model leaves, which looks at every version anew.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use index::command::{
    BucketAt, BucketConfig, BucketRecord, BucketRecordState, DocumentKind, SetBucketDocument, SetObjectTags,
    WhichVersion,
};
use index::contract::samples::{self, key, plain};
use index::query::{KeyFacts, KeyVersion};
use index::{Answer, Command, CommandBody, IndexError, IndexService, LocalIndex, Query, QueryAnswer};
use platform::{Clock, Entropy, ManualClock, SeededEntropy};
use s3_wire::bucket_lifecycle::{LifecycleConfiguration, MinimumSize};
use s3_wire::lifecycle::{Day, VersionFacts};
use types::{
    BucketId, BucketName, CommitStamp, HomeKey, Namespace, ObjectKey, RangeDescriptor, RangeId, StorageClass,
    Timestamp, UploadId, VersionId, Versioning,
};
use upkeep::lifecycle::{Lifecycle, LifecycleServices, LifecycleStore};
use upkeep::progress::{Progress, read};
use upkeep::{Duty, DutyError, Step};

const DAY: Duration = Duration::from_secs(86_400);

/// An index that counts what it is asked, and fails now and then.
struct Counting {
    index: LocalIndex,
    queries: AtomicU64,
    proposals: AtomicU64,
    /// Every so many proposals one takes no effect; 0: none.
    fails_every: AtomicU64,
}

impl Counting {
    fn fail(&self) -> Result<(), IndexError> {
        let number = self.proposals.fetch_add(1, Ordering::Relaxed) + 1;
        let every = self.fails_every.load(Ordering::Relaxed);
        if every > 0 && number.is_multiple_of(every) {
            return Err(IndexError::Unavailable { reason: "it is so wished".to_owned() });
        }
        Ok(())
    }
}

#[async_trait]
impl IndexService for Counting {
    async fn propose(&self, command: Command) -> Result<Answer, IndexError> {
        self.index.propose(command).await
    }

    async fn query(&self, query: Query) -> Result<QueryAnswer, IndexError> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        self.index.query(query).await
    }

    async fn propose_to(&self, range: RangeId, command: Command) -> Result<Answer, IndexError> {
        self.fail()?;
        self.index.propose_to(range, command).await
    }

    async fn query_at(&self, range: RangeId, query: Query) -> Result<QueryAnswer, IndexError> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        self.index.query_at(range, query).await
    }
}

/// Moves everything at once.
struct Store;

#[async_trait]
impl LifecycleStore for Store {
    async fn move_version(
        &self,
        _bucket: BucketId,
        _key: &ObjectKey,
        _version: VersionId,
        _class: &StorageClass,
    ) -> Result<bool, DutyError> {
        Ok(true)
    }

    async fn rest(&self, _took: Duration) {}
}

struct World {
    index: Arc<Counting>,
    clock: Arc<ManualClock>,
    entropy: Arc<SeededEntropy>,
    ranges: Arc<parking_lot::Mutex<Vec<RangeDescriptor>>>,
    progress: Progress,
    duty: Lifecycle,
    rules: BTreeMap<BucketId, LifecycleConfiguration>,
}

impl World {
    /// Two buckets, the first with versions.
    async fn new(seed: u64) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_700_000_000)));
        let index = LocalIndex::in_memory(clock.clone()).expect("made");
        let index = Arc::new(Counting {
            index,
            queries: AtomicU64::new(0),
            proposals: AtomicU64::new(0),
            fails_every: AtomicU64::new(0),
        });
        index.propose(samples::form_at_newest_level()).await.expect("formed");
        let ranges = Arc::new(parking_lot::Mutex::new(vec![RangeDescriptor::whole(index::FIRST_DATA_RANGE)]));
        let (entropy, progress) = (Arc::new(SeededEntropy::new(seed)), Progress::default());
        let duty = duty(&index, &clock, &entropy, &ranges, &progress);
        let mut world = Self { index, clock, entropy, ranges, progress, duty, rules: BTreeMap::new() };
        for (number, versioning) in [(1, Versioning::Enabled), (2, Versioning::Off)] {
            let id = world.bucket(number, versioning).await;
            assert_eq!(id, BucketId(number.into()));
        }
        world
    }

    async fn apply(&self, body: CommandBody) -> Answer {
        self.index.propose(plain(body)).await.expect("answered")
    }

    async fn bucket(&mut self, number: u8, versioning: Versioning) -> BucketId {
        let token = [number; 16];
        let record = BucketRecord {
            id: BucketId(0),
            namespace: Namespace::default(),
            name: BucketName::new(&format!("bucket-{number}")).expect("a name"),
            owner: samples::owner(),
            region: String::new(),
            created: Timestamp(1),
            state: BucketRecordState::Live,
        };
        let Answer::BucketReserved(id) =
            self.apply(CommandBody::ReserveBucket { record: Box::new(record), token }).await
        else {
            panic!("the name is free")
        };
        assert_eq!(self.apply(CommandBody::PublishBucket { id, token }).await, Answer::Done);
        let config = BucketConfig { versioning, ..BucketConfig::default() };
        self.apply(CommandBody::CreateBucketRow { id, config }).await;
        id
    }

    async fn at(&self, bucket: u64) -> BucketAt {
        match self.index.query(Query::BucketRow(BucketId(bucket))).await.expect("answered") {
            QueryAnswer::BucketRow(Some(row)) => BucketAt { id: row.id, epoch: row.epoch },
            other => panic!("the bucket is there, not {other:?}"),
        }
    }

    /// Sets rules as a gateway does.
    async fn set_rules(&mut self, bucket: u64, rules: &str) {
        let document = format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>");
        let mut read = LifecycleConfiguration::parse(document.as_bytes(), MinimumSize::default()).expect("rules");
        read.name_rules([1; 16]);
        self.set_document(bucket, Some(read.stored())).await;
        self.rules.insert(BucketId(bucket), read);
    }

    async fn set_document(&mut self, bucket: u64, document: Option<Bytes>) {
        let set = SetBucketDocument { bucket: BucketId(bucket), kind: DocumentKind::Lifecycle, document };
        assert_eq!(self.apply(CommandBody::SetBucketDocument(Box::new(set))).await, Answer::Done);
        let at = self.at(bucket).await;
        let versioning = if bucket == 1 { Versioning::Enabled } else { Versioning::Off };
        let config = BucketConfig { versioning, ..BucketConfig::default() };
        let raised = self.apply(CommandBody::ChangeBucketRow { bucket: at, config }).await;
        assert!(matches!(raised, Answer::BucketRow(_)), "{raised:?}");
        self.rules.remove(&BucketId(bucket));
    }

    async fn put(&self, bucket: u64, text: &str, size: usize, tags: &[(&str, &str)]) -> VersionId {
        let part = samples::inline_part(1, &vec![7; size]);
        let mut put = samples::put_object(self.at(bucket).await, key(text), self.entropy.number(), part);
        put.version.attributes.tags = tags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        match self.apply(CommandBody::PutObject(Box::new(put))).await {
            Answer::Put { id, .. } => id,
            other => panic!("a put, not {other:?}"),
        }
    }

    async fn facts(&self, bucket: u64, text: &str) -> KeyFacts {
        let query = Query::KeyFacts { bucket: BucketId(bucket), key: key(text), after: None, limit: 1000 };
        match self.index.query(query).await.expect("answered") {
            QueryAnswer::KeyFacts(facts) => *facts,
            other => panic!("a key, not {other:?}"),
        }
    }

    /// Has the duty go on until nothing is due, over failures; says how many steps that took.
    async fn run(&self) -> u64 {
        for step in 0..20_000 {
            match self.duty.step().await {
                Ok(Step::Idle(_)) => return step,
                Ok(Step::Again) => {}
                Err(error) => assert!(self.index.fails_every.load(Ordering::Relaxed) > 0, "{error}"),
            }
            // What was noted for "at once" is due a moment later.
            self.clock.advance(Duration::from_millis(1));
        }
        panic!("the duty comes to no end")
    }

    /// Runs twice more: what one look leaves to the next is noted for the moment of the command.
    async fn settle(&self) {
        for _again in 0..6 {
            self.run().await;
            self.clock.advance(Duration::from_millis(1));
        }
    }

    fn restart(&mut self) {
        self.duty = duty(&self.index, &self.clock, &self.entropy, &self.ranges, &self.progress);
    }

    fn split(&self, bucket: u64, text: &str) {
        let halves = self.index.index.split(HomeKey { bucket: BucketId(bucket), key: key(text) }).expect("split");
        let mut ranges = self.ranges.lock();
        ranges.retain(|known| known.id != halves[0].id);
        ranges.extend(halves);
    }
}

fn duty(
    index: &Arc<Counting>,
    clock: &Arc<ManualClock>,
    entropy: &Arc<SeededEntropy>,
    ranges: &Arc<parking_lot::Mutex<Vec<RangeDescriptor>>>,
    progress: &Progress,
) -> Lifecycle {
    let ranges = ranges.clone();
    Lifecycle::new(LifecycleServices {
        index: index.clone(),
        store: Arc::new(Store),
        progress: progress.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
        led: Arc::new(move || ranges.lock().clone()),
        day: Day::default(),
    })
}

fn rule(content: &str) -> String {
    format!("<Rule><Status>Enabled</Status>{content}</Rule>")
}

fn expires_after(days: u32, prefix: &str) -> String {
    rule(&format!("<Filter><Prefix>{prefix}</Prefix></Filter><Expiration><Days>{days}</Days></Expiration>"))
}

#[tokio::test]
async fn while_nothing_is_due_one_row_a_range_is_read() {
    let mut world = World::new(1).await;
    let asked = |world: &World| world.index.queries.swap(0, Ordering::Relaxed);
    world.run().await;
    asked(&world);
    for number in 0..500 {
        world.put(1, &format!("before/{number}"), 1, &[]).await;
    }
    world.run().await;
    world.set_rules(1, &expires_after(30, "")).await;
    for number in 0..500 {
        world.put(1, &format!("after/{number}"), 1, &[]).await;
    }
    world.settle().await;
    world.clock.advance(3 * DAY);
    asked(&world);
    world.index.proposals.store(0, Ordering::Relaxed);
    assert_eq!(world.run().await, 0);
    // Whether rules have changed, and the first note.
    assert_eq!(asked(&world), 2);
    world.clock.advance(30 * DAY);
    world.settle().await;
    assert_eq!(read(&world.progress.expired_objects), 1000);
    world.clock.advance(30 * DAY);
    world.settle().await;
    asked(&world);
    world.index.proposals.store(0, Ordering::Relaxed);
    world.run().await;
    assert_eq!((asked(&world), world.index.proposals.load(Ordering::Relaxed)), (2, 0));
}

#[tokio::test]
async fn of_many_keys_those_that_are_due_are_read_alone() {
    let mut world = World::new(2).await;
    world.set_rules(2, &expires_after(10, "")).await;
    world.settle().await;
    for number in 0..300 {
        world.put(2, &format!("old/{number}"), 1, &[]).await;
    }
    world.clock.advance(5 * DAY);
    for number in 0..700 {
        world.put(2, &format!("young/{number}"), 1, &[]).await;
    }
    world.clock.advance(6 * DAY);
    world.index.queries.store(0, Ordering::Relaxed);
    world.settle().await;
    assert_eq!(read(&world.progress.expired_objects), 300);
    let asked = world.index.queries.load(Ordering::Relaxed);
    assert!(asked < 300 + 100, "{asked} questions for 300 keys");
}

#[tokio::test]
async fn a_pass_that_is_broken_off_goes_on_and_looks_at_each_key_once() {
    let mut world = World::new(3).await;
    for number in 0..1000 {
        world.put(2, &format!("{number:04}"), 1, &[]).await;
    }
    world.set_rules(2, &expires_after(10, "")).await;
    world.index.queries.store(0, Ordering::Relaxed);
    for _restart in 0..5 {
        for _step in 0..3 {
            world.duty.step().await.expect("a step");
        }
        world.restart();
    }
    world.settle().await;
    let asked = world.index.queries.load(Ordering::Relaxed);
    assert!(asked < 1000 + 200, "{asked} questions for 1000 keys");
    world.clock.advance(11 * DAY);
    world.settle().await;
    assert_eq!(read(&world.progress.expired_objects), 1000);
}

#[tokio::test]
async fn a_version_moves_to_the_class_of_a_rule_in_its_row() {
    let mut world = World::new(4).await;
    let moves = "<Filter/><Transition><Days>1</Days><StorageClass>COOL</StorageClass></Transition>\
                 <Transition><Days>3</Days><StorageClass>COLD</StorageClass></Transition>\
                 <NoncurrentVersionTransition><NoncurrentDays>1</NoncurrentDays><StorageClass>COLD</StorageClass>\
                 </NoncurrentVersionTransition>";
    world.set_rules(1, &rule(moves)).await;
    world.settle().await;
    world.put(1, "a", 10, &[]).await;
    let classes = async |world: &World| {
        let facts = world.facts(1, "a").await;
        facts.versions.iter().map(|version| version.storage_class.as_str().to_owned()).collect::<Vec<_>>()
    };
    for (days, expected) in [(1, "STANDARD"), (1, "COOL"), (2, "COLD")] {
        world.clock.advance(days * DAY);
        world.settle().await;
        assert_eq!(classes(&world).await, [expected]);
    }
    world.put(1, "a", 10, &[]).await;
    world.put(1, "a", 10, &[]).await;
    assert_eq!(classes(&world).await, ["STANDARD", "STANDARD", "COLD"]);
    world.clock.advance(2 * DAY);
    world.settle().await;
    assert_eq!(classes(&world).await, ["COOL", "COLD", "COLD"]);
}

const KEYS: [&str; 8] = ["a/1", "a/2", "a/3", "b/1", "b/2", "c/1", "c/2", "d"];

/// What is left of a key's versions after one look, by a model that looks at each of them. A marker that comes has no random
/// half.
fn left_of(
    rules: &LifecycleConfiguration,
    text: &str,
    versioned: bool,
    found: &[KeyVersion],
    now: Timestamp,
) -> Vec<KeyVersion> {
    let mut left: Vec<KeyVersion> = Vec::new();
    let mut noncurrent = 0;
    for version in found {
        let facts = VersionFacts {
            key: text.as_bytes(),
            made: version.id.stamp.time(),
            superseded: version.superseded.map(CommitStamp::time),
            newer_noncurrent: noncurrent,
            marker: version.marker,
            alone: found.len() == 1,
            plain_bytes: version.plain_bytes,
            tags: &version.tags,
            class: &version.storage_class,
        };
        noncurrent += u32::from(version.superseded.is_some());
        let is_due = rules.expiry(&facts, Day::default()).is_some_and(|expiry| expiry.at <= now);
        match (is_due, version.superseded.is_none() && !version.marker) {
            (false, _) => left.push(version.clone()),
            (true, true) if versioned => {
                let stamp = CommitStamp::after(version.id.stamp, now);
                let id = VersionId { stamp, random: 0 };
                left.push(KeyVersion { id, superseded: None, marker: true, tags: Vec::new(), ..version.clone() });
                left.push(KeyVersion { superseded: Some(stamp), ..version.clone() });
            }
            (true, _) => {}
        }
    }
    left
}

/// What is left at most, and what at least: a marker that comes by a rule may push out others at once, or a night later.
fn left_at_most_and_least(
    rules: Option<&LifecycleConfiguration>,
    text: &str,
    versioned: bool,
    found: &[KeyVersion],
    now: Timestamp,
) -> [Vec<VersionId>; 2] {
    let ids = |left: &[KeyVersion]| {
        let known = left.iter().filter(|version| version.id.random != 0);
        known.map(|version| version.id).collect::<Vec<_>>()
    };
    let Some(rules) = rules else { return [ids(found), ids(found)] };
    let mut left = left_of(rules, text, versioned, found, now);
    let gained = left.iter().any(|version| version.id.random == 0);
    let mut most = left.clone();
    for _look in 0..4 {
        left = left_of(rules, text, versioned, &left, now);
        if !gained {
            most.clone_from(&left);
        }
    }
    [ids(&most), ids(&left)]
}

/// Rules of all kinds but transitions, by a number.
fn some_rules(number: u64) -> String {
    let noncurrent = |days: u32, newer: &str| {
        format!(
            "<NoncurrentVersionExpiration><NoncurrentDays>{days}</NoncurrentDays>{newer}</NoncurrentVersionExpiration>"
        )
    };
    let tagged = "<Filter><And><Prefix>b</Prefix><Tag><Key>keep</Key><Value>no</Value></Tag></And></Filter>\
                  <Expiration><Days>1</Days></Expiration>";
    let sized = "<Filter><And><Prefix>c</Prefix><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan></And></Filter>\
                 <Expiration><Days>2</Days></Expiration>";
    let markers = "<Filter/><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>";
    let two = "<NewerNoncurrentVersions>1</NewerNoncurrentVersions>";
    // 2023-11-18, four days after the beginning.
    let dated = "<Filter><Prefix>d</Prefix></Filter><Expiration><Date>2023-11-18</Date></Expiration>";
    let abort = "<Filter><Prefix>a</Prefix></Filter><AbortIncompleteMultipartUpload><DaysAfterInitiation>2\
                 </DaysAfterInitiation></AbortIncompleteMultipartUpload>";
    match number % 4 {
        0 => expires_after(2, "a") + &rule(tagged) + &rule(&format!("<Filter/>{}", noncurrent(1, ""))),
        1 => rule(sized) + &rule(markers) + &rule(&format!("<Filter/>{}", noncurrent(2, two))) + &rule(dated),
        2 => {
            expires_after(1, "c")
                + &rule(abort)
                + &rule(&format!("<Filter><Prefix>b</Prefix></Filter>{}", noncurrent(3, "")))
        }
        _ => expires_after(3, "") + &rule(markers),
    }
}

impl World {
    /// One thing that clients do.
    async fn something(&mut self, random: &mut impl FnMut(u64) -> u64) {
        let (bucket, text) = (1 + random(2), KEYS[usize::try_from(random(8)).expect("few")]);
        let tags = [("keep", ["no", "yes"][usize::try_from(random(2)).expect("two")])];
        match random(10) {
            0..=4 => drop(self.put(bucket, text, usize::try_from(random(10)).expect("few"), &tags).await),
            5 => {
                let delete = samples::delete_object(self.at(bucket).await, key(text), self.entropy.number(), None);
                self.apply(CommandBody::DeleteObject(Box::new(delete))).await;
            }
            6 => {
                let versions = self.facts(bucket, text).await.versions;
                let Some(last) = versions.len().checked_sub(1) else { return };
                let id = versions[usize::try_from(random(last as u64 + 1)).expect("few")].id;
                let which = Some(WhichVersion::Id(id));
                let delete = samples::delete_object(self.at(bucket).await, key(text), 1, which);
                self.apply(CommandBody::DeleteObject(Box::new(delete))).await;
            }
            7 => {
                let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
                let version = WhichVersion::Newest;
                let set = SetObjectTags { bucket: self.at(bucket).await, key: key(text), version, tags };
                self.apply(CommandBody::SetObjectTags(Box::new(set))).await;
            }
            _ => {
                let upload = UploadId::from_bytes(self.entropy.id());
                self.index.propose(samples::create_upload(self.at(bucket).await, text, upload)).await.expect("begun");
            }
        }
    }

    /// The duty goes to the end of what is due, and leaves what the model leaves. In the midst of a day it may leave more:
    /// what a change makes due at once is looked at after midnight.
    async fn night(&self, what: &str, is_morning: bool) {
        let mut before = BTreeMap::new();
        for (bucket, text) in [1, 2].into_iter().flat_map(|bucket| KEYS.map(|text| (bucket, text))) {
            before.insert((bucket, text), self.facts(bucket, text).await);
        }
        let now = self.clock.now();
        self.settle().await;
        for ((bucket, text), facts) in before {
            let rules = self.rules.get(&BucketId(bucket));
            let [most, least] = left_at_most_and_least(rules, text, bucket == 1, &facts.versions, now);
            let after = self.facts(bucket, text).await;
            let known = |id: &VersionId| facts.versions.iter().any(|version| version.id == *id);
            let found: Vec<_> = after.versions.iter().map(|version| version.id).filter(known).collect();
            let says = || format!("{what}: {found:?} is left of {text} by {rules:?} of {facts:?}");
            assert!(least.iter().all(|id| found.contains(id)), "what stays is gone, {}", says());
            let is_due_still = is_morning && !found.iter().all(|id| most.contains(id));
            assert!(!is_due_still, "what goes stayed, {}", says());
            let gains = after.versions.len() - found.len();
            let newest_goes =
                facts.versions.first().is_some_and(|version| !version.marker && version.superseded.is_none())
                    && after.versions.first().is_some_and(|version| version.marker);
            assert_eq!(gains, usize::from(newest_goes), "{}", says());
            let ends = |began: Timestamp| {
                let abort = rules.and_then(|rules| rules.abort(text.as_bytes(), began, Day::default()));
                abort.is_some_and(|abort| abort.at <= now)
            };
            let uploads: Vec<_> = facts.uploads.iter().copied().filter(|upload| !ends(upload.began)).collect();
            assert_eq!(after.uploads, uploads, "{what}: uploads of {text}");
        }
    }
}

/// The numbers of a sequence that is the same in every run.
fn sequence(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

#[tokio::test]
async fn what_is_left_each_morning_is_exactly_what_rules_leave() {
    for seed in 0..40 {
        let mut random = sequence(seed);
        let mut world = World::new(seed).await;
        world.index.fails_every.store([0, 3, 7][usize::try_from(seed % 3).expect("few")], Ordering::Relaxed);
        let mut splits = vec!["b/2", "a/2", "c/2"];
        for day in 0..14 {
            match random(6) {
                0 | 1 => {
                    let bucket = 1 + random(2);
                    world.set_rules(bucket, &some_rules(random(4))).await;
                }
                2 if random(3) == 0 => world.set_document(1 + random(2), None).await,
                3 => world.restart(),
                4 => {
                    if let Some(at) = splits.pop() {
                        world.split(1 + random(2), at);
                    }
                }
                _ => {}
            }
            for _change in 0..random(25) {
                world.something(&mut random).await;
                world.clock.advance(Duration::from_secs(random(2000)));
                if random(8) == 0 {
                    // In the midst of the day, too; some of it fails.
                    let _ = world.duty.step().await;
                }
            }
            world.night(&format!("seed {seed}, day {day}"), false).await;
            let to_midnight = DAY.as_secs() - world.clock.now().seconds() % DAY.as_secs();
            world.clock.advance(Duration::from_secs(to_midnight + random(3600)));
            world.night(&format!("seed {seed}, morning after day {day}"), true).await;
        }
    }
}
