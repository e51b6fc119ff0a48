//! Aligned buffers that are used again.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::disk::DIRECT_ALIGNMENT;

const SIZE_MIN: usize = 4 * 1024;
const SIZE_MAX: usize = 1024 * 1024;
const CLASSES: usize = (SIZE_MAX / SIZE_MIN).ilog2() as usize + 1;

/// Buffers of powers of two from 4 KiB to 1 MiB, aligned to 4096 bytes, that are used again.
#[derive(Debug, Clone)]
pub struct BufferPool {
    shared: Arc<Shared>,
}

impl BufferPool {
    /// A pool that keeps at most `idle_bytes_max` bytes of unused buffers.
    pub fn new(idle_bytes_max: u64) -> Self {
        Self::bounded(idle_bytes_max, u64::MAX)
    }

    /// The same, but unused buffers also make way for those in use: together they have at most `bytes_max` bytes, as
    /// long as those in use have no more by themselves.
    pub fn bounded(idle_bytes_max: u64, bytes_max: u64) -> Self {
        Self { shared: Arc::new(Shared { idle_bytes_max, bytes_max, stock: Mutex::default() }) }
    }

    /// A buffer of length `len` (capacity: the next size up). Its content is what was last in it, or zeros.
    ///
    /// One above 1 MiB is made for the purpose and not kept.
    pub fn take(&self, len: usize) -> Buffer {
        let class = class_for(len);
        let block = match class {
            Some(class) => self.shared.lend(class).unwrap_or_else(|| Block::new(size_of_class(class))),
            None => Block::new(len),
        };
        Buffer { len, loan: Loan { block, class, pool: Arc::clone(&self.shared) } }
    }

    /// Bytes of the unused buffers that are kept.
    pub fn idle_bytes(&self) -> u64 {
        self.shared.stock.lock().idle_bytes
    }
}

/// A buffer out of a pool, for one writer. Its address is a multiple of 4096.
pub struct Buffer {
    loan: Loan,
    len: usize,
}

impl Buffer {
    /// Makes it shorter.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// How long it could have been taken for the same memory.
    pub fn capacity(&self) -> usize {
        self.loan.block.size
    }

    /// Ends writing: the bytes can be shared now, and the buffer goes back to its pool with the last of them.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        let start = self.loan.block.start;
        &self.loan.block.memory[start..start + self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        let start = self.loan.block.start;
        &mut self.loan.block.memory[start..start + self.len]
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("len", &self.len).field("capacity", &self.capacity()).finish()
    }
}

/// A block that goes back to its pool when dropped.
struct Loan {
    block: Block,
    class: Option<usize>,
    pool: Arc<Shared>,
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(class) = self.class {
            self.pool.take_back(class, std::mem::take(&mut self.block));
        }
    }
}

/// Memory with room to begin at a multiple of the alignment, which a `Vec<u8>` by itself doesn't promise.
#[derive(Default)]
struct Block {
    memory: Vec<u8>,
    start: usize,
    size: usize,
}

impl Block {
    fn new(size: usize) -> Self {
        let memory = vec![0; size + DIRECT_ALIGNMENT - 1];
        let start = memory.as_ptr().align_offset(DIRECT_ALIGNMENT);
        assert!(start < DIRECT_ALIGNMENT, "a byte pointer can be aligned by moving it");
        Self { memory, start, size }
    }
}

struct Shared {
    idle_bytes_max: u64,
    bytes_max: u64,
    stock: Mutex<Stock>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("idle_bytes_max", &self.idle_bytes_max).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Stock {
    lent_bytes: u64,
    idle_bytes: u64,
    idle: [Vec<Block>; CLASSES],
}

impl Stock {
    /// Lets unused blocks go, the largest first, until at most `bytes` are left.
    fn shrink_to(&mut self, bytes: u64) -> Vec<Block> {
        let mut surplus = Vec::new();
        while self.idle_bytes > bytes {
            let largest = (0..CLASSES).rev().find(|&class| !self.idle[class].is_empty());
            let largest = largest.expect("bytes are counted by class");
            surplus.extend(self.idle[largest].pop());
            self.idle_bytes -= size_of_class(largest) as u64;
        }
        surplus
    }
}

impl Shared {
    /// An unused block, if there is one. In either case one of the class is counted as lent.
    fn lend(&self, class: usize) -> Option<Block> {
        let size = size_of_class(class) as u64;
        let mut stock = self.stock.lock();
        stock.lent_bytes += size;
        let block = stock.idle[class].pop();
        if block.is_some() {
            stock.idle_bytes -= size;
            return block;
        }
        let room = self.bytes_max.saturating_sub(stock.lent_bytes);
        let surplus = stock.shrink_to(room);
        // Unlocked first: giving memory back to the system takes long.
        drop(stock);
        drop(surplus);
        None
    }

