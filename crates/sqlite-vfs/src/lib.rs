//! How Cairn opens SQLite databases, checkpoints, copies and checks them.
//!
//! Every database of Cairn lies on a [`platform::Disk`], is in WAL mode, and is used by the connections of one process
//! alone. SQLite never checkpoints by itself: whoever owns a database calls [`checkpoint`] and knows from its outcome
//! what has become durable. This crate knows no table and no statement of any database.

mod checkpoint;
mod copy;
mod integrity;
mod open;
mod room;
mod vfs;

pub use checkpoint::{CheckpointOutcome, checkpoint, checkpoint_and_empty};
pub use copy::copy_database;
pub use integrity::{integrity_check, quick_check};
pub use open::{DatabaseError, DatabaseLocation, Role, Settings, Synchronous, open};
pub use room::reserve_room;
