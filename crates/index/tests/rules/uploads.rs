//! Multipart uploads (S3 User Guide, "Uploading and copying objects using multipart upload").

use index::command::{CommandBody, CompletePart, CompleteUpload, UploadManifest, WhichVersion, WriteConditions};
use index::contract::samples::{
    at, create_upload, delete, etag, inline_part, key, new_version, part_in, put_part, run, upload_id,
};
use index::query::{ListEntry, Usage};
use index::{Answer, Query, QueryAnswer, Refusal};
use types::{BucketId, CommitStamp, Part, PartNumber, PartSummary, RunId, TicketId, VersionKind, Versioning};

use crate::world::{World, refused};

fn run_id(tail: u64) -> RunId {
    RunId { ticket: TicketId(1), tail }
}

fn parts(world: &mut World, after: u16, limit: usize) -> Vec<Part> {
    let query = Query::Parts { bucket: BucketId(1), key: key("k"), upload: upload_id(1), after, limit };
    match world.ask(query) {
        QueryAnswer::Parts(parts) => parts,
        other => panic!("parts were asked for, not {other:?}"),
    }
}

pub(crate) fn complete(parts: &[Part]) -> CompleteUpload {
    let name = |part: &Part| CompletePart {
        number: part.number,
        etag: part.etag,
        modified: part.modified,
        plain_bytes: part.plain_bytes,
    };
    CompleteUpload {
        bucket: at(1, 1),
        key: key("k"),
        upload: upload_id(1),
        conditions: WriteConditions::default(),
        parts: parts.iter().map(name).collect(),
        manifest: None,
        version: new_version(77, 0, etag(9)),
    }
}

fn complete_body(parts: &[Part]) -> CommandBody {
    CommandBody::CompleteUpload(Box::new(complete(parts)))
}

/// An upload with parts 1, 2 and 5 in runs 1, 2 and 5.
fn uploaded(world: &mut World) -> Vec<Part> {
    world.command(create_upload(at(1, 1), "k", upload_id(1)));
    for number in [5, 1, 2] {
        let part = part_in(number, &[run(1, number.into(), 10 * number)]);
        assert_eq!(world.command(put_part(at(1, 1), "k", upload_id(1), part)), Answer::Done);
    }
    parts(world, 0, 100)
}

#[test]
fn parts_come_in_order_of_number_and_in_pages() {
    let (mut world, _) = World::with_bucket(Versioning::Off);
    let numbers = |parts: Vec<Part>| parts.iter().map(|part| part.number.get()).collect::<Vec<_>>();
    assert_eq!(numbers(uploaded(&mut world)), [1, 2, 5]);
    assert_eq!(numbers(parts(&mut world, 1, 1)), [2]);
    assert_eq!(numbers(parts(&mut world, 2, 9)), [5]);
    assert_eq!(numbers(parts(&mut world, 10_000, 9)), Vec::<u16>::new());
}

#[test]
fn a_part_replaces_the_one_of_its_number() {
    let (mut world, bucket) = World::with_bucket(Versioning::Off);
    uploaded(&mut world);
    let again = inline_part(2, b"small");
    assert_eq!(world.command(put_part(bucket, "k", upload_id(1), again)), Answer::Done);
    assert_eq!(world.garbage_runs(), [run_id(2)]);
    assert_eq!(parts(&mut world, 1, 1)[0].plain_bytes, 5);
    let QueryAnswer::Usage(usage) = world.ask(Query::Usage(BucketId(1))) else { panic!() };
    assert_eq!(usage, Usage { uploads: 1, upload_bytes: 65, ..Usage::default() });
}

#[test]
fn complete_takes_the_named_parts_and_frees_the_rest() {
    let (mut world, _) = World::with_bucket(Versioning::Off);
    let all = uploaded(&mut world);
    let named = [all[0].clone(), all[2].clone()];
    let Answer::Put { id, null: true } = world.apply(complete_body(&named)) else { panic!("it is whole") };
    assert_eq!(world.garbage_runs(), [run_id(2)]);
    let version = world.version("k", WhichVersion::Newest).unwrap();
    assert_eq!((version.id, version.plain_bytes, version.etag), (id, 60, etag(9)));
    assert_eq!(version.attributes.metadata[0].0, "colour", "attributes are the upload's");
    let summary = |number, plain_bytes| PartSummary { number: PartNumber::new(number).unwrap(), plain_bytes };
    let kind = VersionKind::Multipart { upload: upload_id(1), parts: vec![summary(1, 10), summary(5, 50)] };
    assert_eq!(version.kind, kind);
    assert_eq!(parts(&mut world, 0, 9), named, "they stay where they are");
    let QueryAnswer::Usage(usage) = world.ask(Query::Usage(BucketId(1))) else { panic!() };
    assert_eq!(usage, Usage { objects: 1, versions: 1, bytes: 60, ..Usage::default() });

    world.command(delete(at(1, 1), "k", 1, None));
    assert_eq!(world.garbage_runs(), [run_id(2), run_id(1), run_id(5)]);
    assert_eq!(parts(&mut world, 0, 9), []);
}

