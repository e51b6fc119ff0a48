//! The bound on the bytes that transfers hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What one permit stands for. Permits are counted in 32 bits, so that the largest wish is 4 TiB.
const BYTES_PER_PERMIT: u64 = 1024;

/// The part of the budget, one in so many, that is kept for needs.
const NEEDS_SHARE: u32 = 4;

/// How many times what a client holds ahead of its needs must be free for it to get more.
const REST_PER_HELD: u64 = 8;

/// A bound on the bytes that transfers hold together.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    /// Fair: a waiter takes what is free before anyone behind it does.
    permits: Arc<Semaphore>,
    permits_max: u32,
    reserved_bytes: Arc<AtomicU64>,
    /// How often something was reserved for a client.
    for_clients: Arc<AtomicU64>,
    is_for_upkeep: bool,
}

/// Bytes of a budget, given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    permit: OwnedSemaphorePermit,
    reserved_bytes: Arc<AtomicU64>,
}

/// No room within the time: answer 503 SlowDown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the memory budget has no room for {bytes} bytes")]
pub struct BudgetError {
    /// What was asked for.
    pub bytes: u64,
}

impl MemoryBudget {
    /// A budget of `bytes`, counted in KiB (rounded up; at least one, at most 4 TiB).
    pub fn new(bytes: u64) -> Self {
        let permits_max = permits_for(bytes).max(1);
        Self {
            permits: Arc::new(Semaphore::new(permits_max as usize)),
            permits_max,
            reserved_bytes: Arc::new(AtomicU64::new(0)),
            for_clients: Arc::new(AtomicU64::new(0)),
            is_for_upkeep: false,
        }
    }

    /// The same budget for work that no client waits for: what is reserved through it is not counted as a client's.
    #[must_use]
    pub fn for_upkeep(&self) -> Self {
        Self { is_for_upkeep: true, ..self.clone() }
    }

    /// How often something was reserved for a client since the start. Whoever sees it rise has clients beside it.
    pub fn reservations_for_clients(&self) -> u64 {
        self.for_clients.load(Ordering::Relaxed)
    }

    /// Waits in line for `bytes` (a wish above the whole budget gets the whole budget), at most for `patience`.
    ///
    /// # Errors
    /// [`BudgetError`] after `patience`.
    pub async fn reserve(&self, bytes: u64, patience: Duration) -> Result<Reservation, BudgetError> {
        let permits = permits_for(bytes).min(self.permits_max);
        let turn = Arc::clone(&self.permits).acquire_many_owned(permits);
        let permit = tokio::time::timeout(patience, turn).await.map_err(|_elapsed| BudgetError { bytes })?;
        Ok(self.reservation(permit.expect("the semaphore is never closed")))
    }

    /// Takes `bytes` if they are free now and nobody waits.
    pub fn try_reserve(&self, bytes: u64) -> Option<Reservation> {
        let permits = permits_for(bytes).min(self.permits_max);
        // Whoever waits has taken all that was free already, so that nothing is left for us then.
        Arc::clone(&self.permits).try_acquire_many_owned(permits).ok().map(|permit| self.reservation(permit))
    }

    /// The same ahead of a need, for a client that has `held_bytes` so already and would keep them if it stalls: a
    /// quarter of the budget stays free for needs, and of the rest many times what the client holds, so that a newcomer
    /// finds about as much as those who were here before.
    pub fn try_reserve_ahead(&self, bytes: u64, held_bytes: u64) -> Option<Reservation> {
        let kept_free = u64::from(self.permits_max / NEEDS_SHARE);
        let available = self.permits.available_permits() as u64;
        let rest = available.checked_sub(u64::from(permits_for(bytes)) + kept_free)?;
        (held_bytes.saturating_mul(REST_PER_HELD) <= rest * BYTES_PER_PERMIT).then(|| self.try_reserve(bytes)).flatten()
    }

    /// Whether all of it is taken, so that whoever has a need waits.
    pub fn is_used_up(&self) -> bool {
        self.permits.available_permits() == 0
    }

    /// Bytes that are reserved now.
    pub fn reserved_bytes(&self) -> u64 {
        self.reserved_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of the whole budget.
    pub fn total_bytes(&self) -> u64 {
        u64::from(self.permits_max) * BYTES_PER_PERMIT
    }

    fn reservation(&self, permit: OwnedSemaphorePermit) -> Reservation {
        let reservation = Reservation { permit, reserved_bytes: Arc::clone(&self.reserved_bytes) };
        self.reserved_bytes.fetch_add(reservation.bytes(), Ordering::Relaxed);
        if !self.is_for_upkeep {
            self.for_clients.fetch_add(1, Ordering::Relaxed);
        }
        reservation
    }
}

impl Reservation {
    /// What is reserved: what was asked for, rounded up to KiB.
    pub fn bytes(&self) -> u64 {
        self.permit.num_permits() as u64 * BYTES_PER_PERMIT
    }

