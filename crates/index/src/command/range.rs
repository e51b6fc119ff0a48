//! Commands on ranges.

use serde::{Deserialize, Serialize};
use types::{HomeKey, RangeId, SplitEpoch};

use crate::query::Usage;

/// Splits a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitRange {
    /// The epoch at which the split was decided.
    pub expected: SplitEpoch,
    /// The range to be, by [`super::CommandBody::AllotRange`]. It gets this key and all after it.
    pub child: RangeId,
    /// Where.
    pub at: HomeKey,
    /// About what the part that goes has of the bucket that is cut in two: so much the counters of the one half go down
    /// and those of the other up. The sum, which is what is shown, stays right whatever this says; who counts as the
    /// command is applied would have to read half of the range.
    pub moved: Usage,
}
