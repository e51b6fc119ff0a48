//! One disk: format, append, verify, read, free, scan.
//!
//! A disk is a directory with a superblock, segment files that self-describing records are appended to, and a SQLite
//! index that is a cache of where they lie (docs/disk-format.md). This crate doesn't know what an object is, which
//! runs live, or who may write; it keeps bytes and says when they are wrong.
//!
//! Where to go next: [`LocalShards`] is the [`ShardService`] over all disks of a process; `commit` is the one thread
//! that writes to a disk, `recovery` what a start does, `keeper` what happens behind the callers' backs.

mod accounts;
mod archive;
mod archive_service;
mod blocks;
mod catalog;
mod commit;
pub mod contract;
mod core;
mod database;
#[cfg(fuzzing)]
pub mod fuzzing;
mod health;
mod keeper;
mod layer;
mod local;
mod location;
mod metadata;
mod queue;
mod reading;
mod record;
mod recovery;
mod scan;
mod segment;
pub mod service;
mod settings;
mod store;
pub mod superblock;
mod usage;

pub use archive_service::{
    ARCHIVE_PAYLOAD_BYTES_MAX, ArchiveError, ArchiveFile, ArchivePage, ArchiveRecord, ArchiveService, ArchiveSet,
    StoredArchive,
};
pub use health::DiskHealth;
pub use local::{DiskStates, LocalShards};
pub use service::{ShardAddress, ShardBody, ShardError, ShardHeader, ShardService, StoredShard};
pub use settings::ShardSettings;
pub use store::{SMALL_BODY_BYTES_MAX, StoreEnvironment, StoreError, VerifiedShard};
pub use superblock::{DiskIdentity, MirrorSet, SlotClaim, Superblock, SuperblockError};
pub use usage::DiskUsage;
