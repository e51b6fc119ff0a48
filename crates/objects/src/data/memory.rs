//! What one transfer holds of the memory budget.
//!
//! A transfer has a reservation for as long as it runs, taken in line, first come first served; a second stripe's memory
//! only if it is free and nobody waits. A reservation lives as long as the last piece of the stripe that it was taken
//! for, wherever that piece is (being hashed, on its way to a disk), and then comes back to the transfer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use platform::{Buffer, MemoryBudget, Reservation};
use tokio::sync::mpsc;

/// The budget had no room within the transfer's patience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoMemory;

/// The memory of one transfer's stripes.
pub(super) struct TransferMemory {
    budget: MemoryBudget,
    patience: Duration,
    returned: mpsc::UnboundedReceiver<Vec<Reservation>>,
    returns: mpsc::UnboundedSender<Vec<Reservation>>,
    /// Stripes whose memory has not come back.
    outstanding: usize,
    /// What came back and is not used again yet.
    spare: Vec<Reservation>,
    /// Whether what comes back stays this transfer's.
    keeps: Arc<AtomicBool>,
}

/// The memory of one stripe.
pub(super) struct StripeMemory {
    reservations: Mutex<Vec<Reservation>>,
    returns: mpsc::UnboundedSender<Vec<Reservation>>,
    keeps: Arc<AtomicBool>,
}

impl TransferMemory {
    pub(super) fn new(budget: MemoryBudget, patience: Duration) -> Self {
        let (returns, returned) = mpsc::unbounded_channel();
        Self {
            budget,
            patience,
            returned,
            returns,
            outstanding: 0,
            spare: Vec::new(),
            keeps: Arc::new(AtomicBool::new(true)),
        }
    }

    /// Whether a stripe's memory stays this transfer's for the next one, or is given back between them: a slow sender
    /// may be a long time between two stripes.
    pub(super) fn set_keeps(&mut self, keeps: bool) {
        self.keeps.store(keeps, Ordering::Relaxed);
        if !keeps {
            self.take_back_all();
            self.spare.clear();
        }
    }

    /// Memory for a stripe of `bytes`: what an earlier stripe gave back, else what is free, else, with no other stripe
    /// under way, what comes free in line.
    pub(super) async fn acquire(&mut self, bytes: u64) -> Result<Arc<StripeMemory>, NoMemory> {
        loop {
            if let Some(memory) = self.try_acquire(bytes) {
                return Ok(memory);
            }
            if self.outstanding == 0 {
                let missing = bytes.saturating_sub(total(&self.spare));
                let more = self.budget.reserve(missing, self.patience).await.map_err(|_| NoMemory)?;
                self.spare.push(more);
                return Ok(self.use_spare(bytes));
            }
            let returned = self.returned.recv().await.expect("this transfer holds a sender itself");
            self.take_back(returned);
        }
    }

    /// The same without waiting.
    pub(super) fn try_acquire(&mut self, bytes: u64) -> Option<Arc<StripeMemory>> {
        self.take_back_all();
        if self.outstanding > 0 {
            // One stripe is every transfer's own; a second one may not keep those who wait in line from theirs.
            self.spare.clear();
        }
        let missing = bytes.saturating_sub(total(&self.spare));
        if missing > 0 {
            self.spare.push(self.budget.try_reserve(missing)?);
        }
        Some(self.use_spare(bytes))
    }

    /// More memory for a stripe that has some: what is free, else what comes free in line.
    pub(super) async fn grow(&self, memory: &StripeMemory, bytes: u64) -> Result<(), NoMemory> {
        let missing = bytes.saturating_sub(total(&memory.reservations.lock()));
        if missing > 0 {
            let more = self.budget.reserve(missing, self.patience).await.map_err(|_| NoMemory)?;
            memory.reservations.lock().push(more);
        }
        Ok(())
    }

    fn take_back_all(&mut self) {
        while let Ok(returned) = self.returned.try_recv() {
            self.take_back(returned);
        }
    }

    fn take_back(&mut self, returned: Vec<Reservation>) {
        self.outstanding -= 1;
        self.spare.extend(returned);
    }

    fn use_spare(&mut self, bytes: u64) -> Arc<StripeMemory> {
        let mut reservations = std::mem::take(&mut self.spare);
        let mut wanted = bytes;
        for reservation in &mut reservations {
            reservation.shrink_to(wanted);
            wanted = wanted.saturating_sub(reservation.bytes());
        }
        reservations.retain(|reservation| reservation.bytes() > 0);
        self.outstanding += 1;
        Arc::new(StripeMemory {
            reservations: Mutex::new(reservations),
            returns: self.returns.clone(),
            keeps: Arc::clone(&self.keeps),
        })
    }
}

