//! Histograms side by side, as text.

use std::fmt;

use crate::Histogram;

/// Named histograms, to be shown one line each.
pub struct AsciiChart<T = ()> {
    series: Vec<(String, Histogram<T>)>,
}

impl<T> Default for AsciiChart<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> AsciiChart<T> {
    /// None yet.
    pub const fn new() -> Self {
        Self { series: Vec::new() }
    }

    /// With one more.
    #[must_use]
    pub fn add(mut self, name: &str, histogram: Histogram<T>) -> Self {
        self.series.push((name.to_owned(), histogram));
        self
    }

    /// With all percentiles.
    pub fn detailed(&self) -> impl fmt::Display {
        self
    }
}

impl<T> fmt::Display for AsciiChart<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.series.iter().try_for_each(|(name, histogram)| writeln!(f, "{name}: {}", histogram.percentile_stats()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_has_its_line() {
        let mut histogram = Histogram::<()>::new();
        histogram.record_n(5, 3);
        let chart = AsciiChart::new().add("appends", histogram).add("applies", Histogram::new());
        let text = chart.detailed().to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines.len() == 2 && lines[0].starts_with("appends: 3 samples") && lines[0].contains("50 %: 5"),
            "{text}"
        );
    }
}
