//! Invariants of plans, on layouts of every kind.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use types::{Disk, DiskState, Node, NodeId};

use super::*;
use crate::{SpreadGroups, add_groups, with_disk_state};

fn profile(text: &str) -> Profile {
    text.parse().expect("a profile")
}

/// A layout of nodes: the zone, the rack, and the capacities of the disks of each.
fn layout(nodes: &[(Option<u8>, Option<u8>, Vec<u64>)]) -> Layout {
    let mut layout = Layout::default();
    for (number, (zone, rack, disks)) in nodes.iter().enumerate() {
        let id = NodeId::from_bytes([number as u8; 16]);
        let label = |label: &Option<u8>| label.map(|number| number.to_string());
        layout.nodes.push(Node { id, address: String::new(), rack: label(rack), zone: label(zone) });
        for (at, &capacity_bytes) in disks.iter().enumerate() {
            let mut bytes = [number as u8; 16];
            bytes[15] = at as u8;
            let disk = DiskId::from_bytes(bytes);
            layout.disks.push(Disk {
                id: disk,
                node: id,
                path: String::new(),
                capacity_bytes,
                mount_point: false,
                state: DiskState::Up,
            });
        }
    }
    layout
}

fn one_machine(disks: usize) -> Layout {
    layout(&[(None, None, vec![1 << 40; disks])])
}

fn slot_counts(groups: &[PlacementGroup]) -> BTreeMap<(DiskId, usize), usize> {
    let mut counts = BTreeMap::new();
    for group in groups {
        for (at, slot) in group.slots.iter().enumerate() {
            *counts.entry((slot.disk, at)).or_insert(0) += 1;
        }
    }
    counts
}

#[test]
fn six_disks_of_one_machine_stand_in_every_slot_twice() {
    let layout = one_machine(6);
    let groups = plan_groups(&layout, profile("4+2"), &[]).expect("six disks hold 4+2");
    assert_eq!(groups.len(), 12);
    assert_eq!(groups[0].id, PlacementGroupId(1));
    let counts = slot_counts(&groups);
    assert_eq!(counts.len(), 36);
    assert!(counts.values().all(|&count| count == 2), "{counts:?}");
    let orders: BTreeSet<Vec<DiskId>> =
        groups.iter().map(|group| group.slots.iter().map(|slot| slot.disk).collect()).collect();
    assert!(orders.len() > 6, "neighbours change: {} orders", orders.len());
}

#[test]
fn whatever_two_of_six_disks_are_lost_some_group_has_three_live_neighbours() {
    let layout = one_machine(6);
    let layout = add_groups(&layout, plan_groups(&layout, profile("4+2"), &[]).expect("held"));
    for a in 0..6 {
        for b in 0..a {
            let avoid = [layout.disks[a].id, layout.disks[b].id];
            let (group, first) = SpreadGroups::of(&layout, profile("4+2"), profile("4+2"))
                .choose_window(&layout, 3, &avoid, |_| 1 << 30, 5)
                .expect("three live neighbours");
            for copy in 0..3 {
                assert!(!avoid.contains(&group.slots[(usize::from(first.0) + copy) % 6].disk));
            }
        }
    }
}

#[test]
fn a_lost_disk_means_groups_of_a_narrower_profile_and_its_return_none() {
    let wanted = profile("4+2");
    let layout = one_machine(6);
    let start = add_groups(&layout, missing_groups(&layout, &[wanted], &[]));
    assert_eq!(missing_groups(&start, &[wanted], &[]), []);
    let lost = layout.disks[2].id;
    let down = with_disk_state(&start, lost, DiskState::Down).expect("a change");
    let added = missing_groups(&down, &[wanted], &[]);
    assert!(added.iter().all(|group| group.profile == profile("3+2")), "{added:?}");
    assert!(added.iter().flat_map(|group| &group.slots).all(|slot| slot.disk != lost));
    assert_eq!(added.first().map(|group| group.id), Some(PlacementGroupId(13)));
    let down = add_groups(&down, added);
    assert_eq!(missing_groups(&down, &[wanted], &[]), []);
    let back = with_disk_state(&down, lost, DiskState::Up).expect("a change");
    assert_eq!(missing_groups(&back, &[wanted], &[]), []);
    assert_eq!(live_groups(&back, wanted, wanted, &[]).len(), 12);
    // The same, of a disk that the layout calls up and a writer avoids.
    assert_eq!(missing_groups(&start, &[wanted], &[lost]).len(), 12);
}

