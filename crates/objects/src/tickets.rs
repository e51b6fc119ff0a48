//! Tickets: the fenced right to write, and the numbers of the commands under them.
//!
//! A new ticket is taken every 10 minutes (a third of the idle time), so that the floor of live tickets keeps rising and what writers left behind
//! can be collected. Others may wait for all tickets that were granted before a layout, and count them only some time after
//! it: so a ticket that is taken for a layout, or at the start, is followed by others soon, after 2, 4, 8 seconds and so on.
//! Who counted a while after the layout waits about as long again, and not for the 10 minutes. An older one is renewed only while transfers that began under it run, for 24 hours at most: then
//! they are aborted. Clocks decide here only when to take, renew and end tickets; what a ticket still allows is decided
//! in `apply`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use index::{Answer, Command, CommandBody, IndexError, IndexService};
use parking_lot::Mutex;
use platform::{Clock, Entropy};
use tokio::sync::watch;
use types::{DiskId, Heir, NodeId, PlacementGroupId, RequestId, RequestNumber, SlotEpoch, SlotIndex, TicketId};

use crate::data::{DataPath, PlannerError};

/// After what part of its idle time no transfer begins under a ticket any more: one in so many.
const TAKEN_SHARE: u32 = 3;
/// How long the first ticket of a layout is taken; each that follows lasts twice as long as the one before.
const FOLLOWED_AFTER: Duration = Duration::from_secs(2);
/// How often a ticket that transfers still need is renewed, as a part of the idle time after which upkeep ends it.
const RENEWED_SHARE: u32 = 6;
/// How often it is looked whether something is due, as such a part, and at least.
const TENDED_SHARE: u32 = 30;
const TENDED_EVERY_MAX: Duration = Duration::from_secs(10);
/// How soon it is looked when the layout has changed, and again while older tickets are in use.
pub(crate) const TENDED_SOON: Duration = Duration::from_secs(1);
/// The longest life of a ticket, and so of a transfer.
const LIFE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the index may take to hear that a ticket is over; it finds out by itself otherwise.
const ENDING_PATIENCE: Duration = Duration::from_secs(2);

/// What tickets are taken with.
pub(crate) struct TicketServices {
    pub(crate) index: Arc<dyn IndexService>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Who asks: a label.
    pub(crate) holder: NodeId,
    /// After how long without renewal a ticket is over.
    pub(crate) idle_max: Duration,
    /// Whose layout is read anew before a new ticket is used.
    pub(crate) data: Option<DataPath>,
}

/// The tickets of one writer.
pub(crate) struct Tickets {
    services: TicketServices,
    live: Mutex<Live>,
    /// Held while a ticket is being taken, so that many that found theirs over take one together.
    taking: tokio::sync::Mutex<()>,
}

struct Live {
    current: Arc<Ticket>,
    older: Vec<Arc<Ticket>>,
}

/// One ticket.
struct Ticket {
    id: TicketId,
    /// On the monotonic clock.
    granted: Duration,
    /// How long transfers begin under it.
    lasts: Duration,
    /// The moves of slots that its transfers know of.
    moves: BTreeSet<UnsealedMove>,
    /// Where its first transfer sends the shards of each slot.
    targets: Targets,
    uses: Mutex<Uses>,
    /// Turns true when no transfer may go on under it.
    over: watch::Sender<bool>,
}

struct Uses {
    transfers: usize,
    /// On the monotonic clock.
    renewed: Duration,
    next: u64,
    /// Numbers that may still be repeated.
    open: BTreeSet<u64>,
}

impl Tickets {
    /// Takes the first ticket.
    ///
    /// # Errors
    /// [`IndexError`] when none was granted.
    pub(crate) async fn start(services: TicketServices) -> Result<Self, IndexError> {
        let first = services.take(services.lasts_first()).await?;
        let live = Mutex::new(Live { current: Arc::new(first), older: Vec::new() });
        Ok(Self { services, live, taking: tokio::sync::Mutex::new(()) })
    }

