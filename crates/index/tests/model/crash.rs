//! The index on a disk that loses its power: what was checkpointed stays, and the log brings back the rest.
//!
//! Method: a log is applied in batches with checkpoints between them, and the power goes at one step of the disk after
//! the other. What is left must open, agree with itself, name an applied entry not older than that of the last complete
//! checkpoint (the log is purged up to there), and, once the log is replayed from there, have the digest of an index
//! that lost nothing.

use std::sync::Arc;

use index::{FIRST_DATA_RANGE, IndexDatabase, IndexDatabaseError, IndexSettings, RangeEntry};
use platform::FaultyDisk;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sqlite_vfs::DatabaseLocation;

use crate::writer::{Writer, step};

const BATCH: usize = 3;
const CHECKPOINT_EVERY: usize = 4;

fn log(length: usize) -> Vec<RangeEntry> {
    let steps = vec((0u64..40, step()), length).new_tree(&mut TestRunner::deterministic()).expect("steps").current();
    let mut writer = Writer::new();
    for (time, step) in &steps {
        writer.step(*time, step);
    }
    writer.log
}

fn open(disk: &FaultyDisk) -> Result<IndexDatabase, IndexDatabaseError> {
    let location = DatabaseLocation { disk: Arc::new(disk.clone()), path: "index.sqlite".into() };
    IndexDatabase::open(location, IndexSettings::default())
}

/// Applies the log until the disk fails; `purged` is how much of it is no longer needed.
fn run(disk: &FaultyDisk, log: &[RangeEntry], purged: &mut usize) -> Result<(), IndexDatabaseError> {
    let mut database = open(disk)?;
    for (at, batch) in log.chunks(BATCH).enumerate() {
        database.apply(batch)?;
        if at % CHECKPOINT_EVERY == CHECKPOINT_EVERY - 1 && database.checkpoint()?.complete {
            *purged = at * BATCH + batch.len();
        }
    }
    Ok(())
}

/// How many entries of the log the database holds.
fn applied(database: &IndexDatabase, log: &[RangeEntry]) -> usize {
    let state = database.applied(FIRST_DATA_RANGE).expect("read");
    state.map_or(0, |state| 1 + log.iter().position(|entry| entry.applied == state.applied).expect("an entry's name"))
}

fn check_survivor(disk: &FaultyDisk, log: &[RangeEntry], purged: usize, digest: [u8; 32]) {
    let mut database = open(disk).expect("what is left opens");
    assert_eq!(database.verify().expect("rows can be read"), Vec::<String>::new());
    let applied = applied(&database, log);
    assert!(applied >= purged, "entry {applied} is the last one left, but the log was purged up to {purged}");
    assert!(applied.is_multiple_of(BATCH) || applied == log.len(), "a batch is applied whole or not at all");
    database.apply(&log[applied..]).expect("the log is replayed");
    assert_eq!(database.digest().expect("read"), digest, "a replayed index is the same");
}

#[test]
fn a_power_loss_at_any_step_is_healed_by_the_log() {
    let log = log(48);
    let mut whole = IndexDatabase::in_memory().expect("opened");
    whole.apply(&log).expect("applied");
    let digest = whole.digest().expect("read");

    let steady = FaultyDisk::new(1);
    let mut purged = 0;
    run(&steady, &log, &mut purged).expect("without a loss the log is applied to its end");
    assert!(purged > 0, "a run without a checkpoint shows little");
    for step in 1..=steady.counts().steps {
        let disk = FaultyDisk::new(step);
        disk.power_off_at(step);
        let mut purged = 0;
        run(&disk, &log, &mut purged).expect_err("the power went");
        check_survivor(&disk.crash(), &log, purged, digest);
        check_survivor(&disk.after_power_loss(step + 1), &log, purged, digest);
    }
}

