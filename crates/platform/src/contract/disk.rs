//! What every disk must hold while nothing goes wrong.

use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::path::Path;
use std::sync::Arc;

use crate::buffers::BufferPool;
use crate::disk::{DIRECT_ALIGNMENT, Disk, DiskFile, OpenOptions};

const FILE: &str = "file";

/// Checks a disk; `make` gives an empty one each time.
///
/// # Panics
/// Where it breaks a promise.
pub fn disk_contract(make: impl Fn() -> Arc<dyn Disk>) {
    files_are_made_as_asked(&*make());
    bytes_are_read_as_written(&*make());
    many_buffers_are_one_write(&*make());
    direct_access_is_aligned(&*make());
    lengths_are_cut_and_grown(&*make());
    blocks_are_reserved_and_given_back(&*make());
    names_move_and_go(&*make());
    an_open_file_outlives_its_name(&*make());
    directories_hold_names(&*make());
    paths_stay_on_the_disk(&*make());
    the_disk_tells_of_itself(&*make());
}

fn files_are_made_as_asked(disk: &dyn Disk) {
    let path = Path::new(FILE);
    let open = |options| disk.open(path, options).map(drop).map_err(|error| error.kind());
    assert_eq!(open(OpenOptions::EXISTING), Err(ErrorKind::NotFound), "a file that isn't there isn't made unasked");
    assert_eq!(disk.status(path).expect("looked up"), None);
    open(OpenOptions::NEW).expect("made");
    assert_eq!(open(OpenOptions::NEW), Err(ErrorKind::AlreadyExists), "a new file is new");
    open(OpenOptions::CREATE).expect("opened");
    open(OpenOptions::EXISTING).expect("opened");
    open(OpenOptions::CREATE.direct()).expect("opened directly or as usual");
    disk.remove(path).expect("removed");
    open(OpenOptions::CREATE).expect("made again");
    let status = disk.status(path).expect("looked up").expect("there");
    assert_eq!((status.bytes, status.links, status.is_directory), (0, 1, false));
    let nowhere = disk.open(Path::new("no/file"), OpenOptions::CREATE).expect_err("there is no such directory");
    assert_eq!(nowhere.kind(), ErrorKind::NotFound, "directories are not made unasked");
}

fn bytes_are_read_as_written(disk: &dyn Disk) {
    let file = make_file(disk);
    write(&*file, b"world", 10_000);
    write(&*file, b"hello", 3);
    write(&*file, b"", 50_000);
    assert_eq!(file.status().expect("known").bytes, 10_005, "writing nothing changes nothing");
    file.begin_writeback(3, 5);
    file.begin_writeback(0, 0);
    file.sync_data().expect("synced");
    let mut expected = vec![0; 10_005];
    expected[3..8].copy_from_slice(b"hello");
    expected[10_000..].copy_from_slice(b"world");
    assert_eq!(read_all(&*file), expected, "what was skipped reads as zeros");
    let mut buffer = [1; 10];
    assert_eq!(file.read_at(&mut buffer, 10_000).expect("read"), 5, "a read ends where the file does");
    assert_eq!(&buffer[..5], b"world");
    assert_eq!(file.read_at(&mut buffer, 10_005).expect("read"), 0);
    assert_eq!(file.read_at(&mut buffer, 1 << 40).expect("read"), 0);
    let again = disk.open(Path::new(FILE), OpenOptions::EXISTING).expect("opened");
    write(&*again, b"W", 10_000);
    assert_eq!(file.read_at(&mut buffer[..1], 10_000).expect("read"), 1);
    assert_eq!(buffer[0], b'W', "all handles show the same bytes");
}

/// More buffers than one system call takes, some of them empty.
fn many_buffers_are_one_write(disk: &dyn Disk) {
    let file = make_file(disk);
    let pieces: Vec<Vec<u8>> = (0..3000_usize).map(|number| vec![(number % 251) as u8; number % 7]).collect();
    let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    file.write_all_at(&slices, 5).expect("written");
    let expected = pieces.concat();
    assert_eq!(read_all(&*file)[5..], expected);
    let mut targets: Vec<Vec<u8>> = (0..3000_usize).map(|number| vec![0; (number + 3) % 7]).collect();
    targets.push(vec![0; 100]);
    let mut slices: Vec<IoSliceMut<'_>> = targets.iter_mut().map(|target| IoSliceMut::new(target)).collect();
    let total = file.read_vectored_at(&mut slices, 5).expect("read");
    assert_eq!(total, expected.len());
    assert_eq!(targets.concat()[..total], expected);
}

