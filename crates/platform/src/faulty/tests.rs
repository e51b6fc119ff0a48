//! What a faulty disk keeps and what it may lose. Most tests look at many power losses from one state, by seed.

use std::collections::BTreeSet;
use std::io::{ErrorKind, IoSlice};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Fault, FaultKind, FaultyDisk, Operation};
use crate::disk::{Disk, DiskFile, OpenOptions};

const OUTCOMES: u64 = 300;

fn root() -> &'static Path {
    Path::new("")
}

fn create(disk: &FaultyDisk, path: &str) -> Arc<dyn DiskFile> {
    disk.open(Path::new(path), OpenOptions::CREATE).expect("opened")
}

fn write(file: &dyn DiskFile, bytes: &[u8], offset: u64) {
    file.write_all_at(&[IoSlice::new(bytes)], offset).expect("written");
}

fn content(disk: &FaultyDisk, path: &str) -> Option<Vec<u8>> {
    let file = disk.open(Path::new(path), OpenOptions::EXISTING).ok()?;
    let mut bytes = vec![0; usize::try_from(file.status().expect("known").bytes).expect("small")];
    let read = file.read_at(&mut bytes, 0).expect("read");
    assert_eq!(read, bytes.len());
    Some(bytes)
}

/// The contents that power losses at this moment leave under a name.
fn outcomes(disk: &FaultyDisk, path: &str) -> BTreeSet<Option<Vec<u8>>> {
    (0..OUTCOMES).map(|seed| content(&disk.after_power_loss(seed), path)).collect()
}

fn synced_file(disk: &FaultyDisk, path: &str, bytes: &[u8]) -> Arc<dyn DiskFile> {
    let file = create(disk, path);
    write(&*file, bytes, 0);
    file.sync_data().expect("synced");
    disk.sync_directory(root()).expect("synced");
    file
}

#[test]
fn what_was_synced_is_always_there() {
    let disk = FaultyDisk::new(1);
    let _file = synced_file(&disk, "file", b"synced");
    assert_eq!(outcomes(&disk, "file"), BTreeSet::from([Some(b"synced".to_vec())]));
    let twice = disk.crash().crash();
    assert_eq!(content(&twice, "file"), Some(b"synced".to_vec()));
}

#[test]
fn an_unsynced_write_is_kept_lost_or_torn_at_sectors() {
    let disk = FaultyDisk::new(1);
    let file = synced_file(&disk, "file", &[1; 2048]);
    write(&*file, &[2; 1000], 100);
    let outcomes = outcomes(&disk, "file");
    for outcome in &outcomes {
        let bytes = outcome.as_ref().expect("the name was synced");
        assert_eq!(bytes[..100], [1; 100]);
        assert_eq!(bytes[1100..], [1; 948]);
        for sector in [&bytes[100..512], &bytes[512..1024], &bytes[1024..1100]] {
            assert!(sector.iter().all(|&byte| byte == sector[0]), "a sector is written whole or not at all");
        }
    }
    assert_eq!(outcomes.len(), 8, "any of the three sectors may be lost");
}

#[test]
fn a_length_may_be_lost_beside_its_bytes_and_the_bytes_beside_their_length() {
    let disk = FaultyDisk::new(1);
    let file = synced_file(&disk, "file", b"");
    write(&*file, &[7; 600], 0);
    let outcomes = outcomes(&disk, "file");
    let zeros_then_bytes = [vec![0; 512], vec![7; 88]].concat();
    for expected in [vec![], vec![0; 600], vec![7; 600], zeros_then_bytes] {
        assert!(outcomes.contains(&Some(expected.clone())), "{expected:?} is never left");
    }
}

#[test]
fn a_name_is_durable_with_its_directory_alone() {
    let disk = FaultyDisk::new(1);
    let file = create(&disk, "file");
    write(&*file, b"synced", 0);
    file.sync_data().expect("synced");
    assert_eq!(outcomes(&disk, "file"), BTreeSet::from([None, Some(b"synced".to_vec())]));
    disk.sync_directory(root()).expect("synced");
    assert_eq!(outcomes(&disk, "file"), BTreeSet::from([Some(b"synced".to_vec())]));
    disk.remove(Path::new("file")).expect("removed");
    assert_eq!(content(&disk, "file"), None);
    assert_eq!(outcomes(&disk, "file"), BTreeSet::from([None, Some(b"synced".to_vec())]));
    drop(file);
    assert_eq!(outcomes(&disk, "file").len(), 2, "what may come back is kept after the last handle has gone");
    disk.sync_directory(root()).expect("synced");
    assert_eq!(outcomes(&disk, "file"), BTreeSet::from([None]));
}

