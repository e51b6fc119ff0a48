//! The layout: nodes, disks, placement groups.

use serde::{Deserialize, Serialize};

use crate::{DiskId, LayoutEpoch, NodeId, PlacementGroupId, Profile, SlotEpoch};

/// The nodes and disks of a cluster, and the placement groups over them, at one epoch. It lives in the system range.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Rises with every change.
    pub epoch: LayoutEpoch,
    /// All nodes that are not removed.
    pub nodes: Vec<Node>,
    /// All disks that are not removed.
    pub disks: Vec<Disk>,
    /// All placement groups that runs may lie in, in order of id. Groups are added and their slots move; none is
    /// taken away while a run lies in it.
    pub groups: Vec<PlacementGroup>,
}

impl Layout {
    /// The disk with this id.
    pub fn disk(&self, id: DiskId) -> Option<&Disk> {
        self.disks.iter().find(|disk| disk.id == id)
    }

    /// The group with this id.
    pub fn group(&self, id: PlacementGroupId) -> Option<&PlacementGroup> {
        self.groups.binary_search_by_key(&id, |group| group.id).ok().map(|at| &self.groups[at])
    }
}

/// One storage daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Where it was last reached; a label only.
    pub address: String,
    /// Its rack, if labelled.
    pub rack: Option<String>,
    /// Its zone, if labelled.
    pub zone: Option<String>,
}

/// One disk: a directory with a superblock, owned by one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Its id.
    pub id: DiskId,
    /// Its node.
    pub node: NodeId,
    /// Where the node has it; a label only.
    pub path: String,
    /// Whether its directory is a mount point: a blank directory takes its place only if that is one exactly when
    /// this one was, so that an unmounted disk is never rebuilt into the file system below it.
    pub mount_point: bool,
    /// Its size in bytes, as its weight in placement.
    pub capacity_bytes: u64,
    /// What the cluster does with it.
    pub state: DiskState,
}

/// What the cluster does with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DiskState {
    /// Read and written.
    Up,
    /// Failed or gone: neither read nor written until it is replaced or readmitted.
    Down,
    /// Given up: its slots are handed to heirs.
    Out,
}

/// An ordered list of k+m slots; shard i of a stripe lies in slot i.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementGroup {
    /// Its id.
    pub id: PlacementGroupId,
    /// The profile of the runs written into it; its `width` is the number of slots.
    pub profile: Profile,
    /// Its slots, on distinct disks.
    pub slots: Vec<Slot>,
}

/// One place of a placement group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The disk that owns it.
    pub disk: DiskId,
    /// Rises when the owner changes; a disk takes shards only at the epoch at which it owns the slot.
    pub epoch: SlotEpoch,
}