    /// Gives back what is above `bytes`.
    pub fn shrink_to(&mut self, bytes: u64) {
        let surplus = self.permit.num_permits().saturating_sub(permits_for(bytes) as usize);
        if let Some(given_back) = self.permit.split(surplus) {
            self.reserved_bytes.fetch_sub(surplus as u64 * BYTES_PER_PERMIT, Ordering::Relaxed);
            drop(given_back);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.reserved_bytes.fetch_sub(self.bytes(), Ordering::Relaxed);
    }
}

fn permits_for(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(BYTES_PER_PERMIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn a_large_wish_is_not_overtaken_by_small_ones() {
        let budget = MemoryBudget::new(10 * 1024);
        let first = budget.reserve(6 * 1024, LONG).await.expect("room");
        let mut large = pin!(budget.reserve(8 * 1024, LONG));
        assert!(poll(large.as_mut()).is_pending());
        assert!(budget.try_reserve(1024).is_none(), "somebody waits");
        let mut small = pin!(budget.reserve(4 * 1024, LONG));
        assert!(poll(small.as_mut()).is_pending());
        assert_eq!(budget.reserved_bytes(), 6 * 1024);
        drop(first);
        assert!(poll(small.as_mut()).is_pending());
        let Poll::Ready(Ok(large)) = poll(large.as_mut()) else { panic!("its turn has come") };
        assert!(poll(small.as_mut()).is_pending());
        drop(large);
        assert!(poll(small.as_mut()).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_with_an_error_and_the_place_in_line() {
        let budget = MemoryBudget::new(4096);
        let held = budget.reserve(4096, LONG).await.expect("room");
        let refused = budget.reserve(5000, Duration::from_millis(5)).await;
        assert_eq!(refused.expect_err("no room"), BudgetError { bytes: 5000 });
        drop(held);
        assert!(budget.reserve(4096, LONG).await.is_ok());
    }

    #[tokio::test]
    async fn a_wish_above_the_budget_gets_the_whole_of_it() {
        let budget = MemoryBudget::new(4096);
        let all = budget.reserve(u64::MAX, LONG).await.expect("free");
        assert_eq!((all.bytes(), budget.reserved_bytes(), budget.total_bytes()), (4096, 4096, 4096));
        drop(all);
        assert_eq!(budget.reserved_bytes(), 0);
    }

    #[tokio::test]
    async fn what_is_reserved_for_upkeep_is_of_the_same_bytes_and_not_counted_as_a_clients() {
        let budget = MemoryBudget::new(4096);
        let upkeep = budget.for_upkeep();
        let held = upkeep.reserve(3072, LONG).await.expect("free");
        assert_eq!((budget.reserved_bytes(), budget.reservations_for_clients()), (3072, 0));
        assert!(budget.try_reserve(2048).is_none(), "it is taken");
        assert!(upkeep.try_reserve_ahead(1024, 0).is_none(), "needs come first");
        drop(held);
        drop(budget.try_reserve(2048).expect("free"));
        assert_eq!((upkeep.reserved_bytes(), upkeep.reservations_for_clients()), (0, 1));
    }

    #[tokio::test]
    async fn shrinking_gives_the_surplus_back() {
        let budget = MemoryBudget::new(8192);
        let mut held = budget.reserve(8192, LONG).await.expect("free");
        held.shrink_to(1);
        held.shrink_to(9000);
        assert_eq!((held.bytes(), budget.reserved_bytes()), (1024, 1024));
        assert!(poll(pin!(budget.reserve(7168, LONG))).is_ready());
    }

    #[tokio::test]
    async fn what_is_taken_ahead_leaves_a_quarter_to_needs() {
        let budget = MemoryBudget::new(8192);
        assert!(budget.try_reserve_ahead(7168, 0).is_none());
        let ahead = budget.try_reserve_ahead(6144, 0).expect("a quarter stays free");
        assert!(budget.try_reserve_ahead(1, 0).is_none());
        assert!(!budget.is_used_up());
        let needed = budget.try_reserve(2048).expect("kept for needs");
        assert!(budget.is_used_up());
        drop((ahead, needed));
        assert!(budget.try_reserve_ahead(u64::MAX, 0).is_none());
    }

    #[test]
    fn many_that_take_ahead_of_their_needs_leave_as_much_to_the_next() {
        const PIECE_BYTES: u64 = 64 << 10;
        let budget = MemoryBudget::new(256 << 20);
        let take = |held: &mut Vec<Reservation>| {
            while held.len() < 64
                && let Some(more) = budget.try_reserve_ahead(PIECE_BYTES, held.len() as u64 * PIECE_BYTES)
            {
                held.push(more);
            }
        };
        let mut clients: Vec<Vec<Reservation>> = (0..200).map(|_| Vec::new()).collect();
        for _ in 0..64 {
            for client in &mut clients {
                // What it used is used up, and it takes more.
                drop(client.pop());
                take(client);
            }
        }
        let fewest = clients.iter().map(Vec::len).min().expect("there are some");
        let mut newcomer = Vec::new();
        take(&mut newcomer);
        assert!(fewest >= 8 && newcomer.len() >= 8, "{fewest}, {}", newcomer.len());
        clients.clear();
        take(&mut newcomer);
        assert_eq!(newcomer.len(), 64);
    }
}
