//! Databases on a disk that loses its power.
//!
//! A plan of random transactions, checkpoints and readers runs on a faulty disk until the power goes, at every step or
//! at random ones. After each loss the database must be whole and hold exactly the state after one of the transactions:
//! not one older than the last complete checkpoint (or, where each commit syncs, than the last commit), nor one that
//! had not begun. The reference is a map that replays the same plan.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use platform::{Disk, Entropy, FaultyDisk, RealDisk, SeededEntropy};
use rusqlite::{Connection, OptionalExtension};
use sqlite_vfs::{
    DatabaseLocation, Role, Settings, Synchronous, checkpoint, copy_database, integrity_check, open, quick_check,
};

type Rows = BTreeMap<u32, Vec<u8>>;

/// One transaction: rows to put, or to delete where there is no value.
type Changes = BTreeMap<u32, Option<Vec<u8>>>;

#[derive(Debug, Clone)]
enum Step {
    Commit(Changes),
    Rollback(Changes),
    Checkpoint,
    /// A reader begins or ends a transaction: while it lasts, a checkpoint may be incomplete.
    BeginRead,
    EndRead,
    /// The process dies and begins anew; the page cache stays.
    Restart,
}

#[derive(Debug)]
struct Plan {
    steps: Vec<Step>,
    /// What the table holds after each transaction; the first is before any.
    states: Vec<Rows>,
}

/// How far a run came.
#[derive(Debug, Default, Clone, Copy)]
struct Progress {
    begun: usize,
    committed: usize,
    checkpointed: usize,
}

impl Plan {
    fn new(seed: u64, length: usize, start: Rows) -> Self {
        let dice = SeededEntropy::new(seed);
        let below = |bound: u64| dice.number() % bound;
        let mut plan = Self { steps: Vec::new(), states: vec![start] };
        for _ in 0..length {
            let step = match below(12) {
                0 | 1 => Step::Checkpoint,
                2 => Step::BeginRead,
                3 => Step::EndRead,
                4 => Step::Rollback(changes(&dice)),
                5 => Step::Restart,
                _ => Step::Commit(changes(&dice)),
            };
            if let Step::Commit(changes) = &step {
                let mut state = plan.states.last().expect("the first is there").clone();
                for (&key, value) in changes {
                    match value {
                        Some(value) => state.insert(key, value.clone()),
                        None => state.remove(&key),
                    };
                }
                plan.states.push(state);
            }
            plan.steps.push(step);
        }
        plan
    }

    /// Runs until the end or the first error. Transactions are numbered from `first`, the number of the plan's start.
    fn run(&self, location: &DatabaseLocation, settings: &Settings, first: usize) -> Progress {
        let mut progress = Progress { begun: first, committed: first, checkpointed: 0 };
        // An error ends the run; the test judges what is left.
        let _ended: Result<(), Box<dyn std::error::Error>> = self.try_run(location, settings, first, &mut progress);
        progress
    }

    fn try_run(
        &self,
        location: &DatabaseLocation,
        settings: &Settings,
        first: usize,
        progress: &mut Progress,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let mut writer = open(location, Role::Writer, settings)?;
        writer.execute_batch(
            "CREATE TABLE IF NOT EXISTS rows (key INTEGER PRIMARY KEY, value BLOB NOT NULL);
             CREATE TABLE IF NOT EXISTS progress (only INTEGER PRIMARY KEY CHECK (only = 1), last INTEGER NOT NULL);",
        )?;
        let mut reader = open(location, Role::Reader, settings)?;
        let mut number = first;
        let mut seen = None;
        for step in &self.steps {
            match step {
                Step::Commit(changes) => {
                    number += 1;
                    progress.begun = number;
                    apply(&mut writer, changes, number)?.commit()?;
                    progress.committed = number;
                }
                Step::Rollback(changes) => apply(&mut writer, changes, number)?.rollback()?,
                Step::Checkpoint => {
                    if checkpoint(&writer)?.complete {
                        progress.checkpointed = number;
                    }
                }
                Step::BeginRead if reader.is_autocommit() => {
                    reader.execute_batch("BEGIN")?;
                    assert_eq!(last_of(&reader)?.unwrap_or(first), number, "a new reader sees the last commit");
                    seen = Some(number);
                }
                Step::EndRead if !reader.is_autocommit() => {
                    let seen = seen.take().expect("noted when it began");
                    assert_eq!(rows_of(&reader)?, self.states[seen - first], "a reader keeps its state");
                    reader.execute_batch("COMMIT")?;
                }
                Step::Restart => {
                    drop(std::mem::replace(&mut reader, Connection::open_in_memory()?));
                    drop(std::mem::replace(&mut writer, Connection::open_in_memory()?));
                    writer = open(location, Role::Writer, settings)?;
                    reader = open(location, Role::Reader, settings)?;
                }
                Step::BeginRead | Step::EndRead => {}
            }
        }
        Ok(())
    }
}

