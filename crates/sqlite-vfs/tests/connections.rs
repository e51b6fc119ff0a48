//! Several connections of one process at one database: writers exclude each other, readers see whole transactions, and
//! checkpoints run meanwhile. On both kinds of disks, for the locks are ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use platform::{Disk, Entropy, FaultyDisk, RealDisk, SeededEntropy};
use rusqlite::TransactionBehavior;
use sqlite_vfs::{DatabaseLocation, Role, Settings, checkpoint, copy_database, integrity_check, open};

const ACCOUNTS: i64 = 20;
const TRANSFERS: i64 = 150;
const WRITERS: i64 = 3;

fn on_both_disks(test: impl Fn(&DatabaseLocation)) {
    let at = |disk: Arc<dyn Disk>| DatabaseLocation { disk, path: "test.db".into() };
    test(&at(Arc::new(FaultyDisk::new(1))));
    let directory = tempfile::tempdir().expect("a temporary directory");
    test(&at(Arc::new(RealDisk::open(directory.path()).expect("it is there"))));
}

/// Each writer moves amounts between accounts; a reader that saw half a transfer would see another sum.
fn transfer(location: &DatabaseLocation, seed: u64) {
    let mut writer = open(location, Role::Writer, &Settings::default()).expect("opened");
    let dice = SeededEntropy::new(seed);
    for _ in 0..TRANSFERS {
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate).expect("begun");
        let amount = (dice.number() % 100) as i64;
        for (account, amount) in [(dice.number() % 20, -amount), (dice.number() % 20, amount)] {
            transaction
                .execute("UPDATE accounts SET amount = amount + ?2 WHERE id = ?1", [account as i64, amount])
                .expect("updated");
        }
        transaction.execute("UPDATE transfers SET n = n + 1", []).expect("counted");
        transaction.commit().expect("committed");
    }
}

#[test]
fn readers_see_whole_transactions_while_writers_and_checkpoints_run() {
    on_both_disks(|location| {
        let writer = open(location, Role::Writer, &Settings::default()).expect("made");
        writer
            .execute_batch(
                "CREATE TABLE accounts (id INTEGER PRIMARY KEY, amount INTEGER, filling BLOB DEFAULT (zeroblob(900)));
                 CREATE TABLE transfers (n INTEGER); INSERT INTO transfers VALUES (0);",
            )
            .expect("made");
        for account in 0..ACCOUNTS {
            writer.execute("INSERT INTO accounts (id, amount) VALUES (?1, 1000)", [account]).expect("made");
        }
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let reader = open(location, Role::Reader, &Settings::default()).expect("opened");
                    let mut last = 0;
                    while !done.load(Ordering::Acquire) {
                        let (sum, n): (i64, i64) = reader
                            .query_row(
                                "SELECT (SELECT sum(amount) FROM accounts), (SELECT n FROM transfers)",
                                [],
                                |row| Ok((row.get(0)?, row.get(1)?)),
                            )
                            .expect("read");
                        assert_eq!(sum, ACCOUNTS * 1000);
                        assert!(n >= last, "time went back");
                        last = n;
                    }
                });
            }
            scope.spawn(|| {
                let own = open(location, Role::Writer, &Settings::default()).expect("opened");
                while !done.load(Ordering::Acquire) {
                    checkpoint(&own).expect("checkpointed");
                }
            });
            let writers: Vec<_> =
                (0..WRITERS).map(|seed| scope.spawn(move || transfer(location, seed as u64))).collect();
            // Also when one panicked, so that the others end.
            let outcomes: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
            done.store(true, Ordering::Release);
            assert!(outcomes.iter().all(Result::is_ok));
        });
        let n: i64 = writer.query_row("SELECT n FROM transfers", [], |row| row.get(0)).expect("read");
        assert_eq!(n, WRITERS * TRANSFERS, "no transfer was lost");
        assert_eq!(integrity_check(&writer).expect("checked"), Vec::<String>::new());
    });
}

/// The same file by two disks and two paths: locks go by the file.
#[test]
fn connections_of_one_file_find_each_other_whatever_its_name() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let outer = Arc::new(RealDisk::open(directory.path()).expect("it is there"));
    let inner = Arc::new(RealDisk::create(directory.path().join("inner")).expect("made"));
    let settings = Settings { busy_timeout: std::time::Duration::ZERO, ..Settings::default() };
    let one = open(&DatabaseLocation { disk: inner, path: "test.db".into() }, Role::Writer, &settings).expect("made");
    let two =
        open(&DatabaseLocation { disk: outer, path: "inner/test.db".into() }, Role::Writer, &settings).expect("opened");
    one.execute_batch("CREATE TABLE t (n INTEGER); BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").expect("written");
    let refused = two.execute_batch("BEGIN IMMEDIATE").expect_err("the other one writes");
    assert_eq!(refused.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy));
    one.execute_batch("COMMIT").expect("committed");
    assert_eq!(two.query_row("SELECT n FROM t", [], |row| row.get::<_, i64>(0)), Ok(1));
}

#[test]
fn a_copy_has_the_state_of_the_readers_transaction_on_any_disk() {
    on_both_disks(|source| {
        on_both_disks(|target| {
            // The inner call's real disk is another directory, its faulty disk another disk.
            let target = DatabaseLocation { path: "copy.db".into(), ..target.clone() };
            let source = DatabaseLocation { path: "source.db".into(), ..source.clone() };
            let writer = open(&source, Role::Writer, &Settings::default()).expect("made");
            writer
                .execute_batch("CREATE TABLE IF NOT EXISTS t (n); DELETE FROM t; INSERT INTO t VALUES (1)")
                .expect("written");
            let reader = open(&source, Role::Reader, &Settings::default()).expect("opened");
            reader.execute_batch("BEGIN; SELECT * FROM t").expect("read");
            writer.execute_batch("INSERT INTO t VALUES (2)").expect("written");
            let count_in_copy = || {
                let copy = open(&target, Role::Reader, &Settings::default()).expect("opened");
                copy.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).expect("read")
            };
            copy_database(&reader, &target).expect("copied");
            assert_eq!(count_in_copy(), 1);
            reader.execute_batch("COMMIT").expect("ended");
            copy_database(&reader, &target).expect("copied again, over the old one");
            assert_eq!(count_in_copy(), 2);
            let mut names = target.disk.list(std::path::Path::new("")).expect("listed");
            names.retain(|name| !name.ends_with("-wal"));
            assert_eq!(names, ["copy.db"], "nothing else is left beside it");
        });
    });
}
