//! What a range was made of by splits.

use serde::{Deserialize, Serialize};
use types::{RangeDescriptor, RangeId, RangeInterval, SplitEpoch};

/// A row of `descriptors`. The first data range has none until it is split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DescriptorRow {
    pub(crate) interval: RangeInterval,
    pub(crate) epoch: SplitEpoch,
    /// [`crate::RangeEntry::applied`] of the entry that made the range; nothing for the first.
    pub(crate) born: Vec<u8>,
}

impl DescriptorRow {
    /// Of the first data range, while it has everything.
    pub(crate) const WHOLE: Self = Self { interval: RangeInterval::WHOLE, epoch: SplitEpoch(0), born: Vec::new() };

    pub(crate) fn of(self, id: RangeId) -> RangeDescriptor {
        RangeDescriptor { id, interval: self.interval, epoch: self.epoch }
    }
}