    /// How soon [`Self::tend`] is to be called again.
    fn tended_after(&self) -> Duration {
        let every = (self.services.idle_max / TENDED_SHARE).min(TENDED_EVERY_MAX);
        let live = self.live.lock();
        if !live.older.is_empty() {
            return every.min(TENDED_SOON);
        }
        let age = self.services.clock.monotonic().saturating_sub(live.current.granted);
        live.current.lasts.saturating_sub(age).max(TENDED_SOON).min(every)
    }

    /// Begins a transfer under the current ticket.
    pub(crate) fn begin(&self) -> Transfer {
        let live = self.live.lock();
        live.current.uses.lock().transfers += 1;
        Transfer { ticket: live.current.clone() }
    }

    /// Takes a new ticket because `apply` said that this one is over; whoever comes second finds it taken.
    ///
    /// # Errors
    /// [`IndexError`] when none was granted.
    pub(crate) async fn replace(&self, over: TicketId) -> Result<(), IndexError> {
        let _taking = self.taking.lock().await;
        if self.live.lock().current.id != over {
            return Ok(());
        }
        let next = self.services.take(self.services.lasts_first()).await?;
        let mut live = self.live.lock();
        let replaced = std::mem::replace(&mut live.current, Arc::new(next));
        replaced.over.send_replace(true);
        Ok(())
    }

    /// Does what is due: takes a new ticket, renews older ones that are in use, ends those that are not, aborts
    /// transfers of 24 hours. Says how soon it is to be called again; what fails now is done then.
    ///
    /// A new ticket is taken before its time where a slot moves off a disk that cannot be sealed, or another disk has
    /// taken the place of a lost one: that the move is over, or the disk whole, waits for the tickets that were granted
    /// before.
    pub(crate) async fn tend(&self) -> Duration {
        let now = self.services.clock.monotonic();
        let current = self.live.lock().current.clone();
        let is_old = now.saturating_sub(current.granted) >= current.lasts;
        let is_waited_for = !self.services.unsealed_moves().is_subset(&current.moves)
            || self.services.sends_elsewhere(&current.targets);
        let lasts = match is_waited_for {
            true => self.services.lasts_first(),
            false => (current.lasts * 2).min(self.services.lasts_max()),
        };
        if (is_old || is_waited_for)
            && let Err(error) = self.rotate(current.id, lasts).await
        {
            tracing::warn!(error = %error, ticket = %current.id, "no new ticket was granted");
        }
        let older = self.live.lock().older.clone();
        for ticket in older {
            self.tend_older(&ticket, now).await;
        }
        self.tended_after()
    }

    async fn rotate(&self, id: TicketId, lasts: Duration) -> Result<(), IndexError> {
        let _taking = self.taking.lock().await;
        if self.live.lock().current.id != id {
            return Ok(());
        }
        let next = self.services.take(lasts).await?;
        let mut live = self.live.lock();
        let before = std::mem::replace(&mut live.current, Arc::new(next));
        live.older.push(before);
        Ok(())
    }

    async fn tend_older(&self, ticket: &Arc<Ticket>, now: Duration) {
        let too_old = now.saturating_sub(ticket.granted) >= LIFE_MAX;
        let (unused, renewal_due) = {
            let uses = ticket.uses.lock();
            (uses.transfers == 0, now.saturating_sub(uses.renewed) >= self.services.idle_max / RENEWED_SHARE)
        };
        if too_old || unused {
            ticket.over.send_replace(true);
            self.live.lock().older.retain(|other| other.id != ticket.id);
            // A ticket that could not be ended ends by itself, because nobody renews it.
            if let Err(error) = propose_unnamed(&*self.services.index, CommandBody::EndTicket(ticket.id)).await {
                tracing::debug!(error = %error, ticket = %ticket.id, "a ticket was left to end by itself");
            }
        } else if renewal_due {
            match propose_unnamed(&*self.services.index, CommandBody::RenewTicket(ticket.id)).await {
                Ok(Answer::Refused(_)) => {
                    ticket.over.send_replace(true);
                    self.live.lock().older.retain(|other| other.id != ticket.id);
                }
                Ok(_) => ticket.uses.lock().renewed = now,
                Err(error) => tracing::warn!(error = %error, ticket = %ticket.id, "a ticket was not renewed"),
            }
        }
    }

