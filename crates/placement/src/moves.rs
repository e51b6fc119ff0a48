//! Planning moves of slots: heirs for what leaves, and rebalancing.
//!
//! A slot goes only where the rule of placement groups lets it: to a disk that no other slot of its group uses, in a
//! domain that has room for it. The same layout and weights give the same plan.

use std::collections::BTreeMap;

use types::{DiskId, DiskState, Layout, PlacementGroup, PlacementGroupId, Profile, Slot, SlotIndex};

use crate::change::SlotMove;
use crate::domains::{Domain, DomainLevel, Site, by_domain, cap, domain_level, live_sites, standing_sites};
use crate::plan::{mixed, widest_standing};

/// How far above or below the mean a disk's load may be, as one part in so many, without a slot being moved for it.
const TOLERANCE: u128 = 20;
/// What a slot weighs that holds nothing, as one part in so many of the mean: it will hold something.
const EMPTY_SHARE: u64 = 8;

/// A slot that must leave its disk, and no live disk may take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Homeless {
    /// The group.
    pub group: PlacementGroupId,
    /// The slot.
    pub slot: SlotIndex,
    /// Where it is.
    pub from: DiskId,
}

/// Heirs for the slots that are to leave their disks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeirPlan {
    /// Those that have a place to go.
    pub moves: Vec<SlotMove>,
    /// Those that have not.
    pub homeless: Vec<Homeless>,
}

/// Why disks are not drained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DrainError {
    /// The layout has no such disk.
    #[error("the layout has no disk {disk}")]
    Unknown {
        /// The disk.
        disk: DiskId,
    },
    /// The disk is down: it cannot be read.
    #[error("disk {disk} is down: put it out instead, and what it had is rebuilt")]
    Down {
        /// The disk.
        disk: DiskId,
    },
    /// What stays holds less than what there is.
    #[error("without them, {profile} could not be held: the widest that the rest holds is {rest}")]
    Narrower {
        /// What is held now.
        profile: Profile,
        /// What would be.
        rest: String,
    },
    /// What stays is kept apart less far than what there is.
    #[error("without them, {profile} would no longer survive the loss of what it survives now: only one node is left")]
    Together {
        /// The profile.
        profile: Profile,
    },
    /// Slots would have nowhere to go.
    #[error("{slots} of their slots have nowhere to go: the first is slot {} of group {}", first.slot.0, first.group)]
    Homeless {
        /// How many.
        slots: usize,
        /// One of them.
        first: Homeless,
    },
    /// A disk that would take slots has too little room.
    #[error("disk {disk} would take {needed_bytes} bytes and has room for {free_bytes}")]
    NoRoom {
        /// The disk.
        disk: DiskId,
        /// What would come to it.
        needed_bytes: u64,
        /// What it has room for.
        free_bytes: u64,
    },
}

/// Plans an heir for each slot whose owner is out or being drained, and another one where the heir is out. An heir that is
/// being drained owns its slot first: what went to it lies nowhere else. `slot_bytes` tells what a slot holds; 0 where
/// that is not known.
pub fn plan_heirs(layout: &Layout, slot_bytes: impl Fn(PlacementGroupId, SlotIndex) -> u64) -> HeirPlan {
    let mut loads = Loads::of(layout, &slot_bytes);
    let mut plan = HeirPlan::default();
    for group in &layout.groups {
        let leaves = |slot: &Slot| match slot.heir {
            None => layout.disk_state(slot.disk).is_left(),
            Some(heir) => layout.disk_state(heir.disk) == DiskState::Out,
        };
        let mut targets: Vec<DiskId> = group.slots.iter().map(|slot| slot.target().0).collect();
        for (at, slot) in (0..).zip(&group.slots).filter(|(_, slot)| leaves(slot)) {
            let (index, from) = (SlotIndex(at), slot.target().0);
            // Those that leave too take no room from the heirs of others.
            let stays = |disk: &DiskId| !layout.disk_state(*disk).is_left();
            let others: Vec<DiskId> = targets.iter().copied().filter(stays).collect();
            let used = group.slots.iter().flat_map(Slot::disks).chain(targets.iter().copied()).collect::<Vec<_>>();
            match loads.sites.heir(group, &others, &used, |a, b| loads.compare(a, b)) {
                Some(to) => {
                    targets[usize::from(at)] = to;
                    loads.shift(group.id, index, from, to);
                    plan.moves.push(SlotMove { group: group.id, slot: index, from, to });
                }
                None => plan.homeless.push(Homeless { group: group.id, slot: index, from }),
            }
        }
    }
    plan
}

