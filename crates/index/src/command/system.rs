//! Commands of the system range.

use serde::{Deserialize, Serialize};
use types::{ClusterId, Credential, FeatureLevel, Layout, NodeId, TicketId, Timestamp};

/// The first rows of a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FormCluster {
    /// The cluster.
    pub cluster: ClusterId,
    /// What all nodes read.
    pub feature_level: FeatureLevel,
    /// The root credential.
    pub root: Credential,
    /// The first layout.
    pub layout: Layout,
}

/// A live ticket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TicketRow {
    /// Its number.
    pub id: TicketId,
    /// Who has it.
    pub holder: NodeId,
    /// When it was granted.
    pub granted: Timestamp,
    /// When it was last renewed.
    pub renewed: Timestamp,
}
