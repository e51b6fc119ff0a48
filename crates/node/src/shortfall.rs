//! What cannot be read now: placement groups in which more disks are missing than what is stored there may lose, and which
//! disks have to come back.

use std::collections::{BTreeMap, BTreeSet};

use index::{Query, QueryAnswer};
use shards::{ShardAddress, ShardService};
use types::{DiskId, DiskState, Layout, PlacementGroup, Profile, Slot};

use crate::care::DiskCare;

/// So many kinds are told one by one.
const TOLD_MAX: usize = 3;

/// Groups of one profile that miss the same disks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shortfall {
    profile: Profile,
    missing: BTreeSet<DiskId>,
}

impl Shortfall {
    /// How many disks have to come back at least.
    fn lacking(&self) -> usize {
        self.missing.len() - self.profile.m()
    }
}

/// What cannot be read now, in words, with the disks to bring back; `None` where nothing is short.
pub(crate) async fn find(care: &DiskCare, shards: &dyn ShardService) -> Option<String> {
    let layout = care.layout.current();
    let is_there = |disk| layout.disk_state(disk).is_read() && !care.is_unfinished(disk);
    let mut found: Vec<Shortfall> = Vec::new();
    let short: Vec<_> = short_groups(&layout, is_there).collect();
    for (group, missing) in short {
        let shortfall = Shortfall { profile: group.profile, missing };
        // One group shows it of all.
        if found.contains(&shortfall) {
            continue;
        }
        let holds_something = match holds_something(shards, group, &shortfall.missing).await {
            Some(holds_something) => holds_something,
            None if is_makeshift(&layout, group, &care.layout.profiles()) => has_degraded_parts(care).await,
            None => true,
        };
        if holds_something {
            found.push(shortfall);
        }
    }
    found.sort_by_key(|shortfall| std::cmp::Reverse(shortfall.lacking()));
    told(&layout, &found)
}

/// The groups that miss more disks than they may, and which.
fn short_groups(
    layout: &Layout,
    is_there: impl Fn(DiskId) -> bool,
) -> impl Iterator<Item = (&PlacementGroup, BTreeSet<DiskId>)> {
    layout.groups.iter().filter_map(move |group| {
        let is_missing = |slot: &&Slot| !is_there(slot.disk) && !is_inherited(layout, **slot);
        let missing: BTreeSet<DiskId> = group.slots.iter().filter(is_missing).map(|slot| slot.disk).collect();
        (missing.len() > group.profile.m()).then_some((group, missing))
    })
}

/// A disk is given up only where the rest can be read, and then its slots are made again at their heirs'.
fn is_inherited(layout: &Layout, slot: Slot) -> bool {
    let has_heir = slot.heir.is_some_and(|heir| layout.disk_state(heir.disk).is_read());
    layout.disk_state(slot.disk) == DiskState::Out && has_heir
}

/// Whether a disk of the group that is there has a shard of it; `None` where none is there that could say.
async fn holds_something(
    shards: &dyn ShardService,
    group: &PlacementGroup,
    missing: &BTreeSet<DiskId>,
) -> Option<bool> {
    let mut heard = None;
    let there: Vec<DiskId> = group.slots.iter().flat_map(Slot::disks).filter(|disk| !missing.contains(disk)).collect();
    for disk in there {
        let Ok(listed) = shards.list(disk, Some(ShardAddress::before(group.id)), 1).await else { continue };
        if listed.first().is_some_and(|shard| shard.address.group == group.id) {
            return Some(true);
        }
        heard = Some(false);
    }
    heard
}

/// Whether a group was made for what was written while disks were missing: it is narrower than what was there before it, and
/// than what new objects get. All its parts count as degraded, until they are re-striped.
fn is_makeshift(layout: &Layout, group: &PlacementGroup, wanted: &[Profile]) -> bool {
    let width = group.profile.width();
    let is_wider = |earlier: &PlacementGroup| earlier.id < group.id && earlier.profile.width() > width;
    !wanted.contains(&group.profile) && layout.groups.iter().any(is_wider)
}

async fn has_degraded_parts(care: &DiskCare) -> bool {
    let answer = care.layout.index().query(Query::Totals).await;
    !matches!(answer, Ok(QueryAnswer::Totals(totals)) if totals.degraded_parts == 0)
}

/// What is short, in words, with the disks to bring back; `None` where nothing is.
fn told(layout: &Layout, shortfalls: &[Shortfall]) -> Option<String> {
    let mut said: Vec<String> = shortfalls.iter().take(TOLD_MAX).map(|one| told_one(layout, one)).collect();
    if shortfalls.len() > TOLD_MAX {
        said.push(format!("and more on {} other sets of disks", shortfalls.len() - TOLD_MAX));
    }
    (!said.is_empty()).then(|| said.join("; "))
}

