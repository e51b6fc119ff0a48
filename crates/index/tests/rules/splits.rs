//! A range becomes two: every key has one range, and what was promised holds on both sides.

use std::ops::ControlFlow;

use bytes::Bytes;
use index::command::{BucketConfig, CommandBody, SplitRange, WhichVersion};
use index::contract::samples::{
    at, create_upload, delete, inline_part, key, numbered, part_in, plain, put, put_object, put_part, run, upload_id,
};
use index::query::Usage;
use index::{
    Answer, Command, FIRST_DATA_RANGE, IndexDatabase, IndexDatabaseError, Query, QueryAnswer, RangeEntry, Refusal,
};
use types::{BucketId, HomeKey, RangeDescriptor, RangeId, RunId, SplitEpoch, TicketId, Timestamp, Versioning};

use crate::world::{World, opened};

const CHILD: RangeId = RangeId(2);
const SIDES: [(RangeId, &str); 2] = [(FIRST_DATA_RANGE, "b"), (CHILD, "n")];

fn split_at(text: &str, moved: Usage) -> Command {
    let at = HomeKey { bucket: BucketId(1), key: key(text) };
    plain(CommandBody::SplitRange(Box::new(SplitRange { expected: SplitEpoch(0), child: CHILD, at, moved })))
}

/// Bucket 1 with keys on both sides of "m", where it was split then.
fn halves() -> World {
    let (mut world, bucket) = World::with_bucket(Versioning::Enabled);
    for text in ["a", "b", "m", "n"] {
        assert!(matches!(world.command(put(bucket, text, 1, b"12345")), Answer::Put { .. }));
    }
    split(&mut world);
    world
}

fn split(world: &mut World) -> [RangeDescriptor; 2] {
    match world.command(split_at("m", Usage { objects: 2, versions: 2, bytes: 10, ..Usage::default() })) {
        Answer::Split(halves) => *halves,
        other => panic!("a range was split, not {other:?}"),
    }
}

fn put_of(ticket: u64, number: u64, text: &str) -> Command {
    let put = put_object(at(1, 1), key(text), number, inline_part(1, b"xy"));
    numbered(ticket, number, 0, CommandBody::PutObject(Box::new(put)))
}

fn usage(world: &mut World, range: RangeId) -> Usage {
    let query = Query::Within { epoch: SplitEpoch(1), query: Box::new(Query::Usage(BucketId(1))) };
    match world.database.query_at(range, &query).expect("answered") {
        QueryAnswer::Usage(usage) => usage,
        other => panic!("usage was asked for, not {other:?}"),
    }
}

#[test]
fn every_key_has_one_range_that_answers_for_it() {
    let mut world = halves();
    for (range, text) in SIDES {
        for (asked, _) in SIDES {
            let query = Query::Version { bucket: BucketId(1), key: key(text), which: WhichVersion::Newest };
            let read = world.database.query_at(asked, &query).unwrap();
            let written = world.command_to(asked, put(at(1, 1), text, 2, b"new"));
            if asked == range {
                assert!(matches!(read, QueryAnswer::Version { version: Some(_), row: Some(_) }), "{read:?}");
                assert!(matches!(written, Answer::Put { .. }), "{written:?}");
            } else {
                assert!(matches!(read, QueryAnswer::NotInRange(_)), "{read:?}");
                let Answer::Refused(Refusal::NotInRange(says)) = written else { panic!("{written:?}") };
                assert_eq!((says.id, says.epoch), (asked, SplitEpoch(1)));
            }
        }
    }
}

#[test]
fn what_is_about_many_keys_is_refused_at_another_epoch() {
    let mut world = halves();
    for (range, _) in SIDES {
        for epoch in [SplitEpoch(0), SplitEpoch(2)] {
            let body = CommandBody::RaiseFloor { floor: TicketId(9) };
            let within = plain(CommandBody::Within { epoch, body: Box::new(body.clone()) });
            let query = Query::Within { epoch, query: Box::new(Query::Totals) };
            assert!(matches!(world.command_to(range, within), Answer::Refused(Refusal::NotInRange(_))));
            assert!(matches!(world.command_to(range, plain(body)), Answer::Refused(Refusal::NotInRange(_))));
            for query in [query, Query::Totals] {
                assert!(matches!(world.database.query_at(range, &query).unwrap(), QueryAnswer::NotInRange(_)));
            }
        }
    }
}