    /// Keeps the block, in place of larger ones where it is full: what is asked for now is likelier asked for again.
    fn take_back(&self, class: usize, block: Block) {
        let size = size_of_class(class) as u64;
        let mut stock = self.stock.lock();
        stock.lent_bytes -= size;
        let room = self.idle_bytes_max.min(self.bytes_max.saturating_sub(stock.lent_bytes));
        let Some(beside) = room.checked_sub(size) else { return };
        let surplus = stock.shrink_to(beside);
        stock.idle_bytes += size;
        stock.idle[class].push(block);
        drop(stock);
        drop(surplus);
    }
}

/// The class of the smallest size that holds `len`; `None` above the largest.
fn class_for(len: usize) -> Option<usize> {
    (len <= SIZE_MAX).then(|| (len.max(SIZE_MIN).next_power_of_two() / SIZE_MIN).ilog2() as usize)
}

fn size_of_class(class: usize) -> usize {
    SIZE_MIN << class
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_buffer_is_aligned_and_of_its_length() {
        let pool = BufferPool::new(1 << 30);
        for len in [0, 1, 4095, 4096, 4097, 65_536, 100_000, SIZE_MAX, SIZE_MAX + 1] {
            let mut buffer = pool.take(len);
            assert_eq!(buffer.len(), len);
            assert!(is_aligned(&buffer));
            assert!(buffer.capacity() >= len);
            buffer.fill(7);
            let frozen = buffer.freeze();
            assert!(is_aligned(&frozen));
            assert_eq!(&frozen[..], vec![7; len]);
        }
    }

    fn is_aligned(bytes: &[u8]) -> bool {
        bytes.as_ptr().addr().is_multiple_of(DIRECT_ALIGNMENT)
    }

    #[test]
    fn a_frozen_buffer_comes_back_with_its_last_holder_and_not_before() {
        let pool = BufferPool::new(1 << 20);
        let mut buffer = pool.take(5000);
        let address = buffer.as_ptr();
        buffer.fill(9);
        buffer.truncate(10);
        let whole = buffer.freeze();
        let piece = whole.slice(2..4);
        drop(whole);
        assert_eq!(pool.idle_bytes(), 0);
        assert_eq!(&piece[..], [9, 9]);
        drop(piece);
        assert_eq!(pool.idle_bytes(), 8192);
        let again = pool.take(8000);
        assert_eq!((again.as_ptr(), again[7]), (address, 9));
        assert_eq!(pool.idle_bytes(), 0);
    }

    #[test]
    fn unused_buffers_make_way_for_those_in_use() {
        let pool = BufferPool::bounded(1 << 20, 96 * 1024);
        drop([pool.take(32 * 1024), pool.take(32 * 1024)]);
        assert_eq!(pool.idle_bytes(), 64 * 1024);
        let in_use = pool.take(64 * 1024);
        assert_eq!(pool.idle_bytes(), 32 * 1024);
        let more = [pool.take(64 * 1024), pool.take(64 * 1024)];
        assert_eq!(pool.idle_bytes(), 0);
        drop(in_use);
        assert_eq!(pool.idle_bytes(), 0, "the others have the room");
        drop(more);
        assert_eq!(pool.idle_bytes(), 64 * 1024);
    }

    #[test]
    fn idle_memory_is_bounded_and_large_buffers_make_way() {
        let pool = BufferPool::new(64 * 1024);
        drop(pool.take(SIZE_MAX));
        assert_eq!(pool.idle_bytes(), 0);
        drop([pool.take(32 * 1024), pool.take(32 * 1024)]);
        drop(pool.take(4096));
        assert_eq!(pool.idle_bytes(), 36 * 1024);
    }
}