fn told_one(layout: &Layout, shortfall: &Shortfall) -> String {
    let Shortfall { profile, missing } = shortfall;
    let (count, width, lacking) = (missing.len(), profile.width(), shortfall.lacking());
    let (back, gone): (Vec<DiskId>, Vec<DiskId>) =
        missing.iter().copied().partition(|disk| layout.disk_state(*disk) == DiskState::Down);
    let addresses: BTreeMap<_, _> = layout.nodes.iter().map(|node| (node.id, node.address.as_str())).collect();
    let place = |disk: &DiskId| match layout.disk(*disk) {
        Some(row) if layout.nodes.len() > 1 => {
            format!("{} on {}", row.path, addresses.get(&row.node).copied().unwrap_or_default())
        }
        Some(row) => row.path.clone(),
        None => disk.to_string(),
    };
    let places = |disks: &[DiskId]| {
        let mut places: Vec<String> = disks.iter().map(place).collect();
        places.sort();
        places.join(", ")
    };
    let mut text = format!(
        "objects stored {profile} cannot be read, nor all small ones beside them: {count} of the {width} disks that have their \
         shards are missing, {} may be; ",
        profile.m()
    );
    if lacking <= back.len() {
        let least = if lacking == back.len() { String::new() } else { format!("at least {lacking} of ") };
        text += &format!("bring back {least}{}", places(&back));
    } else {
        text += "what only the missing ones had is lost unless they come back themselves: ";
        text += &format!("{} took their places or were given up", places(&gone));
    }
    text
}

#[cfg(test)]
mod tests {
    use types::{Disk, Heir, NodeId, PlacementGroupId, SlotEpoch};

    use super::*;

    fn id(number: u8) -> DiskId {
        DiskId::from_bytes([number; 16])
    }

    /// One group of 4+2 on six disks of seven, of which these are down.
    fn layout(down: &[u8]) -> Layout {
        let disk = |number| Disk {
            id: id(number),
            node: NodeId::from_bytes([1; 16]),
            path: format!("/f{number}"),
            mount_point: false,
            capacity_bytes: 1,
            state: if down.contains(&number) { DiskState::Down } else { DiskState::Up },
        };
        let slots = (1..=6).map(|number| Slot::owned(id(number), SlotEpoch(1))).collect();
        let profile = "4+2".parse().expect("a profile");
        let group = PlacementGroup { id: PlacementGroupId(1), profile, slots };
        Layout { disks: (1..=7).map(disk).collect(), groups: vec![group], ..Layout::default() }
    }

    fn said(layout: &Layout, unfinished: &[u8]) -> Option<String> {
        let is_there = |disk| layout.disk_state(disk).is_read() && !unfinished.iter().any(|number| id(*number) == disk);
        let found = short_groups(layout, is_there);
        let found: Vec<Shortfall> =
            found.map(|(group, missing)| Shortfall { profile: group.profile, missing }).collect();
        told(layout, &found)
    }

    #[test]
    fn the_disks_to_bring_back_are_named_once_more_are_missing_than_may_be() {
        assert_eq!(said(&layout(&[]), &[]), None);
        assert_eq!(said(&layout(&[2, 5]), &[]), None);
        assert_eq!(said(&layout(&[2, 5, 7]), &[]), None, "the last has nothing of the group");
        let three = said(&layout(&[2, 3, 5]), &[]).expect("it is short");
        assert!(three.contains("3 of the 6 disks that have their shards are missing, 2 may be"), "{three}");
        assert!(three.ends_with("bring back at least 1 of /f2, /f3, /f5"), "{three}");
        let replaced = said(&layout(&[2, 3]), &[5]).expect("it is short");
        assert!(replaced.ends_with("bring back at least 1 of /f2, /f3"), "{replaced}");
        let lost = said(&layout(&[]), &[1, 2, 5]).expect("it is short");
        assert!(lost.contains("is lost") && lost.contains("/f1, /f2, /f5 took their places"), "{lost}");
    }

    #[test]
    fn a_slot_of_a_disk_that_was_given_up_is_its_heirs() {
        let mut layout = layout(&[2, 3]);
        layout.disks[4].state = DiskState::Out;
        assert!(said(&layout, &[]).is_some(), "nobody inherits it");
        layout.groups[0].slots[4].heir = Some(Heir { disk: id(7), epoch: SlotEpoch(2) });
        assert_eq!(said(&layout, &[]), None);
    }

    #[test]
    fn a_group_that_was_made_while_disks_were_missing_is_told_from_one_of_before() {
        let mut layout = layout(&[]);
        let narrow = |number| {
            let slots = [1, 4].map(|disk| Slot::owned(id(disk), SlotEpoch(1))).into();
            PlacementGroup { id: PlacementGroupId(number), profile: "1+1".parse().expect("a profile"), slots }
        };
        layout.groups.insert(0, narrow(0));
        layout.groups.push(narrow(2));
        let wanted: Vec<Profile> = vec!["4+2".parse().expect("a profile")];
        let makeshift = |wanted: &[Profile]| [0, 1, 2].map(|at| is_makeshift(&layout, &layout.groups[at], wanted));
        assert_eq!(makeshift(&wanted), [false, false, true], "the first is of a time with two disks");
        let both = [&wanted[..], &[layout.groups[0].profile]].concat();
        assert_eq!(makeshift(&both), [false; 3]);
    }
}
