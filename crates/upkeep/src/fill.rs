//! Filling a slot: a pass over all that its placement group holds, which brings to one disk what the slot lacks there.
//!
//! What a slot should have is read off all disks of its group: of every stripe there is a shard in each slot that its run
//! uses. A shard comes off the slot's former owner where that has it whole, else it is made out of the others. A pass
//! keeps nothing but its place, so that it can be broken off and begun anew anywhere.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use index::{CommandBody, IndexService, Query, QueryAnswer};
use objects::data::{ReadError, RebuildError, ShardToRebuild};
use shards::{ShardAddress, ShardError};
use tokio::time::Instant;
use types::{DiskId, DiskState, Layout, PlacementGroupId, RunId, SlotIndex, TicketId};

use crate::duty::{DutyError, propose};
use crate::repair::{RepairServices, run_lives, run_of};

/// Shards of each disk that a step looks at.
const SHARDS_MAX: usize = 64;

/// A slot, and the disk that is to have all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotToFill {
    pub(crate) group: PlacementGroupId,
    pub(crate) index: SlotIndex,
    pub(crate) disk: DiskId,
    /// Who owned it before.
    pub(crate) owner: DiskId,
}

/// What a pass has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Shards that were lacking and were brought.
    pub(crate) brought: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Shards that are lacking still: too few others could be read, or nothing says yet whether they count.
    pub(crate) lacking: u64,
    /// Disks that did not say what they have.
    pub(crate) unheard: BTreeSet<DiskId>,
}

/// A pass over one slot.
pub(crate) struct Pass {
    pub(crate) slot: SlotToFill,
    pub(crate) found: Findings,
    /// Runs of tickets below it are named by the index, or never will be.
    floor: TicketId,
    after: ShardAddress,
}

/// A stripe: run and number.
type StripeId = (RunId, u32);

impl Pass {
    /// A pass from the beginning.
    ///
    /// # Errors
    /// [`DutyError::Index`].
    pub(crate) async fn begin(services: &RepairServices, slot: SlotToFill) -> Result<Self, DutyError> {
        let floor = settled_floor(&*services.index).await?;
        Ok(Self { slot, found: Findings::default(), floor, after: ShardAddress::before(slot.group) })
    }

    /// Looks at some more stripes; `false` once all were looked at.
    ///
    /// # Errors
    /// [`DutyError`]: the slot's disk takes nothing, or the index gave no answer. The same stripes come again.
    pub(crate) async fn step(&mut self, services: &RepairServices) -> Result<bool, DutyError> {
        let layout = services.layout.borrow().clone();
        let Some(group) = layout.group(self.slot.group) else { return Ok(false) };
        let mut shards: BTreeMap<StripeId, Vec<(DiskId, u8)>> = BTreeMap::new();
        let mut horizon: Option<StripeId> = None;
        for disk in group.slots.iter().flat_map(types::Slot::disks) {
            let listed = match services.shards.list(disk, Some(self.after), SHARDS_MAX).await {
                Ok(listed) => listed,
                Err(error) if disk == self.slot.disk => return Err(error.into()),
                Err(_) => {
                    self.found.unheard.insert(disk);
                    continue;
                }
            };
            let is_end = listed.last().is_none_or(|last| last.address.group != self.slot.group);
            let own = listed.iter().map(|shard| shard.address).filter(|address| address.group == self.slot.group);
            for address in own {
                shards.entry((address.run, address.stripe)).or_default().push((disk, address.shard));
            }
            if !is_end && let Some(last) = listed.last() {
                let stripe = (last.address.run, last.address.stripe);
                horizon = Some(horizon.map_or(stripe, |nearest| nearest.min(stripe)));
            }
        }
        let within = |stripe: &StripeId| horizon.is_none_or(|horizon| *stripe <= horizon);
        let is_there = |holders: &[(DiskId, u8)]| holders.iter().any(|(disk, _)| *disk == self.slot.disk);
        let lacking: Vec<_> =
            shards.into_iter().filter(|(stripe, holders)| within(stripe) && !is_there(holders)).collect();
        self.bring(services, &layout, lacking).await?;
        let Some((run, stripe)) = horizon else { return Ok(false) };
        self.after = ShardAddress { group: self.slot.group, run, stripe, shard: u8::MAX };
        Ok(true)
    }

