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
    /// Disks of the layout that are down, or that were given up and still own slots.
    pub missing: usize,
    /// Disks that are up in another's place, and may lack something that it had.
    pub unfinished: usize,
    /// Whether something is known to be stored that cannot be read now.
    pub is_short: bool,
}

impl Protection {
    /// Where `wanted` is wanted; `is_whole` tells of a disk that is up whether it has all its shards.
    pub(crate) fn of(layout: &Layout, wanted: Profile, is_whole: impl Fn(DiskId) -> bool) -> Self {
        // What a disk had that was given up is whole again for sure once its slots have new owners.
        let owners: BTreeSet<DiskId> = layout.slots().map(|(_, _, slot)| slot.disk).collect();
        let is_missing = |disk: &&Disk| match disk.state {
            DiskState::Down => true,
            DiskState::Out => owners.contains(&disk.id),
            DiskState::Up | DiskState::Draining => false,
        };
        let missing = layout.disks.iter().filter(is_missing).count();
        let unfinished = layout.disks.iter().filter(|disk| disk.state == DiskState::Up && !is_whole(disk.id)).count();
        Self { wanted, stored: placement::widest_live(layout, wanted, &[]), missing, unfinished, is_short: false }
    }

    /// Whether disks are missing, or not whole.
    pub(crate) fn is_degraded(&self) -> bool {
        self.lost() > 0
    }

    /// Disks on which nothing may count.
    fn lost(&self) -> usize {
        self.missing + self.unfinished
    }

    /// How many more disks may be lost with nothing stored under the wanted profile, or now, lost.
    pub fn losses_borne(&self) -> usize {
        let of_older = self.wanted.m().saturating_sub(self.lost());
        self.stored.map_or(0, |stored| stored.m().min(of_older))
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wanted, stored, missing, unfinished, is_short } = *self;
        match (missing, unfinished) {
            (0, 0) if stored == Some(wanted) => write!(f, "{wanted}: ")?,
            (0, 0) => write!(f, "too few for {wanted}: ")?,
            (_, 0) => write!(f, "{missing} missing of {wanted}: ")?,
            (0, _) => write!(f, "{unfinished} not whole yet of {wanted}: ")?,
            _ => write!(f, "{missing} missing and {unfinished} not whole yet of {wanted}: ")?,
        }
        if is_short {
            f.write_str("more than may be, what was stored before can NOT all be read; ")?;
        }
        match stored {
            None => return f.write_str("objects that are not inline can NOT be stored"),
            Some(stored) if stored == wanted && self.lost() == 0 => {}
            Some(stored) => write!(f, "objects are stored {stored}, ")?,
        }
        let more = if self.lost() > 0 { " more" } else { "" };
        match (self.losses_borne(), self.lost()) {
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
        let short = Protection::of(&layout(3, 3), "4+2".parse().expect("a profile"), |_| true);
        let short = Protection { is_short: true, ..short };
        assert_eq!(
            short.to_string(),
            "3 missing of 4+2: more than may be, what was stored before can NOT all be read; objects are stored 1+2, NO more \
             disk may be lost"
        );
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
        let said = protection.to_string();
        assert_eq!(said, "1 not whole yet of 4+2: objects are stored 4+2, any one more disk may be lost");
        let protection = Protection::of(&layout(5, 1), "4+2".parse().expect("a profile"), whole);
        let said = protection.to_string();
        assert_eq!(said, "1 missing and 1 not whole yet of 4+2: objects are stored 3+2, NO more disk may be lost");
    }
}
