//! The layout after a loss: what the archive has of it, and what the disks' superblocks say they own.

use std::collections::{BTreeMap, BTreeSet};

use platform::Entropy;
use shards::SlotClaim;
use types::{
    Disk, DiskId, DiskState, Heir, Layout, LayoutEpoch, Node, NodeId, PlacementGroup, PlacementGroupId, Profile, Slot,
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
            slots[at] =
                Some(slots[at].map_or(Slot::owned(disk, claim.epoch), |known| claimed(known, disk, claim.epoch)));
        }
        let mut absent = Absent { node: self.node, empty: self.empty.iter(), disks: Vec::new(), entropy };
        for (id, (profile, slots)) in groups {
            let Some(profile) = profile.or_else(|| self.profile_of(id, slots.len())) else { continue };
            layout.groups.push(PlacementGroup { id, profile, slots: absent.fill(slots, profile.width()) });
        }
        layout.disks.extend(absent.disks);
        layout
    }

    /// The lowest epochs first: what was handed on is owned elsewhere, where that is known.
    fn claims(&self) -> Vec<(DiskId, SlotClaim)> {
        let of = |disk: &PresentDisk| disk.slots.iter().map(|claim| (disk.row.id, *claim)).collect::<Vec<_>>();
        let mut claims: Vec<_> = self.disks.iter().flat_map(of).collect();
        claims.sort_by_key(|(_, claim)| claim.epoch);
        claims
    }

    /// The profile of a group that the archive doesn't know: its runs', else a wanted one that is wide enough.
    fn profile_of(&self, group: PlacementGroupId, slots: usize) -> Option<Profile> {
        let wide_enough = |profile: &&Profile| profile.width() >= slots;
        let wanted = || self.wanted.iter().filter(wide_enough).min_by_key(|profile| profile.width()).copied();
        self.seen.profiles.get(&group).copied().filter(|profile| profile.width() >= slots).or_else(wanted)
    }
}

/// A slot of which it is found that `disk` has it at `epoch`. One epoch above what is known, it is the heir, and the owner
/// may have what the heir has not got yet: its move goes on.
fn claimed(known: Slot, disk: DiskId, epoch: SlotEpoch) -> Slot {
    let (target, newest) = known.target();
    if epoch <= newest {
        known
    } else if epoch == newest.next() && disk != target {
        Slot { heir: Some(Heir { disk, epoch }), ..known }
    } else {
        Slot::owned(disk, epoch)
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
                Slot::owned(self.nth(taken - 1), epoch)
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
        let here = group.slots.iter().filter(|slot| slot.disks().any(|disk| present.contains(&disk))).count();
        // An archive's group may hold something that no disk here tells of.
        let in_use = archived || seen.groups.contains(&group.id);
        let needed = group.profile.k();
        (in_use && here < needed).then_some(ShortGroup { group: group.id, present: here, needed })
    };
    layout.groups.iter().filter_map(short).collect()
}

#[cfg(test)]
mod tests {
    use platform::SystemEntropy;
    use types::SlotIndex;

    use super::*;

    const GROUP: PlacementGroupId = PlacementGroupId(3);

    fn id(number: u8) -> DiskId {
        DiskId::from_bytes([number; 16])
    }

    fn disk(number: u8, slots: &[(u8, u64)]) -> PresentDisk {
        let row = Disk {
            id: id(number),
            node: NodeId::from_bytes([9; 16]),
            path: format!("/d{number}"),
            mount_point: false,
            capacity_bytes: 1,
            state: DiskState::Up,
        };
        let claim = |(slot, epoch): &(u8, u64)| SlotClaim {
            group: GROUP,
            slot: SlotIndex(*slot),
            epoch: SlotEpoch(*epoch),
            sealed: false,
        };
        PresentDisk { row, slots: slots.iter().map(claim).collect() }
    }

    fn assembled(archived: Option<Layout>, disks: &[PresentDisk], empty: &[EmptyPlace], seen: &Seen) -> Layout {
        let wanted = ["2+1".parse().expect("a profile")];
        let node = NodeId::from_bytes([9; 16]);
        LostLayout { archived, node, disks, empty, wanted: &wanted, seen }.assemble(&SystemEntropy)
    }

    #[test]
    fn superblocks_alone_make_a_layout_and_absent_disks_get_the_empty_places() {
        let disks = [disk(1, &[(0, 4)]), disk(2, &[(2, 1)])];
        let empty = [EmptyPlace { path: "/d3".to_owned(), mount_point: true }];
        let mut seen = Seen::default();
        seen.groups.insert(GROUP);
        let layout = assembled(None, &disks, &empty, &seen);
        let group = layout.group(GROUP).expect("it is there");
        assert_eq!(group.profile, "2+1".parse().expect("a profile"));
        assert_eq!((group.slots[0].disk, group.slots[2].disk), (id(1), id(2)));
        assert_eq!((group.slots[0].epoch, group.slots[2].epoch), (SlotEpoch(4), SlotEpoch(1)));
        let absent = layout.disk(group.slots[1].disk).expect("it has a row");
        assert_eq!((absent.path.as_str(), absent.mount_point, absent.state), ("/d3", true, DiskState::Down));
        let present = [id(1), id(2)].into();
        assert_eq!(short_groups(&layout, &present, &seen, false), []);
        let short = short_groups(&layout, &[id(1)].into(), &seen, false);
        assert_eq!(short, [ShortGroup { group: GROUP, present: 1, needed: 2 }]);
        assert_eq!(short_groups(&layout, &[id(1)].into(), &Seen::default(), false), [], "nothing lies in it");
    }

    #[test]
    fn a_slot_that_was_handed_on_after_the_archive_ended_goes_to_its_heir_or_new_owner() {
        let disks = [disk(1, &[(0, 1)]), disk(2, &[(1, 1)]), disk(3, &[(2, 1)])];
        let archived = assembled(None, &disks, &[], &Seen::default());
        let replaced = [disk(1, &[(0, 1)]), disk(2, &[(1, 1)]), disk(4, &[(2, 2)])];
        let layout = assembled(Some(archived.clone()), &replaced, &[], &Seen::default());
        assert!(layout.epoch.0 > archived.epoch.0 + 1000);
        let slots = &layout.group(GROUP).expect("it is there").slots;
        let heir = Some(Heir { disk: id(4), epoch: SlotEpoch(2) });
        assert_eq!(slots[2], Slot { heir, ..Slot::owned(id(3), SlotEpoch(1)) });
        assert_eq!(slots[..2], archived.group(GROUP).expect("it is there").slots[..2]);
        assert!(layout.disk(id(4)).is_some() && layout.disk(id(3)).is_some());
        // Once the heir owns it, an owner of old does not get it back by its claim.
        let moved = [disk(1, &[(0, 1)]), disk(2, &[(1, 1)]), disk(3, &[(2, 1)]), disk(4, &[(2, 3)])];
        let layout = assembled(Some(layout), &moved, &[], &Seen::default());
        assert_eq!(layout.group(GROUP).expect("it is there").slots[2], Slot::owned(id(4), SlotEpoch(3)));
        let back = assembled(Some(layout), &disks, &[], &Seen::default());
        assert_eq!(back.group(GROUP).expect("it is there").slots[2].disk, id(4));
    }
}
