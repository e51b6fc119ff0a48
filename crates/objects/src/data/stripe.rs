//! From a body's bytes to the shards of a stripe.
//!
//! Shard i of a stripe of n bytes holds bytes [i·s, (i+1)·s), s = n/k rounded up. The length of most stripes is known
//! before their first byte, so their buffers are cut where the shards will be and filled in the order of arrival: one
//! copy from the network's buffer, and what is hashed, coded and appended afterwards are the buffers themselves. A
//! stripe that ends early is cut anew, without a copy, where its shorter shards begin.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use platform::{Buffer, BufferPool};
use types::Profile;

use super::memory::{StripeMemory, reserved_bytes};

/// The longest piece.
pub(super) const PIECE_BYTES_MAX: usize = 256 << 10;
/// Buffers are powers of two; below this, one that is half empty is better than many small ones.
const PIECE_BYTES_SPLIT: usize = 64 << 10;

/// A stripe's bytes while they arrive.
pub(super) struct StripeFill {
    pool: BufferPool,
    memory: Arc<StripeMemory>,
    /// How many bytes it takes at most.
    planned: usize,
    /// Pieces end at multiples of this: the planned shard length.
    boundary: usize,
    piece_bytes_max: usize,
    pieces: Vec<Bytes>,
    /// The piece being filled, and how far it is.
    current: Option<(Buffer, usize)>,
    /// Plain bytes so far.
    filled: usize,
}

impl StripeFill {
    /// A stripe of at most `planned` bytes, to be cut into `k` shards.
    pub(super) fn new(planned: usize, k: usize, memory: Arc<StripeMemory>, pool: BufferPool) -> Self {
        Self {
            pool,
            memory,
            planned,
            boundary: planned.div_ceil(k),
            piece_bytes_max: PIECE_BYTES_MAX,
            pieces: Vec::new(),
            current: None,
            filled: 0,
        }
    }

    /// Bounds the pieces that are begun from now on.
    pub(super) fn set_piece_bytes_max(&mut self, bytes: usize) {
        self.piece_bytes_max = bytes;
    }

    pub(super) fn memory(&self) -> &Arc<StripeMemory> {
        &self.memory
    }

    pub(super) fn planned(&self) -> usize {
        self.planned
    }

    pub(super) fn filled(&self) -> usize {
        self.filled
    }

    pub(super) fn is_full(&self) -> bool {
        self.filled == self.planned
    }

    /// Copies from the front of `frame`, until that is empty, the stripe is full or a piece is: then that piece, to be
    /// hashed. At most `limit` bytes.
    pub(super) fn fill(&mut self, frame: &mut Bytes, limit: usize) -> Option<Bytes> {
        let limit = limit.min(self.planned - self.filled).min(frame.len());
        if limit == 0 {
            return None;
        }
        let (buffer, at) = match &mut self.current {
            Some(current) => current,
            None => {
                let rest_of_shard = self.boundary - self.filled % self.boundary;
                let buffer = self.pool.take(next_piece_len(rest_of_shard, self.piece_bytes_max));
                self.current.insert((buffer, 0))
            }
        };
        let bytes = limit.min(buffer.len() - *at);
        frame.copy_to_slice(&mut buffer[*at..*at + bytes]);
        *at += bytes;
        self.filled += bytes;
        if *at < buffer.len() { None } else { self.freeze_current() }
    }

    /// Ends the stripe: its bytes, and of the last piece what has not been handed out to be hashed.
    pub(super) fn finish(mut self) -> (Plain, Option<Bytes>) {
        if let Some((buffer, at)) = &mut self.current {
            if self.filled == self.planned {
                // The rest of the last shard's last piece is the padding.
                buffer[*at..].fill(0);
            } else {
                buffer.truncate(*at);
            }
        }
        let unhashed = self.freeze_current();
        (Plain { pieces: self.pieces, bytes: self.filled, memory: self.memory }, unhashed)
    }

    fn freeze_current(&mut self) -> Option<Bytes> {
        let (buffer, filled) = self.current.take()?;
        let piece = reserved_bytes(buffer, Arc::clone(&self.memory));
        self.pieces.push(piece.clone());
        Some(piece.slice(..filled))
    }
}

