//! An open file of a faulty disk.

use std::io::{self, IoSlice, IoSliceMut};
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::faults::{FaultKind, Operation, storage_full};
use super::image::Change;
use super::tree::Inode;
use super::{Call, State};
use crate::disk::{DiskFile, FileStatus, check_alignment};

#[derive(Debug)]
pub(super) struct FaultyFile {
    state: Arc<Mutex<State>>,
    inode: Inode,
    path: PathBuf,
    direct: bool,
}

impl FaultyFile {
    /// Takes over a handle that the tree has counted.
    pub(super) fn new(state: Arc<Mutex<State>>, inode: Inode, path: PathBuf, direct: bool) -> Self {
        Self { state, inode, path, direct }
    }

    fn begin(&self, operation: Operation) -> io::Result<Call<'_>> {
        Call::begin(self.state.lock(), operation, &self.path, operation.is_step())
    }

    fn check_alignment<'a>(&self, buffers: impl Iterator<Item = &'a [u8]>, offset: u64) -> io::Result<()> {
        if self.direct { check_alignment(buffers, offset) } else { Ok(()) }
    }

    /// A change that is done or not, and takes room.
    fn change(&self, operation: Operation, change: Change) -> io::Result<()> {
        change.check()?;
        let mut call = self.begin(operation)?;
        let (is_done, outcome) = call.outcome();
        if is_done {
            if !call.state.has_room_for(self.inode, &change) {
                return outcome.and(Err(storage_full()));
            }
            call.state.tree.change(self.inode, change);
        }
        outcome
    }
}

impl Drop for FaultyFile {
    fn drop(&mut self) {
        self.state.lock().tree.close(self.inode);
    }
}

impl DiskFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_vectored_at(&mut [IoSliceMut::new(buffer)], offset)
    }

    fn read_vectored_at(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize> {
        self.check_alignment(buffers.iter().map(|buffer| &**buffer), offset)?;
        let mut call = self.begin(Operation::Read)?;
        call.outcome().1?;
        let mut total = 0;
        for buffer in buffers.iter_mut() {
            let read = call.state.tree.read(self.inode, buffer, offset + total as u64);
            total += read;
            if read < buffer.len() {
                break;
            }
        }
        if call.fault == Some(FaultKind::FlippedBit) && total > 0 {
            let bit = call.state.dice.below(total as u64 * 8);
            flip(buffers, bit);
        }
        call.state.counts.reads += 1;
        call.state.counts.read_bytes += total as u64;
        Ok(total)
    }

    fn write_all_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.check_alignment(buffers.iter().map(|buffer| &**buffer), offset)?;
        let mut data = Vec::with_capacity(buffers.iter().map(|buffer| buffer.len()).sum());
        buffers.iter().for_each(|buffer| data.extend_from_slice(buffer));
        let bytes = data.len() as u64;
        let change = Change::Write { offset, data };
        change.check()?;
        let mut call = self.begin(Operation::Write)?;
        let (is_done, outcome) = call.outcome();
        if call.fault == Some(FaultKind::StorageFull) {
            return outcome;
        }
        let mut written = change;
        if !is_done {
            // Where it fails it may have come part of the way.
            written.shorten(call.state.dice.below(bytes + 1));
        }
        let is_full = !call.state.has_room_for(self.inode, &written);
        while !call.state.has_room_for(self.inode, &written) {
            written.shorten_by_a_block();
        }
        call.state.tree.change(self.inode, written);
        if is_full {
            return outcome.and(Err(storage_full()));
        }
        if outcome.is_ok() {
            call.state.counts.writes += 1;
            call.state.counts.written_bytes += bytes;
        }
        outcome
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut call = self.begin(Operation::Sync)?;
        let (_, outcome) = call.outcome();
        let state = &mut *call.state;
        match outcome {
            Ok(()) => {
                state.tree.sync(self.inode);
                state.counts.syncs += 1;
            }
            // What the loss of power leaves is decided when the disk comes back.
            Err(_) if !state.powered => {}
            Err(_) => state.tree.fail_sync(self.inode, &state.dice),
        }
        outcome
    }

    fn allocate(&self, offset: u64, bytes: u64) -> io::Result<()> {
        self.change(Operation::Allocate, Change::Allocate { offset, bytes })
    }

    /// The least that is allowed: nothing, but for faults.
    fn reserve(&self, _offset: u64, _bytes: u64) -> io::Result<()> {
        self.begin(Operation::Reserve)?.outcome().1
    }

    fn begin_writeback(&self, _offset: u64, _bytes: u64) {}

    fn punch_hole(&self, offset: u64, bytes: u64) -> io::Result<()> {
        self.change(Operation::PunchHole, Change::PunchHole { offset, bytes })
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.change(Operation::SetLength, Change::SetLength(bytes))
    }

    fn status(&self) -> io::Result<FileStatus> {
        let mut call = self.begin(Operation::Status)?;
        call.outcome().1?;
        Ok(call.state.tree.status(self.inode, call.state.device))
    }
}

/// Turns the `bit`-th bit of all buffers over.
fn flip(buffers: &mut [IoSliceMut<'_>], bit: u64) {
    let mut byte = usize::try_from(bit / 8).expect("within the buffers");
    for buffer in buffers {
        if let Some(found) = buffer.get_mut(byte) {
            *found ^= 1 << (bit % 8);
            return;
        }
        byte -= buffer.len();
    }
}
