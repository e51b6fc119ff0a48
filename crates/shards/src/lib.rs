//! One disk: format, append, verify, read, free, scan.
//!
//! A disk is a directory with a superblock, segment files that self-describing records are appended to, and a SQLite
//! index that is a cache of where they lie (docs/disk-format.md). This crate doesn't know what an object is, which
//! runs live, or who may write; it keeps bytes and says when they are wrong.

pub mod service;

pub use service::{ShardAddress, ShardBody, ShardError, ShardHeader, ShardService, StoredShard};