/// How long the next piece of a shard is of which `rest` bytes are missing: powers of two down to 64 KiB, then the rest.
pub(super) fn next_piece_len(rest: usize, piece_bytes_max: usize) -> usize {
    if rest >= piece_bytes_max {
        piece_bytes_max
    } else if rest > PIECE_BYTES_SPLIT {
        1 << rest.ilog2()
    } else {
        rest
    }
}

/// The buffers' bytes of a stripe of `plain` bytes with its parity.
pub(super) fn stripe_memory_bytes(plain: usize, profile: Profile) -> u64 {
    let shard = shard_memory_bytes(profile.shard_len(plain));
    // With one data shard, parity is the same bytes again.
    let shards = if profile.k() == 1 { 1 } else { profile.width() };
    (shard * shards) as u64
}

fn shard_memory_bytes(mut rest: usize) -> usize {
    let mut bytes = 0;
    while rest > 0 {
        let piece = next_piece_len(rest, PIECE_BYTES_MAX);
        bytes += piece.next_power_of_two().max(4096);
        rest -= piece;
    }
    bytes
}

/// Bytes to be stored, in pieces.
#[derive(Clone)]
pub(super) struct Plain {
    /// One after the other; zeros may follow after `bytes`.
    pieces: Vec<Bytes>,
    bytes: usize,
    memory: Arc<StripeMemory>,
}

impl Plain {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn memory(&self) -> &Arc<StripeMemory> {
        &self.memory
    }

    /// The bytes without padding.
    pub(super) fn into_pieces(self) -> Vec<Bytes> {
        Cursor::new(&self.pieces).take(self.bytes)
    }

    /// The bytes without padding in one piece: copied only where they are not.
    pub(super) fn into_contiguous(self) -> Bytes {
        let mut pieces = self.into_pieces();
        if pieces.len() == 1 { pieces.remove(0) } else { Bytes::from(pieces.concat()) }
    }

    /// The bytes without padding, cut into consecutive parts of at most `bytes_max`.
    pub(super) fn split(&self, bytes_max: usize) -> Vec<Plain> {
        if self.bytes <= bytes_max {
            return vec![self.clone()];
        }
        let mut cursor = Cursor::new(&self.pieces);
        let starts = (0..self.bytes).step_by(bytes_max);
        let part = starts.map(|start| {
            let bytes = bytes_max.min(self.bytes - start);
            Plain { pieces: cursor.take(bytes), bytes, memory: Arc::clone(&self.memory) }
        });
        part.collect()
    }

    /// The data shards of a stripe of these bytes, padded with zeros to one length.
    pub(super) fn cut(&self, k: usize) -> Vec<Vec<Bytes>> {
        let shard_len = self.bytes.div_ceil(k);
        let mut cursor = Cursor::new(&self.pieces);
        (0..k).map(|_| cursor.take(shard_len)).collect()
    }
}

