//! Bytes gathered into aligned buffers of whole pages, as writing past the page cache asks for.

use platform::{Buffer, BufferPool};

use crate::reading::PIECE_BYTES;
use crate::segment::PAGE_BYTES;

/// `pieces`, `bytes` long together, one after the other in buffers of at most [`PIECE_BYTES`]; zeros fill the last page.
pub(super) fn gather<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, bytes: usize, pool: &BufferPool) -> Vec<Buffer> {
    let mut pages = Pages { buffers: Vec::with_capacity(bytes.div_ceil(PIECE_BYTES)), filled: 0, left: bytes, pool };
    for piece in pieces {
        pages.push(piece);
    }
    pages.finish()
}

struct Pages<'a> {
    buffers: Vec<Buffer>,
    /// Bytes of the last buffer that have been copied into it.
    filled: usize,
    /// Bytes that are still to come, beyond the buffers there are.
    left: usize,
    pool: &'a BufferPool,
}

impl Pages<'_> {
    fn push(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            if self.buffers.last().is_none_or(|buffer| buffer.len() == self.filled) {
                let next = self.left.next_multiple_of(PAGE_BYTES).min(PIECE_BYTES);
                self.left = self.left.saturating_sub(next);
                self.buffers.push(self.pool.take(next));
                self.filled = 0;
            }
            let buffer = self.buffers.last_mut().expect("pushed above");
            let now = piece.len().min(buffer.len() - self.filled);
            buffer[self.filled..self.filled + now].copy_from_slice(&piece[..now]);
            self.filled += now;
            piece = &piece[now..];
        }
    }

    fn finish(mut self) -> Vec<Buffer> {
        if let Some(last) = self.buffers.last_mut() {
            last[self.filled..].fill(0);
        }
        self.buffers
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_gathered_is_the_pieces_and_zeros_up_to_a_page(
            lengths in proptest::collection::vec(0_usize..200_000, 0..6),
        ) {
            let pool = BufferPool::new(1 << 20);
            // What the pool gives again is not zeros.
            drop((0..3).map(|_| { let mut used = pool.take(PIECE_BYTES); used.fill(0xee); used }).collect::<Vec<_>>());
            let pieces: Vec<Vec<u8>> =
                lengths.iter().enumerate().map(|(index, &length)| vec![index as u8 + 1; length]).collect();
            let mut expected = pieces.concat();
            let buffers = gather(pieces.iter().map(Vec::as_slice), expected.len(), &pool);
            expected.resize(expected.len().next_multiple_of(PAGE_BYTES), 0);
            prop_assert!(buffers.iter().all(|buffer| buffer.as_ptr().addr().is_multiple_of(PAGE_BYTES)));
            prop_assert_eq!(buffers.iter().flat_map(|buffer| buffer.iter().copied()).collect::<Vec<u8>>(), expected);
        }
    }
}
