//! Planning placement groups.

use std::collections::BTreeMap;

use types::{DiskId, Layout, PlacementGroup, PlacementGroupId, Profile, Slot, SlotEpoch};

use crate::assignment::cheapest_assignment;
use crate::choose::live_groups;
use crate::domains::{
    Bearing, Caps, Domain, DomainLevel, Site, by_domain, caps, domain_level, live_sites, standing_sites,
};

/// Slots that a disk of average size gets in one plan: enough that a lost disk's load spreads, few enough that a run's
/// group is soon met again.
const SLOTS_PER_DISK: usize = 12;

/// A profile that the live disks cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{profile} needs more failure domains than the {live_disks} live disks stand in")]
pub struct PlacementError {
    /// What was wanted.
    pub profile: Profile,
    /// How many disks are up and not avoided.
    pub live_disks: usize,
}

/// Plans a set of groups for `profile` on the disks that are up and not in `avoid`: as many as let every disk have
/// about 12 slots (`SLOTS_PER_DISK`), with ids after the layout's last. Disks get slots in proportion to their capacity,
/// those in the layout's live groups of this shape counted, and each slot number falls on all disks alike, so that the
/// reads that data shards take are even. The same layout gives the same plan.
///
/// # Errors
/// [`PlacementError`] where the disks cannot hold the profile; see [`widest_live`].
pub fn plan_groups(layout: &Layout, profile: Profile, avoid: &[DiskId]) -> Result<Vec<PlacementGroup>, PlacementError> {
    let sites: Vec<Site<'_>> = live_sites(layout, avoid).collect();
    let level = domain_level(layout, profile);
    let caps = caps(&sites, level, profile).ok_or(PlacementError { profile, live_disks: sites.len() })?;
    let mut usage = Usage::of(&live_groups(layout, profile, profile, avoid));
    let first = layout.groups.last().map_or(PlacementGroupId(1), |group| group.id.next()).0;
    let count = (SLOTS_PER_DISK * sites.len()).div_ceil(profile.width()).max(SLOTS_PER_DISK);
    let groups = (first..first + count as u64).map(|id| {
        let group = PlacementGroupId(id);
        let disks = choose_disks(&sites, &caps, profile.width(), &usage, group);
        let slots = usage.order(disks, group);
        usage.count(&slots);
        let slots = slots.into_iter().map(|disk| Slot::owned(disk, SlotEpoch(1))).collect();
        PlacementGroup { id: group, profile, slots }
    });
    Ok(groups.collect())
}

/// The groups that a layout lacks for runs that want `profiles`, each taken as wide as the live disks hold it: where a
/// profile has no whole group (the first start, a disk that went down), or a live disk is in none of its groups (a new
/// disk). Empty when nothing is missing; a disk that returns makes its groups whole again, so that nothing is added.
pub fn missing_groups(layout: &Layout, profiles: &[Profile], avoid: &[DiskId]) -> Vec<PlacementGroup> {
    let mut planned = layout.clone();
    for &wanted in profiles {
        let Some(profile) = widest_live(layout, wanted, avoid) else { continue };
        let live = live_groups(&planned, wanted, profile, avoid);
        let unused = |id: DiskId| !live.iter().any(|group| group.slots.iter().any(|slot| slot.target().0 == id));
        let unused: Vec<DiskId> = live_sites(layout, avoid).map(|site| site.disk.id).filter(|&id| unused(id)).collect();
        if !live.is_empty() && unused.is_empty() {
            continue;
        }
        let added = plan_groups(&planned, profile, avoid).expect("the widest live profile can be placed");
        // A disk too small to be given a slot stays unused; planning for it again and again would add groups for ever.
        let uses_one = added.iter().flat_map(|group| &group.slots).any(|slot| unused.contains(&slot.disk));
        if live.is_empty() || uses_one {
            planned.groups.extend(added);
        }
    }
    planned.groups.split_off(layout.groups.len())
}

/// The widest profile that the live disks hold where `wanted` is wanted: `wanted` itself if they do, else with m kept as
/// long as possible and k as large as then possible, down to 1+1. `None` if not even that can be placed.
///
/// What is written while domains are away is as wide as lets it bear the loss of as many domains as what is written while
/// all are there: with two slots of a group in one domain, where one would do once all are back, it would not.
pub fn widest_live(layout: &Layout, wanted: Profile, avoid: &[DiskId]) -> Option<Profile> {
    let sites: Vec<Site<'_>> = live_sites(layout, avoid).collect();
    widest_of(layout, &sites, wanted)
}

/// As [`widest_live`], with disks that are down counted: what is held once all that stays is back.
pub(crate) fn widest_standing(layout: &Layout, wanted: Profile) -> Option<Profile> {
    let sites: Vec<Site<'_>> = standing_sites(layout).collect();
    widest_of(layout, &sites, wanted)
}

