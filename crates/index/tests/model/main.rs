//! Random logs, against a reference that is a few maps.
//!
//! Aim: what a log answers and leaves behind is what S3 says, and the same however the log is cut into transactions.
//! Method: generated steps become commands (versions and parts are picked from what the reference has), each is applied
//! to both; then all listings, versions, counters and garbage are compared. The same log is applied again in other
//! batches, with the database opened anew between them, and the digests are compared.

mod reference;

use std::collections::BTreeSet;

use bytes::Bytes;
use index::command::{
    BucketAt, BucketConfig, BucketRow, CompletePart, CompleteUpload, CreateUpload, ETagCondition, PutPart,
    WhichVersion, WriteConditions,
};
use index::contract::samples;
use index::query::{ListPage, ListRange, ListedVersion};
use index::{CommandBody, IndexDatabase, IndexSettings, Query, QueryAnswer, RangeEntry};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use types::{
    BucketId, CommitStamp, Extent, ObjectAttributes, ObjectKey, Part, RunId, Timestamp, UploadId, VersionId,
    VersionKind, Versioning,
};

use reference::{Line, Reference};

const KEYS: [&[u8]; 9] = [b"a", b"a/", b"a/b", b"a/b/c", b"a/c", b"a\0", b"a\0\xff", b"b", b"\xff\xff"];

#[derive(Debug, Clone)]
enum Step {
    Versioning(u64, Versioning),
    Put { bucket: u64, key: usize, bytes: u32, inline: bool, hold: bool, conditions: Conditions, stale: bool },
    Delete { bucket: u64, key: usize, which: Which, conditions: Conditions },
    Create { bucket: u64, key: usize },
    PutPart { upload: Index, number: u32, bytes: u32, inline: bool },
    Complete { upload: Index, parts: u8, spoil: bool, conditions: Conditions },
    Abort { upload: Index },
}

#[derive(Debug, Clone)]
enum Which {
    Key,
    Newest,
    Null,
    Known(Index),
    Unknown,
}

#[derive(Debug, Clone)]
enum Conditions {
    None,
    MatchAny,
    MatchSome(u32),
    NoneMatchAny,
    NoneMatchSome(u32),
}