/// Plans which slots move, at most `moves_max`, so that what disks hold is in proportion to their capacity: off the disk
/// with the most for its size, to the one with the least that may take it. Slots that move already are left alone, and
/// nothing moves for less than a twentieth of the mean.
pub fn plan_rebalance(
    layout: &Layout,
    slot_bytes: impl Fn(PlacementGroupId, SlotIndex) -> u64,
    moves_max: usize,
) -> Vec<SlotMove> {
    let mut loads = Loads::of(layout, &slot_bytes);
    let mut planned = layout.clone();
    let mut moves = Vec::new();
    while moves.len() < moves_max {
        let Some(next) = best_move(&planned, &loads) else { break };
        loads.shift(next.group, next.slot, next.from, next.to);
        let at = planned.groups.binary_search_by_key(&next.group, |group| group.id).expect("it is planned from there");
        let slot = &mut planned.groups[at].slots[usize::from(next.slot.0)];
        // The epoch is the layout's to give; here it says that the slot has an heir.
        slot.heir = Some(types::Heir { disk: next.to, epoch: slot.epoch.next() });
        moves.push(next);
    }
    moves
}

fn best_move(layout: &Layout, loads: &Loads<'_>) -> Option<SlotMove> {
    let mut disks: Vec<&Site<'_>> = loads.sites.live.iter().collect();
    disks.sort_by(|a, b| loads.ratio(b, 0).cmp(&loads.ratio(a, 0)).then(a.disk.id.cmp(&b.disk.id)));
    let mean = loads.mean();
    for from in &disks {
        for to in disks.iter().rev().filter(|to| to.disk.id != from.disk.id) {
            let too_much = loads.ratio(from, 0) > mean + mean / TOLERANCE;
            let too_little = loads.ratio(to, 0) < mean - mean / TOLERANCE;
            if !too_much && !too_little {
                continue;
            }
            if let Some(best) = best_slot(layout, loads, from, to) {
                return Some(best);
            }
        }
    }
    None
}

/// The heaviest slot that may go from one disk to another and leaves that below what the first has now.
fn best_slot(layout: &Layout, loads: &Loads<'_>, from: &Site<'_>, to: &Site<'_>) -> Option<SlotMove> {
    let (from_id, to_id) = (from.disk.id, to.disk.id);
    let mut best: Option<(u64, u64, SlotMove)> = None;
    for group in &layout.groups {
        let Some(at) = group.slots.iter().position(|slot| slot.disk == from_id && slot.heir.is_none()) else {
            continue;
        };
        if group.slots.iter().flat_map(Slot::disks).any(|disk| disk == to_id) {
            continue;
        }
        let index = SlotIndex(u8::try_from(at).expect("at most 24 slots"));
        let weight = loads.weight(group.id, index);
        if loads.ratio(to, weight) >= loads.ratio(from, 0) {
            continue;
        }
        let rank = (weight, mixed(to_id, group.id.0));
        if best.as_ref().is_some_and(|(weight, tie, _)| (*weight, *tie) >= rank) {
            continue;
        }
        let others = group.slots.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, slot)| slot.target().0);
        if loads.sites.may_join(group.profile, &others.collect::<Vec<_>>(), to) {
            best = Some((rank.0, rank.1, SlotMove { group: group.id, slot: index, from: from_id, to: to_id }));
        }
    }
    best.map(|(_, _, planned)| planned)
}

/// The layout in which `leaving` are drained, with heirs for all their slots.
///
/// # Errors
/// [`DrainError`]: nothing that is held now may be lost or narrowed by it.
pub fn drain(
    layout: &Layout,
    leaving: &[DiskId],
    wanted: &[Profile],
    slot_bytes: impl Fn(PlacementGroupId, SlotIndex) -> u64,
    free_bytes: impl Fn(DiskId) -> Option<u64>,
) -> Result<(Layout, HeirPlan), DrainError> {
    let mut without = layout.clone();
    for &disk in leaving {
        let at = without.disks.iter().position(|known| known.id == disk).ok_or(DrainError::Unknown { disk })?;
        match without.disks[at].state {
            DiskState::Down => return Err(DrainError::Down { disk }),
            DiskState::Out => {}
            DiskState::Up | DiskState::Draining => without.disks[at].state = DiskState::Draining,
        }
    }
    for &profile in wanted {
        if domain_level(&without, profile) == DomainLevel::Disk && domain_level(layout, profile) > DomainLevel::Disk {
            return Err(DrainError::Together { profile });
        }
        let (now, then) = (widest_standing(layout, profile), widest_standing(&without, profile));
        if let Some(held) = now
            && then.is_none_or(|rest| (rest.m(), rest.k()) < (held.m(), held.k()))
        {
            let rest = then.map_or_else(|| "none with parity".to_owned(), |profile| profile.to_string());
            return Err(DrainError::Narrower { profile: held, rest });
        }
    }
    let plan = plan_heirs(&without, &slot_bytes);
    let own = plan.homeless.iter().filter(|homeless| leaving.contains(&homeless.from));
    if let Some(first) = own.clone().next() {
        return Err(DrainError::Homeless { slots: own.count(), first: *first });
    }
    check_room(&plan.moves, slot_bytes, free_bytes)?;
    let drained = Layout { epoch: layout.epoch.next(), ..without };
    match crate::begin_moves(&drained, &plan.moves) {
        Some(moving) => Ok((Layout { epoch: drained.epoch, ..moving }, plan)),
        None => Ok((drained, plan)),
    }
}