/// Takes bytes off pieces without copying; past their end, zeros.
struct Cursor<'a> {
    pieces: &'a [Bytes],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn new(pieces: &'a [Bytes]) -> Self {
        Self { pieces, at: 0 }
    }

    fn take(&mut self, mut bytes: usize) -> Vec<Bytes> {
        static ZEROS: [u8; Profile::K_MAX as usize] = [0; Profile::K_MAX as usize];
        let mut taken = Vec::with_capacity(bytes / PIECE_BYTES_MAX + 2);
        while bytes > 0 {
            let Some(piece) = self.pieces.first() else {
                let zeros = bytes.min(ZEROS.len());
                taken.push(Bytes::from_static(&ZEROS[..zeros]));
                bytes -= zeros;
                continue;
            };
            let end = piece.len().min(self.at + bytes);
            if end > self.at {
                taken.push(piece.slice(self.at..end));
                bytes -= end - self.at;
            }
            self.at = end;
            if end == piece.len() {
                self.pieces = &self.pieces[1..];
                self.at = 0;
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use erasure::Coder;
    use platform::MemoryBudget;
    use proptest::prelude::*;
    use types::Integrity;

    use super::super::coding::encode;
    use super::super::memory::TransferMemory;
    use super::*;

    fn memory() -> Arc<StripeMemory> {
        let mut transfer = TransferMemory::new(MemoryBudget::new(1 << 30), Duration::ZERO);
        transfer.try_acquire(1 << 20).expect("free")
    }

    fn body(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| (at * 131 + at / 256) as u8).collect()
    }

    /// Fills a stripe in frames and says what was hashed.
    fn filled(whole: &[u8], planned: usize, k: usize, frame_bytes: usize, limit: usize) -> (Plain, Vec<u8>) {
        let mut fill = StripeFill::new(planned, k, memory(), BufferPool::new(1 << 20));
        let mut hashed = Vec::new();
        for frame in whole.chunks(frame_bytes) {
            let mut frame = Bytes::copy_from_slice(frame);
            while !frame.is_empty() {
                hashed.extend(fill.fill(&mut frame, limit).into_iter().flatten());
            }
        }
        assert_eq!((fill.filled(), fill.is_full()), (whole.len(), whole.len() == planned));
        let (plain, last) = fill.finish();
        hashed.extend(last.into_iter().flatten());
        (plain, hashed)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn shards_are_the_body_cut_and_padded_whatever_was_planned(
            bytes in prop_oneof![1usize..3000, 60_000usize..700_000],
            surplus in prop_oneof![Just(0usize), 1usize..500_000],
            planned_k in 1usize..9,
            k in 1u8..9,
            m in 0u8..4,
            frame_bytes in prop_oneof![100usize..5000, 50_000usize..400_000],
            limit in prop_oneof![Just(usize::MAX), Just(65_536usize)],
        ) {
            let whole = body(bytes);
            let (plain, hashed) = filled(&whole, bytes + surplus, planned_k, frame_bytes, limit);
            prop_assert!(hashed == whole, "what is hashed is the body");
            prop_assert!(plain.clone().into_pieces().concat() == whole);
            prop_assert!(plain.split(1000).into_iter().flat_map(Plain::into_pieces).flatten().eq(whole.iter().copied()));

            let k_usize = usize::from(k);
            let data = plain.cut(k_usize);
            let shard_len = bytes.div_ceil(k_usize);
            let mut padded = whole.clone();
            padded.resize(shard_len * k_usize, 0);
            for (shard, expected) in data.iter().zip(padded.chunks(shard_len)) {
                prop_assert!(shard.concat() == expected);
            }
            let profile = Profile::new(k, m, 1 << 22, Integrity::Xxh3).expect("within bounds");
            let coder = Coder::new(profile);
            let parity = encode(&coder, &data, &BufferPool::new(1 << 20), plain.memory());
            let mut expected = vec![vec![0; shard_len]; usize::from(m)];
            coder.encode(&padded.chunks(shard_len).collect::<Vec<_>>(), &mut expected);
            prop_assert!(parity.iter().map(|pieces| pieces.concat()).eq(expected));
        }
    }

    #[test]
    fn a_planned_stripe_is_appended_as_its_buffers_are() {
        let whole = body(4 << 20);
        let (plain, _) = filled(&whole, whole.len(), 4, 100_000, usize::MAX);
        for shard in plain.cut(4) {
            assert_eq!(shard.len(), 4, "four pieces of 256 KiB");
            assert!(shard.iter().all(|piece| piece.as_ptr().addr() % 4096 == 0));
        }
        // Padding lies in the buffer of the last piece too.
        let (plain, _) = filled(&whole[..1_000_001], 1_000_001, 4, 100_000, usize::MAX);
        let shards = plain.cut(4);
        assert!(shards.iter().all(|shard| shard.len() == 3 && shard[0].as_ptr().addr() % 4096 == 0));
    }

    #[test]
    fn memory_is_asked_for_by_the_buffers_that_are_taken() {
        let profile: Profile = "4+2".parse().expect("a profile");
        assert_eq!(stripe_memory_bytes(4 << 20, profile), 6 << 20);
        assert_eq!(stripe_memory_bytes(1_000_000, profile), (6 * (128 + 64 + 64)) << 10);
        assert_eq!(stripe_memory_bytes(100_000, "1+2".parse().expect("a profile")), (64 + 64) << 10);
    }
}