fn conditions() -> impl Strategy<Value = Conditions> {
    prop_oneof![
        8 => Just(Conditions::None),
        1 => Just(Conditions::MatchAny),
        1 => (1u32..4).prop_map(Conditions::MatchSome),
        1 => Just(Conditions::NoneMatchAny),
        1 => (1u32..4).prop_map(Conditions::NoneMatchSome),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let versioning = prop_oneof![Just(Versioning::Enabled), Just(Versioning::Suspended)];
    let which = prop_oneof![
        6 => Just(Which::Key),
        1 => Just(Which::Newest),
        2 => Just(Which::Null),
        4 => any::<Index>().prop_map(Which::Known),
        1 => Just(Which::Unknown),
    ];
    let key = 0..KEYS.len();
    prop_oneof![
        1 => (1u64..3, versioning).prop_map(|(bucket, versioning)| Step::Versioning(bucket, versioning)),
        8 => (1u64..3, key.clone(), 1u32..4, any::<bool>(), proptest::bool::weighted(0.05), conditions(), proptest::bool::weighted(0.05))
            .prop_map(|(bucket, key, bytes, inline, hold, conditions, stale)| Step::Put { bucket, key, bytes, inline, hold, conditions, stale }),
        8 => (1u64..3, key.clone(), which, conditions())
            .prop_map(|(bucket, key, which, conditions)| Step::Delete { bucket, key, which, conditions }),
        2 => (1u64..3, key).prop_map(|(bucket, key)| Step::Create { bucket, key }),
        4 => (any::<Index>(), 1u32..4, 1u32..4, any::<bool>())
            .prop_map(|(upload, number, bytes, inline)| Step::PutPart { upload, number, bytes, inline }),
        3 => (any::<Index>(), any::<u8>(), proptest::bool::weighted(0.1), conditions())
            .prop_map(|(upload, parts, spoil, conditions)| Step::Complete { upload, parts, spoil, conditions }),
        1 => any::<Index>().prop_map(|upload| Step::Abort { upload }),
    ]
}

/// Turns steps into commands, by what the reference has.
struct Writer {
    reference: Reference,
    next: u64,
    log: Vec<RangeEntry>,
    answers: Vec<index::Answer>,
}

impl Writer {
    fn new() -> Self {
        let mut writer = Self { reference: Reference::default(), next: 0, log: Vec::new(), answers: Vec::new() };
        for bucket in [1, 2] {
            writer.write(7, CommandBody::CreateBucketRow { id: BucketId(bucket), config: BucketConfig::default() });
        }
        writer
    }

    fn unique(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn write(&mut self, time: u64, body: CommandBody) {
        let time = Timestamp(time);
        self.answers.push(self.reference.apply(time, &body));
        let number = self.log.len() as u64;
        let applied = number.to_be_bytes().to_vec().into();
        let membership = number.is_multiple_of(16).then(|| Bytes::from(vec![number as u8]));
        let commands = vec![samples::plain(body)];
        self.log.push(RangeEntry { range: index::FIRST_DATA_RANGE, applied, membership, time, commands });
    }

    fn at(&self, bucket: u64) -> BucketAt {
        BucketAt { id: BucketId(bucket), epoch: self.row(bucket).epoch }
    }

    fn row(&self, bucket: u64) -> &BucketRow {
        self.reference.buckets[&BucketId(bucket)].row.as_ref().expect("made first")
    }

    fn part(&mut self, number: u32, bytes: u32, inline: bool) -> Part {
        let tail = self.unique();
        if inline {
            samples::inline_part(number, &vec![7; bytes as usize])
        } else {
            samples::part_in(number, &[samples::run(1, tail, bytes)])
        }
    }

    fn upload(&self, pick: &Index) -> Option<(BucketId, ObjectKey, UploadId)> {
        let all: Vec<_> = self
            .reference
            .buckets
            .iter()
            .flat_map(|(id, bucket)| bucket.uploads.keys().map(|(key, upload)| (*id, key.clone(), *upload)))
            .collect();
        if all.is_empty() { None } else { Some(pick.get(&all).clone()) }
    }

    fn step(&mut self, time: u64, step: &Step) {
        let random = self.unique();
        match step {
            Step::Versioning(bucket, versioning) => {
                let config = BucketConfig { versioning: *versioning, ..self.row(*bucket).config.clone() };
                self.write(time, CommandBody::ChangeBucketRow { bucket: self.at(*bucket), config });
            }
            Step::Put { bucket, key, bytes, inline, hold, conditions, stale } => {
                let mut at = self.at(*bucket);
                at.epoch.0 -= u64::from(*stale);
                let part = self.part(1, *bytes, *inline);
                let mut put = samples::put_object(at, samples::key(KEYS[*key]), random, part);
                put.version.attributes.legal_hold = *hold;
                put.degraded = !*inline && *bytes == 3;
                put.conditions = written(conditions);
                self.write(time, CommandBody::PutObject(Box::new(put)));
            }
            Step::Delete { bucket, key, which, conditions } => {
                let (at, key) = (self.at(*bucket), samples::key(KEYS[*key]));
                let version = self.which(&at, &key, which);
                let mut delete = samples::delete_object(at, key, random, version);
                delete.conditions = written(conditions);
                self.write(time, CommandBody::DeleteObject(Box::new(delete)));
            }
            Step::Create { bucket, key } => {
                let create = CreateUpload {
                    bucket: self.at(*bucket),
                    key: samples::key(KEYS[*key]),
                    upload: UploadId::from_bytes([random as u8; 16]),
                    attributes: ObjectAttributes::default(),
                    owner: samples::owner(),
                    checksum: None,
                };
                self.write(time, CommandBody::CreateUpload(Box::new(create)));
            }
            Step::PutPart { upload, number, bytes, inline } => {
                let Some((bucket, key, upload)) = self.upload(upload) else { return };
                let part = self.part(*number, *bytes, *inline);
                let put = PutPart { bucket: self.at(bucket.0), key, upload, part, degraded: *bytes == 3 };
                self.write(time, CommandBody::PutPart(Box::new(put)));
            }
            Step::Complete { upload, parts, spoil, conditions } => {
                let Some(picked) = self.upload(upload) else { return };
                self.complete(time, picked, *parts, *spoil, written(conditions), random);
            }
            Step::Abort { upload } => {
                let Some((bucket, key, upload)) = self.upload(upload) else { return };
                self.write(time, CommandBody::AbortUpload { bucket: self.at(bucket.0), key, upload });
            }
        }
    }

    fn complete(
        &mut self,
        time: u64,
        (bucket, key, upload): (BucketId, ObjectKey, UploadId),
        choice: u8,
        spoil: bool,
        conditions: WriteConditions,
        random: u64,
    ) {
        let known = &self.reference.buckets[&bucket].uploads[&(key.clone(), upload)];
        let chosen = known.parts.values().enumerate().filter(|(at, _)| choice & (1 << (at % 8)) != 0);
        let mut parts: Vec<CompletePart> = chosen
            .map(|(_, part)| CompletePart {
                number: part.number,
                etag: part.etag,
                modified: part.modified,
                plain_bytes: part.plain_bytes,
            })
            .collect();
        if spoil {
            parts.reverse();
        }
        let etag = known.completed.map_or(samples::etag(random % 3), |(_, _, etag)| etag);
        let version = samples::new_version(random, 0, etag);
        let bucket = self.at(bucket.0);
        let complete = CompleteUpload { bucket, key, upload, conditions, parts, manifest: None, version };
        self.write(time, CommandBody::CompleteUpload(Box::new(complete)));
    }

    fn which(&self, at: &BucketAt, key: &ObjectKey, which: &Which) -> Option<WhichVersion> {
        let versions = self.reference.buckets[&at.id].keys.get(key).map(Vec::as_slice).unwrap_or_default();
        match which {
            Which::Key => None,
            Which::Newest => Some(WhichVersion::Newest),
            Which::Null => Some(WhichVersion::Null),
            Which::Known(pick) if !versions.is_empty() => Some(WhichVersion::Id(pick.get(versions).id)),
            Which::Known(_) | Which::Unknown => Some(WhichVersion::Id(VersionId { stamp: CommitStamp(5), random: 5 })),
        }
    }
}

fn written(conditions: &Conditions) -> WriteConditions {
    let some = |bytes: &u32| Some(ETagCondition::OneOf(vec![samples::etag((*bytes).into())]));
    let (if_match, if_none_match) = match conditions {
        Conditions::None => (None, None),
        Conditions::MatchAny => (Some(ETagCondition::Any), None),
        Conditions::MatchSome(bytes) => (some(bytes), None),
        Conditions::NoneMatchAny => (None, Some(ETagCondition::Any)),
        Conditions::NoneMatchSome(bytes) => (None, some(bytes)),
    };
    WriteConditions { if_match, if_none_match }
}

fn ask(database: &mut IndexDatabase, query: Query) -> QueryAnswer {
    database.query(&query).expect("the database answers")
}

fn lines(page: &ListPage<ListedVersion>) -> (Vec<Line>, bool) {
    (page.entries.iter().map(Line::from).collect(), page.truncated)
}

/// All that can be asked of both.
fn compare(reference: &Reference, database: &mut IndexDatabase) {
    let QueryAnswer::Garbage(rows) =
        ask(database, Query::Garbage { freed_before: CommitStamp(u64::MAX), after: None, limit: usize::MAX })
    else {
        panic!("garbage was asked for")
    };
    let garbage: BTreeSet<RunId> = rows.iter().map(|row| row.run.id).collect();
    assert_eq!(garbage.len(), rows.len(), "a run is freed once");
    assert!(rows.iter().all(|row| row.run.home.is_some()), "a freed run says its home");
    assert_eq!(garbage, reference.garbage);
    for (bucket, key, run) in reference.live_runs() {
        assert!(!garbage.contains(&run), "what lives is not freed");
        assert_eq!(ask(database, Query::RunLives { bucket, key, run }), QueryAnswer::RunLives(true));
    }
    let mut degraded = BTreeSet::new();
    for (id, bucket) in &reference.buckets {
        assert_eq!(ask(database, Query::Usage(*id)), QueryAnswer::Usage(reference.usage(*id)));
        for (key, versions) in &bucket.keys {
            compare_versions(database, *id, key, versions);
            let in_runs = |version: &&reference::Version| version.bytes == 3 && !version.runs.is_empty();
            degraded
                .extend(versions.iter().filter(in_runs).map(|version| (*id, key.clone(), Some(version.id), None, 1)));
        }
        for ((key, upload), known) in &bucket.uploads {
            let narrow = known.parts.values().filter(|part| part.plain_bytes == 3);
            degraded.extend(narrow.map(|part| (*id, key.clone(), None, Some(*upload), part.number.get())));
            let query = Query::Parts { bucket: *id, key: key.clone(), upload: *upload, after: 0, limit: usize::MAX };
            assert_eq!(ask(database, query), QueryAnswer::Parts(known.parts.values().cloned().collect()));
        }
        compare_uploads(database, *id, bucket);
    }
    let QueryAnswer::Degraded(rows) = ask(database, Query::Degraded { after: None, limit: usize::MAX }) else {
        panic!("degraded parts were asked for")
    };
    let found: BTreeSet<_> =
        rows.into_iter().map(|row| (row.bucket, row.key, row.version, row.upload, row.number.get())).collect();
    assert_eq!(found, degraded);
}

fn compare_versions(database: &mut IndexDatabase, bucket: BucketId, key: &ObjectKey, versions: &[reference::Version]) {
    let by_which = versions
        .iter()
        .map(|version| (WhichVersion::Id(version.id), Some(version)))
        .chain([(WhichVersion::Newest, versions.last())])
        .chain([(WhichVersion::Null, versions.iter().find(|version| version.null))]);
    for (which, expected) in by_which {
        let query = Query::Version { bucket, key: key.clone(), which };
        let QueryAnswer::Version { version, .. } = ask(database, query) else { panic!("a version was asked for") };
        assert_eq!(version.as_ref().map(|version| version.id), expected.map(|version| version.id), "{which:?}");
        let (Some(version), Some(expected)) = (version, expected) else { continue };
        let bare = (version.null, version.is_delete_marker(), version.plain_bytes, version.etag, version.superseded);
        assert_eq!(bare, (expected.null, expected.marker, expected.bytes, expected.etag, expected.superseded));
        if let VersionKind::Single(part) = &version.kind {
            assert_eq!(reference::runs(part).collect::<BTreeSet<_>>(), expected.runs);
            assert_eq!(part.extents.iter().map(Extent::length).sum::<u64>(), part.plain_bytes);
        }
    }
}

fn compare_uploads(database: &mut IndexDatabase, bucket: BucketId, known: &reference::Bucket) {
    let range = samples::whole_bucket(bucket.0, usize::MAX);
    let QueryAnswer::Uploads(page) = ask(database, Query::Uploads { range, after_upload: None }) else {
        panic!("uploads were asked for")
    };
    let mut expected: Vec<_> = known
        .uploads
        .iter()
        .filter(|(_, upload)| upload.completed.is_none())
        .map(|((key, id), upload)| (key.clone(), upload.began, *id))
        .collect();
    expected.sort();
    let found: Vec<_> = page
        .entries
        .into_iter()
        .map(|entry| match entry {
            index::query::ListEntry::Entry(upload) => (upload.key, upload.began, upload.upload),
            other => panic!("no delimiter was given, but {other:?} came"),
        })
        .collect();
    assert_eq!(found, expected);
    for ((key, upload), expected) in &known.uploads {
        let query = Query::Upload { bucket, key: key.clone(), upload: *upload };
        let QueryAnswer::Upload(Some(view)) = ask(database, query) else { panic!("the upload is known") };
        assert_eq!(view.completed.map(|done| (done.id, done.null, done.etag)), expected.completed);
    }
}

fn compare_listing(reference: &Reference, database: &mut IndexDatabase, range: &ListRange, pick: &Index) {
    let QueryAnswer::Objects(page) = ask(database, Query::Objects(range.clone())) else { panic!("objects") };
    assert_eq!(lines(&page), reference.list(range, false, None), "{range:?}");
    let QueryAnswer::Versions(page) = ask(database, Query::Versions { range: range.clone(), after_version: None })
    else {
        panic!("versions")
    };
    assert_eq!(lines(&page), reference.list(range, true, None), "{range:?}");
    let after = ObjectKey::new(range.after.clone()).ok();
    let versions = after.and_then(|key| reference.buckets[&range.bucket].keys.get(&key)).filter(|all| !all.is_empty());
    if let Some(versions) = versions {
        let version = pick.get(versions);
        let mut ways = vec![WhichVersion::Id(version.id)];
        ways.extend(version.null.then_some(WhichVersion::Null));
        for way in ways {
            let query = Query::Versions { range: range.clone(), after_version: Some(way) };
            let QueryAnswer::Versions(page) = ask(database, query) else { panic!("versions") };
            assert_eq!(lines(&page), reference.list(range, true, Some(version.id)), "{range:?} after {way:?}");
        }
    }
}

fn listings() -> impl Strategy<Value = Vec<(ListRange, Index)>> {
    let text = |choices: &'static [&'static [u8]]| proptest::sample::select(choices).prop_map(Bytes::from_static);
    let prefix = text(&[b"", b"", b"a", b"a/", b"a/b", b"\xff", b"zz"]);
    let delimiter = text(&[b"", b"/", b"/", b"b", b"/b", b"\0"]);
    let after = text(&[b"", b"a", b"a/", b"a/b", b"a/b/", b"a/b/c", b"a/d", b"a\0", b"b", b"b/", b"\xff\xff"]);
    let range = (1u64..3, prefix, delimiter, after, prop_oneof![Just(0usize), 1usize..5, Just(100)]).prop_map(
        |(bucket, prefix, delimiter, after, limit)| ListRange {
            bucket: BucketId(bucket),
            prefix,
            delimiter,
            after,
            limit,
        },
    );
    vec((range, any::<Index>()), 12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn the_index_answers_as_the_reference_and_keeps_what_it_keeps(
        steps in vec((0u64..40, step()), 1..60),
        listings in listings(),
    ) {
        let mut writer = Writer::new();
        for (time, step) in &steps {
            writer.step(*time, step);
        }
        let mut database = IndexDatabase::in_memory().unwrap();
        for (entry, expected) in writer.log.iter().zip(&writer.answers) {
            let answers = database.apply(std::slice::from_ref(entry)).unwrap();
            prop_assert_eq!(&answers[0][0], expected, "{:?}", &entry.commands[0]);
        }
        compare(&writer.reference, &mut database);
        for (range, pick) in &listings {
            compare_listing(&writer.reference, &mut database, range, pick);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_log_leaves_the_same_rows_however_it_is_cut(
        steps in vec((0u64..40, step()), 20..80),
        cuts in vec(1usize..9, 1..40),
        reopen_every in 1usize..6,
    ) {
        let mut writer = Writer::new();
        for (time, step) in &steps {
            writer.step(*time, step);
        }
        let mut whole = IndexDatabase::in_memory().unwrap();
        let answers = whole.apply(&writer.log).unwrap();
        prop_assert_eq!(answers.concat(), writer.answers);

        let directory = tempfile::tempdir().unwrap();
        let disk = std::sync::Arc::new(platform::RealDisk::create(directory.path().join("disk")).unwrap());
        let open = || {
            let location = sqlite_vfs::DatabaseLocation { disk: disk.clone(), path: "index".into() };
            IndexDatabase::open(location, IndexSettings::default()).unwrap()
        };
        let mut database = open();
        let mut rest = &writer.log[..];
        for (at, cut) in cuts.iter().cycle().enumerate() {
            if rest.is_empty() {
                break;
            }
            let (batch, after) = rest.split_at((*cut).min(rest.len()));
            database.apply(batch).unwrap();
            rest = after;
            if at % reopen_every == 0 {
                drop(database);
                database = open();
            }
        }
        prop_assert_eq!(database.digest().unwrap(), whole.digest().unwrap());
    }
}
