//! openraft around the index: log, state machine, membership.

mod encoding;
mod log;
mod raft_types;
#[cfg(test)]
mod testing;

pub use encoding::MalformedError;
pub use log::{Disks, LogError, LogSettings, LogStatus, MirrorRegistry, MirrorSet};
