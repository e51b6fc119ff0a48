//! Moves of slots: brings to disks of this process what they inherit, and has the layout make them owners.
//!
//! A move begins with an heir in the layout: writers go to it from then on. What the owner has is complete once it is
//! sealed: then one pass over the slot finds all, and the heir owns it. Where the owner cannot be sealed, a writer that
//! was paused may still add to it; so the move is over only when all tickets are that were granted before the heir was
//! known, and a pass after that has found nothing lacking. All that is known of a move stands in the layout and on the
//! disks; a crash costs a pass.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use index::{Answer, CommandBody, IndexService};
use placement::{FinishedMove, MovingSlot, finish_moves, moving_slots};
use shards::{LocalShards, SlotClaim};
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;
use types::{Heir, Layout, NodeId, PlacementGroupId, SlotIndex, TicketId};

use crate::duty::{Duty, DutyError, Step, propose};
use crate::fill::{Findings, Pass, SlotToFill};
use crate::heirs::ClusterChanges;
use crate::progress::add;
use crate::repair::RepairServices;
use crate::tickets::raise_floor;

/// How often the layout is looked at when nothing wakes the duty.
const PERIOD: Duration = Duration::from_secs(60);
/// How soon slots that could not be moved are tried again, at most.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// As a part of the idle time of tickets: one in so many.
const RETRY_SHARE: u32 = 10;
/// How long an owner may take to be sealed.
const SEAL_PATIENCE: Duration = Duration::from_secs(5);

/// What moving and rebuilding work with.
#[derive(Clone)]
pub struct MovesServices {
    /// Index, disks, data path and layout.
    pub repair: RepairServices,
    /// The disks of this process: the heirs among them are filled.
    pub disks: Arc<LocalShards>,
    /// Changes the layout.
    pub changes: Arc<dyn ClusterChanges>,
    /// In whose name tickets are taken to measure others by.
    pub node: NodeId,
    /// After how long without renewal a ticket is over.
    pub ticket_idle_max: Duration,
}

/// The duty.
pub struct Moves {
    services: MovesServices,
    layout: Mutex<watch::Receiver<Arc<Layout>>>,
    state: Mutex<State>,
}

/// One move: another heir makes it another one.
type MoveId = (PlacementGroupId, SlotIndex, Heir);

#[derive(Default)]
struct State {
    under_way: Option<UnderWay>,
    /// Moves off owners that were not sealed, and the ticket that all others must have passed.
    waiting: BTreeMap<MoveId, TicketId>,
    /// Moves that have had their turn since the last pause.
    tried: BTreeSet<MoveId>,
}

struct UnderWay {
    id: MoveId,
    pass: Pass,
    certainty: Certainty,
}

/// What a pass that finds nothing lacking shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Certainty {
    /// The owner is sealed: what it has is all.
    Sealed,
    /// No ticket of old is left: what is there now is all.
    Settled,
    /// Nothing yet.
    None,
}

impl MovesServices {
    /// A ticket above all that were granted before.
    pub(crate) async fn next_ticket(&self) -> Result<TicketId, DutyError> {
        let index: &dyn IndexService = &*self.repair.index;
        let holder = self.node;
        // Granted anew each time: what an earlier process measured by is forgotten.
        let nonce = self.changes.nonce();
        let Answer::Ticket(ticket) = propose(index, CommandBody::GrantTicket { holder, nonce }).await? else {
            return Err(DutyError::Other("a wish for a ticket was answered with something else".to_owned()));
        };
        propose(index, CommandBody::EndTicket(ticket)).await?;
        Ok(ticket)
    }
}

impl Moves {
    /// Fills the heirs among the disks of this process.
    pub fn new(services: MovesServices) -> Self {
        let layout = Mutex::new(services.repair.layout.clone());
        Self { services, layout, state: Mutex::default() }
    }

    /// The moves whose heirs are here, the most endangered first; and whether there are some whose heirs have not taken the
    /// slot yet. What such a disk has of the group is of a slot that it handed on, and will be dropped: it must not pass for
    /// what it inherits.
    fn own_moves(&self) -> (Vec<(MoveId, MovingSlot)>, bool) {
        let layout = self.services.repair.layout.borrow().clone();
        let states = self.services.disks.disk_states();
        let is_here = |heir: &Heir| states.get(&heir.disk).is_some_and(|health| !health.is_down());
        let here = moving_slots(&layout).into_iter().filter_map(|moving| {
            let heir = moving.slot.heir.filter(is_here)?;
            Some(((moving.group, moving.index, heir), moving))
        });
        let (own, later): (Vec<_>, Vec<_>) = here.partition(|(id, _)| self.has_taken(id));
        (own, !later.is_empty())
    }

    /// Whether the heir of a move takes shards of the slot, as its disk has noted.
    fn has_taken(&self, (group, slot, heir): &MoveId) -> bool {
        let disks = &self.services.disks;
        let takes =
            |claim: &SlotClaim| (claim.group, claim.slot, claim.epoch) == (*group, *slot, heir.epoch) && !claim.sealed;
        disks.knows_its_slots(heir.disk)
            && disks.superblock(heir.disk).is_ok_and(|superblock| superblock.slots.iter().any(takes))
    }

