//! Six directories, 4+2: any two may go while serving. Reads and writes go on, and after a restart everything
//! acknowledged is there, inline objects too.

mod absent;
mod full;
mod mount_points;
mod read_only;
mod settling;

use std::path::Path;
use std::sync::Arc;

use platform::{RealDisk, SystemEntropy};
use shards::DiskIdentity;
use shards::superblock::Found;
use types::DiskId;

use crate::model::{Answers, Writer};
use crate::server::Server;

const WRITERS: u64 = 4;
const KEYS: u64 = 15;
/// Writes of each writer between two faults.
const STEPS: usize = 40;

/// Loads a server, takes two disks away by `fault`, goes on writing and reading, restarts, and reads again.
async fn two_disks_may_go(mut server: Server, first: usize, second: usize, mut fault: impl FnMut(&mut Server, usize)) {
    let bucket = server.bucket().await;
    let answers = Arc::new(Answers::default());
    let mut writers: Vec<Writer> = (0..WRITERS).map(|number| Writer::new(number, KEYS)).collect();
    write_all(&server, &bucket, &mut writers, &answers).await;
    fault(&mut server, first);
    fault(&mut server, second);
    write_all(&server, &bucket, &mut writers, &answers).await;
    check_all(&server, &bucket, &mut writers).await;
    server.kill();
    server.restart();
    check_all(&server, &bucket, &mut writers).await;
    write_all(&server, &bucket, &mut writers, &answers).await;
    check_all(&server, &bucket, &mut writers).await;
}

/// Every write must be acknowledged: the SDK's own retries are all that a client does.
async fn write_all(server: &Server, bucket: &str, writers: &mut [Writer], answers: &Arc<Answers>) {
    let client = server.client();
    let loads = writers.iter_mut().map(async |writer| {
        for _ in 0..STEPS {
            assert!(writer.step(&client, bucket, answers).await, "a write was not acknowledged");
        }
    });
    futures_all(loads).await;
}

async fn check_all(server: &Server, bucket: &str, writers: &mut [Writer]) {
    let client = server.client();
    futures_all(writers.iter_mut().map(async |writer| writer.check(&client, bucket).await)).await;
}

async fn futures_all<F: Future<Output = ()>>(all: impl Iterator<Item = F>) {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        all.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

/// Deletes a disk's directory. The server may make a file there in the moment in which it is emptied; once it has seen the
/// loss it makes none.
pub fn delete(disk: &Path) {
    for _ in 0..1000 {
        match std::fs::remove_dir_all(disk) {
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {}
            deleted => return deleted.expect("a disk's directory is deleted"),
        }
    }
    panic!("files are made in a deleted directory again and again");
}

/// Flips a byte in the middle of every 4 KiB of every file.
fn corrupt(directory: &Path) {
    use std::os::unix::fs::FileExt;
    for entry in std::fs::read_dir(directory).expect("a disk's directory is listed") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            corrupt(&path);
            continue;
        }
        let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).expect("a disk's file opens");
        let mut byte = [0];
        for at in (2048..file.metadata().expect("metadata").len()).step_by(4096) {
            file.read_exact_at(&mut byte, at).expect("a byte is read");
            file.write_all_at(&[!byte[0]], at).expect("a byte is flipped");
        }
    }
}

/// A server with objects of every form.
async fn loaded() -> (Server, String, Vec<Writer>, Arc<Answers>) {
    let server = Server::start(6);
    let bucket = server.bucket().await;
    let answers = Arc::new(Answers::default());
    let mut writers: Vec<Writer> = (0..WRITERS).map(|number| Writer::new(number, KEYS)).collect();
    write_all(&server, &bucket, &mut writers, &answers).await;
    (server, bucket, writers, answers)
}