impl Drop for StripeMemory {
    fn drop(&mut self) {
        let mut reservations = std::mem::take(self.reservations.get_mut());
        if !self.keeps.load(Ordering::Relaxed) {
            reservations.clear();
        }
        // Where the transfer is over nobody receives, and the budget has it back at once.
        let _ = self.returns.send(reservations);
    }
}

fn total(reservations: &[Reservation]) -> u64 {
    reservations.iter().map(Reservation::bytes).sum()
}

/// The buffer as bytes to share; `memory` stays reserved as long as any of them.
pub(super) fn reserved_bytes<M: Send + Sync + 'static>(buffer: Buffer, memory: Arc<M>) -> Bytes {
    Bytes::from_owner(Reserved { bytes: buffer, _memory: memory })
}

/// Bytes from elsewhere, tied to their reservation.
pub(super) fn tied_bytes<M: Send + Sync + 'static>(bytes: Bytes, memory: Arc<M>) -> Bytes {
    Bytes::from_owner(Reserved { bytes, _memory: memory })
}

struct Reserved<B, M> {
    bytes: B,
    _memory: Arc<M>,
}

impl<B: AsRef<[u8]>, M> AsRef<[u8]> for Reserved<B, M> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(10);

    #[tokio::test(start_paused = true)]
    async fn one_stripe_is_a_transfers_own_and_the_second_is_taken_only_from_what_is_free() {
        let budget = MemoryBudget::new(100 << 10);
        let mut transfer = TransferMemory::new(budget.clone(), PATIENCE);
        let first = transfer.acquire(60 << 10).await.expect("free");
        assert!(transfer.try_acquire(60 << 10).is_none());
        let other = budget.reserve(40 << 10, PATIENCE).await.expect("free");
        // With the budget used up, the first stripe's memory is used again.
        drop(first);
        let again = transfer.acquire(60 << 10).await.expect("its own");
        assert_eq!(budget.reserved_bytes(), 100 << 10);
        drop(other);
        let second = transfer.acquire(10 << 10).await.expect("free now");
        assert_eq!(budget.reserved_bytes(), 70 << 10);
        drop((again, second, transfer));
        assert_eq!(budget.reserved_bytes(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_smaller_stripe_gives_the_surplus_back() {
        let budget = MemoryBudget::new(100 << 10);
        let mut transfer = TransferMemory::new(budget.clone(), PATIENCE);
        let memory = transfer.acquire(10 << 10).await.expect("free");
        transfer.grow(&memory, 60 << 10).await.expect("free");
        assert_eq!(budget.reserved_bytes(), 60 << 10);
        drop(memory);
        let small = transfer.acquire(8 << 10).await.expect("its own");
        assert_eq!(budget.reserved_bytes(), 8 << 10);
        drop(small);
    }

    #[tokio::test(start_paused = true)]
    async fn a_transfer_that_keeps_nothing_gives_back_between_stripes() {
        let budget = MemoryBudget::new(100 << 10);
        let mut transfer = TransferMemory::new(budget.clone(), PATIENCE);
        let (first, second) = (transfer.acquire(10 << 10).await, transfer.acquire(20 << 10).await);
        drop(first);
        transfer.set_keeps(false);
        assert_eq!(budget.reserved_bytes(), 20 << 10);
        drop(second);
        assert_eq!(budget.reserved_bytes(), 0);
        assert!(transfer.acquire(100 << 10).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let budget = MemoryBudget::new(100 << 10);
        let held = budget.reserve(100 << 10, PATIENCE).await;
        let mut transfer = TransferMemory::new(budget, PATIENCE);
        assert_eq!(transfer.acquire(1 << 10).await.err(), Some(NoMemory));
        drop(held);
        assert!(transfer.acquire(1 << 10).await.is_ok());
    }

    #[tokio::test]
    async fn bytes_hold_their_reservation() {
        let budget = MemoryBudget::new(100 << 10);
        let mut transfer = TransferMemory::new(budget.clone(), PATIENCE);
        let memory = transfer.acquire(64 << 10).await.expect("free");
        let piece = reserved_bytes(platform::BufferPool::new(0).take(100), Arc::clone(&memory)).slice(3..9);
        drop((memory, transfer));
        assert_eq!(budget.reserved_bytes(), 64 << 10);
        drop(piece);
        assert_eq!(budget.reserved_bytes(), 0);
    }
}
