//! What the disks at hand bear: under which profile objects are stored now, and how many disks may be lost.

use std::collections::BTreeSet;
use std::fmt;

use types::{Disk, DiskId, DiskState, Layout, Profile};

/// How objects of one storage class are protected at one moment. Shown, it is a sentence without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection {
    /// The profile that is wanted.
    pub wanted: Profile,
    /// The widest that the live disks hold, and which new objects get; `None`: not even 1+1.
    pub stored: Option<Profile>,
    /// Disks of the layout that are down, or in whose place one stands that is not whole yet, or that were given up and still
    /// own slots.
    pub missing: usize,
}

impl Protection {
    /// Where `wanted` is wanted; `is_whole` tells of a disk that is up whether it has all its shards.
    pub(crate) fn of(layout: &Layout, wanted: Profile, is_whole: impl Fn(DiskId) -> bool) -> Self {
        // What a disk had that was given up is whole again for sure once its slots have new owners.
        let owners: BTreeSet<DiskId> = layout.slots().map(|(_, _, slot)| slot.disk).collect();
        let is_missing = |disk: &&Disk| match disk.state {
            DiskState::Up => !is_whole(disk.id),
            DiskState::Down => true,
            DiskState::Out => owners.contains(&disk.id),
            DiskState::Draining => false,
        };
        let missing = layout.disks.iter().filter(is_missing).count();
        Self { wanted, stored: placement::widest_live(layout, wanted, &[]), missing }
    }

    /// How many more disks may be lost with nothing stored under the wanted profile, or now, lost.
    pub fn losses_borne(&self) -> usize {
        let of_older = self.wanted.m().saturating_sub(self.missing);
        self.stored.map_or(0, |stored| stored.m().min(of_older))
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wanted, stored, missing } = *self;
        match stored {
            _ if missing > 0 => write!(f, "{missing} missing of {wanted}: ")?,
            Some(stored) if stored == wanted => (),
            _ => write!(f, "too few for {wanted}: ")?,
        }
        match stored {
            None => return f.write_str("objects that are not inline can NOT be stored"),
            Some(stored) if stored == wanted && missing == 0 => write!(f, "{wanted}: ")?,
            Some(stored) => write!(f, "objects are stored {stored}, ")?,
        }
        let more = if missing > 0 { " more" } else { "" };
        match (self.losses_borne(), missing) {
            (0, 0) => f.write_str("NOT protected, the loss of a disk loses data"),
            (0, _) => f.write_str("NO more disk may be lost"),
            (1, _) => write!(f, "any one{more} disk may be lost"),
            (losses, _) => write!(f, "any {losses}{more} disks may be lost"),
        }
    }
}

#[cfg(test)]
mod tests {
    use types::{Heir, NodeId, PlacementGroup, PlacementGroupId, Slot, SlotEpoch};

    use super::*;

    /// `up` disks that are up, and `down` that aren't.
    fn layout(up: u8, down: u8) -> Layout {
        let disk = |number| Disk {
            id: DiskId::from_bytes([number; 16]),
            node: NodeId::from_bytes([1; 16]),
            path: format!("/disks/{number}"),
            mount_point: false,
            capacity_bytes: 1 << 40,
            state: if number <= up { DiskState::Up } else { DiskState::Down },
        };
        Layout { disks: (1..=up + down).map(disk).collect(), ..Layout::default() }
    }

    fn said(up: u8, down: u8, wanted: &str) -> String {
        Protection::of(&layout(up, down), wanted.parse().expect("a profile"), |_| true).to_string()
    }

    #[test]
    fn what_is_promised_is_what_the_disks_at_hand_bear() {
        assert_eq!(said(6, 0, "4+2"), "4+2: any 2 disks may be lost");
        assert_eq!(said(3, 0, "2+1"), "2+1: any one disk may be lost");
        assert_eq!(said(1, 0, "1+0"), "1+0: NOT protected, the loss of a disk loses data");
        assert_eq!(said(3, 0, "4+2"), "too few for 4+2: objects are stored 1+2, any 2 disks may be lost");
        assert_eq!(said(2, 0, "4+2"), "too few for 4+2: objects are stored 1+1, any one disk may be lost");
        assert_eq!(said(1, 0, "2+1"), "too few for 2+1: objects that are not inline can NOT be stored");
        assert_eq!(said(5, 1, "4+2"), "1 missing of 4+2: objects are stored 3+2, any one more disk may be lost");
        assert_eq!(said(4, 2, "4+2"), "2 missing of 4+2: objects are stored 2+2, NO more disk may be lost");
        assert_eq!(said(6, 1, "4+2"), "1 missing of 4+2: objects are stored 4+2, any one more disk may be lost");
    }

    /// One of three disks is given up: until another owns its slot, what it had need not have been made again.
    #[test]
    fn a_disk_that_was_given_up_is_missing_until_its_slots_have_new_owners() {
        let disk = |number| DiskId::from_bytes([number; 16]);
        let mut layout = layout(4, 0);
        let slots = (1..=3).map(|number| Slot::owned(disk(number), SlotEpoch(1))).collect();
        let profile: Profile = "2+1".parse().expect("a profile");
        layout.groups.push(PlacementGroup { id: PlacementGroupId(1), profile, slots });
        let said = |layout: &Layout| Protection::of(layout, profile, |_| true).to_string();
        assert_eq!(said(&layout), "2+1: any one disk may be lost");
        layout.disks[0].state = DiskState::Out;
        layout.groups[0].slots[0].heir = Some(Heir { disk: disk(4), epoch: SlotEpoch(2) });
        assert_eq!(said(&layout), "1 missing of 2+1: objects are stored 2+1, NO more disk may be lost");
        layout.groups[0].slots[0] = Slot::owned(disk(4), SlotEpoch(3));
        assert_eq!(said(&layout), "2+1: any one disk may be lost");
    }

    #[test]
    fn a_disk_that_is_being_rebuilt_bears_nothing_yet() {
        let whole = |disk| disk != DiskId::from_bytes([2; 16]);
        let protection = Protection::of(&layout(6, 0), "4+2".parse().expect("a profile"), whole);
        assert_eq!(protection.losses_borne(), 1);
    }
}
