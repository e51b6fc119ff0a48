//! Asking the index and the reference the same.

use std::collections::BTreeSet;

use bytes::Bytes;
use index::command::WhichVersion;
use index::contract::samples;
use index::query::{ListPage, ListRange, ListedVersion, Totals, Usage};
use index::{IndexDatabase, Query, QueryAnswer};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use types::{BucketId, CommitStamp, Extent, ObjectKey, RunId, VersionKind};

use crate::lifecycle::compare_due;
use crate::reference::{self, Line, Reference};

fn ask(database: &mut IndexDatabase, query: Query) -> QueryAnswer {
    database.query(&query).expect("the database answers")
}

fn lines(page: &ListPage<ListedVersion>) -> (Vec<Line>, bool) {
    (page.entries.iter().map(Line::from).collect(), page.truncated)
}

/// All that can be asked of both.
pub(crate) fn compare(reference: &Reference, database: &mut IndexDatabase) {
    compare_due(reference, database);
    assert_eq!(database.verify().expect("rows can be read"), Vec::<String>::new());
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
    let mut usage = Usage::default();
    for (id, bucket) in &reference.buckets {
        let own = reference.usage(*id);
        assert_eq!(ask(database, Query::Usage(*id)), QueryAnswer::Usage(own));
        usage.objects += own.objects;
        usage.versions += own.versions;
        usage.markers += own.markers;
        usage.bytes += own.bytes;
        usage.uploads += own.uploads;
        usage.upload_bytes += own.upload_bytes;
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
    let totals = Totals { usage, degraded_parts: degraded.len() as u64 };
    assert_eq!(ask(database, Query::Totals), QueryAnswer::Totals(totals));
}

fn compare_versions(database: &mut IndexDatabase, bucket: BucketId, key: &ObjectKey, versions: &[reference::Version]) {
    let by_which = versions
        .iter()
        .map(|version| (WhichVersion::Id(version.id), Some(version)))
        .chain([(WhichVersion::Newest, versions.last())])
        .chain([(WhichVersion::Null, versions.iter().find(|version| version.null))]);
    for (which, expected) in by_which {
        let query = Query::Version { bucket, key: key.clone(), which };
        let answer = ask(database, query);
        let QueryAnswer::Version { version, .. } = answer.clone() else { panic!("a version was asked for") };
        assert_eq!(version.as_ref().map(|version| version.id), expected.map(|version| version.id), "{which:?}");
        assert_eq!(ask(database, Query::VersionHead { bucket, key: key.clone(), which }), without_inline(&answer));
        let (Some(version), Some(expected)) = (version, expected) else { continue };
        let bare = (version.null, version.is_delete_marker(), version.plain_bytes, version.etag, version.superseded);
        assert_eq!(bare, (expected.null, expected.marker, expected.bytes, expected.etag, expected.superseded));
        assert_eq!(version.attributes.tags, expected.tags);
        let locks = (version.attributes.retention, version.attributes.legal_hold);
        assert_eq!(locks, (expected.retention, expected.hold));
        if let VersionKind::Single(part) = &version.kind {
            assert_eq!(reference::runs(part).collect::<BTreeSet<_>>(), expected.runs);
            assert_eq!(part.extents.iter().map(Extent::length).sum::<u64>(), part.plain_bytes);
        }
    }
}

fn without_inline(answer: &QueryAnswer) -> QueryAnswer {
    let mut answer = answer.clone();
    if let QueryAnswer::Version { version: Some(version), .. } = &mut answer
        && let VersionKind::Single(part) = &mut version.kind
    {
        part.extents.retain(|extent| !matches!(extent, Extent::Inline(_)));
    }
    answer
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

pub(crate) fn compare_listing(reference: &Reference, database: &mut IndexDatabase, range: &ListRange, pick: &Index) {
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

pub(crate) fn listings() -> impl Strategy<Value = Vec<(ListRange, Index)>> {
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