#[test]
fn a_new_disk_gets_its_share_of_new_groups() {
    let wanted = profile("2+1");
    let layout = one_machine(3);
    let mut layout = add_groups(&layout, missing_groups(&layout, &[wanted], &[]));
    let before = slot_counts(&layout.groups).len();
    let new = Disk { id: DiskId::from_bytes([200; 16]), ..layout.disks[0].clone() };
    layout.disks.push(new.clone());
    let added = missing_groups(&layout, &[wanted], &[]);
    let share = added.iter().flat_map(|group| &group.slots).filter(|slot| slot.disk == new.id).count();
    assert!(before == 9 && share >= added.len() / 2, "{share} of {}", added.len());
    let layout = add_groups(&layout, added);
    assert_eq!(missing_groups(&layout, &[wanted], &[]), []);
}

#[test]
fn a_disk_too_small_for_a_slot_does_not_add_groups_for_ever() {
    let wanted = profile("1+1");
    let mut layout = layout(&[(None, None, vec![1 << 40, 1 << 40, 1])]);
    for _ in 0..3 {
        layout = add_groups(&layout, missing_groups(&layout, &[wanted], &[]));
    }
    assert_eq!(layout.groups.len(), 18);
}

#[test]
fn the_level_is_the_highest_that_holds_the_profile() {
    let zones = |racks: bool| {
        let rack = |number: u8| racks.then_some(number);
        let node = |zone, number| (Some(zone), rack(number), vec![1 << 40; 2]);
        layout(&[node(1, 1), node(1, 2), node(2, 1), node(2, 2)])
    };
    assert_eq!(domain_level(&zones(true), profile("1+1")), DomainLevel::Zone);
    assert_eq!(domain_level(&zones(true), profile("2+1")), DomainLevel::Rack);
    assert_eq!(domain_level(&zones(false), profile("2+1")), DomainLevel::Node);
    assert_eq!(domain_level(&zones(true), profile("8+1")), DomainLevel::Node);
    assert_eq!(domain_level(&one_machine(4), profile("2+1")), DomainLevel::Disk);
}

#[test]
fn two_nodes_hold_two_of_each_or_nothing_that_dies_with_one() {
    let layout = layout(&[(None, None, vec![1; 6]), (None, None, vec![1; 6])]);
    let widest = widest_live(&layout, profile("4+2"), &[]);
    assert_eq!(widest, Some(profile("2+2")));
    assert_eq!(widest_live(&layout, profile("1+0"), &[]), Some(profile("1+0")));
    let one_left: Vec<DiskId> = layout.disks[6..].iter().map(|disk| disk.id).collect();
    assert_eq!(widest_live(&layout, profile("4+2"), &one_left), None);
}

/// Five nodes of two disks bear the loss of two, and so does what is written while one is away, in groups that are left for
/// narrower ones, or were planned for that by an earlier release.
#[test]
fn what_is_written_while_a_node_is_away_bears_the_loss_of_as_many_nodes() {
    let wanted = profile("3+2");
    let whole = layout(&[(); 5].map(|()| (None, None, vec![1 << 40; 2])));
    let whole = add_groups(&whole, missing_groups(&whole, &[wanted], &[]));
    let away: Vec<DiskId> = whole.disks.iter().take(2).map(|disk| disk.id).collect();
    assert_eq!(whole.disks[0].node, whole.disks[1].node);
    assert_eq!(widest_live(&whole, wanted, &away), Some(profile("2+2")));
    let crowded = plan_groups(&whole, wanted, &away).expect("four nodes take it, two slots in one of them");
    let crowded = add_groups(&whole, crowded);
    assert!(live_groups(&crowded, wanted, wanted, &away).is_empty());
    assert_eq!(live_groups(&crowded, wanted, wanted, &[]).len(), whole.groups.len(), "nor once all are back");
    let in_whole = |group: &PlacementGroup| whole.groups.iter().any(|known| known.id == group.id);
    for random in 0..1000 {
        let random = random << 54;
        let window = SpreadGroups::of(&crowded, wanted, wanted)
            .choose_window(&crowded, 3, &[], |_| 1 << 30, random)
            .expect("there are some");
        assert!(in_whole(window.0), "nor do copies go there");
    }
    let narrow = missing_groups(&crowded, &[wanted], &away);
    assert!(!narrow.is_empty());
    for group in &narrow {
        assert_eq!(group.profile, profile("2+2"));
        let node = |disk: DiskId| whole.disk(disk).expect("it is known").node;
        let nodes: BTreeSet<_> = group.slots.iter().map(|slot| node(slot.disk)).collect();
        assert_eq!(nodes.len(), 4, "a slot to a node");
    }
    // Where all nodes together hold it two to a node, it stays so.
    let three = layout(&[(); 3].map(|()| (None, None, vec![1 << 40; 3])));
    let away: Vec<DiskId> = three.disks.iter().take(1).map(|disk| disk.id).collect();
    assert_eq!(widest_live(&three, profile("4+2"), &away), Some(profile("4+2")));
}

