//! Where a run goes: a live placement group of the wanted profile, or of the widest that can be had.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use placement::{SpreadGroups, choose_group, live_groups, widest_live};
use tokio::time::{Instant, timeout_at};
use types::{DiskId, Layout, PlacementGroup, Profile, SlotIndex};

use super::Core;
use super::body::WriteError;
use super::disks::Avoided;

/// A group for a run of stripes.
#[derive(Debug, Clone)]
pub(super) struct ChosenGroup {
    pub(super) group: PlacementGroup,
    /// The wanted profile, or a narrower one.
    pub(super) profile: Profile,
}

/// A group and the slots for whole copies.
#[derive(Debug, Clone)]
pub(super) struct ChosenWindow {
    pub(super) group: PlacementGroup,
    pub(super) first_slot: SlotIndex,
    /// 1+m.
    pub(super) profile: Profile,
    /// Whether there are fewer copies than wanted.
    pub(super) degraded: bool,
}

/// Which groups of the layout take which profile, as found for it before: every write asks, and layouts seldom change.
#[derive(Debug, Default)]
pub(super) struct KnownGroups {
    of_layout: Mutex<Vec<Known>>,
}

#[derive(Debug)]
struct Known {
    layout: Weak<Layout>,
    /// What was wanted, and what it is looked for with.
    profiles: (Profile, Profile),
    groups: Arc<SpreadGroups>,
}

impl KnownGroups {
    fn of(&self, layout: &Arc<Layout>, wanted: Profile, profile: Profile) -> Arc<SpreadGroups> {
        let mut known = self.of_layout.lock();
        known.retain(|known| std::ptr::eq(known.layout.as_ptr(), Arc::as_ptr(layout)));
        if let Some(found) = known.iter().find(|known| known.profiles == (wanted, profile)) {
            return Arc::clone(&found.groups);
        }
        let groups = Arc::new(SpreadGroups::of(layout, wanted, profile));
        let profiles = (wanted, profile);
        known.push(Known { layout: Arc::downgrade(layout), profiles, groups: Arc::clone(&groups) });
        groups
    }
}

/// The profile that a write with `wanted` would get now.
pub(super) fn likely_profile(core: &Core, wanted: Profile) -> Result<Profile, WriteError> {
    let layout = core.layout();
    let avoided = core.disks.avoided();
    if !core.groups.of(&layout, wanted, wanted).live(&layout, &avoided.disks).is_empty() {
        return Ok(wanted);
    }
    widest(&layout, wanted, &avoided).map(|(profile, _)| profile)
}

/// A group for stripes.
pub(super) async fn choose_stripes(core: &Core, wanted: Profile) -> Result<ChosenGroup, WriteError> {
    let found = |layout: &Arc<Layout>, profile: Profile, avoid: &[DiskId]| {
        let free = core.disks.free_bytes(layout);
        let groups = core.groups.of(layout, wanted, profile).live(layout, avoid);
        let group = choose_group(&groups, |disk| free.get(&disk).copied().unwrap_or(0), core.seams.entropy.number())?;
        Some(ChosenGroup { group: group.clone(), profile })
    };
    choose(core, wanted, found).await
}

/// A group and slots for 1+m copies; the group need not be whole.
pub(super) async fn choose_copies(core: &Core, wanted: Profile) -> Result<ChosenWindow, WriteError> {
    let found = |layout: &Arc<Layout>, profile: Profile, avoid: &[DiskId]| {
        let free = core.disks.free_bytes(layout);
        let free = |disk| free.get(&disk).copied().unwrap_or(0);
        let random = core.seams.entropy.number();
        let groups = core.groups.of(layout, wanted, profile);
        let (group, first_slot) = groups.choose_window(layout, 1 + profile.m(), avoid, free, random)?;
        Some(ChosenWindow {
            group: group.clone(),
            first_slot,
            profile: of_copies(profile),
            degraded: profile.m() < wanted.m(),
        })
    };
    choose(core, wanted, found).await
}

/// The profile of whole copies that survive as much as `profile`.
pub(super) fn of_copies(profile: Profile) -> Profile {
    let m = u8::try_from(profile.m()).expect("at most 8");
    let shard_bytes = u32::try_from(profile.shard_bytes()).expect("at most 4 MiB");
    Profile::new(1, m, shard_bytes, profile.integrity).expect("one data shard is within the bounds")
}

/// Looks with the wanted profile, then with the widest that the live disks hold, and where that has no groups has them
/// made.
async fn choose<T>(
    core: &Core,
    wanted: Profile,
    found: impl Fn(&Arc<Layout>, Profile, &[DiskId]) -> Option<T>,
) -> Result<T, WriteError> {
    let deadline = Instant::now() + core.settings.planner_patience;
    let mut changes = core.seams.layout.clone();
    loop {
        let layout = Arc::clone(&changes.borrow_and_update());
        let avoided = core.disks.avoided();
        if let Some(chosen) = found(&layout, wanted, &avoided.disks) {
            return Ok(chosen);
        }
        let (profile, avoid) = widest(&layout, wanted, &avoided)?;
        if let Some(chosen) = found(&layout, profile, &avoid) {
            return Ok(chosen);
        }
        tracing::info!(profile = %profile, avoided = avoid.len(), "no live placement group; asking for some");
        let short = |reason: String| WriteError::InsufficientDisks { profile: wanted, reason };
        let is_there = |layout: &Arc<Layout>| !live_groups(layout, wanted, profile, &avoid).is_empty();
        // A planner of an earlier release takes two slots of a group in one domain for as good as one where a domain is
        // away: asked for the profile itself, it makes what is looked for here.
        for asked in [wanted, profile] {
            let made = timeout_at(deadline, core.seams.planner.make_groups(asked, &avoid)).await;
            made.map_err(|_| short("no placement groups were made in time".to_owned()))?
                .map_err(|error| short(format!("no placement groups were made: {}", error.reason)))?;
            if is_there(&changes.borrow()) {
                break;
            }
        }
        // The planner returns when they are committed; the layout that this process sees may be a moment behind.
        let visible = changes.wait_for(is_there);
        match timeout_at(deadline, visible).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return Err(short("the groups made did not become known in time".to_owned())),
        }
    }
}

/// The widest profile that the live disks hold, and the disks to keep away from with it. Those that are only out of reach
/// are tried again rather than that a write is refused: the layout calls them up, and they may be back.
fn widest(layout: &Layout, wanted: Profile, avoided: &Avoided) -> Result<(Profile, Vec<DiskId>), WriteError> {
    let all_but = |spared: &[DiskId]| -> Vec<DiskId> {
        avoided.disks.iter().copied().filter(|disk| !spared.contains(disk)).collect()
    };
    for avoid in [avoided.disks.clone(), all_but(&avoided.unreachable)] {
        if let Some(profile) = widest_live(layout, wanted, &avoid) {
            return Ok((profile, avoid));
        }
    }
    let failed = all_but(&avoided.full);
    if widest_live(layout, wanted, &failed).is_some() {
        return Err(WriteError::Full);
    }
    let live = layout.disks.iter().filter(|disk| disk.state == types::DiskState::Up && !failed.contains(&disk.id));
    let reason = format!("{} of {} disks are live", live.count(), layout.disks.len());
    Err(WriteError::InsufficientDisks { profile: wanted, reason })
}