/// Whether every disk has room for what would come to it; those of which the room is not known are taken to have it.
///
/// # Errors
/// [`DrainError::NoRoom`].
pub fn check_room(
    moves: &[SlotMove],
    slot_bytes: impl Fn(PlacementGroupId, SlotIndex) -> u64,
    free_bytes: impl Fn(DiskId) -> Option<u64>,
) -> Result<(), DrainError> {
    let mut coming: BTreeMap<DiskId, u64> = BTreeMap::new();
    for planned in moves {
        *coming.entry(planned.to).or_default() += slot_bytes(planned.group, planned.slot);
    }
    for (disk, needed_bytes) in coming {
        if let Some(free_bytes) = free_bytes(disk)
            && needed_bytes > free_bytes
        {
            return Err(DrainError::NoRoom { disk, needed_bytes, free_bytes });
        }
    }
    Ok(())
}

/// A slot on its way to its heir.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MovingSlot {
    /// The group.
    pub group: PlacementGroupId,
    /// The slot's number.
    pub index: SlotIndex,
    /// Owner and heir.
    pub slot: Slot,
    /// How many slots of the group have all that was written into them.
    pub whole_slots: usize,
    /// How many the group has above those that a stripe needs.
    pub spare_slots: usize,
}

/// The slots that move, the most endangered first: those of groups that can lose the fewest more slots.
pub fn moving_slots(layout: &Layout) -> Vec<MovingSlot> {
    let mut moving = Vec::new();
    for group in &layout.groups {
        let whole_slots = group.slots.iter().filter(|slot| layout.disk_state(slot.disk).is_read()).count();
        for (at, slot) in (0..).zip(&group.slots).filter(|(_, slot)| slot.heir.is_some()) {
            let spare_slots = whole_slots.saturating_sub(group.profile.k());
            moving.push(MovingSlot { group: group.id, index: SlotIndex(at), slot: *slot, whole_slots, spare_slots });
        }
    }
    moving.sort_by_key(|moving| (moving.spare_slots, moving.group, moving.index));
    moving
}

/// The groups that could not be read any more if these disks were given up: fewer slots than a stripe needs are left.
pub fn groups_lost_without(layout: &Layout, given_up: &[DiskId]) -> Vec<PlacementGroupId> {
    let lost = |group: &&PlacementGroup| {
        let left = |slot: &&Slot| !given_up.contains(&slot.disk) && layout.disk_state(slot.disk) != DiskState::Out;
        group.slots.iter().any(|slot| given_up.contains(&slot.disk))
            && group.slots.iter().filter(left).count() < group.profile.k()
    };
    layout.groups.iter().filter(lost).map(|group| group.id).collect()
}

/// The live disks, and where each stands.
struct Sites<'a> {
    layout: &'a Layout,
    live: Vec<Site<'a>>,
    standing: BTreeMap<DiskId, Site<'a>>,
}

impl<'a> Sites<'a> {
    fn of(layout: &'a Layout) -> Self {
        let standing = standing_sites(layout).map(|site| (site.disk.id, site)).collect();
        Self { layout, live: live_sites(layout, &[]).collect(), standing }
    }