#[test]
fn a_database_that_failed_takes_nothing_more() {
    let log = log(30);
    let disk = FaultyDisk::new(1);
    let mut database = open(&disk).expect("opened");
    database.apply(&log[..10]).expect("applied");
    disk.set_read_only(true);
    database.apply(&log[10..20]).expect_err("the disk takes no writes");
    disk.set_read_only(false);
    assert!(matches!(database.apply(&log[10..20]), Err(IndexDatabaseError::Failed)), "memory may be ahead of the rows");
    drop(database);
    let mut again = open(&disk).expect("opened anew");
    again.apply(&log[10..]).expect("the failed batch left nothing");
    let mut whole = IndexDatabase::in_memory().expect("opened");
    whole.apply(&log).expect("applied");
    assert_eq!(again.digest().expect("read"), whole.digest().expect("read"));
}

#[test]
fn a_full_disk_is_told_apart_and_what_was_committed_stays() {
    let log = log(40);
    let disk = FaultyDisk::new(1);
    let mut database = open(&disk).expect("opened");
    database.apply(&log[..10]).expect("applied");
    disk.set_capacity(0);
    let error = log[10..].chunks(1).find_map(|entry| database.apply(entry).err()).expect("no room for all of it");
    assert!(matches!(error, IndexDatabaseError::DiskFull(_)), "{error:?}");
    disk.set_capacity(1 << 30);
    let again = open(&disk).expect("opened anew");
    assert!(applied(&again, &log) >= 10);
    assert_eq!(again.verify().expect("rows can be read"), Vec::<String>::new());
}

#[test]
fn a_copy_is_the_index_at_one_moment() {
    let log = log(40);
    let disk = FaultyDisk::new(1);
    let mut database = open(&disk).expect("opened");
    let mut reader = {
        database.apply(&log[..20]).expect("applied");
        database.reader().expect("a reader")
    };
    let place = DatabaseLocation { disk: Arc::new(FaultyDisk::new(2)), path: "copy.sqlite".into() };
    let held = reader.copy_to(&place).expect("copied");
    database.apply(&log[20..]).expect("applied");

    let mut copy = IndexDatabase::open(place, IndexSettings::default()).expect("a copy opens");
    let state = copy.applied(FIRST_DATA_RANGE).expect("read").expect("entries were applied");
    assert_eq!(held, [(FIRST_DATA_RANGE, state)], "the copy says how far it is");
    assert_eq!(applied(&copy, &log), 20);
    copy.apply(&log[20..]).expect("the log brings it up");
    assert_eq!(copy.digest().expect("read"), database.digest().expect("read"));
}

#[test]
fn a_checkpoint_beside_the_writer_says_what_is_durable() {
    let log = log(40);
    let disk = FaultyDisk::new(1);
    let mut database = open(&disk).expect("opened");
    let mut checkpointer = database.checkpointer().expect("a checkpointer");
    database.apply(&log[..25]).expect("applied");
    assert!(database.wal_bytes() > 0);
    let checkpoint = checkpointer.checkpoint().expect("checkpointed");
    assert!(checkpoint.complete);
    database.apply(&log[25..]).expect("applied");
    let left = open(&disk.crash()).expect("what is left opens");
    let [(range, state)] = &checkpoint.applied[..] else { panic!("one range, not {:?}", checkpoint.applied) };
    assert_eq!((*range, &state.applied), (FIRST_DATA_RANGE, &log[24].applied));
    assert!(applied(&left, &log) >= 25, "what a complete checkpoint names outlives a power loss");
}

#[test]
fn a_reader_that_stays_holds_up_neither_writer_nor_checkpoint() {
    let log = log(40);
    let disk = FaultyDisk::new(1);
    let mut database = open(&disk).expect("opened");
    database.apply(&log[..10]).expect("applied");
    let location = DatabaseLocation { disk: Arc::new(disk.clone()), path: "index.sqlite".into() };
    let staying =
        sqlite_vfs::open(&location, sqlite_vfs::Role::Reader, &sqlite_vfs::Settings::default()).expect("opened");
    staying.execute_batch("BEGIN; SELECT count(*) FROM current").expect("a transaction that stays");
    database.apply(&log[10..20]).expect("applied");
    let mut checkpointer = database.checkpointer().expect("a checkpointer");
    assert!(!checkpointer.checkpoint().expect("no failure").complete, "the reader still needs the older state");
    database.apply(&log[20..]).expect("the writer goes on");
    staying.execute_batch("COMMIT").expect("ended");
    assert!(checkpointer.checkpoint().expect("no failure").complete);
}