#[test]
fn a_repeated_command_gets_its_first_answer_on_whichever_side_its_key_is() {
    let (mut world, _) = World::with_bucket(Versioning::Enabled);
    let commands = [put_of(7, 1, "b"), put_of(7, 2, "n")];
    let first = commands.clone().map(|command| world.command(command));
    split(&mut world);
    for ((range, _), (command, answer)) in SIDES.into_iter().zip(commands.into_iter().zip(first)) {
        assert_eq!(world.command_to(range, command), answer);
    }
    // One that came to nobody before the split is refused by the range that lost its key, and then taken by the other.
    let late = put_of(7, 3, "n");
    assert!(matches!(world.command_to(FIRST_DATA_RANGE, late.clone()), Answer::Refused(Refusal::NotInRange(_))));
    let answer = world.command_to(CHILD, late.clone());
    assert!(matches!(answer, Answer::Put { .. }));
    assert_eq!(world.command_to(CHILD, late), answer);
    // What was received before the split is forgotten on both sides.
    let mut received = put_of(7, 4, "n");
    received.answered = types::RequestNumber(3);
    world.command_to(CHILD, received);
    assert_eq!(world.command_to(CHILD, put_of(7, 2, "n")), Answer::Refused(Refusal::BelowFloor));
}

#[test]
fn answers_of_the_same_transaction_go_to_both_halves() {
    let entry = |number: u64, commands| RangeEntry {
        range: FIRST_DATA_RANGE,
        applied: number.to_be_bytes().to_vec().into(),
        membership: Some(Bytes::from_static(b"members")),
        time: Timestamp(number),
        commands,
    };
    let row = CommandBody::CreateBucketRow { id: BucketId(1), config: BucketConfig::default() };
    let mut acknowledged = put_of(7, 3, "c");
    acknowledged.answered = types::RequestNumber(1);
    let to_child = |number: u64, command| RangeEntry { range: CHILD, ..entry(number, vec![command]) };
    let log = [
        entry(1, vec![plain(row), put_of(7, 1, "a"), put_of(7, 2, "n")]),
        entry(2, vec![acknowledged, split_at("m", Usage::default()), put_of(7, 4, "b")]),
        to_child(3, put_of(7, 2, "n")),
        entry(3, vec![put_of(7, 5, "a")]),
        to_child(4, put_of(7, 6, "z")),
    ];
    let mut digests = Vec::new();
    for cut in 1..=log.len() {
        let mut database = IndexDatabase::in_memory().unwrap();
        let mut answers = Vec::new();
        for batch in log.chunks(cut) {
            answers.extend(database.apply(batch).unwrap());
        }
        assert_eq!(answers[0][2], answers[2][0], "the child remembers what the parent answered, in batches of {cut}");
        assert_eq!(database.verify().unwrap(), Vec::<String>::new());
        assert_eq!(database.born(CHILD).unwrap().unwrap()[..], 2u64.to_be_bytes());
        let state = database.applied(CHILD).unwrap().unwrap();
        assert_eq!(state.membership.as_deref(), Some(&b"members"[..]));
        digests.push(database.digest().unwrap());
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "however the log is cut into transactions, the rows are the same");
}

#[test]
fn both_halves_go_on_with_clock_floor_and_buckets_of_the_whole() {
    let (mut world, bucket) = World::with_bucket(Versioning::Off);
    world.apply(CommandBody::CreateBucketRow { id: BucketId(2), config: BucketConfig::default() });
    let bucket = world.set_versioning(bucket, Versioning::Enabled);
    world.apply(CommandBody::RaiseFloor { floor: TicketId(5) });
    // The range's clock is ahead of its leader's.
    let before = world.database.last_stamp(FIRST_DATA_RANGE).unwrap();
    world.time.0 -= 1_000_000;
    split(&mut world);
    for (range, text) in SIDES {
        assert_eq!(world.database.floor(range).unwrap(), TicketId(5));
        assert_eq!(world.command_to(range, put_of(4, 1, text)), Answer::Refused(Refusal::BelowFloor));
        let Answer::Put { id, null: false } = world.command_to(range, put(bucket, text, 1, b"x")) else {
            panic!("at the epoch of before")
        };
        assert!(id.stamp > before, "newer than all that the whole range has ever had");
    }
    // A bucket that lies beyond the cut is the child's alone.
    let of = |range, world: &mut World| world.database.all_bucket_rows(range).unwrap().len();
    assert_eq!((of(FIRST_DATA_RANGE, &mut world), of(CHILD, &mut world)), (1, 2));
}