#[test]
fn an_unsynced_rename_leaves_the_old_or_the_new() {
    let disk = FaultyDisk::new(1);
    let _old = synced_file(&disk, "file", b"old");
    let _new = synced_file(&disk, "file.new", b"new");
    disk.rename(Path::new("file.new"), Path::new("file")).expect("renamed");
    let left: BTreeSet<_> = (0..OUTCOMES)
        .map(|seed| disk.after_power_loss(seed))
        .map(|disk| (content(&disk, "file"), content(&disk, "file.new")))
        .collect();
    let [old, new] = [Some(b"old".to_vec()), Some(b"new".to_vec())];
    assert_eq!(left, BTreeSet::from([(old, new.clone()), (new.clone(), None)]));
    disk.sync_directory(root()).expect("synced");
    assert_eq!(outcomes(&disk, "file"), BTreeSet::from([new]));
}

#[test]
fn a_rename_between_directories_is_durable_with_the_new_one() {
    let disk = FaultyDisk::new(1);
    disk.create_directory(Path::new("to")).expect("made");
    let _file = synced_file(&disk, "file", b"bytes");
    disk.rename(Path::new("file"), Path::new("to/file")).expect("renamed");
    disk.sync_directory(root()).expect("synced");
    assert_eq!(outcomes(&disk, "to/file").len(), 2);
    disk.sync_directory(Path::new("to")).expect("synced");
    assert_eq!(outcomes(&disk, "to/file"), BTreeSet::from([Some(b"bytes".to_vec())]));
    assert_eq!(outcomes(&disk, "file"), BTreeSet::from([None]));
}

#[test]
fn a_directory_that_was_not_synced_takes_its_files_along() {
    let disk = FaultyDisk::new(1);
    disk.create_directory(Path::new("new")).expect("made");
    create(&disk, "new/file");
    disk.sync_directory(Path::new("new")).expect("synced");
    assert_eq!(outcomes(&disk, "new/file"), BTreeSet::from([None, Some(vec![])]));
    disk.sync_directory(root()).expect("synced");
    assert_eq!(outcomes(&disk, "new/file"), BTreeSet::from([Some(vec![])]));
}

#[test]
fn a_failed_sync_is_not_made_up_for_by_a_later_one() {
    let disk = FaultyDisk::new(1);
    let file = synced_file(&disk, "file", b"old");
    let mut left = BTreeSet::new();
    for round in 0..50 {
        write(&*file, b"old", 0);
        file.sync_data().expect("synced");
        write(&*file, b"new", 0);
        disk.inject(Fault::once(Operation::Sync).on("file"));
        assert_eq!(file.sync_data().expect_err("injected").raw_os_error(), Some(libc::EIO));
        let shown = content(&disk, "file").expect("there");
        assert!(shown.starts_with(b"new"), "the page cache shows it all the same");
        write(&*file, b"!", 3);
        file.sync_data().expect("a later sync succeeds");
        left.insert(content(&disk.after_power_loss(round), "file"));
    }
    assert_eq!(left, BTreeSet::from([Some(b"old!".to_vec()), Some(b"new!".to_vec())]));
}

#[test]
fn a_full_disk_takes_bytes_again_once_room_is_made() {
    let disk = FaultyDisk::new(1);
    disk.set_capacity(4 * 4096);
    let [first, second] = [create(&disk, "first"), create(&disk, "second")];
    write(&*first, &[1; 3 * 4096], 0);
    let full = second.write_all_at(&[IoSlice::new(&[2; 8192])], 0).expect_err("one block is free");
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    assert_eq!(content(&disk, "second"), Some(vec![2; 4096]), "what fits is written");
    assert_eq!(second.allocate(0, 8192).expect_err("full").kind(), ErrorKind::StorageFull);
    write(&*first, &[3; 3 * 4096], 0);
    assert_eq!(disk.space().expect("known").free_bytes, 0);
    first.punch_hole(4096, 4096).expect("punched");
    write(&*second, &[2; 4096], 4096);
    disk.remove(Path::new("first")).expect("removed");
    assert_eq!(disk.space().expect("known").free_bytes, 0, "an open file keeps its blocks");
    drop(first);
    assert_eq!(disk.space().expect("known").free_bytes, 8192);
}

#[test]
fn faults_befall_the_calls_that_they_name() {
    let disk = FaultyDisk::new(1);
    let file = create(&disk, "file");
    let other = create(&disk, "other");
    disk.inject(Fault::once(Operation::Write).on("file").after(1));
    disk.inject(Fault::once(Operation::Read).forever());
    write(&*other, b"1", 0);
    write(&*file, b"1", 0);
    file.write_all_at(&[IoSlice::new(b"2")], 0).expect_err("the second on this path");
    write(&*file, b"3", 0);
    for _ in 0..3 {
        other.read_at(&mut [0], 0).expect_err("all of them");
    }
    disk.heal();
    other.read_at(&mut [0], 0).expect("healed");
    disk.inject(Fault::once(Operation::Write).with(FaultKind::StorageFull));
    let full = file.write_all_at(&[IoSlice::new(b"4")], 0).expect_err("injected");
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    disk.fail_after(1);
    write(&*file, b"5", 0);
    file.sync_data().expect_err("the disk has died");
    disk.list(root()).expect_err("the disk is still dead");
}

