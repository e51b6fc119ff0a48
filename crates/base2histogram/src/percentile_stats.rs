//! What is shown of a histogram.

use std::fmt;

/// A histogram's count and percentiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PercentileStats {
    /// How many values were counted.
    pub samples: u64,
    /// What 0.1 % of the values do not exceed.
    pub p0_1: u64,
    /// What 1 % do not exceed.
    pub p1: u64,
    /// What 5 % do not exceed.
    pub p5: u64,
    /// What 10 % do not exceed.
    pub p10: u64,
    /// What half of them do not exceed.
    pub p50: u64,
    /// What 90 % do not exceed.
    pub p90: u64,
    /// What 99 % do not exceed.
    pub p99: u64,
    /// What 99.9 % do not exceed.
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { samples, p0_1, p1, p5, p10, p50, p90, p99, p99_9 } = self;
        write!(
            f,
            "{samples} samples; 0.1 %: {p0_1}, 1 %: {p1}, 5 %: {p5}, 10 %: {p10}, 50 %: {p50}, 90 %: {p90}, 99 %: {p99}, \
             99.9 %: {p99_9}"
        )
    }
}
