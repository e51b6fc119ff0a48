//! Who has what, as the caller of this crate knows it.

use async_trait::async_trait;
use types::{DiskId, NodeId, RangeId};

/// A node and where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The node. Whoever answers at the address must prove to be it.
    pub node: NodeId,
    /// `host:port`.
    pub address: String,
}

/// What turned out not to be as the directory says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// A node does not have this disk.
    Disk {
        /// The disk.
        disk: DiskId,
        /// The node.
        not_at: NodeId,
    },
    /// A node does not lead this range, or can't be reached.
    Leader {
        /// The range.
        range: RangeId,
        /// The node.
        not_at: NodeId,
        /// Who leads it, by that node's word.
        hint: Option<NodeId>,
    },
    /// A node is not at this address.
    Address {
        /// The node.
        node: NodeId,
    },
}

/// Who has what: the layout and who leads each range, as far as the caller of this crate knows them.
#[async_trait]
pub trait Directory: Send + Sync {
    /// The node that has a disk.
    fn disk(&self, disk: DiskId) -> Option<Peer>;

    /// The node that leads a range, or is likeliest to know who does.
    fn leader(&self, range: RangeId) -> Option<Peer>;

    /// Looks again, because something turned out to be wrong; returns once it has looked. Calls may come in numbers
    /// for one change.
    async fn refresh(&self, stale: Stale);
}
