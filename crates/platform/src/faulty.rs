//! A disk that forgets what was not synced, tears writes, fails and fills up, by a seed.
//!
//! It lies in memory and keeps two states of everything: what the running process sees, and what a power loss would
//! leave. What was synced stays exactly. Everything else is at the dice's mercy: each unsynced change of a file is kept,
//! lost or torn at 512 bytes, its size kept or lost beside its bytes; each unsynced change of a name is kept or lost.
//! The changes of one file that are kept come in their order, for they lie in one page cache; between files, and
//! between files and names, there is no order.
//!
//! A failed sync leaves what it should have synced durable or not, and no later sync makes up for it, as Linux has it.
//!
//! It knows nothing of what is stored on it.

mod dice;
mod faults;
mod file;
mod image;
#[cfg(test)]
mod tests;
mod tree;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

pub use faults::{Counts, Fault, FaultKind, Operation};

use crate::disk::{Create, Disk, DiskFile, DiskSpace, FileStatus, OpenOptions};
use dice::Dice;
use faults::{PowerOffAfter, befalling, input_output, read_only, storage_full};
use file::FaultyFile;
use image::{BLOCK_BYTES, Change};
use tree::{Inode, Tree};

/// Room on a disk that nobody gave a capacity, in bytes.
const CAPACITY_BYTES: u64 = 1 << 40;

/// A disk in memory that does to its owner what disks do. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct FaultyDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    tree: Tree,
    dice: Dice,
    /// Tells its files from those of other disks, and of the same disk after a power loss.
    device: u64,
    capacity_bytes: u64,
    read_only: bool,
    mount_point: bool,
    faults: Vec<Fault>,
    counts: Counts,
    /// Calls until all fail.
    calls_left: Option<u64>,
    power_off_at_step: Option<u64>,
    power_off_after: Option<PowerOffAfter>,
    powered: bool,
}

impl FaultyDisk {
    /// An empty disk; all that it does at random follows from `seed` and the calls.
    pub fn new(seed: u64) -> Self {
        Self::with(Tree::new(), Dice::new(seed), CAPACITY_BYTES, false)
    }

    /// Cuts the power, and returns the disk as it is found after it. Handles on the old one return errors from now on.
    ///
    /// Faults in waiting and counts stay behind; the capacity and what [`Self::flip_bit`] did come along.
    pub fn crash(&self) -> Self {
        let seed = {
            let mut state = self.state.lock();
            state.powered = false;
            state.dice.seed()
        };
        self.after_power_loss(seed)
    }

    /// One of the disks that may be found after a power loss at this moment, by `seed`. This one goes on.
    pub fn after_power_loss(&self, seed: u64) -> Self {
        let state = self.state.lock();
        let dice = Dice::new(seed);
        let tree = state.tree.after_power_loss(&dice);
        Self::with(tree, dice, state.capacity_bytes, state.mount_point)
    }

    /// Cuts the power at the `step`-th call that changes something or makes it durable (see [`Counts::steps`]; the
    /// first is 1): that call and all later ones return errors, and what it would have done is at the dice's mercy.
    /// [`Self::crash`] then brings the disk back.
    pub fn power_off_at(&self, step: u64) {
        self.state.lock().power_off_at_step = Some(step);
    }

    /// The same, with the steps counted from the next call of `operation` whose path contains `part`: 1 is the step after
    /// that call.
    pub fn power_off_after(&self, operation: Operation, part: &str, step: u64) {
        self.state.lock().power_off_after = Some(PowerOffAfter { operation, part: part.to_owned(), step });
    }

    /// Whether the power is on.
    pub fn is_powered(&self) -> bool {
        self.state.lock().powered
    }

    /// Lets `calls` more calls pass (reads included) and fails all that follow with an I/O error, as a broken disk.
    pub fn fail_after(&self, calls: u64) {
        self.state.lock().calls_left = Some(calls);
    }

    /// Puts a fault in waiting. The first that matches a call befalls it.
    pub fn inject(&self, fault: Fault) {
        self.state.lock().faults.push(fault);
    }

    /// Takes all faults in waiting back, that of [`Self::fail_after`] too.
    pub fn heal(&self) {
        let mut state = self.state.lock();
        state.faults.clear();
        state.calls_left = None;
    }

    /// Gives the disk this much room; what is used already stays, even if it is more.
    pub fn set_capacity(&self, bytes: u64) {
        self.state.lock().capacity_bytes = bytes;
    }

    /// Remounts it: while read-only, all changes fail with `ReadOnlyFilesystem`.
    pub fn set_read_only(&self, read_only: bool) {
        self.state.lock().read_only = read_only;
    }

    /// What [`Disk::is_mount_point`] says; `false` unless set.
    pub fn set_mount_point(&self, mount_point: bool) {
        self.state.lock().mount_point = mount_point;
    }

