//! The bound on the bytes that transfers hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What one permit stands for. Permits are counted in 32 bits, so that the largest wish is 4 TiB.
const BYTES_PER_PERMIT: u64 = 1024;

/// A bound on the bytes that transfers hold together.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    /// Fair: a waiter takes what is free before anyone behind it does.
    permits: Arc<Semaphore>,
    permits_max: u32,
    reserved_bytes: Arc<AtomicU64>,
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
        }
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
        assert!(budget.try_reserve(4096).is_some());
    }

    #[test]
    fn a_wish_above_the_budget_gets_the_whole_of_it() {
        let budget = MemoryBudget::new(4096);
        let all = budget.try_reserve(u64::MAX).expect("free");
        assert_eq!((all.bytes(), budget.reserved_bytes(), budget.total_bytes()), (4096, 4096, 4096));
        drop(all);
        assert_eq!(budget.reserved_bytes(), 0);
    }

    #[test]
    fn shrinking_gives_the_surplus_back() {
        let budget = MemoryBudget::new(8192);
        let mut held = budget.try_reserve(8192).expect("free");
        held.shrink_to(1);
        held.shrink_to(9000);
        assert_eq!((held.bytes(), budget.reserved_bytes()), (1024, 1024));
        assert!(budget.try_reserve(7168).is_some());
    }
}
