//! Tickets: granted and ended in the system range, their floor kept by every range.

use types::{NodeId, TicketId};

use super::{Applying, Stop};
use crate::command::{Answer, Refusal, TicketRow};
use crate::rows::TicketKept;

impl Applying<'_> {
    /// The nonce names the wish: as long as its ticket lives, the wish gets no second one.
    pub(super) fn grant_ticket(&mut self, holder: NodeId, nonce: [u8; 16]) -> Result<Answer, Stop> {
        if let Some(known) = self.tables.tickets()?.into_iter().find(|ticket| ticket.nonce == nonce) {
            return Ok(Answer::Ticket(known.row.id));
        }
        let mut counters = self.tables.counters()?;
        let id = counters.next_ticket;
        counters.next_ticket = id.next();
        self.tables.put_counters(&counters)?;
        let row = TicketRow { id, holder, granted: self.stamp.time(), renewed: self.stamp.time() };
        self.tables.put_ticket(&TicketKept { row, nonce })?;
        Ok(Answer::Ticket(id))
    }

    pub(super) fn renew_ticket(&mut self, id: TicketId) -> Result<Answer, Stop> {
        let TicketKept { row, nonce } = self.tables.ticket(id)?.ok_or(Refusal::BelowFloor)?;
        let row = TicketRow { renewed: self.stamp.time(), ..row };
        self.tables.put_ticket(&TicketKept { row, nonce })?;
        Ok(Answer::Done)
    }

    pub(super) fn end_ticket(&mut self, id: TicketId) -> Result<Answer, Stop> {
        self.tables.delete_ticket(id)?;
        self.follow_floor()?;
        Ok(Answer::Done)
    }

    pub(super) fn expire_tickets(&mut self, idle_us_max: u64) -> Result<Answer, Stop> {
        for ticket in self.tables.tickets()? {
            if ticket.row.renewed.0.saturating_add(idle_us_max) < self.stamp.time().0 {
                self.tables.delete_ticket(ticket.row.id)?;
            }
        }
        Ok(Answer::Floor(self.follow_floor()?))
    }

    /// Raises the system range's own floor to the lowest live ticket.
    fn follow_floor(&mut self) -> Result<TicketId, Stop> {
        let floor = match self.tables.lowest_ticket()? {
            Some(ticket) => ticket,
            None => self.tables.counters()?.next_ticket,
        };
        self.raise_floor(floor)?;
        Ok(floor)
    }

    pub(super) fn raise_floor(&mut self, floor: TicketId) -> Result<Answer, Stop> {
        if floor > self.floor() {
            self.memory.range_mut(self.range).floor = floor;
            self.memory.answers.forget_below(self.tables, self.range, floor)?;
            self.tables.forget_discarded_below(self.range, floor)?;
            self.memory.any_discarded = self.tables.any_discarded()?;
        }
        Ok(Answer::Done)
    }
}
