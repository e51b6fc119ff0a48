//! What a faulty disk is told to do wrong.

use std::io;
use std::path::{Path, PathBuf};

/// A kind of call on a disk or a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `Disk::open`.
    Open,
    /// `DiskFile::read_at` and `read_vectored_at`.
    Read,
    /// `DiskFile::write_all_at`.
    Write,
    /// `DiskFile::sync_data`.
    Sync,
    /// `DiskFile::allocate`.
    Allocate,
    /// `DiskFile::reserve`.
    Reserve,
    /// `DiskFile::punch_hole`.
    PunchHole,
    /// `DiskFile::set_len`.
    SetLength,
    /// `Disk::rename`; the path is the old one.
    Rename,
    /// `Disk::remove`.
    Remove,
    /// `Disk::create_directory`.
    CreateDirectory,
    /// `Disk::sync_directory`.
    SyncDirectory,
    /// `Disk::list`.
    List,
    /// `Disk::status` and `DiskFile::status`.
    Status,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// EIO. A write may have been done in part; after a sync each change may be durable or never will be.
    InputOutput,
    /// ENOSPC, whatever the room.
    StorageFull,
    /// A bit of what a read brings is turned over; what lies on the disk is right. Other operations don't heed it.
    FlippedBit,
}

/// One fault in waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The calls that it may befall.
    pub operation: Operation,
    /// Only those on this path; on any path if `None`. A file keeps the path that it was opened under.
    pub path: Option<PathBuf>,
    /// How many such calls pass first.
    pub after: u64,
    /// How many calls then fail; `u64::MAX` for all.
    pub times: u64,
    /// What happens to them.
    pub kind: FaultKind,
}

impl Fault {
    /// The next such call on any path gets an I/O error, once.
    pub fn once(operation: Operation) -> Self {
        Self { operation, path: None, after: 0, times: 1, kind: FaultKind::InputOutput }
    }

    /// The same, on one path alone.
    #[must_use]
    pub fn on(self, path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()), ..self }
    }

    /// The same, once `calls` such calls have passed.
    #[must_use]
    pub fn after(self, calls: u64) -> Self {
        Self { after: calls, ..self }
    }

    /// The same, for all calls from then on.
    #[must_use]
    pub fn forever(self) -> Self {
        Self { times: u64::MAX, ..self }
    }

    /// The same place, another mishap.
    #[must_use]
    pub fn with(self, kind: FaultKind) -> Self {
        Self { kind, ..self }
    }
}

/// How often a disk was called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that change something, or make it durable: the steps at which power may be lost.
    pub steps: u64,
    /// `DiskFile::sync_data` that succeeded.
    pub syncs: u64,
    /// `Disk::sync_directory` that succeeded.
    pub directory_syncs: u64,
    /// `DiskFile::write_all_at` that succeeded.
    pub writes: u64,
    /// Bytes that they wrote.
    pub written_bytes: u64,
    /// Reads that succeeded.
    pub reads: u64,
    /// Bytes that they brought.
    pub read_bytes: u64,
}

/// From which call on the steps are counted until the power goes.
#[derive(Debug)]
pub(super) struct PowerOffAfter {
    pub(super) operation: Operation,
    pub(super) part: String,
    pub(super) step: u64,
}

impl PowerOffAfter {
    pub(super) fn is_met_by(&self, operation: Operation, path: &Path) -> bool {
        self.operation == operation && path.to_string_lossy().contains(&self.part)
    }
}

impl Operation {
    /// Whether it changes something or makes it durable. Opening does where it makes a file.
    pub(super) fn is_step(self) -> bool {
        !matches!(self, Self::Open | Self::Read | Self::List | Self::Status)
    }
}

/// Takes the fault that befalls this call, if one does.
pub(super) fn befalling(faults: &mut Vec<Fault>, operation: Operation, path: &Path) -> Option<FaultKind> {
    let mut kind = None;
    for fault in faults.iter_mut() {
        if fault.operation != operation || fault.path.as_deref().is_some_and(|only| only != path) {
            continue;
        }
        if fault.after > 0 {
            fault.after -= 1;
        } else if kind.is_none() {
            kind = Some(fault.kind);
            if fault.times != u64::MAX {
                fault.times -= 1;
            }
        }
    }
    faults.retain(|fault| fault.times > 0);
    kind
}

pub(super) fn input_output() -> io::Error {
    io::Error::from_raw_os_error(libc::EIO)
}

pub(super) fn storage_full() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOSPC)
}

pub(super) fn read_only() -> io::Error {
    io::Error::from_raw_os_error(libc::EROFS)
}
