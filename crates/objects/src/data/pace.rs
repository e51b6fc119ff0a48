//! How fast a sender is, or a reader.

use std::time::Duration;

use tokio::time::Instant;

/// With the memory budget used up, others wait for what a silent client holds: it gives that up after this part of a
/// window, one in so many.
pub(super) const PRESSED_WINDOWS: u32 = 8;

/// Measures a sender over windows of the time that was spent waiting for it; what the store took itself doesn't count.
pub(super) struct Pace {
    slow_bytes_per_second: u64,
    window: Duration,
    bytes: u64,
    waited: Duration,
}

impl Pace {
    pub(super) fn new(slow_bytes_per_second: u64, window: Duration) -> Self {
        Self { slow_bytes_per_second, window, bytes: 0, waited: Duration::ZERO }
    }

    /// When the next part of the window ends if nothing comes until then.
    pub(super) fn deadline(&self) -> Instant {
        let part = self.pressed_window().max(Duration::from_millis(1));
        let into_part = self.waited.as_nanos() % part.as_nanos();
        Instant::now() + part.saturating_sub(Duration::from_nanos(u64::try_from(into_part).unwrap_or(0)))
    }

    /// Counts waiting, and what it brought.
    pub(super) fn count(&mut self, waited: Duration, bytes: usize) {
        self.waited += waited;
        self.bytes += bytes as u64;
    }

    /// Whether the sender was slow over the window that just ended; `None` within one.
    pub(super) fn verdict(&mut self) -> Option<bool> {
        if self.waited < self.window {
            return None;
        }
        let slow = !self.is_at_least(self.slow_bytes_per_second);
        *self = Self::new(self.slow_bytes_per_second, self.window);
        Some(slow)
    }

    /// How long a silent client keeps memory for which others wait.
    pub(super) fn pressed_window(&self) -> Duration {
        self.window / PRESSED_WINDOWS
    }

    /// Whether so many bytes a second came since the window began.
    pub(super) fn is_at_least(&self, bytes_per_second: u64) -> bool {
        self.bytes as f64 >= bytes_per_second as f64 * self.waited.as_secs_f64()
    }

    /// What came since the window began.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn restart(&mut self) {
        *self = Self::new(self.slow_bytes_per_second, self.window);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_judged_by_the_time_that_it_lets_wait() {
        let mut pace = Pace::new(1000, Duration::from_secs(2));
        pace.count(Duration::from_secs(1), 10);
        assert_eq!(pace.verdict(), None);
        pace.count(Duration::from_secs(1), 1989);
        assert_eq!(pace.verdict(), Some(true));
        pace.count(Duration::from_secs(2), 2000);
        assert_eq!(pace.verdict(), Some(false));
        pace.count(Duration::ZERO, 0);
        assert!(pace.is_at_least(u64::MAX), "nothing was waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_looked_at_the_end_of_each_part_of_a_window() {
        let mut pace = Pace::new(1000, Duration::from_secs(2));
        let now = Instant::now();
        assert_eq!(pace.deadline() - now, Duration::from_millis(250));
        pace.count(Duration::from_millis(700), 0);
        assert_eq!(pace.deadline() - now, Duration::from_millis(50));
        pace.count(Duration::from_millis(50), 0);
        assert_eq!(pace.deadline() - now, Duration::from_millis(250));
    }
}
