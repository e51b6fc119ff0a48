//! The rows of a range as a stream: taken in elsewhere, they are the same index.

use std::ops::ControlFlow;

use index::command::{
    CommandBody, CompletePart, CompleteUpload, DocumentKind, IdentityChange, IdentityKind, SetBucketDocument,
    WhichVersion, WriteConditions,
};
use index::contract::samples::{
    access_key, account, create_upload, delete, etag, form_cluster, identity, key, new_version, numbered, part_in,
    plain, policy, put, put_object, put_part, run, upload_id,
};
use index::{Answer, FIRST_DATA_RANGE, IndexDatabase, IndexDatabaseError, Query, QueryAnswer, SYSTEM_RANGE};
use types::{AccountId, NodeId, RangeId, Versioning};

use crate::world::{World, opened};

/// An index on a disk with rows in every table.
fn full_world() -> (tempfile::TempDir, World) {
    let directory = tempfile::tempdir().expect("made");
    let mut world = World { database: opened(&directory), ..World::new() };
    world.apply(CommandBody::Form(Box::new(form_cluster())));
    world.apply(CommandBody::GrantTicket { holder: NodeId::from_bytes([1; 16]), nonce: [1; 16] });
    let config = index::command::BucketConfig::default();
    world.apply(CommandBody::CreateBucketRow { id: types::BucketId(1), config });
    let record = index::command::BucketRecord {
        id: types::BucketId(0),
        namespace: types::Namespace::default(),
        name: types::BucketName::new("a-bucket").expect("made"),
        owner: index::contract::samples::owner(),
        region: String::new(),
        created: world.time,
        state: index::command::BucketRecordState::Live,
    };
    world.apply(CommandBody::ReserveBucket { record: Box::new(record), token: [1; 16] });
    let at = index::contract::samples::at(1, 1);
    world.command(put(at, "null\0key", 1, b"inline bytes"));
    let at = world.set_versioning(at, Versioning::Enabled);
    world.command(put(at, "null\0key", 2, b"second"));
    world.command(delete(at, "null\0key", 3, None));
    let mut striped = put_object(at, key("striped"), 4, part_in(1, &[run(1, 1, 5000)]));
    striped.degraded = true;
    world.command(numbered(1, 1, 0, CommandBody::PutObject(Box::new(striped))));
    world.command(put(at, "gone", 5, b"x"));
    world.apply(CommandBody::DiscardRuns { runs: vec![run(1, 99, 10)] });
    for seed in [1, 2] {
        world.command(create_upload(at, "upload", upload_id(seed)));
        world.command(put_part(at, "upload", upload_id(seed), part_in(1, &[run(1, 10 + u64::from(seed), 6000)])));
    }
    complete(&mut world, at);
    (directory, world)
}

/// Rows that came with level 3.
fn add_documents(world: &mut World) {
    let bucket = types::BucketId(1);
    world.apply(CommandBody::PublishBucket { id: bucket, token: [1; 16] });
    for (kind, text) in [(DocumentKind::Tagging, &b"<Tagging/>"[..]), (DocumentKind::Cors, b"<CORSConfiguration/>")] {
        let document = Some(bytes::Bytes::from_static(text));
        let set = SetBucketDocument { bucket, kind, document };
        assert_eq!(world.apply(CommandBody::SetBucketDocument(Box::new(set))), Answer::Done);
    }
    for change in [
        IdentityChange::CreateAccount(Box::new(account(7))),
        IdentityChange::Create { account: AccountId(7), row: Box::new(identity(IdentityKind::User, "Bob")) },
        IdentityChange::CreateAccessKey(Box::new(access_key("KEY", AccountId(7), Some("bob")))),
        IdentityChange::CreatePolicy { account: AccountId(7), row: Box::new(policy("read", "{}")) },
    ] {
        assert_eq!(world.apply(CommandBody::ChangeIdentity(Box::new(change))), Answer::Done);
    }
}

fn complete(world: &mut World, at: index::command::BucketAt) {
    let parts = Query::Parts { bucket: at.id, key: key("upload"), upload: upload_id(2), after: 0, limit: 9 };
    let QueryAnswer::Parts(parts) = world.ask(parts) else { panic!("parts") };
    let name = |part: &types::Part| CompletePart {
        number: part.number,
        etag: part.etag,
        modified: part.modified,
        plain_bytes: part.plain_bytes,
    };
    let complete = CompleteUpload {
        bucket: at,
        key: key("upload"),
        upload: upload_id(2),
        conditions: WriteConditions::default(),
        parts: parts.iter().map(name).collect(),
        manifest: None,
        version: new_version(7, 6000, etag(9)),
    };
    let answer = world.command(plain(CommandBody::CompleteUpload(Box::new(complete))));
    assert!(matches!(answer, Answer::Put { .. }), "{answer:?}");
}

