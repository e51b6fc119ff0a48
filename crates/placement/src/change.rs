//! Changes of a layout: each gives the layout at the next epoch, to be committed if the index still stands at this one.

use types::{Disk, DiskId, DiskState, Layout, PlacementGroup, Slot};

/// The layout with `groups` added. Their ids follow on the layout's last, as [`crate::plan_groups`] gives them.
///
/// # Panics
/// If ids don't rise.
#[must_use]
pub fn add_groups(layout: &Layout, groups: Vec<PlacementGroup>) -> Layout {
    let mut changed = next(layout);
    changed.groups.extend(groups);
    assert!(changed.groups.is_sorted_by(|a, b| a.id < b.id), "ids of groups rise");
    changed
}

/// The layout with a disk's state changed; `None` if it has no such disk or the disk is in this state.
pub fn with_disk_state(layout: &Layout, disk: DiskId, state: DiskState) -> Option<Layout> {
    with_disk_states(layout, &[disk], state)
}

/// As [`with_disk_state`], of several disks; `None` if it has none of them in another state.
pub fn with_disk_states(layout: &Layout, disks: &[DiskId], state: DiskState) -> Option<Layout> {
    let differs = |known: &Disk| disks.contains(&known.id) && known.state != state;
    if !layout.disks.iter().any(differs) {
        return None;
    }
    let mut changed = next(layout);
    changed.disks.iter_mut().filter(|known| differs(known)).for_each(|disk| disk.state = state);
    Some(changed)
}

/// The layout after `old` was replaced by `replacement` (a blank disk: another one, or the same one formatted anew):
/// every slot of the old disk is the new one's, in the same place of the same group, at the next epoch of the slot, so
/// that writers with the old layout are refused and what is missing there is rebuilt from the other slots. `None` if
/// the layout has no disk `old`, or has the replacement as another disk already.
pub fn replace_disk(layout: &Layout, old: DiskId, replacement: Disk) -> Option<Layout> {
    let at = layout.disks.iter().position(|disk| disk.id == old)?;
    let known = |disk: &Disk| disk.id == replacement.id && disk.id != old;
    if layout.disks.iter().any(known) {
        return None;
    }
    let mut changed = next(layout);
    let slots = changed.groups.iter_mut().flat_map(|group| &mut group.slots);
    for slot in slots.filter(|slot| slot.disk == old) {
        *slot = Slot { disk: replacement.id, epoch: slot.epoch.next() };
    }
    changed.disks[at] = replacement;
    Some(changed)
}

fn next(layout: &Layout) -> Layout {
    Layout { epoch: layout.epoch.next(), ..layout.clone() }
}

#[cfg(test)]
mod tests {
    use types::{LayoutEpoch, NodeId, PlacementGroupId, SlotEpoch};

    use super::*;

    fn disk(number: u8) -> Disk {
        Disk {
            id: DiskId::from_bytes([number; 16]),
            node: NodeId::from_bytes([1; 16]),
            path: format!("/disks/{number}"),
            capacity_bytes: 1 << 40,
            mount_point: false,
            state: DiskState::Up,
        }
    }

    fn layout() -> Layout {
        let slots = |order: [u8; 2]| order.map(|n| Slot { disk: disk(n).id, epoch: SlotEpoch(1) }).to_vec();
        let group = |id, order| PlacementGroup {
            id: PlacementGroupId(id),
            profile: "1+1".parse().expect("a profile"),
            slots: slots(order),
        };
        Layout {
            epoch: LayoutEpoch(7),
            nodes: Vec::new(),
            disks: vec![disk(1), disk(2)],
            groups: vec![group(1, [1, 2]), group(2, [2, 1])],
        }
    }

    #[test]
    fn a_replaced_disk_keeps_its_slots_at_the_next_epoch() {
        let changed = replace_disk(&layout(), disk(2).id, disk(3)).expect("disk 2 is known");
        assert_eq!(changed.epoch, LayoutEpoch(8));
        assert_eq!(changed.disks, [disk(1), disk(3)]);
        let new = Slot { disk: disk(3).id, epoch: SlotEpoch(2) };
        let kept = Slot { disk: disk(1).id, epoch: SlotEpoch(1) };
        assert_eq!(changed.groups[0].slots, [kept, new]);
        assert_eq!(changed.groups[1].slots, [new, kept]);
    }

    #[test]
    fn a_disk_formatted_anew_under_its_id_gets_the_next_epoch_too() {
        let changed = replace_disk(&layout(), disk(2).id, disk(2)).expect("disk 2 is known");
        assert_eq!(changed.groups[0].slots[1], Slot { disk: disk(2).id, epoch: SlotEpoch(2) });
    }

    #[test]
    fn what_would_put_two_slots_on_one_disk_is_refused() {
        assert_eq!(replace_disk(&layout(), disk(2).id, disk(1)), None);
        assert_eq!(replace_disk(&layout(), disk(9).id, disk(3)), None);
    }

    #[test]
    fn a_state_that_stands_is_no_change() {
        let down = with_disk_state(&layout(), disk(1).id, DiskState::Down).expect("a change");
        assert_eq!(down.disk(disk(1).id).map(|disk| disk.state), Some(DiskState::Down));
        assert_eq!(with_disk_state(&down, disk(1).id, DiskState::Down), None);
        assert_eq!(with_disk_state(&down, disk(9).id, DiskState::Down), None);
    }
}