#[test]
fn the_sum_of_what_both_count_is_what_there_is() {
    let mut world = halves();
    assert_eq!(usage(&mut world, FIRST_DATA_RANGE).objects, 2);
    assert_eq!(usage(&mut world, CHILD), Usage { objects: 2, versions: 2, bytes: 10, ..Usage::default() });
    world.command_to(CHILD, delete(at(1, 1), "n", 3, None));
    world.command_to(FIRST_DATA_RANGE, put(at(1, 1), "c", 1, b"123"));
    let sum = usage(&mut world, FIRST_DATA_RANGE).plus(usage(&mut world, CHILD)).settled();
    assert_eq!((sum.objects, sum.versions, sum.markers, sum.bytes), (4, 5, 1, 23));
    assert_eq!(world.database.verify().unwrap(), Vec::<String>::new(), "it counts every row and compares");
}

#[test]
fn an_estimate_that_was_wrong_leaves_the_sum_right() {
    let (mut world, bucket) = World::with_bucket(Versioning::Off);
    for text in ["a", "n", "o"] {
        world.command(put(bucket, text, 1, b"1"));
    }
    world.command(split_at("m", Usage::default()));
    for text in ["n", "o"] {
        assert!(matches!(world.command_to(CHILD, delete(bucket, text, 2, None)), Answer::Deleted { .. }));
    }
    let sum = usage(&mut world, FIRST_DATA_RANGE).plus(usage(&mut world, CHILD)).settled();
    assert_eq!((sum.objects, sum.bytes), (1, 1));
}

#[test]
fn garbage_stays_where_it_was_made_and_a_discarded_run_is_refused_on_both_sides() {
    let (mut world, bucket) = World::with_bucket(Versioning::Off);
    let home = |text: &str| Some(HomeKey { bucket: BucketId(1), key: key(text) });
    let discarded = index::command::CommandBody::DiscardRuns {
        runs: vec![types::Run { home: home("n"), ..run(9, 1, 10) }, types::Run { home: home("a"), ..run(9, 2, 10) }],
    };
    world.apply(discarded);
    assert_eq!(world.garbage_runs().len(), 2);
    split(&mut world);
    assert_eq!(world.garbage_runs().len(), 2, "the parent collects what it had");
    let query = Query::Garbage { freed_before: types::CommitStamp(u64::MAX), after: None, limit: 9 };
    assert_eq!(world.database.query_at(CHILD, &query).unwrap(), QueryAnswer::Garbage(Vec::new()));
    for (tail, (range, text)) in [2, 1].into_iter().zip(SIDES) {
        let put = put_object(bucket, key(text), 1, part_in(1, &[run(9, tail, 10)]));
        let late = numbered(9, tail, 0, CommandBody::PutObject(Box::new(put)));
        assert_eq!(world.command_to(range, late), Answer::Refused(Refusal::BelowFloor), "{range}");
    }
    // What becomes garbage from now on is that of the range of its key.
    let put = put_object(bucket, key("n"), 1, part_in(1, &[run(9, 3, 10)]));
    world.command_to(CHILD, plain(CommandBody::PutObject(Box::new(put))));
    world.command_to(CHILD, delete(bucket, "n", 2, None));
    let QueryAnswer::Garbage(rows) = world.database.query_at(CHILD, &query).unwrap() else { panic!("garbage") };
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].run.id, RunId { ticket: TicketId(9), tail: 3 });
}

#[test]
fn a_fence_looks_only_at_what_its_own_range_has() {
    let (mut world, bucket) = World::with_bucket(Versioning::Off);
    world.command(put(bucket, "a", 1, b"x"));
    split(&mut world);
    let fence = |id| CommandBody::Within { epoch: SplitEpoch(1), body: Box::new(CommandBody::FenceBucket { id }) };
    for (range, expected) in [(FIRST_DATA_RANGE, false), (CHILD, true)] {
        let Answer::Fenced { empty, .. } = world.command_to(range, plain(fence(BucketId(1)))) else { panic!("fenced") };
        assert_eq!(empty, expected, "{range}");
        assert!(matches!(
            world.command_to(range, put(bucket, if expected { "z" } else { "b" }, 2, b"y")),
            Answer::Refused(Refusal::StaleBucket { .. })
        ));
    }
}

