//! Entries: one transaction a batch, and how far a range is stands in it.

use bytes::Bytes;
use index::command::CommandBody;
use index::contract::samples::{at, plain, put};
use index::{AppliedState, FIRST_DATA_RANGE, IndexDatabase, Query, QueryAnswer, RangeEntry, SYSTEM_RANGE};
use types::{BucketId, NodeId, RangeId, Timestamp};

fn entry(
    range: RangeId,
    name: &'static str,
    membership: Option<&'static str>,
    commands: Vec<CommandBody>,
) -> RangeEntry {
    RangeEntry {
        range,
        applied: name.into(),
        membership: membership.map(Bytes::from),
        time: Timestamp(1_000),
        commands: commands.into_iter().map(plain).collect(),
    }
}

#[test]
fn each_range_says_how_far_it_is_and_keeps_its_last_membership() {
    let mut database = IndexDatabase::in_memory().unwrap();
    assert_eq!(database.applied(SYSTEM_RANGE).unwrap(), None);
    let grant = CommandBody::GrantTicket { holder: NodeId::from_bytes([1; 16]), nonce: [1; 16] };
    let batch = [
        entry(SYSTEM_RANGE, "s1", Some("one voter"), vec![grant]),
        entry(FIRST_DATA_RANGE, "d1", Some("two voters"), vec![]),
        entry(SYSTEM_RANGE, "s2", None, vec![]),
    ];
    let answers = database.apply(&batch).unwrap();
    assert_eq!(answers.iter().map(Vec::len).collect::<Vec<_>>(), [1, 0, 0], "an answer a command");
    let state = |applied: &'static str, membership: &'static str| AppliedState {
        applied: applied.into(),
        membership: Some(membership.into()),
    };
    assert_eq!(database.applied(SYSTEM_RANGE).unwrap(), Some(state("s2", "one voter")));
    assert_eq!(database.applied(FIRST_DATA_RANGE).unwrap(), Some(state("d1", "two voters")));
}

#[test]
fn commands_of_one_entry_get_stamps_of_their_own() {
    let mut database = IndexDatabase::in_memory().unwrap();
    let row = CommandBody::CreateBucketRow { id: BucketId(1), config: Default::default() };
    let puts = ["a", "b", "c"].map(|text| put(at(1, 1), text, 1, b"x").body);
    database.apply(&[entry(FIRST_DATA_RANGE, "1", None, [vec![row], puts.to_vec()].concat())]).unwrap();
    let query = Query::Objects(index::contract::samples::whole_bucket(1, 10));
    let QueryAnswer::Objects(page) = database.query(&query).unwrap() else { panic!("objects") };
    let stamps: Vec<u64> = page
        .entries
        .iter()
        .map(|entry| match entry {
            index::query::ListEntry::Entry(version) => version.id.stamp.0,
            other => panic!("an entry, not {other:?}"),
        })
        .collect();
    assert_eq!(stamps, [1_001, 1_002, 1_003]);
    assert_eq!(database.last_stamp(FIRST_DATA_RANGE).unwrap().0, 1_003);
}

#[test]
fn a_reader_answers_several_queries_from_one_moment() {
    let directory = tempfile::tempdir().unwrap();
    let disk = std::sync::Arc::new(platform::RealDisk::create(directory.path().join("disk")).unwrap());
    let location = sqlite_vfs::DatabaseLocation { disk, path: "index".into() };
    let mut database = IndexDatabase::open(location, index::IndexSettings::default()).unwrap();
    let row = CommandBody::CreateBucketRow { id: BucketId(1), config: Default::default() };
    database.apply(&[entry(FIRST_DATA_RANGE, "1", None, vec![row])]).unwrap();
    let mut reader = database.reader().unwrap();
    let queries = [Query::BucketRow(BucketId(1)), Query::BucketRow(BucketId(2)), Query::Cluster];
    let answers: Vec<QueryAnswer> = reader
        .query_all(queries.iter().map(|query| (FIRST_DATA_RANGE, query)))
        .unwrap()
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert!(matches!(
        &answers[..],
        [QueryAnswer::BucketRow(Some(_)), QueryAnswer::BucketRow(None), QueryAnswer::Cluster(None)]
    ));
    assert_eq!(reader.digest().unwrap(), database.digest().unwrap());
    assert_eq!(reader.applied().unwrap().len(), 1);
}

#[test]
fn another_programs_database_and_a_newer_one_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let disk = std::sync::Arc::new(platform::RealDisk::create(directory.path().join("disk")).unwrap());
    let location = || sqlite_vfs::DatabaseLocation { disk: disk.clone(), path: "index".into() };
    let settings = sqlite_vfs::Settings::default();
    let set = |pragma: &str, value: u32| {
        let connection = sqlite_vfs::open(&location(), sqlite_vfs::Role::Writer, &settings).unwrap();
        connection.pragma_update(None, pragma, value).unwrap();
    };
    let open = || IndexDatabase::open(location(), index::IndexSettings::default()).map(drop);
    open().unwrap();
    set("user_version", 3);
    let error = open().unwrap_err();
    assert!(matches!(error, index::IndexDatabaseError::NewerFormat { found: 3, known: 2 }), "{error:?}");
    set("application_id", 77);
    assert!(matches!(open().unwrap_err(), index::IndexDatabaseError::Damaged { .. }));
}