    /// Ends all tickets: no transfer runs any more.
    pub(crate) async fn end(&self) {
        let tickets: Vec<_> = {
            let live = self.live.lock();
            live.older.iter().chain([&live.current]).cloned().collect()
        };
        for ticket in &tickets {
            ticket.over.send_replace(true);
        }
        let told = tokio::time::timeout(ENDING_PATIENCE, async {
            for ticket in tickets {
                if let Err(error) = propose_unnamed(&*self.services.index, CommandBody::EndTicket(ticket.id)).await {
                    tracing::debug!(error = %error, ticket = %ticket.id, "a ticket was left to end by itself");
                }
            }
        });
        if told.await.is_err() {
            tracing::debug!("tickets were left to end by themselves: the index does not answer");
        }
    }
}

/// The disk that takes the shards of each slot, and the slot's epoch there.
type Targets = BTreeMap<(PlacementGroupId, SlotIndex), (DiskId, SlotEpoch)>;

/// A slot that moves off a disk that is not there to be sealed: group, slot, and the heir with its epoch.
type UnsealedMove = (PlacementGroupId, SlotIndex, Heir);

impl TicketServices {
    fn lasts_max(&self) -> Duration {
        self.idle_max / TAKEN_SHARE
    }

    fn lasts_first(&self) -> Duration {
        FOLLOWED_AFTER.min(self.lasts_max())
    }

    /// Takes a ticket. The layout is read anew before it is used: whoever writes under a ticket knows all moves that began
    /// before it was granted.
    async fn take(&self, lasts: Duration) -> Result<Ticket, IndexError> {
        // Before the question: a ticket must not look younger than the index knows it.
        let granted = self.clock.monotonic();
        let body = CommandBody::GrantTicket { holder: self.holder, nonce: self.entropy.id() };
        let id = match propose_unnamed(&*self.index, body).await? {
            Answer::Ticket(id) => id,
            other => return Err(IndexError::Unavailable { reason: format!("no ticket was granted: {other:?}") }),
        };
        if let Some(data) = &self.data {
            let unread = |error: PlannerError| IndexError::Unavailable { reason: error.reason };
            data.refresh_layout().await.map_err(unread)?;
        }
        let uses = Uses { transfers: 0, renewed: granted, next: 1, open: BTreeSet::new() };
        let (moves, targets, over) = (self.unsealed_moves(), self.targets(), watch::Sender::new(false));
        Ok(Ticket { id, granted, lasts, moves, targets, uses: Mutex::new(uses), over })
    }

    fn targets(&self) -> Targets {
        let Some(data) = &self.data else { return Targets::new() };
        data.layout().slots().map(|(group, at, slot)| ((group.id, at), slot.target())).collect()
    }

    /// Whether some slot that was known `before` goes to another disk now.
    fn sends_elsewhere(&self, before: &Targets) -> bool {
        self.targets().iter().any(|(slot, target)| before.get(slot).is_some_and(|known| known != target))
    }

    /// The moves that wait for tickets, as far as the layout at hand says.
    fn unsealed_moves(&self) -> BTreeSet<UnsealedMove> {
        let Some(data) = &self.data else { return BTreeSet::new() };
        let layout = data.layout();
        let moving = layout.slots().filter_map(|(group, at, slot)| Some((group.id, at, slot.disk, slot.heir?)));
        let unsealed = moving.filter(|(_, _, owner, _)| !layout.disk_state(*owner).is_read());
        unsealed.map(|(group, at, _, heir)| (group, at, heir)).collect()
    }
}