#[test]
fn the_rows_of_all_ranges_make_the_same_index() {
    let (_directory, mut world) = full_world();
    add_documents(&mut world);
    let mut reader = world.database.reader().unwrap();
    for bytes_max in [1, 500, 1 << 20] {
        let mut copy = IndexDatabase::in_memory().unwrap();
        for range in [FIRST_DATA_RANGE, SYSTEM_RANGE] {
            let mut stretches = Vec::new();
            let mut take = |stretch| {
                stretches.push(stretch);
                ControlFlow::Continue(())
            };
            let state = reader.range_rows(range, bytes_max, &mut take).unwrap();
            assert_eq!(state, world.database.applied(range).unwrap());
            let bodies = copy.last_body().unwrap();
            stretches.iter().for_each(|stretch| copy.take_rows(stretch, bodies).unwrap());
        }
        assert_eq!(copy.verify().unwrap(), Vec::<String>::new());
        assert_eq!(copy.digest().unwrap(), world.database.digest().unwrap(), "stretches of {bytes_max}");
        let mut copied = World { database: copy, time: world.time };
        // It goes on as the original does: what a writer remembers is right too.
        let at = index::contract::samples::at(1, 2);
        assert!(matches!(copied.command(put(at, "more", 8, b"y")), Answer::Put { .. }));
        assert_eq!(copied.version("striped", WhichVersion::Newest).unwrap().plain_bytes, 5000);
    }
}

/// A replica that has other rows gets those of another one in place of its own, range by range; until a range has them
/// all, it says so.
#[test]
fn installed_rows_take_the_place_of_those_that_were_there() {
    let (_directory, mut world) = full_world();
    add_documents(&mut world);
    let (other_directory, mut other) = full_world();
    let at = index::contract::samples::at(1, 2);
    assert!(matches!(other.command(put(at, "only here", 8, b"y")), Answer::Put { .. }));
    assert_ne!(other.database.digest().unwrap(), world.database.digest().unwrap());
    let mut reader = world.database.reader().unwrap();
    let mark = bytes::Bytes::from_static(b"installing");
    for range in [FIRST_DATA_RANGE, SYSTEM_RANGE] {
        let mut stretches = Vec::new();
        let mut take = |stretch| {
            stretches.push(stretch);
            ControlFlow::Continue(())
        };
        reader.range_rows(range, 300, &mut take).unwrap();
        let untouched = if range == SYSTEM_RANGE { FIRST_DATA_RANGE } else { SYSTEM_RANGE };
        let before = other.database.applied(untouched).unwrap();
        // Twice, as after a crash in between.
        for _ in 0..2 {
            other.database.begin_install(range, mark.clone(), None).unwrap();
            while !other.database.clear_rows(range).unwrap() {}
            let bodies = other.database.last_body().unwrap();
            for stretch in &stretches {
                other.database.install_rows(stretch, bodies).unwrap();
                assert_eq!(other.database.applied(range).unwrap().unwrap().applied, mark);
            }
        }
        assert!(other.database.finish_install(RangeId(77), &stretches[0]).is_err(), "the rows of another range");
        let after_failure = other.database.begin_install(range, mark.clone(), None);
        assert!(matches!(after_failure, Err(IndexDatabaseError::Failed)));
        other.database = opened(&other_directory);
        assert_eq!(other.database.applied(range).unwrap().unwrap().applied, mark, "what failed changed nothing");
        other.database.finish_install(range, &stretches[0]).unwrap();
        assert_eq!(other.database.applied(range).unwrap(), world.database.applied(range).unwrap());
        assert_eq!(other.database.applied(untouched).unwrap(), before);
    }
    assert_eq!(other.database.verify().unwrap(), Vec::<String>::new());
    assert_eq!(other.database.digest().unwrap(), world.database.digest().unwrap());
}

#[test]
fn a_stream_can_be_broken_off_and_foreign_bytes_are_refused() {
    let (_directory, world) = full_world();
    let mut reader = world.database.reader().unwrap();
    let mut first = Vec::new();
    let mut take = |stretch| {
        first = stretch;
        ControlFlow::Break(())
    };
    assert_eq!(reader.range_rows(FIRST_DATA_RANGE, 100, &mut take).unwrap(), None);
    let mut cut = first.clone();
    cut.pop();
    let mut newer = first;
    newer[0] = 2;
    for foreign in [&b""[..], &cut, &newer, b"\x01\x63\x00"] {
        let mut copy = IndexDatabase::in_memory().unwrap();
        assert!(matches!(copy.take_rows(foreign, 0), Err(IndexDatabaseError::Damaged { .. })));
    }
}

fn stretches_of(world: &World, ranges: &[RangeId]) -> String {
    let mut all = Vec::new();
    for range in ranges {
        let mut take = |stretch: Vec<u8>| {
            all.push(hex::encode(stretch));
            ControlFlow::Continue(())
        };
        world.database.reader().expect("a reader").range_rows(*range, usize::MAX, &mut take).expect("read");
    }
    all.join("\n")
}

/// Bytes on disks outlive the release that wrote them.
#[test]
fn stretches_of_version_1_stay_readable() {
    let (_directory, mut world) = full_world();
    let all = stretches_of(&world, &[SYSTEM_RANGE, FIRST_DATA_RANGE]);
    let golden = include_str!("../golden/range_rows");
    assert!(golden.trim() == all, "tests/golden/range_rows should read:\n{all}");
    add_documents(&mut world);
    let system = stretches_of(&world, &[SYSTEM_RANGE]);
    let golden = include_str!("../golden/range_rows_level_3");
    assert!(golden.trim() == system, "tests/golden/range_rows_level_3 should read:\n{system}");
}