fn changes(dice: &SeededEntropy) -> Changes {
    (0..1 + dice.number() % 6)
        .map(|_| {
            let key = (dice.number() % 40) as u32;
            let value = (!dice.number().is_multiple_of(4)).then(|| {
                let mut value = vec![0; (dice.number() % 3000) as usize];
                dice.fill(&mut value);
                value
            });
            (key, value)
        })
        .collect()
}

fn apply<'a>(
    writer: &'a mut Connection,
    changes: &Changes,
    number: usize,
) -> rusqlite::Result<rusqlite::Transaction<'a>> {
    let transaction = writer.transaction()?;
    for (key, value) in changes {
        match value {
            Some(value) => {
                transaction.execute("INSERT OR REPLACE INTO rows VALUES (?1, ?2)", rusqlite::params![key, value])?
            }
            None => transaction.execute("DELETE FROM rows WHERE key = ?1", [key])?,
        };
    }
    transaction.execute("INSERT OR REPLACE INTO progress VALUES (1, ?1)", [number as i64])?;
    Ok(transaction)
}

fn last_of(connection: &Connection) -> rusqlite::Result<Option<usize>> {
    let last: Option<i64> = connection.query_row("SELECT last FROM progress", [], |row| row.get(0)).optional()?;
    Ok(last.map(|last| usize::try_from(last).expect("counted up from 0")))
}