    async fn bring(
        &mut self,
        services: &RepairServices,
        layout: &Layout,
        lacking: Vec<(StripeId, Vec<(DiskId, u8)>)>,
    ) -> Result<(), DutyError> {
        let (slot, floor, data) = (self.slot, self.floor, &services.data);
        let mut waiting = lacking.into_iter();
        let mut under_way = FuturesUnordered::new();
        let mut outcomes = Vec::new();
        loop {
            let free = services.pace.at_once(data).saturating_sub(under_way.len());
            for (stripe, holders) in waiting.by_ref().take(free) {
                under_way.push(async move {
                    let begun = Instant::now();
                    let outcome = bring_one(services, layout, slot, floor, stripe, &holders).await;
                    (outcome, begun.elapsed())
                });
            }
            let Some((outcome, took)) = under_way.next().await else { break };
            outcomes.push(outcome);
            if under_way.is_empty() {
                services.pace.rest(data, took).await;
            }
        }
        for outcome in outcomes {
            match outcome? {
                Brought::Now { bytes } => {
                    self.found.brought += 1;
                    self.found.bytes += bytes;
                }
                Brought::NotYet => self.found.lacking += 1,
                Brought::NotNeeded => {}
            }
        }
        Ok(())
    }

    /// Whether all disks were heard that may have something of the slot and are not given up.
    pub(crate) fn has_heard_all(&self, layout: &Layout) -> bool {
        self.found.unheard.iter().all(|disk| layout.disk_state(*disk) == DiskState::Out)
    }
}

/// What became of a shard that is not there.
enum Brought {
    Now {
        bytes: u64,
    },
    NotYet,
    /// The run does not use the slot, or does not count.
    NotNeeded,
}

async fn bring_one(
    services: &RepairServices,
    layout: &Layout,
    slot: SlotToFill,
    floor: TicketId,
    (run, stripe): StripeId,
    holders: &[(DiskId, u8)],
) -> Result<Brought, DutyError> {
    let of_owner = holders.iter().find(|(disk, _)| *disk == slot.owner);
    let mut header = None;
    for (disk, shard) in of_owner.into_iter().chain(holders) {
        let address = ShardAddress { group: slot.group, run, stripe, shard: *shard };
        match services.shards.header(*disk, address).await {
            Ok(found) => {
                header = Some(found);
                break;
            }
            // Freed since it was listed.
            Err(ShardError::Gone { .. } | ShardError::Missing { .. }) => {}
            Err(_) => header = None,
        }
    }
    let Some(header) = header else { return Ok(Brought::NotYet) };
    let Some(run) = run_of(&header, layout) else { return Ok(Brought::NotNeeded) };
    let width = u8::try_from(run.profile.width()).expect("a profile's shards are counted in 8 bits");
    let Some(shard) = (0..width).find(|shard| run.slot_of(*shard) == slot.index) else {
        return Ok(Brought::NotNeeded);
    };
    let lives = run_lives(&*services.index, &header.home, run.id).await?;
    // What its writer may still commit comes along: off a former owner, as it is; on a disk in another's place, which may
    // have acknowledged it, made out of the others.
    let is_replaced = slot.owner == slot.disk;
    let may_live = run.id.ticket >= floor && (of_owner.is_some() || is_replaced);
    if !lives && !may_live {
        return Ok(Brought::NotNeeded);
    }
    let bytes = run.shard_len_of(stripe) as u64;
    let wanted = ShardToRebuild { run, home: header.home.clone(), stripe, shard };
    match services.data.bring_shard(&wanted, of_owner.map(|(disk, _)| *disk)).await {
        Ok(()) => Ok(Brought::Now { bytes }),
        Err(RebuildError::Read(ReadError::Gone)) => Ok(Brought::NotNeeded),
        // A stripe that is being written, or whose writer broke off.
        Err(RebuildError::Read(ReadError::Unreadable { .. })) if !lives && is_replaced => Ok(Brought::NotNeeded),
        Err(RebuildError::Read(ReadError::Unreadable { reason })) => {
            tracing::warn!(run = %wanted.run.id, stripe, %reason, "a shard of a slot cannot be brought yet");
            Ok(Brought::NotYet)
        }
        Err(RebuildError::Append(error)) => Err(error.into()),
        Err(error) => Err(DutyError::Other(error.to_string())),
    }
}

/// The lowest live ticket, below which every data range takes nothing once this returns.
async fn settled_floor(index: &dyn IndexService) -> Result<TicketId, DutyError> {
    let QueryAnswer::Tickets { floor, .. } = index.query(Query::Tickets).await? else {
        return Err(DutyError::Other("a query for tickets was answered with something else".to_owned()));
    };
    propose(index, CommandBody::RaiseFloor { floor }).await?;
    Ok(floor)
}
