//! What a database does when its disk fails, fills up, lies or turns read-only: an error that tells which, and nothing
//! that was committed is lost or changed.

use std::path::Path;
use std::sync::Arc;

use platform::faulty::{Fault, Operation};
use platform::{Disk, FaultyDisk};
use rusqlite::{Connection, ErrorCode};
use sqlite_vfs::{
    DatabaseError, DatabaseLocation, Role, Settings, checkpoint, copy_database, integrity_check, open, quick_check,
};

fn on(disk: &FaultyDisk) -> DatabaseLocation {
    DatabaseLocation { disk: Arc::new(disk.clone()), path: "test.db".into() }
}

fn open_as(disk: &FaultyDisk, role: Role) -> Connection {
    open(&on(disk), role, &Settings::default()).expect("opened")
}

fn make(disk: &FaultyDisk) -> Connection {
    let writer = open_as(disk, Role::Writer);
    writer.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY, filling BLOB)").expect("made");
    writer
}

fn insert(writer: &Connection, rows: std::ops::Range<i64>) -> Result<(), Option<ErrorCode>> {
    for row in rows {
        writer
            .execute("INSERT INTO t VALUES (?1, zeroblob(3000))", [row])
            .map_err(|error| error.sqlite_error_code())?;
    }
    Ok(())
}

fn count(connection: &Connection) -> i64 {
    connection.query_row("SELECT count(*) FROM t WHERE length(filling) = 3000", [], |row| row.get(0)).expect("read")
}

fn is_whole(connection: &Connection) -> bool {
    integrity_check(connection).expect("checked").is_empty()
}

/// A later sync would succeed and pass over what the failed one lost.
#[test]
fn after_a_failed_sync_the_database_is_not_written_until_it_is_opened_anew() {
    for path in ["test.db", "test.db-wal"] {
        let disk = FaultyDisk::new(1);
        let writer = make(&disk);
        assert_eq!(insert(&writer, 0..20), Ok(()));
        assert!(checkpoint(&writer).expect("checkpointed").complete);
        assert_eq!(insert(&writer, 20..40), Ok(()));
        disk.inject(Fault::once(Operation::Sync).on(path));
        let failed = checkpoint(&writer).expect_err("the sync fails");
        assert_eq!(failed.sqlite_error_code(), Some(ErrorCode::SystemIoFailure));
        checkpoint(&writer).expect_err("it isn't tried again");
        assert_eq!(insert(&writer, 40..41), Err(Some(ErrorCode::SystemIoFailure)));
        assert_eq!(count(&writer), 40, "reading goes on");
        for seed in 0..50 {
            let survivor = open_as(&disk.after_power_loss(seed), Role::Writer);
            assert!(is_whole(&survivor));
            assert!((20..=40).contains(&count(&survivor)), "the first checkpoint's rows are there");
        }
        drop(writer);
        let reopened = open_as(&disk, Role::Writer);
        assert_eq!(insert(&reopened, 40..41), Ok(()));
    }
}

#[test]
fn a_full_disk_refuses_a_commit_and_takes_the_next_once_there_is_room() {
    let disk = FaultyDisk::new(1);
    let writer = make(&disk);
    assert_eq!(insert(&writer, 0..10), Ok(()));
    let used = disk.space().expect("known");
    disk.set_capacity(used.total_bytes - used.free_bytes + 40_000);
    let refused = insert(&writer, 10..100);
    assert_eq!(refused, Err(Some(ErrorCode::DiskFull)));
    let committed = count(&writer);
    assert!((10..100).contains(&committed));
    disk.set_capacity(1 << 30);
    assert_eq!(insert(&writer, committed..committed + 50), Ok(()));
    assert!(checkpoint(&writer).expect("checkpointed").complete);
    let survivor = open_as(&disk.crash(), Role::Reader);
    assert!(is_whole(&survivor));
    assert_eq!(count(&survivor), committed + 50);
}

#[test]
fn a_full_disk_refuses_a_checkpoint_and_completes_it_once_there_is_room() {
    let disk = FaultyDisk::new(1);
    let writer = make(&disk);
    assert_eq!(insert(&writer, 0..30), Ok(()));
    let used = disk.space().expect("known");
    disk.set_capacity(used.total_bytes - used.free_bytes);
    let refused = checkpoint(&writer).expect_err("the database can't grow");
    assert_eq!(refused.sqlite_error_code(), Some(ErrorCode::DiskFull));
    disk.set_capacity(1 << 30);
    assert!(checkpoint(&writer).expect("checkpointed").complete);
    let survivor = open_as(&disk.crash(), Role::Reader);
    assert!(is_whole(&survivor));
    assert_eq!(count(&survivor), 30);
}

#[test]
fn a_copy_to_a_full_disk_fails_and_leaves_the_old_copy_and_its_room() {
    let source = make(&FaultyDisk::new(1));
    assert_eq!(insert(&source, 0..100), Ok(()));
    let disk = FaultyDisk::new(2);
    let old = make(&disk);
    assert_eq!(insert(&old, 0..3), Ok(()));
    assert!(checkpoint(&old).expect("checkpointed").complete);
    drop(old);
    let used = disk.space().expect("known");
    disk.set_capacity(used.total_bytes - used.free_bytes + 100_000);
    let DatabaseError::Sqlite { source: refused, .. } = copy_database(&source, &on(&disk)).expect_err("no room") else {
        panic!("SQLite meets the full disk");
    };
    assert_eq!(refused.sqlite_error_code(), Some(ErrorCode::DiskFull));
    assert_eq!(disk.space().expect("known").free_bytes, 100_000);
    assert_eq!(count(&open_as(&disk, Role::Reader)), 3);
}

#[test]
fn a_read_error_fails_one_statement_alone() {
    let disk = FaultyDisk::new(1);
    let writer = make(&disk);
    assert_eq!(insert(&writer, 0..20), Ok(()));
    let reader = open_as(&disk, Role::Reader);
    disk.inject(Fault::once(Operation::Read).forever());
    let failed = reader.query_row("SELECT count(*) FROM t", [], |_row| Ok(())).expect_err("it can't be read");
    assert_eq!(failed.sqlite_error_code(), Some(ErrorCode::SystemIoFailure));
    disk.heal();
    assert_eq!(count(&reader), 20);
}

#[test]
fn a_read_only_disk_is_read_on() {
    let disk = FaultyDisk::new(1);
    let writer = make(&disk);
    assert_eq!(insert(&writer, 0..20), Ok(()));
    let reader = open_as(&disk, Role::Reader);
    disk.set_read_only(true);
    assert_eq!(insert(&writer, 20..21), Err(Some(ErrorCode::SystemIoFailure)));
    assert_eq!(count(&reader), 20);
    assert_eq!(count(&open_as(&disk, Role::Reader)), 20, "a new reader needs no write either");
}

#[test]
fn a_damaged_page_is_a_finding() {
    let disk = FaultyDisk::new(1);
    let writer = make(&disk);
    assert_eq!(insert(&writer, 0..20), Ok(()));
    assert!(checkpoint(&writer).expect("checkpointed").complete);
    drop(writer);
    assert_eq!(quick_check(&open_as(&disk, Role::Reader)).expect("checked"), Vec::<String>::new());
    // A WAL that was not begun anew would still be read in place of the database.
    disk.remove(Path::new("test.db-wal")).expect("removed");
    // The byte at a page's start tells of what kind it is; none can be read as another.
    disk.flip_bit("test.db", 4096).expect("there");
    assert_ne!(quick_check(&open_as(&disk, Role::Reader)).expect("checked"), Vec::<String>::new());
}
