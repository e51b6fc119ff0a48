//! Invariants of plans of moves, on layouts of every kind.

use std::collections::BTreeSet;

use proptest::prelude::*;
use types::{Disk, LayoutEpoch, Node, NodeId, SlotEpoch};

use super::*;
use crate::{FinishedMove, add_groups, begin_moves, finish_moves, live_groups, plan_groups, widest_live};

fn profile(text: &str) -> Profile {
    text.parse().expect("a profile")
}

fn disk_id(node: u8, at: u8) -> DiskId {
    let mut bytes = [node; 16];
    bytes[15] = at;
    DiskId::from_bytes(bytes)
}

/// Adds a node with disks of these capacities.
fn add_node(layout: &mut Layout, number: u8, capacities: &[u64]) {
    let id = NodeId::from_bytes([number; 16]);
    layout.nodes.push(Node { id, address: String::new(), rack: None, zone: None });
    for (at, &capacity_bytes) in capacities.iter().enumerate() {
        layout.disks.push(Disk {
            id: disk_id(number, at as u8),
            node: id,
            path: format!("/d{at}"),
            capacity_bytes,
            mount_point: false,
            state: DiskState::Up,
        });
    }
}

/// Nodes with disks of these capacities, and the groups of `wanted` over them.
fn cluster(nodes: &[Vec<u64>], wanted: &str) -> Layout {
    let mut layout = Layout { epoch: LayoutEpoch(1), ..Layout::default() };
    for (number, disks) in (1..).zip(nodes) {
        add_node(&mut layout, number, disks);
    }
    let profile = widest_live(&layout, profile(wanted), &[]).expect("something can be held");
    let groups = plan_groups(&layout, profile, &[]).expect("it is held");
    add_groups(&layout, groups)
}

fn set_state(layout: &mut Layout, disk: DiskId, state: DiskState) {
    layout.disks.iter_mut().find(|known| known.id == disk).expect("it is known").state = state;
}

/// All heirs own their slots.
fn finished(layout: &Layout) -> Layout {
    let all: Vec<FinishedMove> = moving_slots(layout)
        .into_iter()
        .map(|moving| FinishedMove {
            group: moving.group,
            slot: moving.index,
            heir: moving.slot.heir.expect("it moves"),
        })
        .collect();
    finish_moves(layout, &all).unwrap_or_else(|| layout.clone())
}

/// Slots of a group on distinct disks, and no domain with more than the rule lets it have.
fn assert_apart(layout: &Layout) {
    for group in &layout.groups {
        let all: Vec<DiskId> = group.slots.iter().flat_map(Slot::disks).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "one disk, one slot: {group:?}");
        let targets: Vec<DiskId> = group.slots.iter().map(|slot| slot.target().0).collect();
        let sites = Sites::of(layout).sites_of(&targets);
        let level = domain_level(layout, group.profile);
        let most = by_domain(&sites, level).values().copied().max().unwrap_or(0);
        assert!(most <= group.profile.m().max(1), "{most} slots of a {} group in one domain", group.profile);
    }
}

fn slots_of(layout: &Layout, disk: DiskId) -> usize {
    layout.slots().filter(|(_, _, slot)| slot.target().0 == disk).count()
}

const TB: u64 = 1 << 40;

#[test]
fn a_node_that_leaves_has_heirs_for_all_slots_and_nothing_else_moves() {
    let layout = cluster(&vec![vec![TB, TB]; 5], "3+2");
    let leaving = [disk_id(2, 0), disk_id(2, 1)];
    let held = leaving.iter().map(|disk| slots_of(&layout, *disk)).sum::<usize>();
    let (drained, plan) = drain(&layout, &leaving, &[], |_, _| 7, |_| Some(TB)).expect("four nodes hold 3+2");
    assert_eq!((plan.moves.len(), plan.homeless.len()), (held, 0));
    assert_eq!(drained.epoch, LayoutEpoch(layout.epoch.0 + 1), "one change");
    assert_apart(&drained);
    assert!(leaving.iter().all(|disk| drained.disk_state(*disk) == DiskState::Draining));
    // Writers have whole groups at once.
    assert_eq!(live_groups(&drained, profile("3+2"), profile("3+2"), &[]).len(), layout.groups.len());
    let after = finished(&drained);
    assert!(leaving.iter().all(|disk| slots_of(&after, *disk) == 0));
    assert_apart(&after);
}

