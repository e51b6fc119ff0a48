//! A cluster of processes while its machines and its network fail: whatever happens, what was acknowledged is there and
//! intact, no reader sees anything else, and once all is well again writes go on.
//!
//! A seed decides which fault comes when. `CAIRN_FAULT_SEED` and `CAIRN_FAULT_ROUNDS` give others than those that every
//! run of the tests has.

use std::ops::Range;

mod conditional;
mod lines;
pub mod load;
mod machines;
mod network;
mod proxy;

/// A number of the environment.
fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(value) => value.parse().unwrap_or_else(|_| panic!("{name} is a number, not {value}")),
        Err(_) => default,
    }
}

/// Numbers that look random, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// splitmix64.
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, range: Range<u64>) -> u64 {
        range.start + self.roll() % (range.end - range.start)
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(0..len as u64)).expect("an index")
    }
}
