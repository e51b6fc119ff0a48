//! The layout: nodes, disks, placement groups.

use serde::{Deserialize, Serialize};

use crate::{DiskId, LayoutEpoch, NodeId, PlacementGroupId, Profile, SlotEpoch, SlotIndex};

mod format;

/// The nodes and disks of a cluster, and the placement groups over them, at one epoch. It lives in the system range.
///
/// How it is written, see `format`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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

    /// The state of a disk; `Out` for one that the layout doesn't have.
    pub fn disk_state(&self, id: DiskId) -> DiskState {
        self.disk(id).map_or(DiskState::Out, |disk| disk.state)
    }

    /// All slots, with the group and the number of each.
    pub fn slots(&self) -> impl Iterator<Item = (&PlacementGroup, SlotIndex, &Slot)> {
        self.groups.iter().flat_map(|group| (0..).zip(&group.slots).map(move |(at, slot)| (group, SlotIndex(at), slot)))
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
    /// Read, but given no runs and no slots any more: its slots are handed to heirs.
    Draining,
}

impl DiskState {
    /// Whether what the disk has may be read off it.
    pub const fn is_read(self) -> bool {
        matches!(self, Self::Up | Self::Draining)
    }

    /// Whether the disk is given new runs and slots.
    pub const fn is_written(self) -> bool {
        matches!(self, Self::Up)
    }

    /// Whether the slots of the disk are to be handed to heirs.
    pub const fn is_left(self) -> bool {
        matches!(self, Self::Out | Self::Draining)
    }
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
///
/// While it moves, it has an heir: writers go to the heir, at the heir's epoch, and the owner keeps what it has until
/// the heir has all of it and becomes the owner, at an epoch above both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The disk that owns it.
    pub disk: DiskId,
    /// Rises when the owner changes; a disk takes shards only at the epoch at which it owns the slot.
    pub epoch: SlotEpoch,
    /// Who is to own it.
    pub heir: Option<Heir>,
}

impl Slot {
    /// A slot that does not move.
    pub const fn owned(disk: DiskId, epoch: SlotEpoch) -> Self {
        Self { disk, epoch, heir: None }
    }

    /// The disk that takes new shards of the slot, and the epoch at which it does.
    pub fn target(&self) -> (DiskId, SlotEpoch) {
        self.heir.map_or((self.disk, self.epoch), |heir| (heir.disk, heir.epoch))
    }

    /// The disks that may have shards of the slot: the owner, and the heir if there is one.
    pub fn disks(&self) -> impl Iterator<Item = DiskId> + use<> {
        std::iter::once(self.disk).chain(self.heir.map(|heir| heir.disk))
    }
}

/// The disk that is to own a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Heir {
    /// The disk.
    pub disk: DiskId,
    /// The epoch at which it takes shards of the slot; above the owner's.
    pub epoch: SlotEpoch,
}