#[test]
fn what_would_narrow_the_profile_or_lose_data_is_refused() {
    let layout = cluster(&vec![vec![TB]; 5], "3+2");
    let nodes: Vec<DiskId> = (1..=5).map(|node| disk_id(node, 0)).collect();
    let refused = |leaving: &[DiskId]| drain(&layout, leaving, &[profile("3+2")], |_, _| 0, |_| None).map(|_| ());
    // One disk a node: each group has a slot on each.
    assert!(matches!(refused(&nodes[..1]), Err(DrainError::Narrower { .. })));
    let six = cluster(&vec![vec![TB, TB]; 5], "3+2");
    let drained = |leaving: &[DiskId]| drain(&six, leaving, &[profile("3+2")], |_, _| 5, |_| Some(TB));
    let nodes: Vec<DiskId> = (1..=5).flat_map(|node| [disk_id(node, 0), disk_id(node, 1)]).collect();
    assert!(drained(&nodes[..2]).is_ok(), "one node of five, two slots to a node");
    assert!(drained(&nodes[..4]).is_ok(), "three nodes of two disks hold five slots");
    assert!(matches!(drained(&nodes[..6]), Err(DrainError::Narrower { .. })), "two nodes do not");
    let short = drain(&six, &nodes[..2], &[profile("3+2")], |_, _| 1000, |_| Some(999));
    assert!(matches!(short, Err(DrainError::NoRoom { .. })), "{short:?}");
    let two = cluster(&vec![vec![TB, TB]; 2], "1+1");
    let alone = drain(&two, &nodes[..2], &[profile("1+1")], |_, _| 0, |_| None).map(|_| ());
    assert_eq!(alone, Err(DrainError::Together { profile: profile("1+1") }));
    let mut down = six.clone();
    set_state(&mut down, nodes[0], DiskState::Down);
    assert_eq!(
        drain(&down, &nodes[..1], &[], |_, _| 0, |_| None).map(|_| ()),
        Err(DrainError::Down { disk: nodes[0] })
    );
    assert_eq!(groups_lost_without(&six, &nodes[..4]), [], "3+2 does without any two nodes");
    assert!(!groups_lost_without(&six, &nodes[..6]).is_empty());
}

#[test]
fn a_bigger_node_gets_its_share_of_what_is_stored_and_no_more() {
    let mut layout = cluster(&vec![vec![TB, TB]; 3], "2+1");
    add_node(&mut layout, 4, &[2 * TB, 2 * TB]);
    // New groups hold nothing yet, though the new disks have many slots in them.
    let full = layout.groups.len() as u64;
    layout = add_groups(&layout, plan_groups(&layout, profile("2+1"), &[]).expect("four nodes hold it"));
    let bytes = |group: PlacementGroupId, _| if group.0 <= full { 1 << 30 } else { 0 };
    let moves = plan_rebalance(&layout, bytes, usize::MAX);
    assert_eq!(moves, plan_rebalance(&layout, bytes, usize::MAX), "the same plan from the same layout");
    assert_eq!(plan_rebalance(&layout, bytes, 3), moves[..3], "a bound takes the first ones");
    assert!(moves.iter().all(|planned| planned.to == disk_id(4, 0) || planned.to == disk_id(4, 1)), "{moves:?}");
    let moved = finished(&begin_moves(&layout, &moves).expect("they fit"));
    assert_apart(&moved);
    let stored: u64 = moved
        .slots()
        .filter(|(_, _, slot)| moved.disk(slot.disk).expect("known").node == NodeId::from_bytes([4; 16]))
        .map(|(group, at, _)| bytes(group.id, at))
        .sum();
    let all: u64 = moved.slots().map(|(group, at, _)| bytes(group.id, at)).sum();
    // 4 of 10 TB are its own; a group can have only one slot of three there.
    let share = stored as f64 / all as f64;
    assert!((0.25..=0.42).contains(&share), "{share}");
    assert_eq!(plan_rebalance(&moved, bytes, usize::MAX), [], "what is in proportion stays");
}

#[test]
fn the_most_endangered_groups_move_first() {
    let mut layout = cluster(&vec![vec![TB, TB]; 5], "3+2");
    let lost = [disk_id(1, 0), disk_id(2, 0)];
    lost.iter().for_each(|disk| set_state(&mut layout, *disk, DiskState::Out));
    let plan = plan_heirs(&layout, |_, _| 0);
    assert_eq!(plan.homeless, []);
    let moving = moving_slots(&begin_moves(&layout, &plan.moves).expect("they fit"));
    assert!(moving.is_sorted_by_key(|moving| moving.spare_slots));
    assert!(moving.iter().any(|moving| moving.spare_slots == 0) && moving.iter().any(|moving| moving.spare_slots == 1));
}