fn widest_of(layout: &Layout, sites: &[Site<'_>], wanted: Profile) -> Option<Profile> {
    let bearing = Bearing::of(layout, wanted);
    let held = |profile: &Profile| {
        let caps = caps(sites, domain_level(layout, *profile), *profile);
        caps.is_some_and(|caps| bearing.allows(*profile, &caps))
    };
    let narrower = |m: usize| (1..=wanted.k()).rev().map(move |k| narrowed(wanted, k, m));
    std::iter::once(wanted).chain((1..=wanted.m()).rev().flat_map(narrower)).find(held)
}

fn narrowed(wanted: Profile, k: usize, m: usize) -> Profile {
    let shards = |count: usize| u8::try_from(count).expect("not above the wanted profile's");
    let shard_bytes = u32::try_from(wanted.shard_bytes()).expect("at most 4 MiB");
    Profile::new(shards(k), shards(m), shard_bytes, wanted.integrity).expect("not above the wanted profile's bounds")
}

/// The disks of one group: one after the other that whose domains have the fewest, then the one with the least load for
/// its size. Domains partition the disks, and each other from level to level, so that a choice never leaves too few for the
/// rest.
fn choose_disks(sites: &[Site<'_>], caps: &Caps, width: usize, usage: &Usage, group: PlacementGroupId) -> Vec<DiskId> {
    let levels = [DomainLevel::Zone, DomainLevel::Rack, DomainLevel::Node];
    let mut chosen: Vec<Site<'_>> = Vec::with_capacity(width);
    while chosen.len() < width {
        let taken: Vec<BTreeMap<Domain<'_>, usize>> = levels.iter().map(|&level| by_domain(&chosen, level)).collect();
        let capped: Vec<_> = caps.iter().map(|(level, cap)| (*level, *cap, by_domain(&chosen, *level))).collect();
        let free = sites.iter().filter(|site| {
            let is_full = |(level, cap, taken): &(DomainLevel, usize, BTreeMap<Domain<'_>, usize>)| {
                taken.get(&site.domain(*level)).is_some_and(|count| count >= cap)
            };
            !capped.iter().any(is_full) && !chosen.iter().any(|other| other.disk.id == site.disk.id)
        });
        let crowd = |site: &Site<'_>| -> Vec<usize> {
            let count = |(level, taken): (&DomainLevel, &BTreeMap<_, usize>)| taken.get(&site.domain(*level)).copied();
            levels.iter().zip(&taken).map(|at| count(at).unwrap_or(0)).collect()
        };
        let best = free.min_by(|a, b| {
            let order = crowd(a).cmp(&crowd(b));
            let order = order.then_with(|| usage.compare_load(a, b));
            order.then_with(|| mixed(a.disk.id, group.0).cmp(&mixed(b.disk.id, group.0)))
        });
        chosen.push(*best.expect("the cap was chosen so that the disks hold the profile"));
    }
    chosen.into_iter().map(|site| site.disk.id).collect()
}

/// How often each disk stands in each slot.
#[derive(Debug, Default)]
struct Usage {
    slots: BTreeMap<DiskId, Vec<usize>>,
}

impl Usage {
    fn of(groups: &[&PlacementGroup]) -> Self {
        let mut usage = Self::default();
        for group in groups {
            let disks: Vec<DiskId> = group.slots.iter().map(|slot| slot.target().0).collect();
            usage.count(&disks);
        }
        usage
    }

    fn count(&mut self, disks: &[DiskId]) {
        for (slot, disk) in disks.iter().enumerate() {
            let counts = self.slots.entry(*disk).or_default();
            counts.resize(counts.len().max(slot + 1), 0);
            counts[slot] += 1;
        }
    }

    fn in_slot(&self, disk: DiskId, slot: usize) -> usize {
        self.slots.get(&disk).and_then(|counts| counts.get(slot)).copied().unwrap_or(0)
    }

    /// Which of two disks has fewer slots for its size, one more added.
    fn compare_load(&self, a: &Site<'_>, b: &Site<'_>) -> std::cmp::Ordering {
        let slots = |site: &Site<'_>| self.slots.get(&site.disk.id).map_or(0, |counts| counts.iter().sum()) + 1;
        let weighed = |site: &Site<'_>, by: &Site<'_>| slots(site) as u128 * u128::from(by.disk.capacity_bytes.max(1));
        weighed(a, b).cmp(&weighed(b, a))
    }

    /// Puts a group's disks into slots, so that each disk stands in each slot as often as in the others. Between
    /// choices that are alike for that, the group's number decides, so that neighbours change from group to group.
    fn order(&self, disks: Vec<DiskId>, group: PlacementGroupId) -> Vec<DiskId> {
        const COUNTS: i64 = 1 << 20;
        let cost = |slot: usize, disk: DiskId| {
            let count = i64::try_from(self.in_slot(disk, slot)).expect("far fewer slots");
            count * COUNTS + i64::from(mixed(disk, group.0 << 8 | slot as u64) as u16)
        };
        let costs: Vec<Vec<i64>> =
            (0..disks.len()).map(|slot| disks.iter().map(|&disk| cost(slot, disk)).collect()).collect();
        cheapest_assignment(&costs).into_iter().map(|at| disks[at]).collect()
    }
}

/// A number that looks random, the same for the same arguments: it breaks ties without favouring a disk.
pub(crate) fn mixed(disk: DiskId, salt: u64) -> u64 {
    let id = u128::from_be_bytes(disk.to_bytes());
    // splitmix64's finalizer.
    let mut bits = (id ^ (id >> 64)) as u64 ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests;
