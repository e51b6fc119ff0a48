//! Rows of the system range that are no type of `types` or of a command.

use serde::{Deserialize, Serialize};
use types::{BucketId, ClusterId, FeatureLevel, TicketId};

use crate::command::TicketRow;

/// The cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClusterRow {
    pub(crate) cluster: ClusterId,
    pub(crate) feature_level: FeatureLevel,
}

/// Numbers that are never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CountersRow {
    pub(crate) next_bucket: BucketId,
    pub(crate) next_ticket: TicketId,
}

impl Default for CountersRow {
    fn default() -> Self {
        Self { next_bucket: BucketId(1), next_ticket: TicketId(1) }
    }
}

/// A live ticket, and the wish that it was granted for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TicketKept {
    pub(crate) row: TicketRow,
    pub(crate) nonce: [u8; 16],
}
