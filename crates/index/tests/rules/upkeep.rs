//! Garbage, degraded parts, parts that move, runs that are given up.

use index::command::{CommandBody, ReplacePart, WhichVersion};
use index::contract::samples::{at, create_upload, delete, key, part_in, plain, put_object, put_part, run, upload_id};
use index::query::DegradedRow;
use index::{Answer, Command, Query, QueryAnswer, Refusal};
use types::{BucketId, CommitStamp, Extent, HomeKey, Part, Run, RunId, TicketId, VersionId, VersionKind, Versioning};

use crate::world::{World, refused};

fn put_in(runs: &[Run], degraded: bool) -> Command {
    let put = put_object(at(1, 1), key("k"), 1, part_in(1, runs));
    plain(CommandBody::PutObject(Box::new(index::command::PutObject { degraded, ..put })))
}

fn put_id(answer: &Answer) -> VersionId {
    match answer {
        Answer::Put { id, .. } => *id,
        other => panic!("a put, not {other:?}"),
    }
}

fn at_home(run: &Run) -> Run {
    Run { home: Some(HomeKey { bucket: BucketId(1), key: key("k") }), ..run.clone() }
}

fn degraded(world: &mut World) -> Vec<DegradedRow> {
    match world.ask(Query::Degraded { after: None, limit: 10 }) {
        QueryAnswer::Degraded(rows) => rows,
        other => panic!("degraded parts were asked for, not {other:?}"),
    }
}

fn lives(world: &mut World, tail: u64) -> bool {
    let run = RunId { ticket: TicketId(1), tail };
    world.ask(Query::RunLives { bucket: BucketId(1), key: key("k"), run }) == QueryAnswer::RunLives(true)
}

fn replace(version: Option<VersionId>, expected: &[Run], part: Part) -> ReplacePart {
    let upload = version.is_none().then(|| upload_id(1));
    ReplacePart {
        bucket: BucketId(1),
        key: key("k"),
        version,
        upload,
        number: part.number,
        expected: expected.to_vec(),
        part,
        degraded: false,
    }
}

fn replace_body(replace: ReplacePart) -> CommandBody {
    CommandBody::ReplacePart(Box::new(replace))
}

#[test]
fn garbage_says_when_and_whose_it_was_and_goes_by_its_row() {
    let (mut world, bucket) = World::with_bucket(Versioning::Off);
    let (first, second) = (run(1, 1, 10), run(1, 2, 10));
    world.command(put_in(std::slice::from_ref(&first), false));
    let replaced = put_id(&world.command(put_in(std::slice::from_ref(&second), false))).stamp;
    world.command(delete(bucket, "k", 1, None));
    let rows = world.garbage();
    assert_eq!(rows.iter().map(|row| row.run.clone()).collect::<Vec<_>>(), [at_home(&first), at_home(&second)]);
    assert_eq!(rows[0].freed, replaced);
    let ask = |freed_before, after: Option<&Vec<u8>>| Query::Garbage { freed_before, after: after.cloned(), limit: 1 };
    assert_eq!(world.ask(ask(replaced, None)), QueryAnswer::Garbage(vec![]), "freed before, not at");
    assert_eq!(world.ask(ask(CommitStamp(replaced.0 + 1), None)), QueryAnswer::Garbage(vec![rows[0].clone()]));
    let all = CommitStamp(u64::MAX);
    assert_eq!(world.ask(ask(all, Some(&rows[0].row))), QueryAnswer::Garbage(vec![rows[1].clone()]));

    let others = vec![vec![0; 32], b"none".to_vec(), Vec::new(), rows[0].row.clone()];
    assert_eq!(world.apply(CommandBody::RemoveGarbage { rows: others }), Answer::Done);
    assert_eq!(world.garbage(), [rows[1].clone()]);
}

#[test]
fn a_run_in_several_slices_is_freed_once() {
    let (mut world, bucket) = World::with_bucket(Versioning::Off);
    let (one, two) = (run(1, 1, 10), run(1, 2, 10));
    let mut part = part_in(1, &[one.clone(), two, one.clone()]);
    let Extent::Slice { offset, .. } = &mut part.extents[2] else { panic!("a slice") };
    *offset = 5;
    world.apply(CommandBody::PutObject(Box::new(put_object(bucket, key("k"), 1, part))));
    world.command(delete(bucket, "k", 1, None));
    assert_eq!(world.garbage_runs().len(), 2);
}

#[test]
fn a_degraded_part_is_queued_until_it_moves_or_goes() {
    let (mut world, bucket) = World::with_bucket(Versioning::Off);
    let narrow = run(1, 1, 10);
    let id = put_id(&world.command(put_in(std::slice::from_ref(&narrow), true)));
    let [row] = &degraded(&mut world)[..] else { panic!("one row") };
    assert_eq!(
        (row.bucket, &row.key, row.version, row.upload, row.number.get()),
        (BucketId(1), &key("k"), Some(id), None, 1)
    );
    assert_eq!(world.ask(Query::Degraded { after: Some(row.row.clone()), limit: 1 }), QueryAnswer::Degraded(vec![]));

    let wide = run(1, 2, 10);
    let body = replace_body(replace(Some(id), std::slice::from_ref(&narrow), part_in(1, std::slice::from_ref(&wide))));
    assert_eq!(world.apply(body.clone()), Answer::Done);
    assert_eq!(degraded(&mut world), []);
    assert_eq!(world.garbage_runs(), [narrow.id]);
    assert_eq!((lives(&mut world, 1), lives(&mut world, 2)), (false, true));
    assert_eq!(world.apply(body), refused(Refusal::PartChanged), "it lies elsewhere now");
    let version = world.version("k", WhichVersion::Newest).unwrap();
    let VersionKind::Single(part) = &version.kind else { panic!("one part") };
    assert_eq!((version.id, part.modified), (id, id.stamp), "clients see no change");

    world.command(put_in(&[run(1, 3, 10)], true));
    assert_eq!(degraded(&mut world).len(), 1);
    world.command(delete(bucket, "k", 1, None));
    assert_eq!(degraded(&mut world), []);
}

