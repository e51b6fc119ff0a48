//! The random choices of a faulty disk, the same for the same seed.

use crate::entropy::{Entropy, SeededEntropy};

#[derive(Debug)]
pub(super) struct Dice {
    entropy: SeededEntropy,
}

/// What becomes of one change that was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Kept,
    Lost,
    /// Some of its sectors are kept, and its size or not.
    Torn,
}

/// How kind one power loss is. Were each change decided alike, then with many of them a loss that keeps all, or
/// nothing, would never be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    KeepAll,
    LoseAll,
    Mixed,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self { entropy: SeededEntropy::new(seed) }
    }

    pub(super) fn seed(&self) -> u64 {
        self.entropy.number()
    }

    /// A number below `bound`.
    pub(super) fn below(&self, bound: u64) -> u64 {
        self.entropy.number() % bound
    }

    pub(super) fn coin(&self) -> bool {
        self.below(2) == 0
    }

    pub(super) fn mood(&self) -> Mood {
        match self.below(8) {
            0 => Mood::KeepAll,
            1 | 2 => Mood::LoseAll,
            _ => Mood::Mixed,
        }
    }

    pub(super) fn fate(&self, mood: Mood) -> Fate {
        match (mood, self.below(3)) {
            (Mood::KeepAll, _) | (Mood::Mixed, 0) => Fate::Kept,
            (Mood::LoseAll, _) | (Mood::Mixed, 1) => Fate::Lost,
            (Mood::Mixed, _) => Fate::Torn,
        }
    }
}
