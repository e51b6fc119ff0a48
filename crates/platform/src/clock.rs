//! Time.

use std::fmt;
use std::time::Duration;

use types::Timestamp;

/// What time it is. Only leaders stamp commands with it; no order of versions depends on it (`types::CommitStamp`).
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock. It may jump.
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary start; it never goes back.
    fn monotonic(&self) -> Duration;
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: std::time::Instant,
}

#[allow(clippy::disallowed_methods, reason = "the one home of the machine's clock")]
impl SystemClock {
    /// Starts the monotonic clock at zero.
    pub fn new() -> Self {
        Self { start: std::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[allow(clippy::disallowed_methods, reason = "the one home of the machine's clock")]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since_1970.as_micros()).expect("microseconds since 1970 fit 64 bits until 586,000 AD"))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}
