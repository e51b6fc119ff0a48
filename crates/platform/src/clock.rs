//! Time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// A clock that stands still until it is turned by hand. Clones show the same time.
#[derive(Debug, Clone, Default)]
pub struct ManualClock {
    hands: Arc<Hands>,
}

#[derive(Debug, Default)]
struct Hands {
    now_micros: AtomicU64,
    monotonic_nanos: AtomicU64,
}

impl ManualClock {
    /// A clock whose wall shows `now`; its monotonic time is zero.
    pub fn new(now: Timestamp) -> Self {
        let clock = Self::default();
        clock.set_now(now);
        clock
    }

    /// Lets time pass on both.
    ///
    /// # Panics
    /// After 584 years of monotonic time.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).expect("tests end within 584 years");
        // The wall follows from the sum, so that many steps below a microsecond still add up.
        let before = self.hands.monotonic_nanos.fetch_add(nanos, Ordering::SeqCst);
        let micros = (before + nanos) / 1000 - before / 1000;
        self.hands.now_micros.fetch_add(micros, Ordering::SeqCst);
    }

    /// Makes the wall clock jump, as an administrator may; monotonic time stays.
    pub fn set_now(&self, now: Timestamp) {
        self.hands.now_micros.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.hands.now_micros.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.hands.monotonic_nanos.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_by_hand_alone() {
        let clock = ManualClock::new(Timestamp(1_000));
        let same = clock.clone();
        for _ in 0..4 {
            same.advance(Duration::from_nanos(500));
        }
        assert_eq!((clock.now(), clock.monotonic()), (Timestamp(1_002), Duration::from_micros(2)));
        clock.set_now(Timestamp(5));
        assert_eq!((same.now(), same.monotonic()), (Timestamp(5), Duration::from_micros(2)));
    }
}
