//! Randomness.

use std::fmt;

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

/// The operating system's generator.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemEntropy;

#[allow(clippy::disallowed_methods, reason = "the one home of the system's entropy")]
impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system supplies random bytes");
    }
}
