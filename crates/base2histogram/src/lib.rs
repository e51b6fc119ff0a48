//! Histograms as openraft keeps them of its batches, in the memory that they need.
//!
//! It stands in for the package of this name: that one computes tables for sixteen bucket widths when the first
//! histogram is made, 26 MiB for as long as the process lives (docs/decisions/0007-base2histogram.md). This one has
//! openraft's part of its interface and one width: four buckets to each power of two.

mod ascii_chart;
mod percentile_stats;

use std::fmt;
use std::marker::PhantomData;

pub use ascii_chart::AsciiChart;
pub use percentile_stats::PercentileStats;

/// Values below this have a bucket each.
const EXACT_BELOW: u64 = 8;
/// Buckets of each power of two above, as a power of two itself.
const BUCKETS_SHIFT: u32 = 2;

/// Counts of `u64` values in buckets that are at most a quarter as wide as their values are great.
///
/// `T` is what a period would carry in the package that this stands in for; nobody here has periods.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    /// Up to the highest bucket that was ever counted in.
    counts: Vec<u64>,
    period: PhantomData<T>,
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Histogram<T> {
    /// An empty one.
    pub const fn new() -> Self {
        Self { counts: Vec::new(), period: PhantomData }
    }

    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts a value `count` times.
    pub fn record_n(&mut self, value: u64, count: u64) {
        let bucket = bucket_of(value);
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] = self.counts[bucket].saturating_add(count);
    }

    /// How many values were counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The middle of the bucket that holds the value which the share `p` (0 to 1) of all values does not exceed; 0 when
    /// there is none.
    pub fn percentile(&self, p: f64) -> u64 {
        let rank = (self.total() as f64 * p.clamp(0.0, 1.0)).ceil().max(1.0);
        let mut passed = 0_u64;
        let bucket = self.counts.iter().position(|count| {
            passed = passed.saturating_add(*count);
            passed as f64 >= rank
        });
        bucket.map_or(0, middle_of)
    }

    /// The percentiles that are shown.
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats {
            samples: self.total(),
            p0_1: self.percentile(0.001),
            p1: self.percentile(0.01),
            p5: self.percentile(0.05),
            p10: self.percentile(0.10),
            p50: self.percentile(0.50),
            p90: self.percentile(0.90),
            p99: self.percentile(0.99),
            p99_9: self.percentile(0.999),
        }
    }
}

impl<T> fmt::Debug for Histogram<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Histogram").field(&self.percentile_stats()).finish()
    }
}

fn bucket_of(value: u64) -> usize {
    if value < EXACT_BELOW {
        return value as usize;
    }
    let exponent = value.ilog2();
    let within = (value >> (exponent - BUCKETS_SHIFT)) - (1 << BUCKETS_SHIFT);
    let power = exponent - EXACT_BELOW.ilog2();
    (EXACT_BELOW + (u64::from(power) << BUCKETS_SHIFT) + within) as usize
}

fn middle_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let Some(above) = bucket.checked_sub(EXACT_BELOW) else { return bucket };
    let exponent = (above >> BUCKETS_SHIFT) as u32 + EXACT_BELOW.ilog2();
    let within = above & ((1 << BUCKETS_SHIFT) - 1);
    let width = 1_u64 << (exponent - BUCKETS_SHIFT);
    (1 << exponent) + within * width + width / 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_values_are_exact_and_an_empty_one_has_none() {
        let mut histogram = Histogram::<()>::new();
        assert_eq!(histogram.percentile(0.5), 0);
        (0..EXACT_BELOW).for_each(|value| histogram.record(value));
        assert_eq!(histogram.total(), 8);
        assert_eq!([0.125, 0.5, 1.0].map(|p| histogram.percentile(p)), [0, 3, 7]);
    }

    #[test]
    fn a_bucket_begins_where_the_one_before_ends() {
        let mut bucket = 0;
        for value in 1..100_000 {
            let next = bucket_of(value);
            assert!(next == bucket || next == bucket + 1, "{value}");
            bucket = next;
        }
        assert!(bucket_of(u64::MAX) < 256);
    }

    proptest! {
        #[test]
        fn a_percentile_is_within_an_eighth_of_the_sorted_values(
            mut values in prop::collection::vec(any::<u64>().prop_map(|value| value >> (value % 64)), 1..200),
            p in 0.0_f64..1.0,
        ) {
            let mut histogram = Histogram::<()>::new();
            values.iter().for_each(|&value| histogram.record(value));
            values.sort_unstable();
            let rank = (values.len() as f64 * p).ceil().max(1.0) as usize;
            let exact = values[rank - 1];
            let found = histogram.percentile(p);
            prop_assert!(found.abs_diff(exact) <= exact / 8, "{} for {}", found, exact);
        }
    }
}