#[test]
fn a_split_is_refused_at_another_epoch_and_at_the_ends() {
    let mut world = halves();
    let before = world.database.digest().unwrap();
    let split = |expected, child, text: &str| {
        let at = HomeKey { bucket: BucketId(1), key: key(text) };
        let expected = SplitEpoch(expected);
        plain(CommandBody::SplitRange(Box::new(SplitRange { expected, child, at, moved: Usage::default() })))
    };
    for (range, command) in [
        (FIRST_DATA_RANGE, split(0, RangeId(3), "b")),
        (FIRST_DATA_RANGE, split(1, RangeId(3), "x")),
        (CHILD, split(1, RangeId(3), "m")),
        (CHILD, split(1, FIRST_DATA_RANGE, "x")),
    ] {
        let answer = world.command_to(range, command);
        assert!(matches!(answer, Answer::Refused(Refusal::NotInRange(_))), "{answer:?}");
    }
    let same = world.database.descriptors().unwrap();
    assert_eq!(same.len(), 2);
    assert_ne!(before, [0; 32]);
    // And the child splits in its turn.
    let Answer::Split(halves) = world.command_to(CHILD, split(1, RangeId(3), "t")) else { panic!("split again") };
    assert_eq!((halves[0].epoch, halves[1].epoch), (SplitEpoch(2), SplitEpoch(2)));
    assert!(matches!(world.command_to(RangeId(3), put(at(1, 1), "u", 1, b"x")), Answer::Put { .. }));
}

fn stretches(database: &IndexDatabase, range: RangeId, bytes_max: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut take = |stretch| {
        all.push(stretch);
        ControlFlow::Continue(())
    };
    database.reader().expect("a reader").range_rows(range, bytes_max, &mut take).expect("read");
    all
}

/// A database on disk, split, with all kinds of rows on both sides.
fn split_on_disk() -> (tempfile::TempDir, World) {
    let directory = tempfile::tempdir().expect("made");
    let mut world = World { database: opened(&directory), time: Timestamp::from_seconds(1_000_000) };
    let config = BucketConfig { versioning: Versioning::Enabled, ..BucketConfig::default() };
    world.apply(CommandBody::CreateBucketRow { id: BucketId(1), config });
    for (text, number) in [("a", 1), ("a", 2), ("l\0", 3), ("m", 4), ("m", 5), ("z", 6)] {
        world.command(put(at(1, 1), text, number, b"bytes"));
    }
    for (text, id) in [("b", 1), ("y", 2)] {
        world.command(create_upload(at(1, 1), text, upload_id(id)));
        world.command(put_part(at(1, 1), text, upload_id(id), part_in(1, &[run(1, id.into(), 100)])));
    }
    world.command(delete(at(1, 1), "z", 9, None));
    let moved = world
        .database
        .reader()
        .expect("a reader")
        .usage_from(FIRST_DATA_RANGE, &HomeKey { bucket: BucketId(1), key: key("m") });
    let Answer::Split(_) = world.command(split_at("m", moved.expect("counted"))) else { panic!("split") };
    (directory, world)
}

#[test]
fn the_rows_of_both_halves_make_the_same_index() {
    let (_directory, mut world) = split_on_disk();
    for bytes_max in [1, 300, 1 << 20] {
        let mut copy = IndexDatabase::in_memory().unwrap();
        for range in [CHILD, FIRST_DATA_RANGE] {
            let all = stretches(&world.database, range, bytes_max);
            let told = index::descriptor_in(&all[0], range).unwrap();
            assert!(world.database.descriptors().unwrap().contains(&told.expect("the first stretch says it")));
            let bodies = copy.last_body().unwrap();
            all.iter().for_each(|stretch| copy.take_rows(stretch, bodies).unwrap());
        }
        assert_eq!(copy.verify().unwrap(), Vec::<String>::new());
        assert_eq!(copy.digest().unwrap(), world.database.digest().unwrap(), "stretches of {bytes_max}");
    }
    let counted = usage(&mut world, CHILD);
    assert_eq!((counted.objects, counted.versions, counted.markers, counted.uploads), (1, 3, 1, 1));
    assert_eq!((counted.bytes, counted.upload_bytes), (15, 100), "what was moved is what it has");
}