fn rows_of(connection: &Connection) -> rusqlite::Result<Rows> {
    let mut statement = connection.prepare_cached("SELECT key, value FROM rows")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn on(disk: &FaultyDisk) -> DatabaseLocation {
    DatabaseLocation { disk: Arc::new(disk.clone()), path: "test.db".into() }
}

/// Nobody waits: the one reader and the writer are one thread.
fn settings(synchronous: Synchronous) -> Settings {
    Settings { synchronous, busy_timeout: Duration::ZERO, cache_bytes: 40 * 1024, ..Settings::default() }
}

/// Opens what a power loss left and returns the number of the transaction whose state it is.
fn check_survivor(location: &DatabaseLocation, plan: &Plan, first: usize, at_least: usize, at_most: usize) -> usize {
    let connection = open(location, Role::Writer, &settings(Synchronous::Normal)).expect("opened without a command");
    assert_eq!(integrity_check(&connection).expect("checked"), Vec::<String>::new());
    let has_tables: bool = connection
        .query_row("SELECT count(*) = 2 FROM sqlite_schema WHERE type = 'table'", [], |row| row.get(0))
        .expect("read");
    let (last, rows) = if has_tables {
        (last_of(&connection).expect("read").unwrap_or(0), rows_of(&connection).expect("read"))
    } else {
        (0, Rows::new())
    };
    assert!(
        (at_least..=at_most).contains(&last),
        "transaction {last} is the last one left, but it must be in {at_least}..={at_most}"
    );
    assert!(rows == plan.states[last - first], "the state is not the one after transaction {last}");
    last
}

/// Cuts the power, checks what is left, and what else might have been; returns the first and its last transaction.
fn crash_and_check(
    disk: &FaultyDisk,
    plan: &Plan,
    first: usize,
    synchronous: Synchronous,
    progress: Progress,
) -> (FaultyDisk, usize) {
    let at_least = match synchronous {
        Synchronous::Normal => progress.checkpointed.max(first),
        Synchronous::Full => progress.committed,
    };
    let after = disk.crash();
    let last = check_survivor(&on(&after), plan, first, at_least, progress.begun);
    for seed in 0..3 {
        check_survivor(&on(&disk.after_power_loss(seed)), plan, first, at_least, progress.begun);
    }
    (after, last)
}

#[test]
fn a_power_loss_at_every_step_leaves_a_whole_prefix_with_the_last_checkpoint() {
    for (seed, synchronous) in [(1, Synchronous::Normal), (2, Synchronous::Full), (4, Synchronous::Normal)] {
        let plan = Plan::new(seed, 24, Rows::new());
        let whole = FaultyDisk::new(seed);
        let progress = plan.run(&on(&whole), &settings(synchronous), 0);
        assert_eq!(progress.committed, plan.states.len() - 1, "without a loss the plan runs to its end");
        assert!(progress.checkpointed > 0, "a plan without a checkpoint shows little");
        for step in 1..=whole.counts().steps {
            let disk = FaultyDisk::new(seed);
            disk.power_off_at(step);
            let progress = plan.run(&on(&disk), &settings(synchronous), 0);
            assert!(!disk.is_powered());
            crash_and_check(&disk, &plan, 0, synchronous, progress);
        }
    }
}

#[test]
fn a_database_outlives_one_power_loss_after_the_other() {
    for seed in 0..6 {
        let synchronous = if seed % 2 == 0 { Synchronous::Normal } else { Synchronous::Full };
        let dice = SeededEntropy::new(seed);
        let mut disk = FaultyDisk::new(seed);
        let (mut last, mut rows) = (0, Rows::new());
        for generation in 0..8 {
            let plan = Plan::new(seed * 100 + generation, 60, rows);
            disk.power_off_at(1 + dice.number() % 500);
            let progress = plan.run(&on(&disk), &settings(synchronous), last);
            let (after, left) = crash_and_check(&disk, &plan, last, synchronous, progress);
            let connection = open(&on(&after), Role::Writer, &settings(synchronous)).expect("opened");
            assert!(checkpoint(&connection).expect("checkpointed").complete);
            (disk, rows, last) = (after, plan.states[left - last].clone(), left);
        }
        assert!(last > 20, "only {last} transactions were committed");
    }
}

/// The process dies and the page cache stays: everything that was committed is there.
#[test]
fn a_killed_process_loses_nothing_that_was_committed() {
    let disk = FaultyDisk::new(1);
    let plan = Plan::new(1, 60, Rows::new());
    let progress = plan.run(&on(&disk), &settings(Synchronous::Normal), 0);
    check_survivor(&on(&disk), &plan, 0, progress.committed, progress.committed);
}

fn wal_bytes(disk: &FaultyDisk) -> Option<u64> {
    disk.status(Path::new("test.db-wal")).expect("looked up").map(|status| status.bytes)
}

/// It made the files and died before it came to sync their directory; the next one must not take them for durable.
#[test]
fn names_that_a_killed_process_left_unsynced_are_durable_with_the_next_synced_commit() {
    let disk = FaultyDisk::new(1);
    let source = open(&on(&FaultyDisk::new(2)), Role::Writer, &settings(Synchronous::Normal)).expect("opened");
    source.execute_batch("CREATE TABLE t (n INTEGER)").expect("written");
    copy_database(&source, &on(&disk)).expect("copied; a copy has no WAL");
    let first = open(&on(&disk), Role::Reader, &settings(Synchronous::Full)).expect("opened");
    assert_eq!(wal_bytes(&disk), Some(0), "reading makes a WAL, and the process dies");
    drop(first);
    let second = open(&on(&disk), Role::Writer, &settings(Synchronous::Full)).expect("opened");
    second.execute_batch("INSERT INTO t VALUES (7)").expect("committed");
    for seed in 0..50 {
        let after = disk.after_power_loss(seed);
        let connection = open(&on(&after), Role::Reader, &settings(Synchronous::Normal)).expect("there");
        assert_eq!(connection.query_row("SELECT n FROM t", [], |row| row.get::<_, i64>(0)), Ok(7));
    }
}

#[test]
fn the_same_plans_run_on_a_real_disk() {
    for seed in 0..6 {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let disk = RealDisk::open(directory.path()).expect("it is there");
        let location = DatabaseLocation { disk: Arc::new(disk), path: "test.db".into() };
        let plan = Plan::new(seed, 60, Rows::new());
        let progress = plan.run(&location, &settings(Synchronous::Normal), 0);
        assert_eq!(progress.committed, plan.states.len() - 1);
        check_survivor(&location, &plan, 0, progress.committed, progress.committed);
    }
}

#[test]
fn a_copy_is_the_old_or_the_new_one_whenever_the_power_goes() {
    let source = FaultyDisk::new(1);
    let plan = Plan::new(1, 40, Rows::new());
    plan.run(&on(&source), &settings(Synchronous::Normal), 0);
    let reader = open(&on(&source), Role::Reader, &settings(Synchronous::Normal)).expect("opened");
    let new = rows_of(&reader).expect("read");
    let old_plan = Plan::new(2, 20, Rows::new());
    let old = old_plan.states.last().expect("there").clone();
    let make_target = || {
        let target = FaultyDisk::new(7);
        old_plan.run(&on(&target), &settings(Synchronous::Normal), 0);
        let connection = open(&on(&target), Role::Writer, &settings(Synchronous::Normal)).expect("opened");
        assert!(checkpoint(&connection).expect("checkpointed").complete);
        target
    };
    let whole = make_target();
    let before = whole.counts().steps;
    copy_database(&reader, &on(&whole)).expect("copied");
    let after = whole.counts().steps;
    let read = |disk: &FaultyDisk| {
        let connection = open(&on(disk), Role::Reader, &settings(Synchronous::Normal)).expect("opened");
        assert_eq!(quick_check(&connection).expect("checked"), Vec::<String>::new());
        rows_of(&connection).expect("read")
    };
    assert!(read(&whole) == new);
    assert!(read(&whole.crash()) == new, "a copy that succeeded is durable");
    for step in before + 1..=after {
        let target = make_target();
        target.power_off_at(step);
        copy_database(&reader, &on(&target)).expect_err("the power went");
        for disk in [target.crash(), target.after_power_loss(step), target.after_power_loss(step + 1000)] {
            let found = read(&disk);
            assert!(found == old || found == new, "neither the old copy nor the new one");
            copy_database(&reader, &on(&disk)).expect("what was left half done is in nobody's way");
            assert!(read(&disk) == new);
        }
    }
}