#[test]
fn a_repeated_complete_is_answered_again_while_its_version_lives() {
    let (mut world, _) = World::with_bucket(Versioning::Off);
    let all = uploaded(&mut world);
    let first = world.apply(complete_body(&all));
    let mut conditional = complete(&all);
    conditional.conditions.if_none_match = Some(index::command::ETagCondition::Any);
    assert_eq!(world.apply(CommandBody::CompleteUpload(Box::new(conditional))), first);
    let mut other = complete(&all);
    other.version.etag = etag(10);
    assert_eq!(world.apply(CommandBody::CompleteUpload(Box::new(other))), refused(Refusal::NoSuchUpload));
    let query = Query::Upload { bucket: BucketId(1), key: key("k"), upload: upload_id(1) };
    let QueryAnswer::Upload(Some(view)) = world.ask(query.clone()) else { panic!("it is remembered") };
    let completed = view.completed.unwrap();
    assert_eq!(first, Answer::Put { id: completed.id, null: completed.null });
    assert_eq!((completed.etag, completed.checksum), (etag(9), new_version(77, 0, etag(9)).checksum));

    world.command(delete(at(1, 1), "k", 1, None));
    assert_eq!(world.ask(query), QueryAnswer::Upload(None));
    assert_eq!(world.apply(complete_body(&all)), refused(Refusal::NoSuchUpload));
}

#[test]
fn a_complete_names_parts_as_they_are_or_nothing_happens() {
    let (mut world, bucket) = World::with_bucket(Versioning::Off);
    let all = uploaded(&mut world);
    let changed = |change: fn(&mut Part)| {
        let mut parts = all.clone();
        change(&mut parts[1]);
        complete_body(&parts)
    };
    let swapped = complete_body(&[all[1].clone(), all[0].clone()]);
    let twice = complete_body(&[all[0].clone(), all[0].clone()]);
    let tries = [
        changed(|part| part.etag = etag(1)),
        changed(|part| part.modified = CommitStamp(1)),
        changed(|part| part.plain_bytes += 1),
        changed(|part| part.number = PartNumber::new(3).unwrap()),
        complete_body(&[]),
        swapped,
        twice,
    ];
    for body in tries {
        assert_eq!(world.apply(body.clone()), refused(Refusal::PartChanged), "{body:?}");
    }
    assert_eq!(world.garbage_runs(), []);
    let mut failing = complete(&all);
    failing.conditions.if_match = Some(index::command::ETagCondition::Any);
    assert_eq!(world.apply(CommandBody::CompleteUpload(Box::new(failing))), refused(Refusal::NoSuchKey));

    assert_eq!(world.command(put_part(bucket, "k", upload_id(1), all[1].clone())), Answer::Done);
    assert_eq!(world.apply(complete_body(&all)), refused(Refusal::PartChanged), "uploaded again since it was read");
    assert_eq!(world.garbage_runs(), [], "it names the same run");
}

#[test]
fn an_abort_frees_all_and_an_upload_that_is_over_takes_nothing() {
    let (mut world, bucket) = World::with_bucket(Versioning::Off);
    uploaded(&mut world);
    let abort = CommandBody::AbortUpload { bucket, key: key("k"), upload: upload_id(1) };
    assert_eq!(world.apply(abort.clone()), Answer::Done);
    assert_eq!(world.garbage_runs(), [run_id(1), run_id(2), run_id(5)]);
    assert_eq!(world.apply(abort), refused(Refusal::NoSuchUpload));
    let late = put_part(bucket, "k", upload_id(1), inline_part(1, b"late"));
    assert_eq!(world.command(late.clone()), refused(Refusal::NoSuchUpload));
    let all = uploaded(&mut world);
    world.apply(complete_body(&all));
    assert_eq!(world.command(late), refused(Refusal::NoSuchUpload), "a completed one neither");
    let abort = CommandBody::AbortUpload { bucket, key: key("k"), upload: upload_id(1) };
    assert_eq!(world.apply(abort), refused(Refusal::NoSuchUpload));
}