fn direct_access_is_aligned(disk: &dyn Disk) {
    let file = disk.open(Path::new(FILE), OpenOptions::CREATE.direct()).expect("opened");
    let pool = BufferPool::new(0);
    let mut buffer = pool.take(3 * DIRECT_ALIGNMENT);
    for (index, byte) in buffer.iter_mut().enumerate() {
        *byte = (index % 253) as u8;
    }
    file.write_all_at(&[IoSlice::new(&buffer)], 4096).expect("an aligned write");
    file.sync_data().expect("synced");
    file.set_len(4096 + 5000).expect("cut");
    let mut target = pool.take(4 * DIRECT_ALIGNMENT);
    assert_eq!(file.read_at(&mut target, 4096).expect("an aligned read"), 5000, "it ends where the file does");
    assert_eq!(target[..5000], buffer[..5000]);
    let mut parts = [pool.take(4096), pool.take(4096)];
    let [first, second] = &mut parts;
    let mut slices = [IoSliceMut::new(first), IoSliceMut::new(second)];
    assert_eq!(file.read_vectored_at(&mut slices, 4096).expect("an aligned read"), 5000);
    assert_eq!(parts[1][..904], buffer[4096..5000]);
    let refused = |outcome: std::io::Result<()>| outcome.expect_err("not aligned").kind();
    assert_eq!(refused(file.write_all_at(&[IoSlice::new(&buffer)], 512)), ErrorKind::InvalidInput);
    assert_eq!(refused(file.write_all_at(&[IoSlice::new(&buffer[..100])], 0)), ErrorKind::InvalidInput);
    assert_eq!(refused(file.write_all_at(&[IoSlice::new(&buffer[1..4097])], 0)), ErrorKind::InvalidInput);
    assert_eq!(refused(file.read_at(&mut target[..10], 0).map(drop)), ErrorKind::InvalidInput);
}

fn lengths_are_cut_and_grown(disk: &dyn Disk) {
    let file = make_file(disk);
    write(&*file, &[9; 9000], 0);
    file.set_len(5000).expect("cut");
    file.set_len(8000).expect("grown");
    let mut expected = vec![9; 5000];
    expected.resize(8000, 0);
    assert_eq!(read_all(&*file), expected, "what was cut off does not come back");
    file.set_len(0).expect("cut");
    assert_eq!(file.status().expect("known").bytes, 0);
}

fn blocks_are_reserved_and_given_back(disk: &dyn Disk) {
    const MIB: u64 = 1 << 20;
    let file = make_file(disk);
    write(&*file, &[7; 100], 0);
    file.allocate(0, MIB).expect("reserved");
    let status = file.status().expect("known");
    assert_eq!(status.bytes, MIB, "the file grows over what is reserved");
    let mut expected = vec![7; 100];
    expected.resize(MIB as usize, 0);
    assert_eq!(read_all(&*file), expected, "reserving keeps what is there");
    file.reserve(MIB, MIB).expect("reserved");
    assert_eq!(file.status().expect("known").bytes, MIB, "room to grow is no growth");
    assert_eq!(read_all(&*file), expected);
    write(&*file, &vec![5; MIB as usize], 0);
    file.sync_data().expect("synced");
    let before = file.status().expect("known").allocated_bytes;
    assert!(before >= MIB, "written bytes occupy blocks");
    file.punch_hole(4096, MIB - 8192).expect("punched");
    file.punch_hole(100, 50).expect("punched within a block");
    file.punch_hole(2 * MIB, 4096).expect("punched beyond the end");
    file.sync_data().expect("synced");
    let status = file.status().expect("known");
    assert_eq!(status.bytes, MIB, "a hole keeps the length");
    assert!(status.allocated_bytes < before, "a hole gives blocks back");
    let mut expected = vec![5; MIB as usize];
    expected[4096..(MIB - 4096) as usize].fill(0);
    expected[100..150].fill(0);
    assert_eq!(read_all(&*file), expected, "a hole reads as zeros, and nothing beside it");
    for outcome in [file.allocate(0, 0), file.punch_hole(0, 0)] {
        assert_eq!(outcome.expect_err("nothing is named").kind(), ErrorKind::InvalidInput);
    }
}

fn names_move_and_go(disk: &dyn Disk) {
    let [one, two] = [Path::new("one"), Path::new("two")];
    write(&*disk.open(one, OpenOptions::NEW).expect("made"), b"1", 0);
    write(&*disk.open(two, OpenOptions::NEW).expect("made"), b"22", 0);
    let moved = disk.status(one).expect("looked up").expect("there");
    disk.rename(one, two).expect("renamed");
    assert_eq!(disk.status(one).expect("looked up"), None);
    let status = disk.status(two).expect("looked up").expect("there");
    assert_eq!((status.device, status.inode, status.bytes), (moved.device, moved.inode, 1), "the new file is the old");
    disk.rename(two, two).expect("renaming to itself is nothing");
    disk.create_directory(Path::new("below")).expect("made");
    disk.rename(two, Path::new("below/three")).expect("moved to another directory");
    disk.sync_directory(Path::new("")).expect("synced");
    disk.sync_directory(Path::new("below")).expect("synced");
    let kind = |outcome: std::io::Result<()>| outcome.expect_err("must fail").kind();
    assert_eq!(kind(disk.rename(one, two)), ErrorKind::NotFound);
    assert_eq!(kind(disk.rename(Path::new("below/three"), Path::new("nowhere/four"))), ErrorKind::NotFound);
    disk.create_directory(Path::new("other")).expect("made");
    assert_eq!(kind(disk.rename(Path::new("below/three"), Path::new("other"))), ErrorKind::IsADirectory);
    assert_eq!(kind(disk.rename(Path::new("other"), Path::new("below/three"))), ErrorKind::NotADirectory);
    assert_eq!(kind(disk.rename(Path::new("other"), Path::new("below"))), ErrorKind::DirectoryNotEmpty);
    disk.remove(Path::new("below/three")).expect("removed");
    assert_eq!(kind(disk.remove(Path::new("below/three"))), ErrorKind::NotFound);
    assert_eq!(kind(disk.remove(Path::new("below"))), ErrorKind::IsADirectory);
    disk.rename(Path::new("other"), Path::new("below")).expect("an empty directory is replaced");
    assert_eq!(disk.list(Path::new("")).expect("listed"), ["below"]);
}