#[test]
fn rows_are_installed_beside_the_other_half_and_never_over_it() {
    let (_directory, world) = split_on_disk();
    let install = |other: &mut IndexDatabase, range: RangeId| {
        let all = stretches(&world.database, range, 300);
        let comes = index::descriptor_in(&all[0], range).unwrap();
        other.begin_install(range, Bytes::from_static(b"mark"), comes.as_ref())?;
        while !other.clear_rows(range)? {}
        let bodies = other.last_body()?;
        all.iter().try_for_each(|stretch| other.install_rows(stretch, bodies))?;
        other.finish_install(range, &all[0])
    };
    // One that knows nothing of the parent gets the child first, and then the parent beside it.
    let mut blank = IndexDatabase::in_memory().unwrap();
    install(&mut blank, CHILD).unwrap();
    install(&mut blank, FIRST_DATA_RANGE).unwrap();
    install(&mut blank, CHILD).unwrap();
    assert_eq!(blank.verify().unwrap(), Vec::<String>::new());
    assert_eq!(blank.digest().unwrap(), world.database.digest().unwrap());

    // One that has the whole range at an older epoch takes the child only by the parent's split, or by its rows.
    let (mut behind, bucket) = World::with_bucket(Versioning::Enabled);
    behind.command(put(bucket, "x", 7, b"old"));
    let before = behind.database.digest().unwrap();
    let refused = install(&mut behind.database, CHILD);
    assert!(matches!(refused, Err(IndexDatabaseError::Overlap { range: CHILD, with: FIRST_DATA_RANGE })));
    assert_eq!(behind.database.digest().unwrap(), before, "nothing was changed, and it goes on");
    install(&mut behind.database, FIRST_DATA_RANGE).unwrap();
    install(&mut behind.database, CHILD).unwrap();
    assert_eq!(behind.database.verify().unwrap(), Vec::<String>::new());
    assert_eq!(behind.database.digest().unwrap(), world.database.digest().unwrap());

    // And rows of the parent from before the split do not come over the child.
    let directory = tempfile::tempdir().unwrap();
    let mut whole = World { database: opened(&directory), time: Timestamp(1) };
    whole.apply(CommandBody::CreateBucketRow { id: BucketId(1), config: BucketConfig::default() });
    let all = stretches(&whole.database, FIRST_DATA_RANGE, 300);
    let comes = index::descriptor_in(&all[0], FIRST_DATA_RANGE).unwrap().unwrap();
    let mut child_alone = IndexDatabase::in_memory().unwrap();
    install(&mut child_alone, CHILD).unwrap();
    let refused = child_alone.begin_install(FIRST_DATA_RANGE, Bytes::from_static(b"mark"), Some(&comes));
    assert!(matches!(refused, Err(IndexDatabaseError::Overlap { .. })), "{refused:?}");
}

#[test]
fn the_middle_is_between_two_objects_and_halves_the_bytes() {
    let (_directory, mut world) = split_on_disk();
    let mut reader = world.database.reader().unwrap();
    for number in 0..500u64 {
        world.command_to(CHILD, put(at(1, 1), &format!("p{number:04}"), number, &[7; 2000]));
    }
    let measured = reader.measure(CHILD).unwrap();
    assert!((1_000_000..1_400_000).contains(&measured.bytes), "{measured:?}");
    let middle = measured.middle.expect("there is one");
    assert_eq!(middle.bucket, BucketId(1));
    let text = String::from_utf8(middle.key.as_bytes().to_vec()).unwrap();
    assert!(("p0240".."p0260").contains(&text.as_str()), "{text}");
    let empty = reader.measure(RangeId(77)).unwrap();
    assert_eq!((empty.bytes, empty.middle), (0, None));
}

#[test]
fn a_range_of_one_key_has_no_middle() {
    let directory = tempfile::tempdir().unwrap();
    let mut world = World { database: opened(&directory), time: Timestamp::from_seconds(1_000_000) };
    let config = BucketConfig { versioning: Versioning::Enabled, ..BucketConfig::default() };
    world.apply(CommandBody::CreateBucketRow { id: BucketId(1), config });
    for number in 0..20 {
        world.command(put(at(1, 1), "only", number, b"version"));
    }
    let measured = world.database.reader().unwrap().measure(FIRST_DATA_RANGE).unwrap();
    assert!(measured.bytes > 1000 && measured.middle.is_none(), "{measured:?}");
}

/// A release that knows of no splits must not read on; until then it may.
#[test]
fn the_format_of_the_database_rises_with_the_first_split() {
    let directory = tempfile::tempdir().unwrap();
    let mut world = World { database: opened(&directory), time: Timestamp::from_seconds(1_000_000) };
    let format = || {
        let disk = std::sync::Arc::new(platform::RealDisk::create(directory.path().join("disk")).expect("there"));
        let location = sqlite_vfs::DatabaseLocation { disk, path: "index".into() };
        let reader = sqlite_vfs::open(&location, sqlite_vfs::Role::Reader, &sqlite_vfs::Settings::default()).unwrap();
        reader.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0)).unwrap()
    };
    world.apply(CommandBody::CreateBucketRow { id: BucketId(1), config: BucketConfig::default() });
    world.command(put(at(1, 1), "a", 1, b"x"));
    assert_eq!(format(), 1);
    split(&mut world);
    assert_eq!(format(), 2);
    drop(world);
    let mut again = World { database: opened(&directory), time: Timestamp::from_seconds(2_000_000) };
    assert!(
        matches!(again.command_to(CHILD, put(at(1, 1), "z", 1, b"x")), Answer::Put { .. }),
        "it goes on where it was"
    );
}
