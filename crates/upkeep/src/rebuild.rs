//! Rebuilding: brings to disks of this process that took another's place what that one had.
//!
//! A round goes over all slots of such disks. The first that brings all that was lacking ends the disk's rebuilding. What is
//! lacking while other disks are away is looked for again, and is lost only once all were heard and had too little. Then the
//! disk settles: a writer of before may have had a stripe acknowledged by the lost disk that others take later, and commit
//! it. So there is one more round, which begins when all tickets are over that were granted before the disk took its place.
//! They are counted as soon as the disk is seen, for those that are granted later are waited for in vain. All that is known
//! stands in the disk's superblock; a crash costs a round.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, watch};
use types::{DiskId, DiskState, TicketId};

use crate::duty::{Duty, DutyError, Step};
use crate::fill::{Findings, Pass, SlotToFill};
use crate::moves::MovesServices;
use crate::progress::add;
use crate::settling::{REBUILDING_NOTE, SETTLING_NOTE, awaited_ticket, note_awaited, note_round};
use crate::tickets::raise_floor;

/// How long it sleeps when it is not woken.
const PERIOD: Duration = Duration::from_secs(3600);
/// How soon a disk that could not be rebuilt is tried again, at first; each round that brings no end doubles it.
const RETRY: Duration = Duration::from_secs(10);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// How soon it is looked whether the tickets of before are over, at first; each look in vain doubles it.
const SETTLE: Duration = Duration::from_secs(1);
const SETTLE_MAX: Duration = Duration::from_secs(10);
/// So many rounds in which every disk was heard show that what is lacking is lost.
const ROUNDS_TILL_LOST: u32 = 3;

/// The duty.
pub struct RebuildDisks {
    services: MovesServices,
    replaced: Mutex<watch::Receiver<u64>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    disks: BTreeMap<DiskId, Rebuilding>,
    round: Option<Round>,
    /// Looks and rounds in a row that changed nothing.
    idle_looks: u32,
    idle_rounds: u32,
}

/// A disk that has more to come.
struct Rebuilding {
    /// All tickets below it are over before the last round begins.
    ticket: TicketId,
    /// Whether a round has brought all that was there then.
    settles: bool,
    /// Rounds in which every disk was heard and more was lacking than is lost.
    lacked: u32,
    /// Shards that were found to be lost.
    lost: u64,
}

/// All slots of the disks that are to be rebuilt, one after the other.
struct Round {
    /// Every ticket of old was over as it began: for these disks it can be the last.
    settled: BTreeSet<DiskId>,
    targets: BTreeSet<DiskId>,
    slots: Vec<SlotToFill>,
    pass: Option<Pass>,
    /// Disks that could not be filled, or whose groups were not heard whole: they are looked at again.
    unfinished: BTreeSet<DiskId>,
    lacking: BTreeMap<DiskId, u64>,
}

impl RebuildDisks {
    /// Looks for disks that bear [`REBUILDING_NOTE`] or [`SETTLING_NOTE`] at the start, and whenever `replaced` changes.
    pub fn new(services: MovesServices, replaced: watch::Receiver<u64>) -> Self {
        Self { services, replaced: Mutex::new(replaced), state: Mutex::default() }
    }

    /// The disks that are up and have more to come, and whether they settle. One that is noted and not in the layout yet is
    /// about to be: what it is to have is not known before.
    fn targets(&self) -> BTreeMap<DiskId, bool> {
        let disks = &self.services.disks;
        let states = disks.disk_states();
        let layout = self.services.repair.layout.borrow().clone();
        let up = states.iter().filter(|(_, health)| !health.is_down()).map(|(disk, _)| *disk);
        let up = up.filter(|disk| layout.disk(*disk).is_some());
        let has = |disk, note| disks.superblock(disk).is_ok_and(|superblock| superblock.notes.contains_key(note));
        let noted = up.filter_map(|disk| match (has(disk, REBUILDING_NOTE), has(disk, SETTLING_NOTE)) {
            (true, _) => Some((disk, false)),
            (false, true) => Some((disk, true)),
            (false, false) => None,
        });
        noted.collect()
    }

    /// Counts the tickets that disks wait for which were not seen before, also while a round over others is under way.
    async fn count_tickets(&self, state: &mut State, targets: &BTreeMap<DiskId, bool>) -> Result<(), DutyError> {
        state.disks.retain(|disk, _| targets.contains_key(disk));
        for (disk, settles) in targets {
            if state.disks.contains_key(disk) {
                continue;
            }
            let disks = &self.services.disks;
            let ticket = match awaited_ticket(&*disks.superblock(*disk)?) {
                Some(noted) => noted,
                None => {
                    let ticket = self.services.next_ticket().await?;
                    disks.update_superblock(*disk, move |superblock| note_awaited(superblock, ticket)).await?;
                    ticket
                }
            };
            state.disks.insert(*disk, Rebuilding { ticket, settles: *settles, lacked: 0, lost: 0 });
        }
        Ok(())
    }

    /// Begins a round over the disks that one has something to show for; `None` where all wait for tickets.
    async fn begin(&self, state: &State, targets: BTreeMap<DiskId, bool>) -> Result<Option<Round>, DutyError> {
        let floor = raise_floor(&*self.services.repair.index, self.services.ticket_idle_max).await?;
        let settled: BTreeSet<DiskId> =
            state.disks.iter().filter(|(_, disk)| disk.ticket <= floor).map(|(disk, _)| *disk).collect();
        let is_due = |disk: &DiskId| settled.contains(disk) || !state.disks[disk].settles;
        let targets: BTreeSet<DiskId> = targets.into_keys().filter(is_due).collect();
        let layout = self.services.repair.layout.borrow().clone();
        // What has an heir is brought there.
        let own = layout.slots().filter(|(_, _, slot)| slot.heir.is_none() && targets.contains(&slot.disk));
        let slots: Vec<SlotToFill> = own
            .map(|(group, index, slot)| SlotToFill { group: group.id, index, disk: slot.disk, owner: slot.disk })
            .collect();
        Ok((!targets.is_empty()).then(|| Round {
            settled,
            targets,
            slots,
            pass: None,
            unfinished: BTreeSet::new(),
            lacking: BTreeMap::new(),
        }))
    }

