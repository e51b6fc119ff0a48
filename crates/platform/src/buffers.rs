//! Memory for bodies: one byte budget, and buffers that are used again.
//!
//! Fresh pages cost more CPU than sending or receiving the bytes in them, so buffers go back to their pool. The budget
//! is what bounds a gateway's memory: a transfer reserves before it takes its first byte, first come first served.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

/// A bound on the bytes that transfers hold together.
#[derive(Debug, Clone)]
pub struct MemoryBudget {}

/// Bytes of a budget, given back when dropped.
#[derive(Debug)]
pub struct Reservation {}

/// No room within the time: answer 503 SlowDown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the memory budget has no room for {bytes} bytes")]
pub struct BudgetError {
    /// What was asked for.
    pub bytes: u64,
}

impl MemoryBudget {
    /// A budget of `bytes`.
    pub fn new(bytes: u64) -> Self {
        todo!()
    }
    /// Waits in line for `bytes` (a wish above the whole budget gets the whole budget), at most for `patience`.
    ///
    /// # Errors
    /// [`BudgetError`] after `patience`.
    pub async fn reserve(&self, bytes: u64, patience: Duration) -> Result<Reservation, BudgetError> {
        todo!()
    }
    /// Takes `bytes` if they are free now and nobody waits.
    pub fn try_reserve(&self, bytes: u64) -> Option<Reservation> {
        todo!()
    }
    /// Bytes that are reserved now.
    pub fn reserved_bytes(&self) -> u64 {
        todo!()
    }
}

/// Buffers of powers of two from 4 KiB to 1 MiB, aligned to 4096 bytes, that are used again.
#[derive(Debug, Clone)]
pub struct BufferPool {}

impl BufferPool {
    /// A pool that keeps at most `idle_bytes_max` bytes of unused buffers.
    pub fn new(idle_bytes_max: u64) -> Self {
        todo!()
    }
    /// A buffer of length `len` (capacity: the next size up). Its content is what was last in it, or zeros.
    pub fn take(&self, len: usize) -> Buffer {
        todo!()
    }
}

/// A buffer out of a pool, for one writer. Its address is a multiple of 4096.
#[derive(Debug)]
pub struct Buffer {}

impl Buffer {
    /// Makes it shorter.
    pub fn truncate(&mut self, len: usize) {
        todo!()
    }
    /// Ends writing: the bytes can be shared now, and the buffer goes back to its pool with the last of them.
    pub fn freeze(self) -> Bytes {
        todo!()
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        todo!()
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        todo!()
    }
}
