//! Changes of a layout: each gives the layout at the next epoch, to be committed if the index still stands at this one.

use types::{Disk, DiskId, DiskState, Heir, Layout, NodeId, PlacementGroup, PlacementGroupId, Slot, SlotIndex};

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
/// that writers with the old layout are refused and what is missing there is rebuilt from the other slots. A slot that
/// moves goes on moving: its new shards are at the heir. `None` if the layout has no disk `old`, or has the replacement as
/// another disk already.
pub fn replace_disk(layout: &Layout, old: DiskId, replacement: Disk) -> Option<Layout> {
    let at = layout.disks.iter().position(|disk| disk.id == old)?;
    let known = |disk: &Disk| disk.id == replacement.id && disk.id != old;
    if layout.disks.iter().any(known) {
        return None;
    }
    let mut changed = next(layout);
    let slots = changed.groups.iter_mut().flat_map(|group| &mut group.slots);
    for slot in slots {
        match &mut slot.heir {
            None if slot.disk == old => *slot = Slot::owned(replacement.id, slot.epoch.next()),
            None => {}
            Some(heir) if heir.disk == old => *heir = Heir { disk: replacement.id, epoch: heir.epoch.next() },
            Some(_) if slot.disk == old => slot.disk = replacement.id,
            Some(_) => {}
        }
    }
    changed.disks[at] = replacement;
    Some(changed)
}

/// A slot that is to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotMove {
    /// The group.
    pub group: PlacementGroupId,
    /// The slot.
    pub slot: SlotIndex,
    /// The disk that takes its shards now.
    pub from: DiskId,
    /// The heir to be.
    pub to: DiskId,
}

/// The layout with heirs for slots, at the next epoch of each: writers go there from now on. `None` where a slot's shards
/// don't go to the disk any more that the move was planned from: plan anew.
pub fn begin_moves(layout: &Layout, moves: &[SlotMove]) -> Option<Layout> {
    let mut changed = next(layout);
    for planned in moves {
        let slot = slot_mut(&mut changed, planned.group, planned.slot)?;
        if slot.target().0 != planned.from || slot.disks().any(|disk| disk == planned.to) {
            return None;
        }
        give_heir(slot, planned.to);
    }
    (!moves.is_empty()).then_some(changed)
}

/// A move whose heir has all shards of the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FinishedMove {
    /// The group.
    pub group: PlacementGroupId,
    /// The slot.
    pub slot: SlotIndex,
    /// The heir as it was when it got them.
    pub heir: Heir,
}

/// The layout in which the heirs own their slots, at an epoch above the one at which they took shards. Those that are not
/// the slot's heir any more are left out; `None` if none is left.
pub fn finish_moves(layout: &Layout, finished: &[FinishedMove]) -> Option<Layout> {
    let mut changed = next(layout);
    let mut any = false;
    for FinishedMove { group, slot, heir } in finished {
        let Some(slot) = slot_mut(&mut changed, *group, *slot) else { continue };
        if slot.heir == Some(*heir) {
            *slot = Slot::owned(heir.disk, heir.epoch.next());
            any = true;
        }
    }
    any.then_some(changed)
}

/// Why a disk or node is not taken out of the layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoveError {
    /// There is none.
    #[error("the layout has no such disk or node")]
    Unknown,
    /// It takes runs.
    #[error("disk {disk} is in use: drain it first, or put it out if it is lost")]
    InUse {
        /// The disk.
        disk: DiskId,
    },
    /// It has slots.
    #[error(
        "disk {disk} still has {slots} slots: wait until they have moved, as `cairn admin moves` says; if it was given up, \
         that is up to `ticket_idle` (30m unless set) after its last writer"
    )]
    OwnsSlots {
        /// The disk.
        disk: DiskId,
        /// How many.
        slots: usize,
    },
}

/// The layout without a disk that owns nothing.
///
/// # Errors
/// [`RemoveError`].
pub fn remove_disk(layout: &Layout, disk: DiskId) -> Result<Layout, RemoveError> {
    check_removable(layout, disk)?;
    let mut changed = next(layout);
    changed.disks.retain(|known| known.id != disk);
    Ok(changed)
}

/// The layout without a node, and without its disks, which own nothing.
///
/// # Errors
/// [`RemoveError`].
pub fn remove_node(layout: &Layout, node: NodeId) -> Result<Layout, RemoveError> {
    if !layout.nodes.iter().any(|known| known.id == node) {
        return Err(RemoveError::Unknown);
    }
    for disk in layout.disks.iter().filter(|disk| disk.node == node) {
        check_removable(layout, disk.id)?;
    }
    let mut changed = next(layout);
    changed.disks.retain(|disk| disk.node != node);
    changed.nodes.retain(|known| known.id != node);
    Ok(changed)
}

