//! The layout after a loss: what the archive has of it, and what the disks' superblocks say they own.

use std::collections::{BTreeMap, BTreeSet};

use platform::Entropy;
use shards::SlotClaim;
use types::{
    Disk, DiskId, DiskState, Layout, LayoutEpoch, Node, NodeId, PlacementGroup, PlacementGroupId, Profile, Slot,
    SlotEpoch,
};

use super::scan::Seen;

/// How far the layout's epoch is raised above the last one that is known.
const EPOCHS_AHEAD: u64 = 1 << 16;

/// A disk that is here.
#[derive(Debug, Clone)]
pub struct PresentDisk {
    /// Its row in a layout.
    pub row: Disk,
    /// The slots that its superblock says are its own.
    pub slots: Vec<SlotClaim>,
}

/// A directory that was given and is no disk now: where a disk that is not here may have been.
#[derive(Debug, Clone)]
pub struct EmptyPlace {
    /// Its path, as a layout has it.
    pub path: String,
    /// Whether it is a mount point.
    pub mount_point: bool,
}

/// A placement group that too few disks are here for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShortGroup {
    pub(super) group: PlacementGroupId,
    pub(super) present: usize,
    pub(super) needed: usize,
}

/// What a layout is made of.
pub(super) struct LostLayout<'a> {
    /// The archive's.
    pub(super) archived: Option<Layout>,
    pub(super) node: NodeId,
    pub(super) disks: &'a [PresentDisk],
    pub(super) empty: &'a [EmptyPlace],
    /// Profiles that groups are made for.
    pub(super) wanted: &'a [Profile],
    pub(super) seen: &'a Seen,
}

impl LostLayout<'_> {
    /// Puts it together. Where two say that a slot is theirs, the higher epoch counts.
    pub(super) fn assemble(self, entropy: &dyn Entropy) -> Layout {
        let from_disks = self.archived.is_none();
        let mut layout = self.archived.clone().unwrap_or_default();
        layout.epoch = LayoutEpoch(layout.epoch.0 + EPOCHS_AHEAD);
        if layout.nodes.is_empty() {
            layout.nodes.push(Node { id: self.node, address: String::new(), rack: None, zone: None });
        }
        for disk in self.disks {
            // One that the archive doesn't know and that owns nothing is a start's to judge.
            if layout.disk(disk.row.id).is_none() && (from_disks || !disk.slots.is_empty()) {
                layout.disks.push(disk.row.clone());
            }
        }
        let mut groups: BTreeMap<PlacementGroupId, (Option<Profile>, Vec<Option<Slot>>)> = BTreeMap::new();
        for group in std::mem::take(&mut layout.groups) {
            groups.insert(group.id, (Some(group.profile), group.slots.into_iter().map(Some).collect()));
        }
        for (disk, claim) in self.claims() {
            let (_, slots) = groups.entry(claim.group).or_default();
            let at = usize::from(claim.slot.0);
            slots.resize(slots.len().max(at + 1), None);
            if slots[at].is_none_or(|slot| slot.epoch < claim.epoch) {
                slots[at] = Some(Slot { disk, epoch: claim.epoch });
            }
        }
        let mut absent = Absent { node: self.node, empty: self.empty.iter(), disks: Vec::new(), entropy };
        for (id, (profile, slots)) in groups {
            let Some(profile) = profile.or_else(|| self.profile_of(id, slots.len())) else { continue };
            layout.groups.push(PlacementGroup { id, profile, slots: absent.fill(slots, profile.width()) });
        }
        layout.disks.extend(absent.disks);
        layout
    }

    /// Sealed slots last: what was handed on is owned elsewhere, where that is known.
    fn claims(&self) -> Vec<(DiskId, SlotClaim)> {
        let of = |disk: &PresentDisk| disk.slots.iter().map(|claim| (disk.row.id, *claim)).collect::<Vec<_>>();
        let mut claims: Vec<_> = self.disks.iter().flat_map(of).collect();
        claims.sort_by_key(|(_, claim)| claim.sealed);
        claims
    }

    /// The profile of a group that the archive doesn't know: its runs', else a wanted one that is wide enough.
    fn profile_of(&self, group: PlacementGroupId, slots: usize) -> Option<Profile> {
        let wide_enough = |profile: &&Profile| profile.width() >= slots;
        let wanted = || self.wanted.iter().filter(wide_enough).min_by_key(|profile| profile.width()).copied();
        self.seen.profiles.get(&group).copied().filter(|profile| profile.width() >= slots).or_else(wanted)
    }
}

/// Disks that are not here and that nothing names.
struct Absent<'a> {
    node: NodeId,
    empty: std::slice::Iter<'a, EmptyPlace>,
    disks: Vec<Disk>,
    entropy: &'a dyn Entropy,
}

impl Absent<'_> {
    /// Gives the slots that nobody owns to disks that are down: in the places of those a blank directory is rebuilt.
    fn fill(&mut self, mut slots: Vec<Option<Slot>>, width: usize) -> Vec<Slot> {
        slots.resize(width, None);
        let epoch = slots.iter().flatten().map(|slot| slot.epoch).max().unwrap_or(SlotEpoch(1));
        let mut taken = 0;
        let mut owner = |slot: Option<Slot>| {
            slot.unwrap_or_else(|| {
                taken += 1;
                Slot { disk: self.nth(taken - 1), epoch }
            })
        };
        slots.into_iter().map(&mut owner).collect()
    }

    fn nth(&mut self, at: usize) -> DiskId {
        while self.disks.len() <= at {
            let place = self.empty.next();
            self.disks.push(Disk {
                id: DiskId::from_bytes(self.entropy.id()),
                node: self.node,
                path: place.map(|place| place.path.clone()).unwrap_or_default(),
                mount_point: place.is_some_and(|place| place.mount_point),
                capacity_bytes: 0,
                state: DiskState::Down,
            });
        }
        self.disks[at].id
    }
}

/// The groups that hold something and of which fewer slots are here than a stripe needs.
pub(super) fn short_groups(
    layout: &Layout,
    present: &BTreeSet<DiskId>,
    seen: &Seen,
    archived: bool,
) -> Vec<ShortGroup> {
    let short = |group: &PlacementGroup| {
        let here = group.slots.iter().filter(|slot| present.contains(&slot.disk)).count();
        // An archive's group may hold something that no disk here tells of.
        let in_use = archived || seen.groups.contains(&group.id);
        let needed = group.profile.k();
        (in_use && here < needed).then_some(ShortGroup { group: group.id, present: here, needed })
    };
    layout.groups.iter().filter_map(short).collect()
}