fn layouts() -> impl Strategy<Value = Layout> {
    let node = (prop::option::of(0u8..3), prop::option::of(0u8..3), prop::collection::vec(1u64..100, 1..6));
    let labelled = (any::<bool>(), any::<bool>());
    (prop::collection::vec(node, 1..9), labelled).prop_map(|(mut nodes, (zones, racks))| {
        for node in &mut nodes {
            node.0 = zones.then_some(node.0.unwrap_or(0));
            node.1 = racks.then_some(node.1.unwrap_or(0));
        }
        layout(&nodes)
    })
}

proptest! {
    #[test]
    fn every_plan_keeps_slots_apart(layout in layouts(), k in 1u8..9, m in 0u8..4, lost in any::<u64>()) {
        let wanted = Profile::new(k, m, 1 << 20, types::Integrity::Xxh3).expect("within bounds");
        let lost = |at: usize| lost >> (at % 64) & 3 == 3;
        let avoid: Vec<DiskId> =
            layout.disks.iter().enumerate().filter(|(at, _)| lost(*at)).map(|(_, disk)| disk.id).collect();
        let Some(profile) = widest_live(&layout, wanted, &avoid) else {
            prop_assert!(plan_groups(&layout, wanted, &avoid).is_err());
            return Ok(());
        };
        prop_assert!(profile.m() >= 1 || profile == wanted);
        let groups = plan_groups(&layout, profile, &avoid).expect("the widest can be placed");
        prop_assert_eq!(&groups, &plan_groups(&layout, profile, &avoid).expect("again"));
        let level = domain_level(&layout, profile);
        for group in &groups {
            prop_assert_eq!(group.slots.len(), profile.width());
            let disks: BTreeSet<DiskId> = group.slots.iter().map(|slot| slot.disk).collect();
            prop_assert_eq!(disks.len(), profile.width(), "distinct disks");
            prop_assert!(disks.iter().all(|disk| !avoid.contains(disk)));
            let sites: Vec<Site<'_>> = live_sites(&layout, &avoid).filter(|site| disks.contains(&site.disk.id)).collect();
            let most = by_domain(&sites, level).into_values().max().expect("a slot");
            let all: Vec<Site<'_>> = live_sites(&layout, &avoid).collect();
            if by_domain(&all, level).len() >= profile.width() {
                prop_assert_eq!(most, 1, "distinct domains where there are enough");
            } else {
                prop_assert!(most <= profile.m().max(1), "at most m to a domain");
            }
        }
    }

    #[test]
    fn disks_of_one_machine_get_slots_by_capacity(capacities in prop::collection::vec(1u64..4, 6..14)) {
        let layout = layout(&[(None, None, capacities.iter().map(|c| c << 30).collect())]);
        let groups = plan_groups(&layout, profile("2+1"), &[]).expect("enough disks");
        let total: u64 = capacities.iter().sum();
        let slots = groups.len() * 3;
        for (disk, capacity) in layout.disks.iter().zip(&capacities) {
            let has = groups.iter().flat_map(|group| &group.slots).filter(|slot| slot.disk == disk.id).count();
            // No disk can have more than one slot of a group.
            let fair = (slots as f64 * *capacity as f64 / total as f64).min(groups.len() as f64);
            prop_assert!((has as f64 - fair).abs() <= 2.0, "{} slots, {} would be fair", has, fair);
        }
    }
}