fn check_removable(layout: &Layout, disk: DiskId) -> Result<(), RemoveError> {
    let row = layout.disk(disk).ok_or(RemoveError::Unknown)?;
    if !row.state.is_left() {
        return Err(RemoveError::InUse { disk });
    }
    let slots = layout.slots().filter(|(_, _, slot)| slot.disks().any(|owner| owner == disk)).count();
    if slots > 0 { Err(RemoveError::OwnsSlots { disk, slots }) } else { Ok(()) }
}

fn slot_mut(layout: &mut Layout, group: PlacementGroupId, slot: SlotIndex) -> Option<&mut Slot> {
    let at = layout.groups.binary_search_by_key(&group, |group| group.id).ok()?;
    layout.groups[at].slots.get_mut(usize::from(slot.0))
}

fn give_heir(slot: &mut Slot, disk: DiskId) {
    slot.heir = Some(Heir { disk, epoch: slot.target().1.next() });
}

fn next(layout: &Layout) -> Layout {
    Layout { epoch: layout.epoch.next(), ..layout.clone() }
}

#[cfg(test)]
mod tests {
    use types::{LayoutEpoch, SlotEpoch};

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
        let slots = |order: [u8; 2]| order.map(|n| Slot::owned(disk(n).id, SlotEpoch(1))).to_vec();
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

    fn heir(number: u8, epoch: u64) -> Option<Heir> {
        Some(Heir { disk: disk(number).id, epoch: SlotEpoch(epoch) })
    }

    fn finished(group: u64, slot: u8, heir: Option<Heir>) -> FinishedMove {
        FinishedMove { group: PlacementGroupId(group), slot: SlotIndex(slot), heir: heir.expect("an heir") }
    }

    #[test]
    fn a_replaced_disk_keeps_its_slots_at_the_next_epoch() {
        let changed = replace_disk(&layout(), disk(2).id, disk(3)).expect("disk 2 is known");
        assert_eq!(changed.epoch, LayoutEpoch(8));
        assert_eq!(changed.disks, [disk(1), disk(3)]);
        let new = Slot::owned(disk(3).id, SlotEpoch(2));
        let kept = Slot::owned(disk(1).id, SlotEpoch(1));
        assert_eq!(changed.groups[0].slots, [kept, new]);
        assert_eq!(changed.groups[1].slots, [new, kept]);
    }

    #[test]
    fn an_heir_owns_the_slot_once_its_move_is_finished() {
        let mut three = layout();
        three.disks.push(disk(3));
        let moves = [SlotMove { group: PlacementGroupId(2), slot: SlotIndex(1), from: disk(1).id, to: disk(3).id }];
        let moving = begin_moves(&three, &moves).expect("it is as planned");
        assert_eq!(moving.groups[1].slots[1].target(), (disk(3).id, SlotEpoch(2)));
        assert_eq!(begin_moves(&moving, &moves), None, "it moves already");
        let moved = finish_moves(&moving, &[finished(2, 1, heir(3, 2))]).expect("it is the heir");
        assert_eq!(moved.groups[1].slots[1], Slot::owned(disk(3).id, SlotEpoch(3)));
        assert_eq!(moved.epoch, LayoutEpoch(9));
    }

    #[test]
    fn a_replaced_disk_loses_no_heir() {
        let mut three = layout();
        three.disks.push(disk(3));
        let moves = [SlotMove { group: PlacementGroupId(1), slot: SlotIndex(0), from: disk(1).id, to: disk(3).id }];
        let moving = begin_moves(&three, &moves).expect("it is as planned");
        let owner = replace_disk(&moving, disk(1).id, disk(4)).expect("disk 1 is known");
        assert_eq!(owner.groups[0].slots[0], Slot { disk: disk(4).id, epoch: SlotEpoch(1), heir: heir(3, 2) });
        assert_eq!(owner.groups[1].slots[1], Slot::owned(disk(4).id, SlotEpoch(2)));
        let heirs = replace_disk(&moving, disk(3).id, disk(4)).expect("disk 3 is known");
        assert_eq!(heirs.groups[0].slots[0], Slot { disk: disk(1).id, epoch: SlotEpoch(1), heir: heir(4, 3) });
    }

    #[test]
    fn a_disk_is_removed_only_when_it_owns_nothing() {
        assert_eq!(remove_disk(&layout(), disk(2).id), Err(RemoveError::InUse { disk: disk(2).id }));
        let drained = with_disk_state(&layout(), disk(2).id, DiskState::Draining).expect("a change");
        assert_eq!(remove_disk(&drained, disk(2).id), Err(RemoveError::OwnsSlots { disk: disk(2).id, slots: 2 }));
        assert_eq!(remove_node(&drained, disk(2).node), Err(RemoveError::Unknown));
        assert_eq!(remove_disk(&drained, disk(9).id), Err(RemoveError::Unknown));
        let mut empty = drained;
        empty.groups.clear();
        assert_eq!(remove_disk(&empty, disk(2).id).map(|layout| layout.disks), Ok(vec![disk(1)]));
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
