//! Commands of the system range.

use std::fmt;

use serde::{Deserialize, Serialize};
use types::{ClusterId, Credential, FeatureLevel, GatewayId, Layout, NodeId, TicketId, Timestamp};

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

/// Whether slots are moved so that disks hold what is in proportion to their size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rebalancing {
    /// Nobody asked for it, or it is done.
    #[default]
    Off,
    /// As long as some disk holds clearly more than its share, or less.
    On,
    /// It was begun, and begins no more moves until it goes on.
    Paused,
}

/// A gateway's credential towards nodes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayRow {
    /// What it is revoked by.
    pub id: GatewayId,
    /// What people call it.
    pub name: String,
    /// What proves it, never sent between gateway and nodes.
    pub key: [u8; 32],
    /// When it was added; decided by `apply`.
    pub added: Timestamp,
}

/// Without the key.
impl fmt::Debug for GatewayRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name, key: _, added } = self;
        f.debug_struct("GatewayRow").field("id", id).field("name", name).field("added", added).finish_non_exhaustive()
    }
}