#[test]
fn a_bit_flips_once_on_reading_or_for_good_at_rest() {
    let disk = FaultyDisk::new(1);
    let file = synced_file(&disk, "file", &[0; 1000]);
    let ones = |bytes: &[u8]| bytes.iter().map(|byte| byte.count_ones()).sum::<u32>();
    disk.inject(Fault::once(Operation::Read).with(FaultKind::FlippedBit));
    let mut buffer = vec![0; 1000];
    file.read_at(&mut buffer, 0).expect("read");
    assert_eq!(ones(&buffer), 1);
    file.read_at(&mut buffer, 0).expect("read");
    assert_eq!(ones(&buffer), 0);
    disk.flip_bit("file", 700).expect("there");
    file.read_at(&mut buffer, 0).expect("read");
    assert_eq!((ones(&buffer), buffer[700].count_ones()), (1, 1));
    assert_eq!(content(&disk.crash(), "file"), Some(buffer));
    assert_eq!(disk.flip_bit("file", 1000).expect_err("beyond the end").kind(), ErrorKind::InvalidInput);
}

#[test]
fn power_goes_at_the_step_that_was_named_and_old_handles_are_dead() {
    let disk = FaultyDisk::new(1);
    let file = create(&disk, "file");
    write(&*file, b"a", 0);
    assert_eq!(disk.counts().steps, 2);
    disk.power_off_at(4);
    file.sync_data().expect("the third step");
    file.sync_data().expect_err("the fourth");
    assert!(!disk.is_powered());
    file.read_at(&mut [0], 0).expect_err("no power");
    disk.status(root()).expect_err("no power");
    let after = disk.crash();
    file.read_at(&mut [0], 0).expect_err("a handle of the time before");
    assert!(after.status(root()).expect("power is back").is_some());
    assert_eq!(after.counts().steps, 0);
}

#[test]
fn power_goes_so_many_steps_after_a_call_that_was_named() {
    let disk = FaultyDisk::new(1);
    let file = create(&disk, "file");
    disk.power_off_after(Operation::Rename, "file", 2);
    for _ in 0..5 {
        file.sync_data().expect("before the call");
    }
    disk.rename(Path::new("file"), Path::new("other")).expect("the call");
    file.sync_data().expect("the first step");
    file.sync_data().expect_err("the second");
    assert!(!disk.is_powered());
}

#[test]
fn a_read_only_disk_can_be_read() {
    let disk = FaultyDisk::new(1);
    let file = synced_file(&disk, "file", b"bytes");
    disk.set_read_only(true);
    for outcome in [
        file.write_all_at(&[IoSlice::new(b"x")], 0),
        file.sync_data(),
        disk.remove(Path::new("file")),
        disk.open(Path::new("new"), OpenOptions::CREATE).map(drop),
    ] {
        assert_eq!(outcome.expect_err("read-only").kind(), ErrorKind::ReadOnlyFilesystem);
    }
    assert_eq!(content(&disk, "file"), Some(b"bytes".to_vec()));
    disk.set_read_only(false);
    write(&*file, b"x", 0);
}

#[test]
fn files_of_a_deleted_directory_still_take_writes() {
    let disk = FaultyDisk::new(1);
    let file = synced_file(&disk, "file", b"bytes");
    disk.delete_directory();
    assert_eq!(disk.status(Path::new("file")).expect("looked up"), None);
    assert_eq!(disk.status(root()).expect("looked up"), None);
    assert_eq!(file.status().expect("known").links, 0);
    write(&*file, b"x", 0);
    file.sync_data().expect("synced into the void");
    let refused = disk.create_directory(Path::new("new")).expect_err("the directory is gone");
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    disk.restore_directory();
    assert_eq!(disk.list(root()).expect("listed"), Vec::<String>::new());
    create(&disk, "new");
}

/// One step of the model test below, on a file of at most 4000 bytes.
#[derive(Debug, Clone)]
enum Step {
    Write { offset: u64, bytes: u64, value: u8 },
    SetLength(u64),
    PunchHole { offset: u64, bytes: u64 },
    Allocate { offset: u64, bytes: u64 },
    Sync,
    FailedSync,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (0_u64..3000, 1_u64..1000);
    prop_oneof![
        6 => (place(), 1_u8..16).prop_map(|((offset, bytes), value)| Step::Write { offset, bytes, value }),
        2 => (0_u64..4000).prop_map(Step::SetLength),
        1 => place().prop_map(|(offset, bytes)| Step::PunchHole { offset, bytes }),
        1 => place().prop_map(|(offset, bytes)| Step::Allocate { offset, bytes }),
        3 => Just(Step::Sync),
        1 => Just(Step::FailedSync),
        1 => Just(Step::Crash),
    ]
}