fn an_open_file_outlives_its_name(disk: &dyn Disk) {
    let file = make_file(disk);
    write(&*file, b"kept", 0);
    let before = file.status().expect("known");
    assert_eq!(before.links, 1);
    disk.remove(Path::new(FILE)).expect("removed");
    assert_eq!(file.status().expect("known").links, 0, "a deleted file shows");
    write(&*file, b"!", 4);
    assert_eq!(read_all(&*file), b"kept!");
    let other = make_file(disk);
    let now = other.status().expect("known");
    assert_ne!((now.device, now.inode), (before.device, before.inode), "two files are not one");
    assert_eq!(now.bytes, 0);
}

fn directories_hold_names(disk: &dyn Disk) {
    let deep = Path::new("a/b/c");
    disk.create_directory(deep).expect("made with its parents");
    disk.create_directory(deep).expect("there already");
    disk.create_directory(Path::new("")).expect("there already");
    disk.open(Path::new("a/b/c/file"), OpenOptions::NEW).expect("made");
    disk.open(Path::new("a/other"), OpenOptions::NEW).expect("made");
    let mut names = disk.list(Path::new("a")).expect("listed");
    names.sort();
    assert_eq!(names, ["b", "other"]);
    assert_eq!(disk.list(deep).expect("listed"), ["file"]);
    assert!(disk.status(deep).expect("looked up").is_some_and(|status| status.is_directory));
    for directory in ["", "a", "a/b", "a/b/c"] {
        disk.sync_directory(Path::new(directory)).expect("synced");
    }
    assert_eq!(disk.list(Path::new("b")).expect_err("not there").kind(), ErrorKind::NotFound);
    assert_eq!(disk.sync_directory(Path::new("b")).expect_err("not there").kind(), ErrorKind::NotFound);
    assert_eq!(disk.list(Path::new("a/other")).expect_err("a file").kind(), ErrorKind::NotADirectory);
    let outcome = disk.create_directory(Path::new("a/other"));
    assert_eq!(outcome.expect_err("a file is there").kind(), ErrorKind::AlreadyExists);
    let outcome = disk.open(Path::new("a"), OpenOptions::CREATE);
    assert_eq!(outcome.expect_err("a directory is there").kind(), ErrorKind::IsADirectory);
}

fn paths_stay_on_the_disk(disk: &dyn Disk) {
    for path in ["../file", "/file", "a/../../file"] {
        let path = Path::new(path);
        let refused = |outcome: std::io::Result<()>| {
            assert_eq!(outcome.expect_err("leads out of the disk").kind(), ErrorKind::InvalidInput);
        };
        refused(disk.open(path, OpenOptions::CREATE).map(drop));
        refused(disk.remove(path));
        refused(disk.create_directory(path));
        refused(disk.list(path).map(drop));
        refused(disk.status(path).map(drop));
        refused(disk.sync_directory(path));
    }
}

fn the_disk_tells_of_itself(disk: &dyn Disk) {
    let space = disk.space().expect("known");
    assert!(0 < space.free_bytes && space.free_bytes <= space.total_bytes);
    disk.is_mount_point().expect("known");
    let own = disk.status(Path::new("")).expect("looked up").expect("there");
    assert!(own.is_directory);
    if let Some(path) = disk.real_path() {
        assert!(path.is_absolute(), "a real path holds wherever the process goes");
    }
}

fn make_file(disk: &dyn Disk) -> Arc<dyn DiskFile> {
    disk.open(Path::new(FILE), OpenOptions::NEW).expect("made")
}

fn write(file: &dyn DiskFile, bytes: &[u8], offset: u64) {
    file.write_all_at(&[IoSlice::new(bytes)], offset).expect("written");
}

fn read_all(file: &dyn DiskFile) -> Vec<u8> {
    let bytes = file.status().expect("known").bytes;
    let mut content = vec![1; usize::try_from(bytes).expect("fits memory") + 1];
    let read = file.read_at(&mut content, 0).expect("read");
    assert_eq!(read as u64, bytes, "a read is short at the end alone");
    content.truncate(read);
    content
}
