//! Which group a run goes into.

use std::collections::BTreeMap;

use types::{DiskId, Layout, PlacementGroup, Profile, SlotIndex};

use crate::domains::{Bearing, Caps, Domain, DomainLevel, Site, all_sites, domain_level};

/// Whether groups of one profile take runs of the other: as many data and as many parity shards.
pub fn same_shape(one: Profile, other: Profile) -> bool {
    (one.k(), one.m()) == (other.k(), other.m())
}

/// The groups of `profile`'s shape that are whole: every slot's shards go to a disk that is up and not in `avoid`. Groups
/// of which more would be lost with some domains than where `wanted` is wanted, and all disks are there, are left out: they
/// were planned while there were fewer.
pub fn live_groups<'a>(
    layout: &'a Layout,
    wanted: Profile,
    profile: Profile,
    avoid: &[DiskId],
) -> Vec<&'a PlacementGroup> {
    SpreadGroups::of(layout, wanted, profile).live(layout, avoid)
}

/// Where in a layout its groups of one shape are whose slots lie as far apart as they are to. The same for as long as the
/// layout is, and found at the cost of some passes over all of it.
#[derive(Debug)]
pub struct SpreadGroups {
    at: Vec<usize>,
}

impl SpreadGroups {
    /// Finds them, for `profile` where `wanted` is wanted, as [`live_groups`] says.
    pub fn of(layout: &Layout, wanted: Profile, profile: Profile) -> Self {
        let spread = Spread::wanted(layout, wanted, profile);
        let is_taken = |group: &PlacementGroup| same_shape(group.profile, profile) && spread.is_that_of(group);
        let at = layout.groups.iter().enumerate().filter(|(_, group)| is_taken(group)).map(|(at, _)| at);
        Self { at: at.collect() }
    }

    fn groups<'a>(&self, layout: &'a Layout) -> impl Iterator<Item = &'a PlacementGroup> {
        self.at.iter().map(|at| &layout.groups[*at])
    }

    /// Those of them that are whole: every slot's shards go to a disk that is up and not in `avoid`. `layout` is the one
    /// that they are of.
    pub fn live<'a>(&self, layout: &'a Layout, avoid: &[DiskId]) -> Vec<&'a PlacementGroup> {
        let live = live_disks(layout, avoid);
        let is_whole =
            |group: &PlacementGroup| group.slots.iter().all(|slot| live.binary_search(&slot.target().0).is_ok());
        self.groups(layout).filter(|group| is_whole(group)).collect()
    }

    /// One of them, whole or not, and a first slot from which `copies` consecutive slots (modulo the width) are live: where
    /// the whole copies of a small body go. At random, by free space. `layout` is the one that they are of.
    pub fn choose_window<'a>(
        &self,
        layout: &'a Layout,
        copies: usize,
        avoid: &[DiskId],
        free_bytes: impl Fn(DiskId) -> u64,
        random: u64,
    ) -> Option<(&'a PlacementGroup, SlotIndex)> {
        let live_disks = live_disks(layout, avoid);
        let mut windows = Vec::new();
        let mut weights = Vec::new();
        for group in self.groups(layout) {
            let live: Vec<bool> =
                group.slots.iter().map(|slot| live_disks.binary_search(&slot.target().0).is_ok()).collect();
            for first in 0..group.slots.len() {
                let slots = || (first..first + copies).map(|at| at % group.slots.len());
                if copies <= group.slots.len() && slots().all(|at| live[at]) {
                    windows.push((group, SlotIndex(u8::try_from(first).expect("a group has at most 24 slots"))));
                    weights.push(slots().map(|at| free_bytes(group.slots[at].target().0)).min().unwrap_or(0));
                }
            }
        }
        weighted(&weights, random).map(|at| windows[at])
    }
}

/// How far apart the slots of a group are to be.
struct Spread<'a> {
    caps: Caps,
    sites: BTreeMap<DiskId, Site<'a>>,
}

impl<'a> Spread<'a> {
    fn wanted(layout: &'a Layout, wanted: Profile, profile: Profile) -> Self {
        // A disk has one slot of a group, whoever planned it.
        if domain_level(layout, wanted) == DomainLevel::Disk {
            return Self { caps: Caps::new(), sites: BTreeMap::new() };
        }
        let caps = Bearing::of(layout, wanted).caps(profile);
        Self { caps, sites: all_sites(layout).map(|site| (site.disk.id, site)).collect() }
    }

    fn is_that_of(&self, group: &PlacementGroup) -> bool {
        self.caps.iter().all(|(level, cap)| {
            let sites = group.slots.iter().filter_map(|slot| self.sites.get(&slot.target().0));
            let domains: Vec<Domain<'_>> = sites.map(|site| site.domain(*level)).collect();
            domains.iter().all(|domain| domains.iter().filter(|other| *other == domain).count() <= *cap)
        })
    }
}

/// One of `groups`, at random by the free space of its fullest disk, which is what ends its use. `free_bytes` tells a
/// disk's free space; `random` is any number.
pub fn choose_group<'a>(
    groups: &[&'a PlacementGroup],
    free_bytes: impl Fn(DiskId) -> u64,
    random: u64,
) -> Option<&'a PlacementGroup> {
    let room = |group: &PlacementGroup| group.slots.iter().map(|slot| free_bytes(slot.target().0)).min().unwrap_or(0);
    let weights: Vec<u64> = groups.iter().map(|group| room(group)).collect();
    weighted(&weights, random).map(|at| groups[at])
}

/// The disks that are up and not avoided, sorted.
fn live_disks(layout: &Layout, avoid: &[DiskId]) -> Vec<DiskId> {
    let up = layout.disks.iter().filter(|disk| disk.state.is_written()).map(|disk| disk.id);
    let mut live: Vec<DiskId> = up.filter(|disk| !avoid.contains(disk)).collect();
    live.sort_unstable();
    live
}

/// An index, chosen in proportion to its weight in bytes; where none has room to speak of, all are alike.
fn weighted(weights: &[u64], random: u64) -> Option<usize> {
    // In units of 64 KiB the sum of 65,536 weights fits 64 bits, and its product with `random` 128.
    let weights = weights.iter().map(|bytes| bytes >> 16);
    let total: u128 = weights.clone().map(u128::from).sum();
    if total == 0 {
        let count = weights.len() as u64;
        return (count > 0).then(|| usize::try_from(random % count).expect("below a length"));
    }
    let mut at = (u128::from(random) * total) >> 64;
    for (index, weight) in weights.enumerate() {
        match at.checked_sub(u128::from(weight)) {
            Some(rest) => at = rest,
            None => return Some(index),
        }
    }
    unreachable!("the number is below the sum of the weights")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_follow_the_weights() {
        let weights = [0, 1 << 20, 3 << 20];
        let chosen = |random| weighted(&weights, random);
        assert_eq!(chosen(0), Some(1));
        assert_eq!(chosen((1 << 62) - 1), Some(1));
        assert_eq!(chosen(1 << 62), Some(2));
        assert_eq!(chosen(u64::MAX), Some(2));
        assert_eq!(weighted(&[u64::MAX; 3], u64::MAX), Some(2));
        assert_eq!(weighted(&[0, 0], 3), Some(1));
        assert_eq!(weighted(&[], 3), None);
    }
}
