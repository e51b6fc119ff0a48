//! Clocks that agree on how fast time passes, and on nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use platform::Clock;
use tokio::time::Instant;
use types::Timestamp;

/// When all simulations begin, in seconds since 1970.
const BEGINNING_SECONDS: u64 = 1_700_000_000;

/// The clock of one machine: simulated time, and an offset that an administrator may change. Clones are the same clock.
#[derive(Debug, Clone)]
pub(crate) struct SimClock {
    start: Instant,
    offset_micros: Arc<AtomicI64>,
}

impl SimClock {
    /// A clock that is right.
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, offset_micros: Arc::default() }
    }

    /// Makes it wrong by so much.
    pub(crate) fn set_offset(&self, micros: i64) {
        self.offset_micros.store(micros, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let micros = u64::try_from(self.start.elapsed().as_micros()).expect("a simulation ends within 584,000 years");
        let right = BEGINNING_SECONDS * 1_000_000 + micros;
        Timestamp(right.saturating_add_signed(self.offset_micros.load(Ordering::Relaxed)))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}