#[test]
fn uploads_are_listed_by_key_then_by_time_and_only_while_under_way() {
    let (mut world, bucket) = World::with_bucket(Versioning::Off);
    for (text, seed) in [("b", 9), ("a", 8), ("a", 1), ("dir/x", 5), ("dir/y", 6)] {
        world.command(create_upload(bucket, text, upload_id(seed)));
    }
    let mut list = |delimiter: &'static str, after: &'static str, after_upload: Option<u8>, limit| {
        let mut range = index::contract::samples::whole_bucket(1, limit);
        (range.delimiter, range.after) = (delimiter.into(), after.into());
        let query = Query::Uploads { range, after_upload: after_upload.map(upload_id) };
        let QueryAnswer::Uploads(page) = world.ask(query) else { panic!("uploads were asked for") };
        let line = |entry: &ListEntry<index::query::ListedUpload>| match entry {
            ListEntry::Entry(upload) => format!("{}:{}", upload.key, upload.upload.to_bytes()[0]),
            ListEntry::CommonPrefix(prefix) => String::from_utf8_lossy(prefix).into_owned(),
        };
        (page.entries.iter().map(line).collect::<Vec<_>>().join(" "), page.truncated)
    };
    assert_eq!(list("/", "", None, 10), ("a:8 a:1 b:9 dir/".to_owned(), false));
    assert_eq!(list("", "", None, 3), ("a:8 a:1 b:9".to_owned(), true));
    assert_eq!(list("", "a", Some(8), 2), ("a:1 b:9".to_owned(), true));
    assert_eq!(list("", "a", None, 2), ("b:9 dir/x:5".to_owned(), true));
    assert_eq!(list("", "a", Some(77), 2), ("a:8 a:1".to_owned(), true), "one that is gone leaves no place");
    assert_eq!(list("/", "dir/", None, 2), (String::new(), false));
}

#[test]
fn a_manifest_lives_and_dies_with_its_version_and_is_no_part() {
    let (mut world, bucket) = World::with_bucket(Versioning::Off);
    let all = uploaded(&mut world);
    let mut manifest = part_in(1, &[run(1, 99, 500)]);
    manifest.number = PartNumber::MANIFEST;
    let mut body = complete(&all);
    body.manifest = Some(UploadManifest { part: manifest.clone(), degraded: true });
    let Answer::Put { id, .. } = world.apply(CommandBody::CompleteUpload(Box::new(body))) else { panic!() };
    assert_eq!(parts(&mut world, 0, 9), all);
    assert_eq!(world.version("k", WhichVersion::Newest).unwrap().plain_bytes, 80);
    let query = Query::Manifest { bucket: BucketId(1), key: key("k"), upload: upload_id(1) };
    let kept = Part { modified: id.stamp, ..manifest };
    assert_eq!(world.ask(query.clone()), QueryAnswer::Parts(vec![kept]));
    let lives = Query::RunLives { bucket: BucketId(1), key: key("k"), run: run_id(99) };
    assert_eq!(world.ask(lives), QueryAnswer::RunLives(true));
    let QueryAnswer::Degraded(rows) = world.ask(Query::Degraded { after: None, limit: 9 }) else { panic!() };
    assert_eq!((rows.len(), rows[0].number), (1, PartNumber::MANIFEST));
    let QueryAnswer::Usage(usage) = world.ask(Query::Usage(BucketId(1))) else { panic!() };
    assert_eq!((usage.bytes, usage.upload_bytes), (80, 0), "it is not the client's");

    world.command(delete(bucket, "k", 1, None));
    assert_eq!(world.ask(query), QueryAnswer::Parts(Vec::new()));
    assert!(world.garbage_runs().contains(&run_id(99)));
}

#[test]
fn a_part_cannot_stand_in_the_manifests_place() {
    let (mut world, bucket) = World::with_bucket(Versioning::Off);
    world.command(create_upload(bucket, "k", upload_id(1)));
    let mut part = inline_part(1, b"x");
    part.number = PartNumber::MANIFEST;
    assert_eq!(world.command(put_part(bucket, "k", upload_id(1), part)), refused(Refusal::PartChanged));
}

#[test]
fn an_upload_created_twice_is_one() {
    let (mut world, bucket) = World::with_bucket(Versioning::Off);
    let first = world.command(create_upload(bucket, "k", upload_id(1)));
    assert!(matches!(first, Answer::UploadCreated { .. }));
    assert_eq!(world.command(create_upload(bucket, "k", upload_id(1))), first);
}