#[test]
fn an_heir_that_is_lost_gets_an_heir() {
    let layout = cluster(&vec![vec![TB, TB]; 5], "3+2");
    let (mut drained, _) = drain(&layout, &[disk_id(3, 0)], &[], |_, _| 0, |_| None).expect("there is room");
    let heir = moving_slots(&drained)[0].slot.heir.expect("it moves");
    set_state(&mut drained, heir.disk, DiskState::Out);
    let plan = plan_heirs(&drained, |_, _| 0);
    assert_eq!(plan.homeless, []);
    let again = begin_moves(&drained, &plan.moves).expect("they fit");
    assert_apart(&again);
    assert!(again.slots().all(|(_, _, slot)| slot.target().0 != heir.disk && slot.target().0 != disk_id(3, 0)));
    let changed = again
        .slots()
        .find(|(_, _, slot)| slot.disk == disk_id(3, 0) && slot.heir.is_some_and(|new| new.epoch > heir.epoch));
    assert!(changed.is_some(), "the owner stays the source");
    assert_eq!(changed.expect("just seen").2.epoch, SlotEpoch(1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_leaves_its_slots_stay_apart_and_plans_repeat(
        nodes in prop::collection::vec(prop::collection::vec(1u64..5, 1..4), 2..7),
        wanted in prop_oneof![Just("2+1"), Just("3+2"), Just("4+2"), Just("1+1")],
        leaving in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        out in any::<bool>(),
    ) {
        let sized: Vec<Vec<u64>> = nodes.iter().map(|disks| disks.iter().map(|size| size * TB).collect()).collect();
        let mut layout = cluster(&sized, wanted);
        let disks: Vec<DiskId> = layout.disks.iter().map(|disk| disk.id).collect();
        let state = if out { DiskState::Out } else { DiskState::Draining };
        let leaving: BTreeSet<DiskId> = leaving.iter().map(|at| *at.get(&disks)).collect();
        leaving.iter().for_each(|disk| set_state(&mut layout, *disk, state));
        let plan = plan_heirs(&layout, |group, slot| group.0 * 3 + u64::from(slot.0));
        prop_assert_eq!(&plan, &plan_heirs(&layout, |group, slot| group.0 * 3 + u64::from(slot.0)));
        let owned: usize = leaving.iter().map(|disk| slots_of(&layout, *disk)).sum();
        prop_assert_eq!(plan.moves.len() + plan.homeless.len(), owned, "all that leaves and nothing else");
        prop_assert!(plan.moves.iter().all(|planned| leaving.contains(&planned.from) && !leaving.contains(&planned.to)));
        if let Some(moving) = begin_moves(&layout, &plan.moves) {
            let all_distinct = |group: &PlacementGroup| {
                let all: Vec<DiskId> = group.slots.iter().flat_map(Slot::disks).collect();
                all.iter().collect::<BTreeSet<_>>().len() == all.len()
            };
            prop_assert!(moving.groups.iter().all(all_distinct));
            if plan.homeless.is_empty() {
                assert_apart(&moving);
            }
        }
    }

    #[test]
    fn rebalancing_ends_keeps_slots_apart_and_lowers_the_fullest(
        nodes in prop::collection::vec(prop::collection::vec(1u64..5, 1..4), 3..6),
        added in prop::collection::vec(1u64..9, 1..4),
        seed in any::<u64>(),
    ) {
        let sized: Vec<Vec<u64>> = nodes.iter().map(|disks| disks.iter().map(|size| size * TB).collect()).collect();
        let mut layout = cluster(&sized, "2+1");
        add_node(&mut layout, 9, &added.iter().map(|size| size * TB).collect::<Vec<_>>());
        let bytes = move |group: PlacementGroupId, _| (group.0.wrapping_mul(seed | 1) % 1000) << 20;
        let moves = plan_rebalance(&layout, bytes, usize::MAX);
        let distinct: BTreeSet<_> = moves.iter().map(|planned| (planned.group, planned.slot)).collect();
        prop_assert_eq!(distinct.len(), moves.len(), "no slot moves twice");
        let fullest = |layout: &Layout| {
            let loads = Loads::of(layout, &bytes);
            loads.sites.live.iter().map(|site| loads.ratio(site, 0)).max()
        };
        if let Some(moving) = begin_moves(&layout, &moves) {
            let moved = finished(&moving);
            assert_apart(&moved);
            prop_assert!(fullest(&moved) <= fullest(&layout));
            // A slot that was moved may be what the next plan moves on; that comes to an end.
            let (mut settled, mut rounds) = (moved, 0);
            loop {
                let more = plan_rebalance(&settled, bytes, usize::MAX);
                let Some(moving) = begin_moves(&settled, &more) else { break };
                settled = finished(&moving);
                rounds += 1;
                prop_assert!(rounds < 20, "it settles");
            }
        }
    }
}