    /// Takes the round a little further; `false` once it is over.
    async fn go_on(&self, round: &mut Round) -> Result<bool, DutyError> {
        let services = &self.services.repair;
        let mut pass = match round.pass.take() {
            Some(pass) => pass,
            None => match round.slots.pop() {
                Some(slot) => Pass::begin(services, slot).await?,
                None => return Ok(false),
            },
        };
        let disk = pass.slot.disk;
        let before = pass.found.clone();
        let outcome = pass.step(services).await;
        self.count(&before, &pass.found);
        match outcome {
            Ok(true) => round.pass = Some(pass),
            Ok(false) => {
                *round.lacking.entry(disk).or_default() += pass.found.lacking;
                let layout = services.layout.borrow().clone();
                let state_of = |other: &DiskId| layout.disk_state(*other);
                let silent = pass.found.unheard.iter().any(|other| state_of(other).is_read());
                // What is lacking may be made out of what a disk has that is down and may come back.
                let is_away = |other: DiskId| matches!(state_of(&other), DiskState::Down) && other != disk;
                let group = layout.group(pass.slot.group);
                let away = group.is_some_and(|group| group.slots.iter().flat_map(types::Slot::disks).any(is_away));
                if silent || (away && pass.found.lacking > 0) {
                    round.unfinished.insert(disk);
                }
            }
            Err(error) => {
                // It failed again, most likely, or is full; the index may not answer.
                tracing::warn!(%disk, %error, "a slot of a disk that is rebuilt was not filled");
                round.unfinished.insert(disk);
            }
        }
        Ok(true)
    }

    fn count(&self, before: &Findings, now: &Findings) {
        let progress = &self.services.repair.progress;
        let (shards, bytes) = (now.brought - before.brought, now.bytes - before.bytes);
        add(&progress.repaired_shards, shards);
        metrics::counter!(telemetry::metric::REPAIRED_SHARDS).increment(shards);
        add(&progress.repaired_bytes, bytes);
        metrics::counter!(telemetry::metric::REPAIRED_BYTES).increment(bytes);
    }

    /// What a round that is over has shown.
    async fn conclude(&self, state: &mut State, round: &Round) {
        for disk in round.targets.difference(&round.unfinished) {
            let Some(rebuilding) = state.disks.get_mut(disk) else { continue };
            let lacking = round.lacking.get(disk).copied().unwrap_or_default();
            let is_settled = round.settled.contains(disk);
            tracing::debug!(%disk, lacking, is_settled, "a round over a disk is over");
            if lacking > rebuilding.lost {
                rebuilding.lacked += 1;
                if rebuilding.lacked < ROUNDS_TILL_LOST {
                    continue;
                }
                let lost = lacking - rebuilding.lost;
                rebuilding.lost = lacking;
                tracing::error!(%disk, shards = lost, "shards of a disk that was replaced cannot be made again");
                add(&self.services.repair.progress.lost_shards, lost);
                metrics::counter!(telemetry::metric::LOST_SHARDS).increment(lost);
            }
            let note = move |superblock: &mut shards::Superblock| note_round(superblock, is_settled);
            match self.services.disks.update_superblock(*disk, note).await {
                Ok(_) if rebuilding.settles => tracing::debug!(%disk, "a disk that was rebuilt has settled"),
                Ok(_) => tracing::info!(%disk, "a disk is rebuilt"),
                // It failed meanwhile; what replaces it begins anew.
                Err(error) => {
                    tracing::warn!(%disk, %error, "a disk that was rebuilt cannot be marked");
                    continue;
                }
            }
            rebuilding.settles = true;
            rebuilding.lacked = 0;
            if is_settled {
                state.disks.remove(disk);
            }
        }
    }
}

fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(1 << times.min(16)).min(most)
}

#[async_trait]
impl Duty for RebuildDisks {
    fn name(&self) -> &'static str {
        "rebuild"
    }

    async fn step(&self) -> Result<Step, DutyError> {
        let state = &mut *self.state.lock().await;
        let targets = self.targets();
        self.count_tickets(state, &targets).await?;
        let mut round = match state.round.take() {
            Some(round) => round,
            None => {
                if targets.is_empty() {
                    *state = State::default();
                    return Ok(Step::Idle(PERIOD));
                }
                let Some(round) = self.begin(state, targets).await? else {
                    state.idle_looks += 1;
                    return Ok(Step::Idle(doubled(SETTLE, state.idle_looks - 1, SETTLE_MAX)));
                };
                round
            }
        };
        if self.go_on(&mut round).await? {
            state.round = Some(round);
            return Ok(Step::Again);
        }
        let before = state.disks.len();
        self.conclude(state, &round).await;
        state.idle_looks = 0;
        let all_wait_for_tickets = round.unfinished.is_empty() && state.disks.values().all(|disk| disk.lacked == 0);
        if all_wait_for_tickets || state.disks.len() < before {
            state.idle_rounds = 0;
            return Ok(Step::Idle(if state.disks.is_empty() { PERIOD } else { SETTLE }));
        }
        state.idle_rounds += 1;
        Ok(Step::Idle(doubled(RETRY, state.idle_rounds - 1, RETRY_MAX)))
    }

    async fn wake(&self) {
        if self.replaced.lock().await.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