    /// Begins the next pass that has something to show; `None` where there is none now.
    async fn begin(&self, state: &mut State, own: &[(MoveId, MovingSlot)]) -> Result<Option<UnderWay>, DutyError> {
        let index = &*self.services.repair.index;
        let mut floor = None;
        for (id, moving) in own {
            if state.tried.contains(id) {
                continue;
            }
            state.tried.insert(*id);
            let heir = id.2;
            let is_sealed = self.is_sealed(moving).await;
            let certainty = match state.waiting.get(id) {
                // An heir that took another's place lacks what that one took, sealed or not.
                _ if is_sealed && heir.epoch == moving.slot.epoch.next() => Certainty::Sealed,
                Some(ticket) => {
                    let floor = match floor {
                        Some(floor) => floor,
                        None => *floor.insert(raise_floor(index, self.services.ticket_idle_max).await?),
                    };
                    if floor < *ticket {
                        continue;
                    }
                    Certainty::Settled
                }
                None => {
                    state.waiting.insert(*id, self.services.next_ticket().await?);
                    Certainty::None
                }
            };
            let (group, index, disk, owner) = (id.0, id.1, heir.disk, moving.slot.disk);
            tracing::info!(%group, %index, from = %owner, to = %disk, ?certainty, "a slot is brought to its heir");
            let pass = Pass::begin(&self.services.repair, SlotToFill { group, index, disk, owner }).await?;
            return Ok(Some(UnderWay { id: *id, pass, certainty }));
        }
        Ok(None)
    }

    /// Whether the owner of a slot takes no more shards of it, for sure.
    async fn is_sealed(&self, moving: &MovingSlot) -> bool {
        let slot = moving.slot;
        let sealed = self.services.repair.shards.seal(slot.disk, moving.group, moving.index, slot.epoch);
        match timeout(SEAL_PATIENCE, sealed).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::debug!(disk = %slot.disk, %error, "the owner of a slot that moves cannot be sealed");
                false
            }
            Err(_) => false,
        }
    }

    /// What a pass that is over has shown.
    async fn conclude(&self, state: &mut State, done: UnderWay) -> Result<(), DutyError> {
        let layout = self.services.repair.layout.borrow().clone();
        let UnderWay { id: (group, slot, heir), pass, certainty } = done;
        let found = &pass.found;
        let is_whole = found.lacking == 0
            && match certainty {
                Certainty::Sealed => !found.unheard.contains(&pass.slot.owner),
                Certainty::Settled => found.brought == 0 && pass.has_heard_all(&layout),
                Certainty::None => false,
            };
        tracing::debug!(%group, index = %slot, ?found, ?certainty, is_whole, "a pass over a slot is over");
        if !is_whole {
            if certainty == Certainty::Settled && found.brought > 0 && found.lacking == 0 {
                // One more shows that nothing is lacking.
                state.tried.remove(&(group, slot, heir));
            }
            return Ok(());
        }
        let finished = [FinishedMove { group, slot, heir }];
        self.services.changes.change_layout(&|layout| finish_moves(layout, &finished)).await?;
        tracing::info!(%group, index = %slot, disk = %heir.disk, "a slot has a new owner");
        Ok(())
    }

    fn count(&self, before: &Findings, now: &Findings) {
        let (shards, bytes) = (now.brought - before.brought, now.bytes - before.bytes);
        add(&self.services.repair.progress.moved_shards, shards);
        add(&self.services.repair.progress.moved_bytes, bytes);
        metrics::counter!(telemetry::metric::MOVED_SHARDS).increment(shards);
        metrics::counter!(telemetry::metric::MOVED_BYTES).increment(bytes);
    }

    fn retry(&self) -> Duration {
        (self.services.ticket_idle_max / RETRY_SHARE).min(RETRY_MAX)
    }
}

#[async_trait]
impl Duty for Moves {
    fn name(&self) -> &'static str {
        "moves"
    }

    async fn step(&self) -> Result<Step, DutyError> {
        let mut state = self.state.lock().await;
        let (own, some_later) = self.own_moves();
        let stands = |id: &MoveId| own.iter().any(|(other, _)| other == id);
        state.waiting.retain(|id, _| stands(id));
        state.tried.retain(|id| stands(id));
        let under_way = state.under_way.take().filter(|under_way| stands(&under_way.id));
        let begun = match under_way {
            Some(under_way) => Some(under_way),
            None => self.begin(&mut state, &own).await?,
        };
        let Some(mut under_way) = begun else {
            state.tried.clear();
            return Ok(Step::Idle(if own.is_empty() && !some_later { PERIOD } else { self.retry() }));
        };
        let before = under_way.pass.found.clone();
        let outcome = under_way.pass.step(&self.services.repair).await;
        self.count(&before, &under_way.pass.found);
        match outcome {
            Ok(true) => state.under_way = Some(under_way),
            Ok(false) => self.conclude(&mut state, under_way).await?,
            Err(error) => {
                let (group, index, heir) = under_way.id;
                tracing::warn!(%group, %index, disk = %heir.disk, %error, "a slot was not brought to its heir yet");
            }
        }
        Ok(Step::Again)
    }

    async fn wake(&self) {
        // Only an idle duty is woken.
        if self.state.lock().await.under_way.is_some() {
            std::future::pending::<()>().await;
        }
        if self.layout.lock().await.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