/// What each byte may be after a power loss: all that it was since the last sync. The length may be any in the range of
/// those that the file had: a change may be kept whose end lies between them, without the one that reached further.
struct Model {
    now: Vec<u8>,
    /// A bit for each value; all are below 16.
    may_be: Vec<u16>,
    lengths: RangeInclusive<usize>,
}

impl Model {
    fn of(content: &[u8]) -> Self {
        let mut model = Self { now: content.to_vec(), may_be: Vec::new(), lengths: 0..=0 };
        model.synced();
        model
    }

    fn change(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.now);
        let length = self.now.len();
        self.lengths = length.min(*self.lengths.start())..=length.max(*self.lengths.end());
        for (index, may_be) in self.may_be.iter_mut().enumerate() {
            *may_be |= 1 << self.now.get(index).copied().unwrap_or(0);
        }
    }

    fn synced(&mut self) {
        self.may_be = (0..4000).map(|index| 1 << self.now.get(index).copied().unwrap_or(0)).collect();
        self.lengths = self.now.len()..=self.now.len();
    }

    fn check(&self, content: &[u8]) {
        assert!(self.lengths.contains(&content.len()), "a length out of the range of those it had");
        for (index, byte) in content.iter().enumerate() {
            assert!(self.may_be[index] & 1 << byte != 0, "byte {index} is {byte}, which it never was");
        }
    }
}

fn ensure_length(content: &mut Vec<u8>, bytes: u64) {
    let bytes = usize::try_from(bytes).expect("small");
    if content.len() < bytes {
        content.resize(bytes, 0);
    }
}

proptest! {
    /// Against a reference that knows, for each byte, what it has been since the last sync.
    #[test]
    fn a_power_loss_leaves_only_what_was_there_since_the_last_sync(
        seed in any::<u64>(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut disk = FaultyDisk::new(seed);
        let mut file = synced_file(&disk, "file", b"");
        let mut model = Model::of(b"");
        for step in steps {
            match step {
                Step::Write { offset, bytes, value } => {
                    write(&*file, &vec![value; usize::try_from(bytes).expect("small")], offset);
                    model.change(|content| {
                        ensure_length(content, offset + bytes);
                        content[offset as usize..(offset + bytes) as usize].fill(value);
                    });
                }
                Step::SetLength(bytes) => {
                    file.set_len(bytes).expect("set");
                    model.change(|content| content.resize(usize::try_from(bytes).expect("small"), 0));
                }
                Step::PunchHole { offset, bytes } => {
                    file.punch_hole(offset, bytes).expect("punched");
                    model.change(|content| {
                        let end = content.len().min((offset + bytes) as usize);
                        if let Some(hole) = content.get_mut(offset as usize..end) {
                            hole.fill(0);
                        }
                    });
                }
                Step::Allocate { offset, bytes } => {
                    file.allocate(offset, bytes).expect("reserved");
                    model.change(|content| ensure_length(content, offset + bytes));
                }
                Step::Sync => {
                    file.sync_data().expect("synced");
                    // After a failed sync, one that succeeds makes durable only what came since.
                    let after = disk.after_power_loss(seed);
                    let durable = content(&after, "file").expect("there");
                    model.check(&durable);
                    let now = std::mem::replace(&mut model, Model::of(&durable)).now;
                    model.now = now;
                    let left: BTreeSet<_> = (0..8).map(|seed| content(&disk.after_power_loss(seed), "file")).collect();
                    prop_assert_eq!(left.len(), 1);
                }
                Step::FailedSync => {
                    disk.inject(Fault::once(Operation::Sync));
                    file.sync_data().expect_err("injected");
                }
                Step::Crash => {
                    disk = disk.crash();
                    let left = content(&disk, "file").expect("the name was synced");
                    model.check(&left);
                    model = Model::of(&left);
                    file = create(&disk, "file");
                }
            }
            prop_assert_eq!(content(&disk, "file"), Some(model.now.clone()));
        }
    }

    #[test]
    fn the_same_seed_and_calls_leave_the_same(seed in any::<u64>()) {
        let run = || {
            let disk = FaultyDisk::new(seed);
            for name in ["a", "b", "c"] {
                write(&*create(&disk, name), &[1; 3000], 0);
            }
            let disk = disk.crash();
            ["a", "b", "c"].map(|name| content(&disk, name))
        };
        prop_assert_eq!(run(), run());
    }
}