/// Deletes what is in a directory until nothing is.
fn empty(disk: &Path) {
    for _ in 0..1000 {
        let entries: Vec<_> = std::fs::read_dir(disk).expect("a disk's directory is listed").collect();
        if entries.is_empty() {
            return;
        }
        for entry in entries {
            let path = entry.expect("an entry").path();
            // The server may make a file in the moment in which a directory is deleted: that one comes with the next round.
            let _ = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        }
    }
    panic!("files are made in an emptied directory again and again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_comes_back_empty_is_rebuilt_without_a_command() {
    let (server, bucket, mut writers, answers) = loaded().await;
    let before = [3, 4].map(|disk| id_of(&server.disk(disk)));
    delete(&server.disk(3));
    write_all(&server, &bucket, &mut writers, &answers).await;
    std::fs::create_dir(server.disk(3)).expect("the directory is back");
    is_rebuilt(&server, &server.disk(3), before[0]);
    // The same of one that was only emptied.
    empty(&server.disk(4));
    write_all(&server, &bucket, &mut writers, &answers).await;
    is_rebuilt(&server, &server.disk(4), before[1]);
    // Only what was rebuilt there can make up for the loss of two others.
    delete(&server.disk(1));
    delete(&server.disk(5));
    check_all(&server, &bucket, &mut writers).await;
}

/// Which disk a directory is; `None` while it is blank.
fn id_of(directory: &Path) -> Option<DiskId> {
    let disk = RealDisk::open(directory).ok()?;
    match shards::superblock::inspect(&disk) {
        Ok(Found::Formatted(superblock)) => Some(superblock.disk),
        _ => None,
    }
}

/// Waits until another disk than `before` is whole in this directory.
fn is_rebuilt(server: &Server, directory: &Path, before: Option<DiskId>) {
    server.wait_for_status("the disk is rebuilt and nothing is degraded", |status| {
        status.matches(r#""state":"up""#).count() == 6
            && status.contains(r#""rebuilding":[]"#)
            && status.contains(r#""degraded_parts":0"#)
            && id_of(directory).is_some_and(|now| Some(now) != before && status.contains(&now.to_string()))
    });
}

/// The disk was formatted, and the process died before the layout heard of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_a_disk_is_being_replaced_leaves_no_place_empty() {
    let (mut server, bucket, mut writers, _) = loaded().await;
    delete(&server.disk(3));
    server.kill();
    let sibling = RealDisk::open(server.disk(1)).expect("a disk's directory");
    let Found::Formatted(sibling) = shards::superblock::inspect(&sibling).expect("a superblock") else {
        panic!("disk 1 is formatted");
    };
    let blank = RealDisk::create(server.disk(3)).expect("the directory is back");
    let identity = DiskIdentity { disk: DiskId::from_bytes([7; 16]), cluster: sibling.cluster, node: sibling.node };
    shards::superblock::format(&blank, identity, &SystemEntropy).expect("formatted");
    server.restart();
    server.wait_for_status("the disk has the lost one's place and is rebuilt", |status| {
        status.matches(r#""state":""#).count() == 6
            && status.matches(r#""state":"up""#).count() == 6
            && status.contains(r#""rebuilding":[]"#)
    });
    delete(&server.disk(2));
    delete(&server.disk(6));
    check_all(&server, &bucket, &mut writers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scrub_finds_and_repairs_flipped_bits() {
    let (server, bucket, mut writers, _) = loaded().await;
    corrupt(&server.disk(2).join("segments"));
    server.admin(&["scrub"]);
    server.wait_for_status("scrub has ended and found damage", |status| {
        status.contains(r#""running":false"#) && !status.contains(r#""damaged_shards":0"#)
    });
    server.wait_for_status("a second pass finds nothing", |status| {
        if status.contains(r#""running":false"#) {
            server.admin(&["scrub"]);
        }
        status.contains(r#""running":false"#) && status.contains(r#""damaged_shards":0"#)
    });
    delete(&server.disk(4));
    delete(&server.disk(6));
    check_all(&server, &bucket, &mut writers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_deleted_disks_lose_nothing_the_first_ones() {
    two_disks_may_go(Server::start(6), 1, 2, |server, disk| delete(&server.disk(disk))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_deleted_disks_lose_nothing_later_ones() {
    two_disks_may_go(Server::start(6), 3, 6, |server, disk| delete(&server.disk(disk))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_corrupted_disks_lose_nothing() {
    two_disks_may_go(Server::start(6), 2, 5, |server, disk| corrupt(&server.disk(disk))).await;
}
