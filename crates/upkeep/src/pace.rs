//! How fast shards are made again: as fast as it goes while nobody else is there, and beside clients one at a time, so
//! that half of the time is theirs and what they wait for at worst is one shard.

use std::sync::Arc;
use std::time::Duration;

use objects::data::DataPath;
use parking_lot::Mutex;
use tokio::time::Instant;

/// How many shards are brought at once while no client is there.
const AT_ONCE: usize = 8;
/// Clients that were there a moment ago count as being there: between two of their requests there is a little time.
const CLIENTS_STAY: Duration = Duration::from_millis(250);
/// The longest pause after one shard.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Watches for clients. Clones go by what any of them has seen.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    reservations: u64,
    clients_until: Option<Instant>,
}

impl Pace {
    /// How many shards may be under way now.
    pub(crate) fn at_once(&self, data: &DataPath) -> usize {
        if self.has_clients(data.reservations_for_clients()) { 1 } else { AT_ONCE }
    }

    /// Leaves the time to clients, where there are any, that the last shard took.
    pub(crate) async fn rest(&self, data: &DataPath, took: Duration) {
        if self.has_clients(data.reservations_for_clients()) {
            tokio::time::sleep(took.min(PAUSE_MAX)).await;
        }
    }

    fn has_clients(&self, reservations: u64) -> bool {
        let now = Instant::now();
        let mut seen = self.seen.lock();
        if seen.reservations != reservations {
            // What came before anybody looked may be long ago.
            let is_first = seen.reservations == 0 && seen.clients_until.is_none();
            seen.reservations = reservations;
            seen.clients_until = Some(if is_first { now } else { now + CLIENTS_STAY });
        }
        seen.clients_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn clients_are_there_while_they_come_and_a_moment_longer() {
        let pace = Pace::default();
        assert!(!pace.has_clients(7), "what was before is not now");
        assert!(!pace.has_clients(7));
        assert!(pace.has_clients(8));
        tokio::time::advance(CLIENTS_STAY / 2).await;
        assert!(pace.has_clients(8));
        assert!(pace.has_clients(9));
        tokio::time::advance(CLIENTS_STAY).await;
        assert!(!pace.has_clients(9), "they are gone");
    }
}