#[test]
fn a_part_that_moves_keeps_its_content_or_stays() {
    let (mut world, _) = World::with_bucket(Versioning::Off);
    let old = run(1, 1, 10);
    let id = put_id(&world.command(put_in(std::slice::from_ref(&old), false)));
    let good = replace(Some(id), std::slice::from_ref(&old), part_in(1, &[run(1, 2, 10)]));
    let changed = |change: fn(&mut ReplacePart)| {
        let mut changed = good.clone();
        change(&mut changed);
        replace_body(changed)
    };
    let tries = [
        changed(|replace| replace.part.etag = index::contract::samples::etag(1)),
        changed(|replace| replace.part.plain_bytes = 11),
        changed(|replace| replace.part.crc64_nvme ^= 1),
        changed(|replace| replace.expected = vec![run(1, 7, 10)]),
        changed(|replace| replace.expected.clear()),
        changed(|replace| replace.version = None),
        changed(|replace| replace.key = key("other")),
        changed(|replace| replace.upload = Some(upload_id(1))),
    ];
    for body in tries {
        assert_eq!(world.apply(body.clone()), refused(Refusal::PartChanged), "{body:?}");
    }
    world.apply(CommandBody::RaiseFloor { floor: TicketId(2) });
    assert_eq!(world.apply(replace_body(good.clone())), refused(Refusal::BelowFloor), "its new run is too old");
    let grown = part_in(1, std::slice::from_ref(&old));
    let same_run = ReplacePart { part: grown, ..good };
    assert_eq!(world.apply(replace_body(same_run)), Answer::Done, "a run that a row names may be named at any time");
    assert_eq!(world.garbage(), []);
}

#[test]
fn a_part_of_an_upload_moves_and_complete_still_takes_it() {
    let (mut world, bucket) = World::with_bucket(Versioning::Off);
    world.command(create_upload(bucket, "k", upload_id(1)));
    let old = run(1, 1, 10);
    world.command(put_part(bucket, "k", upload_id(1), part_in(1, std::slice::from_ref(&old))));
    let query = Query::Parts { bucket: BucketId(1), key: key("k"), upload: upload_id(1), after: 0, limit: 1 };
    let QueryAnswer::Parts(before) = world.ask(query.clone()) else { panic!("parts") };
    let moved = replace(None, std::slice::from_ref(&old), part_in(1, &[run(1, 2, 10)]));
    assert_eq!(world.apply(replace_body(moved)), Answer::Done);
    assert_eq!(world.garbage_runs(), [old.id]);
    let QueryAnswer::Parts(after) = world.ask(query) else { panic!("parts") };
    assert_eq!((after[0].modified, after[0].etag), (before[0].modified, before[0].etag));
    assert_ne!(after[0].extents, before[0].extents);
}

#[test]
fn a_run_that_its_writer_gave_up_is_freed_and_never_named_again() {
    let (mut world, _) = World::with_bucket(Versioning::Off);
    let (given_up, living) = (run(1, 1, 10), run(1, 2, 10));
    world.command(put_in(std::slice::from_ref(&living), false));
    let runs = vec![at_home(&given_up), at_home(&living), run(1, 3, 10)];
    assert_eq!(world.apply(CommandBody::DiscardRuns { runs }), Answer::Done);
    assert_eq!(world.garbage_runs(), [given_up.id], "not one that lives, nor one that can't be looked up");
    assert_eq!(world.command(put_in(&[given_up], false)), refused(Refusal::BelowFloor), "a late copy of the put");
    let rows = world.garbage().into_iter().map(|row| row.row).collect();
    world.apply(CommandBody::RemoveGarbage { rows });
    assert_eq!(world.command(put_in(&[run(1, 1, 10)], false)), refused(Refusal::BelowFloor), "also once it is freed");
    assert!(matches!(world.command(put_in(&[run(1, 4, 10)], false)), Answer::Put { .. }));
}

#[test]
fn whole_versions_are_walked_in_pages_over_all_buckets() {
    let (mut world, bucket) = World::with_bucket(Versioning::Enabled);
    let config = Default::default();
    world.apply(CommandBody::CreateBucketRow { id: BucketId(2), config });
    for text in ["b", "a", "a"] {
        world.command(index::contract::samples::put(bucket, text, 1, b"x"));
    }
    world.command(delete(bucket, "a", 1, None));
    world.command(index::contract::samples::put(at(2, 1), "a", 1, b"y"));
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let QueryAnswer::VersionRows { rows, next } = world.ask(Query::VersionRows { after, limit: 2 }) else {
            panic!()
        };
        assert!(rows.len() <= 2);
        seen.extend(rows.iter().map(|row| (row.bucket.0, row.key.to_string(), row.version.is_delete_marker())));
        after = next;
        if after.is_none() {
            break;
        }
    }
    let row = |bucket, key: &str, marker| (bucket, key.to_owned(), marker);
    assert_eq!(
        seen,
        [row(1, "a", true), row(1, "a", false), row(1, "a", false), row(1, "b", false), row(2, "a", false)]
    );
}