/// Commands about tickets need no request id: their nonce or the ticket makes them idempotent, so an unknown outcome is
/// simply asked again.
async fn propose_unnamed(index: &dyn IndexService, body: CommandBody) -> Result<Answer, IndexError> {
    const ATTEMPTS: u32 = 5;
    let command = Command { request: None, answered: RequestNumber(0), body };
    let mut attempt = 1;
    loop {
        match index.propose(command.clone()).await {
            Err(IndexError::Unavailable { .. } | IndexError::Unknown { .. } | IndexError::NotLeader { .. })
                if attempt < ATTEMPTS =>
            {
                tokio::time::sleep(crate::commit::pause_after(attempt)).await;
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

/// A transfer: it keeps its ticket alive.
pub(crate) struct Transfer {
    ticket: Arc<Ticket>,
}

impl Transfer {
    /// The ticket that the transfer's runs and commands go under.
    pub(crate) fn ticket(&self) -> TicketId {
        self.ticket.id
    }

    /// Turns true once the transfer must be given up because its ticket is over.
    pub(crate) fn over_signal(&self) -> watch::Receiver<bool> {
        self.ticket.over.subscribe()
    }

    /// Whether the transfer must be given up.
    pub(crate) fn is_over(&self) -> bool {
        *self.ticket.over.borrow()
    }

    /// Names the next command.
    pub(crate) fn number(&self) -> Numbered {
        let mut uses = self.ticket.uses.lock();
        let number = uses.next;
        uses.next += 1;
        uses.open.insert(number);
        Numbered { ticket: self.ticket.clone(), number }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.ticket.uses.lock().transfers -= 1;
    }
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transfer({:?})", self.ticket.id)
    }
}

/// A command's name, until nobody will repeat the command any more.
pub(crate) struct Numbered {
    ticket: Arc<Ticket>,
    number: u64,
}

impl Numbered {
    pub(crate) fn request(&self) -> RequestId {
        RequestId { ticket: self.ticket.id, number: RequestNumber(self.number) }
    }

    /// All commands of the ticket up to this one have been answered, or given up, and won't be repeated.
    pub(crate) fn answered(&self) -> RequestNumber {
        let lowest_open = *self.ticket.uses.lock().open.first().expect("this one is open");
        RequestNumber(lowest_open - 1)
    }
}

impl Drop for Numbered {
    fn drop(&mut self) {
        self.ticket.uses.lock().open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use index::local::LocalIndex;
    use index::{Query, QueryAnswer};
    use platform::{ManualClock, SeededEntropy};
    use types::Timestamp;

    use super::*;

    struct Fixture {
        index: Arc<LocalIndex>,
        clock: ManualClock,
        tickets: Tickets,
    }

    impl Fixture {
        async fn new() -> Self {
            let clock = ManualClock::new(Timestamp::from_seconds(1_000_000));
            let index = Arc::new(LocalIndex::in_memory(Arc::new(clock.clone())).unwrap());
            let entropy = Arc::new(SeededEntropy::new(1));
            let holder = NodeId::from_bytes([1; 16]);
            let services = TicketServices {
                index: index.clone(),
                clock: Arc::new(clock.clone()),
                entropy,
                holder,
                idle_max: Duration::from_secs(30 * 60),
                data: None,
            };
            let tickets = Tickets::start(services).await.unwrap();
            Self { index, clock, tickets }
        }

        /// Lets time pass as upkeep and the background task see it, in steps of a minute.
        async fn pass(&self, minutes: u64) {
            for _ in 0..minutes {
                self.clock.advance(Duration::from_secs(60));
                self.tickets.tend().await;
                self.floor().await;
            }
        }

        /// Below it no ticket is live.
        async fn floor(&self) -> TicketId {
            let expire = CommandBody::ExpireTickets { idle_us_max: 30 * 60 * 1_000_000 };
            match propose_unnamed(&*self.index, expire).await.unwrap() {
                Answer::Floor(floor) => floor,
                other => panic!("{other:?}"),
            }
        }

        /// Above all tickets that were granted before.
        async fn count(&self) -> TicketId {
            let body = CommandBody::GrantTicket { holder: NodeId::from_bytes([2; 16]), nonce: [2; 16] };
            let Answer::Ticket(counted) = propose_unnamed(&*self.index, body).await.unwrap() else {
                panic!("a ticket is granted")
            };
            propose_unnamed(&*self.index, CommandBody::EndTicket(counted)).await.unwrap();
            counted
        }

        async fn live(&self) -> Vec<TicketId> {
            match self.index.query(Query::Tickets).await.unwrap() {
                QueryAnswer::Tickets { tickets, .. } => tickets.iter().map(|ticket| ticket.id).collect(),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Who counts the tickets of before some time after the start of a writer, which has its own by then, waits about as long
    /// again.
    #[tokio::test]
    async fn what_waits_for_the_tickets_of_before_waits_no_longer_than_it_came_late() {
        for late in [0, 1, 5, 30, 100] {
            let fixture = Fixture::new().await;
            let (mut counted, mut passed) = (None, None);
            for second in 0..=600 {
                if second == late {
                    counted = Some(fixture.count().await);
                }
                if let (Some(counted), None) = (counted, passed) {
                    passed = (fixture.floor().await >= counted).then_some(second - late);
                }
                fixture.clock.advance(Duration::from_secs(1));
                fixture.tickets.tend().await;
            }
            let passed = passed.expect("it is over in ten minutes");
            assert!(passed <= late + 3, "counted after {late} s, over {passed} s later");
        }
    }

    #[tokio::test]
    async fn a_new_ticket_is_taken_every_ten_minutes_and_an_unused_one_ends() {
        let fixture = Fixture::new().await;
        // The first ones are followed sooner.
        fixture.pass(34).await;
        let first = fixture.tickets.begin().ticket();
        fixture.pass(9).await;
        assert_eq!(fixture.tickets.begin().ticket(), first);
        fixture.pass(1).await;
        let second = fixture.tickets.begin().ticket();
        assert!(second > first);
        assert_eq!(fixture.live().await, [second]);
    }

    #[tokio::test]
    async fn a_ticket_lives_as_long_as_its_transfers_but_no_longer_than_a_day() {
        let fixture = Fixture::new().await;
        let transfer = fixture.tickets.begin();
        let long_transfer = fixture.tickets.begin();
        fixture.pass(10 * 60).await;
        assert!(!transfer.is_over());
        assert_eq!(fixture.live().await.len(), 2, "the transfers' and the current one");
        drop(transfer);
        fixture.pass(10).await;
        assert!(fixture.live().await.contains(&long_transfer.ticket()));
        fixture.pass(24 * 60).await;
        assert!(long_transfer.is_over());
        assert!(*long_transfer.over_signal().borrow());
        assert_eq!(fixture.live().await.len(), 1);

        let short_transfer = fixture.tickets.begin();
        let ticket = short_transfer.ticket();
        fixture.pass(20).await;
        assert!(fixture.live().await.contains(&ticket));
        drop(short_transfer);
        fixture.pass(1).await;
        assert!(!fixture.live().await.contains(&ticket));
    }

    #[tokio::test]
    async fn many_that_find_a_ticket_over_take_one_together() {
        let fixture = Fixture::new().await;
        let transfer = fixture.tickets.begin();
        let over = transfer.ticket();
        let replacements = (0..10).map(|_| fixture.tickets.replace(over));
        futures::future::try_join_all(replacements).await.unwrap();
        assert!(transfer.is_over());
        assert_eq!(fixture.tickets.begin().ticket(), over.next());
    }

    #[tokio::test]
    async fn the_answered_mark_stops_below_the_lowest_open_number() {
        let fixture = Fixture::new().await;
        let transfer = fixture.tickets.begin();
        let numbers: Vec<_> = (0..3).map(|_| transfer.number()).collect();
        let asked = |number: &Numbered| (number.request().number.0, number.answered().0);
        assert_eq!(numbers.iter().map(asked).collect::<Vec<_>>(), [(1, 0), (2, 0), (3, 0)]);
        let mut numbers = numbers.into_iter();
        let (first, second) = (numbers.next().unwrap(), numbers.next().unwrap());
        drop(second);
        assert_eq!(asked(&transfer.number()), (4, 0), "number 1 may still be repeated");
        drop(first);
        assert_eq!(asked(&transfer.number()), (5, 2));
        drop(numbers);
        assert_eq!(asked(&transfer.number()), (6, 5));
    }

    #[tokio::test]
    async fn tickets_end_with_their_writer() {
        let fixture = Fixture::new().await;
        let transfer = fixture.tickets.begin();
        fixture.pass(10).await;
        fixture.tickets.end().await;
        assert!(transfer.is_over());
        assert_eq!(fixture.live().await, []);
    }
}
