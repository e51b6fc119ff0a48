//! Time as the index knows it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// When a command took effect: microseconds since 1970 by its leader's clock, raised where needed so that a range's
/// stamps only rise (a hybrid logical clock). Decided in `apply`, so it orders versions; no other clock does.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommitStamp(pub u64);

impl CommitStamp {
    /// The stamp of a command that the leader received at `leader_time`, after `last` was given: never equal to it.
    #[must_use]
    pub fn after(last: Self, leader_time: Timestamp) -> Self {
        Self(leader_time.0.max(last.0 + 1))
    }

    /// The stamp as a time.
    pub const fn time(self) -> Timestamp {
        Timestamp(self.0)
    }
}

impl fmt::Debug for CommitStamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommitStamp({})", self.0)
    }
}

/// A moment: microseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The moment `seconds` after 1970.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds * 1_000_000)
    }

    /// The next whole second, if it is none.
    #[must_use]
    pub const fn rounded_up(self) -> Self {
        let seconds = self.0.div_ceil(1_000_000);
        Self(if seconds > u64::MAX / 1_000_000 { u64::MAX } else { seconds * 1_000_000 })
    }

    /// Whole seconds since 1970, rounded down: what S3 shows and compares.
    pub const fn seconds(self) -> u64 {
        self.0 / 1_000_000
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({} us)", self.0)
    }
}