    /// Turns one bit over at rest, in the byte at `offset` of the file: what is read and what a power loss leaves.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` beyond the file's end.
    pub fn flip_bit(&self, path: impl AsRef<Path>, offset: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        let inode = state.tree.find(path.as_ref())?.ok_or(io::ErrorKind::NotFound)?;
        if state.tree.status(inode, 0).is_directory {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let mask = 1 << state.dice.below(8);
        if state.tree.flip(inode, offset, mask) { Ok(()) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }

    /// Deletes the disk's directory with all that is in it (`rm -r`). Files that are open still take writes.
    pub fn delete_directory(&self) {
        self.state.lock().tree.delete_all();
    }

    /// Puts an empty directory where [`Self::delete_directory`] took one away.
    pub fn restore_directory(&self) {
        self.state.lock().tree.restore_root();
    }

    /// How often it was called.
    pub fn counts(&self) -> Counts {
        self.state.lock().counts
    }

    fn with(tree: Tree, dice: Dice, capacity_bytes: u64, mount_point: bool) -> Self {
        /// Above all numbers that a kernel gives.
        static NEXT_DEVICE: AtomicU64 = AtomicU64::new(1 << 63);
        let state = State {
            tree,
            dice,
            device: NEXT_DEVICE.fetch_add(1, Ordering::Relaxed),
            capacity_bytes,
            read_only: false,
            mount_point,
            faults: Vec::new(),
            counts: Counts::default(),
            calls_left: None,
            power_off_at_step: None,
            power_off_after: None,
            powered: true,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn begin(&self, operation: Operation, path: &Path) -> io::Result<Call<'_>> {
        Call::begin(self.state.lock(), operation, path, operation.is_step())
    }
}

/// A call that may go on, and what is to go wrong with it.
struct Call<'a> {
    state: MutexGuard<'a, State>,
    fault: Option<FaultKind>,
    /// The power goes while it is under way.
    loses_power: bool,
}

impl<'a> Call<'a> {
    fn begin(mut state: MutexGuard<'a, State>, operation: Operation, path: &Path, is_step: bool) -> io::Result<Self> {
        if !state.powered {
            return Err(power_lost());
        }
        match &mut state.calls_left {
            Some(0) => return Err(input_output()),
            Some(left) => *left -= 1,
            None => {}
        }
        if is_step && state.read_only {
            return Err(read_only());
        }
        let mut loses_power = false;
        if is_step {
            state.counts.steps += 1;
            loses_power = state.power_off_at_step.is_some_and(|step| state.counts.steps >= step);
        }
        if let Some(after) = state.power_off_after.take_if(|after| after.is_met_by(operation, path)) {
            state.power_off_at_step = Some(state.counts.steps + after.step);
        }
        let fault = befalling(&mut state.faults, operation, path);
        Ok(Self { state, fault, loses_power })
    }

    /// Decides what becomes of a call that is done as one: `Ok(true)` to do it and succeed; else the error to return
    /// after doing it, or not, by the dice.
    fn outcome(&mut self) -> (bool, io::Result<()>) {
        if self.loses_power {
            self.state.powered = false;
            return (self.state.dice.coin(), Err(power_lost()));
        }
        match self.fault {
            Some(FaultKind::InputOutput) => (self.state.dice.coin(), Err(input_output())),
            Some(FaultKind::StorageFull) => (false, Err(storage_full())),
            Some(FaultKind::FlippedBit) | None => (true, Ok(())),
        }
    }

    fn change_names(mut self, change: impl FnOnce(&mut Tree) -> io::Result<()>) -> io::Result<()> {
        let (is_done, outcome) = self.outcome();
        if is_done {
            let changed = change(&mut self.state.tree);
            return outcome.and(changed);
        }
        outcome
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path, options: OpenOptions) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.state.lock();
        let makes = options.create != Create::Never && state.powered && state.tree.find(path)?.is_none();
        let mut call = Call::begin(state, Operation::Open, path, makes)?;
        let (is_done, outcome) = call.outcome();
        if !is_done {
            return Err(outcome.expect_err("a call that isn't done has failed"));
        }
        let inode = call.state.tree.open(path, options.create)?;
        drop(call);
        // Made before the outcome counts, so that dropping it closes the handle.
        let file = FaultyFile::new(Arc::clone(&self.state), inode, path.to_owned(), options.direct);
        outcome.map(|()| Arc::new(file) as Arc<dyn DiskFile>)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.begin(Operation::Rename, from)?.change_names(|tree| tree.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.begin(Operation::Remove, path)?.change_names(|tree| tree.remove(path))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.begin(Operation::CreateDirectory, path)?.change_names(|tree| tree.create_directory(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut call = self.begin(Operation::List, path)?;
        call.outcome().1?;
        call.state.tree.list(path)
    }

    fn status(&self, path: &Path) -> io::Result<Option<FileStatus>> {
        let mut call = self.begin(Operation::Status, path)?;
        call.outcome().1?;
        let state = &*call.state;
        Ok(state.tree.find(path)?.map(|inode| state.tree.status(inode, state.device)))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut call = self.begin(Operation::SyncDirectory, path)?;
        let directory = call.state.tree.find_directory(path)?;
        let (_, outcome) = call.outcome();
        let state = &mut *call.state;
        match outcome {
            Ok(()) => {
                state.tree.sync_directory(directory);
                state.counts.directory_syncs += 1;
            }
            // What the loss of power leaves is decided when the disk comes back.
            Err(_) if !state.powered => {}
            Err(_) => state.tree.fail_sync_directory(directory, &state.dice),
        }
        outcome
    }

    fn space(&self) -> io::Result<DiskSpace> {
        let call = self.begin(Operation::Status, Path::new(""))?;
        Ok(DiskSpace { total_bytes: call.state.capacity_bytes, free_bytes: call.state.free_bytes() })
    }

    fn is_mount_point(&self) -> io::Result<bool> {
        let call = self.begin(Operation::Status, Path::new(""))?;
        call.state.tree.find_directory(Path::new(""))?;
        Ok(call.state.mount_point)
    }

    fn real_path(&self) -> Option<&Path> {
        None
    }
}

impl State {
    fn free_bytes(&self) -> u64 {
        self.capacity_bytes.saturating_sub(self.tree.used_bytes())
    }

    fn has_room_for(&self, inode: Inode, change: &Change) -> bool {
        let added = self.tree.blocks_added_by(inode, change);
        added == 0 || added * BLOCK_BYTES <= self.free_bytes()
    }
}

fn power_lost() -> io::Error {
    io::Error::other("the disk lost its power")
}
