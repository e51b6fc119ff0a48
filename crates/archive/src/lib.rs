//! The archive of the index, and the index out of it again.
//!
//! Each range's leader keeps a copy of the range's rows and the log since on several disks, in files that have nothing to
//! do with log, mirrors or copies of the database: [`Archiver`]. Where all of those are lost, a rebuild takes the archive
//! in, and adds from the shard headers what the archive doesn't know.
//!
//! This crate doesn't know what a disk's archive file looks like (`shards` does), what a command means (`index`), or who
//! asks for a rebuild.

mod archiver;
mod entry;
mod merged;
pub mod rebuild;
mod restore;
#[cfg(test)]
mod tests;

pub use archiver::{ArchiveSettings, ArchiveStatus, Archiver, ArchiverParts};
pub use entry::EntryError;
pub use restore::RestoredRange;
