//! What the disks at hand bear: under which profile objects are stored now, and how many disks may be lost.

use std::fmt;

use types::{DiskId, DiskState, Layout, Profile};

/// How objects of one storage class are protected at one moment. Shown, it is a sentence without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection {
    /// The profile that is wanted.
    pub wanted: Profile,
    /// The widest that the live disks hold, and which new objects get; `None`: not even 1+1.
    pub stored: Option<Profile>,
    /// Disks of the layout that are down, or in whose place one stands that is not whole yet.
    pub missing: usize,
}

impl Protection {
    /// Where `wanted` is wanted; `is_whole` tells of a disk that is up whether it has all its shards.
    pub(crate) fn of(layout: &Layout, wanted: Profile, is_whole: impl Fn(DiskId) -> bool) -> Self {
        let counted = layout.disks.iter().filter(|disk| !disk.state.is_left());
        let missing = counted.filter(|disk| disk.state != DiskState::Up || !is_whole(disk.id)).count();
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
    use types::{Disk, NodeId};

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

    #[test]
    fn a_disk_that_is_being_rebuilt_bears_nothing_yet() {
        let whole = |disk| disk != DiskId::from_bytes([2; 16]);
        let protection = Protection::of(&layout(6, 0), "4+2".parse().expect("a profile"), whole);
        assert_eq!(protection.losses_borne(), 1);
    }
}