    /// The disk that is the best heir of one slot: of those whose domains have the fewest of the group, the one that
    /// comes first in `order`.
    fn heir(
        &self,
        group: &PlacementGroup,
        others: &[DiskId],
        used: &[DiskId],
        order: impl Fn(&Site<'a>, &Site<'a>) -> std::cmp::Ordering,
    ) -> Option<DiskId> {
        let levels = [DomainLevel::Zone, DomainLevel::Rack, DomainLevel::Node];
        let others_sites = self.sites_of(others);
        let taken: Vec<BTreeMap<Domain<'_>, usize>> =
            levels.iter().map(|&level| by_domain(&others_sites, level)).collect();
        let crowd = |site: &Site<'a>| -> Vec<usize> {
            let count = |(level, taken): (&DomainLevel, &BTreeMap<_, usize>)| taken.get(&site.domain(*level)).copied();
            levels.iter().zip(&taken).map(|at| count(at).unwrap_or(0)).collect()
        };
        let free = self.live.iter().filter(|site| !used.contains(&site.disk.id));
        let fitting = free.filter(|site| self.may_join(group.profile, others, site));
        let best = fitting.min_by(|a, b| {
            let by_crowd = crowd(a).cmp(&crowd(b));
            let by_load = by_crowd.then_with(|| order(a, b));
            by_load.then_with(|| mixed(a.disk.id, group.id.0).cmp(&mixed(b.disk.id, group.id.0)))
        });
        best.map(|site| site.disk.id)
    }

    /// Whether a group whose other slots are at `others` may have one at `site`: its domain has room by the fewest that
    /// must share one, or, where that is no longer to be had, by the most that may.
    fn may_join(&self, profile: Profile, others: &[DiskId], site: &Site<'a>) -> bool {
        let level = domain_level(self.layout, profile);
        let standing: Vec<Site<'_>> = self.standing.values().copied().collect();
        let Some(fewest) = cap(&standing, level, profile) else { return false };
        let counts = by_domain(&self.sites_of(others), level);
        let most = profile.m().max(1);
        let here = counts.get(&site.domain(level)).copied().unwrap_or(0);
        // Some domain has less room than the rule wants where others are fuller than it wants already.
        let crowded = counts.values().any(|&count| count > fewest);
        here < if crowded { most } else { fewest }
    }

    fn sites_of(&self, disks: &[DiskId]) -> Vec<Site<'a>> {
        disks.iter().filter_map(|disk| self.standing.get(disk).copied()).collect()
    }
}

/// What each disk has to hold.
struct Loads<'a> {
    sites: Sites<'a>,
    weights: BTreeMap<(PlacementGroupId, SlotIndex), u64>,
    by_disk: BTreeMap<DiskId, u64>,
}

impl<'a> Loads<'a> {
    fn of(layout: &'a Layout, slot_bytes: &impl Fn(PlacementGroupId, SlotIndex) -> u64) -> Self {
        let bytes: BTreeMap<_, u64> =
            layout.slots().map(|(group, at, _)| ((group.id, at), slot_bytes(group.id, at))).collect();
        let mean = bytes.values().sum::<u64>() / (bytes.len() as u64).max(1);
        let weights: BTreeMap<_, u64> =
            bytes.into_iter().map(|(at, bytes)| (at, bytes + mean / EMPTY_SHARE + 1)).collect();
        let mut by_disk = BTreeMap::new();
        for (group, at, slot) in layout.slots() {
            *by_disk.entry(slot.target().0).or_insert(0) += weights[&(group.id, at)];
        }
        Self { sites: Sites::of(layout), weights, by_disk }
    }

    fn weight(&self, group: PlacementGroupId, slot: SlotIndex) -> u64 {
        self.weights.get(&(group, slot)).copied().unwrap_or(1)
    }

    fn shift(&mut self, group: PlacementGroupId, slot: SlotIndex, from: DiskId, to: DiskId) {
        let weight = self.weight(group, slot);
        *self.by_disk.entry(to).or_insert(0) += weight;
        if let Some(load) = self.by_disk.get_mut(&from) {
            *load -= weight;
        }
    }

    /// What a disk holds for its size, `more` added, as a number that compares.
    fn ratio(&self, site: &Site<'_>, more: u64) -> u128 {
        let load = self.by_disk.get(&site.disk.id).copied().unwrap_or(0) + more;
        (u128::from(load) << 48) / u128::from(site.disk.capacity_bytes.max(1))
    }

    /// What live disks hold for their size on average.
    fn mean(&self) -> u128 {
        let load: u128 = self
            .sites
            .live
            .iter()
            .filter_map(|site| self.by_disk.get(&site.disk.id))
            .map(|&load| u128::from(load))
            .sum();
        let capacity: u128 = self.sites.live.iter().map(|site| u128::from(site.disk.capacity_bytes.max(1))).sum();
        (load << 48) / capacity.max(1)
    }

    /// Which of two disks has less for its size, one mean slot added.
    fn compare(&self, a: &Site<'_>, b: &Site<'_>) -> std::cmp::Ordering {
        let more = self.weights.values().sum::<u64>() / (self.weights.len() as u64).max(1);
        self.ratio(a, more).cmp(&self.ratio(b, more))
    }
}

#[cfg(test)]
mod tests;
