//! Deterministic commands and queries on SQLite: buckets, versions, uploads, garbage, layout, tickets.
//!
//! A command is a value that `apply` turns into rows and an answer, the same on every replica: no clock, no randomness,
//! no I/O but the database. Time, ids and random bits come in with the command. This crate knows nothing of Raft (who
//! orders commands), of HTTP (who asks) or of disks (where shards lie).
//!
//! `docs/index-schema.md` explains the tables; [`service::IndexService`] is the seam to those who ask.

mod apply;
mod database;
mod digest;
mod entry;
mod error;
#[cfg(test)]
mod golden;
mod keys;
mod level;
mod nesting;
mod read;
pub mod routing;
mod rows;
mod schema;
mod tables;
mod verify;

pub mod command;
pub mod contract;
pub mod local;
pub mod query;
pub mod service;

pub use command::{Answer, Command, CommandBody, Refusal};
pub use database::{
    Checkpoint, IndexCheckpointer, IndexDatabase, IndexReader, IndexSettings, RangeMeasure, ScratchEntry, SeenInUse,
    descriptor_in,
};
pub use entry::{AppliedState, DecodeError, FIRST_DATA_RANGE, Proposal, RangeEntry, SYSTEM_RANGE};
pub use error::IndexDatabaseError;
pub use keys::{home_of, place};
pub use level::{DOCUMENTS_LEVEL, FEATURE_LEVEL, FIRST_FEATURE_LEVEL, NewerLevel, SPLITS_LEVEL};
pub use local::LocalIndex;
pub use query::{Query, QueryAnswer};
pub use routing::Router;
pub use service::{IndexError, IndexService};
