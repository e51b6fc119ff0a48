//! Randomness.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where ids, secrets and random choices come from.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills `bytes` with bits that nobody can guess.
    fn fill(&self, bytes: &mut [u8]);

    /// 16 random bytes: an id.
    fn id(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        bytes
    }

    /// 64 random bits.
    fn number(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// The operating system's generator, asked for the bytes of some ids at a time.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemEntropy;

/// Bytes that one thread asks for at once.
const STOCK_BYTES: usize = 256;

thread_local! {
    static STOCK: RefCell<Stock> = const { RefCell::new(Stock { bytes: [0; STOCK_BYTES], left: 0 }) };
}

/// Random bytes that are still to be handed out: the last `left` of them. What was handed out is wiped.
struct Stock {
    bytes: [u8; STOCK_BYTES],
    left: usize,
}

impl Stock {
    fn take(&mut self, wanted: &mut [u8]) {
        if self.left < wanted.len() {
            from_the_system(&mut self.bytes);
            self.left = STOCK_BYTES;
        }
        let start = STOCK_BYTES - self.left;
        let taken = &mut self.bytes[start..start + wanted.len()];
        wanted.copy_from_slice(taken);
        taken.fill(0);
        self.left -= wanted.len();
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        if bytes.len() > STOCK_BYTES / 4 {
            return from_the_system(bytes);
        }
        STOCK.with_borrow_mut(|stock| stock.take(bytes));
    }
}

#[allow(clippy::disallowed_methods, reason = "the one home of the system's entropy")]
fn from_the_system(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system supplies random bytes");
}

/// 64 random bits for code that is handed no [`Entropy`]: the system's, or those of the simulation it runs in.
pub fn ambient_number() -> u64 {
    crate::stage::place().map_or_else(|| SystemEntropy.number(), |place| place.number())
}

/// The same bits for the same seed, for tests and simulations: anybody can guess them.
#[derive(Debug)]
pub struct SeededEntropy {
    state: AtomicU64,
}

impl SeededEntropy {
    /// Begins the sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: AtomicU64::new(seed) }
    }

    /// The next 64 bits by SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
    fn next(&self) -> u64 {
        const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut z = self.state.fetch_add(GOLDEN_GAMMA, Ordering::Relaxed).wrapping_add(GOLDEN_GAMMA);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(8) {
            piece.copy_from_slice(&self.next().to_le_bytes()[..piece.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_gives_is_not_given_twice() {
        let ids: std::collections::BTreeSet<[u8; 16]> = (0..1000).map(|_| SystemEntropy.id()).collect();
        assert_eq!(ids.len(), 1000);
        let mut long = [0; 300];
        SystemEntropy.fill(&mut long);
        assert!(long.chunks(16).all(|piece| piece.iter().any(|&byte| byte != 0)));
    }

    /// The first outputs for seed 1234567 as published with the reference implementation.
    #[test]
    fn seeded_entropy_is_splitmix64() {
        let entropy = SeededEntropy::new(1_234_567);
        let numbers: Vec<u64> = (0..3).map(|_| entropy.number()).collect();
        assert_eq!(numbers, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }
}
