//! Answers kept so that a repeated command gets its first one.
//!
//! A ticket's mark is the number up to which its sender has all answers: below it nothing is kept, and a command with
//! such a number is a late copy that nobody waits for. Above it, every command that was applied has its answer here.

use std::collections::{BTreeMap, HashMap};

use types::{RangeId, RequestId, RequestNumber, TicketId};

use crate::IndexDatabaseError;
use crate::command::{Answer, Refusal};
use crate::tables::Tables;

#[derive(Debug)]
pub(super) struct Answers {
    marks: HashMap<(RangeId, TicketId), Mark>,
    /// Given in this transaction.
    new: BTreeMap<(RangeId, TicketId, RequestNumber), Answer>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    answered: RequestNumber,
    /// The highest number applied: a higher one is certainly new, and needs no look.
    highest: RequestNumber,
    /// Raised in this transaction.
    raised: bool,
}

impl Answers {
    pub(super) fn load(tables: Tables<'_>) -> Result<Self, IndexDatabaseError> {
        let mut marks: HashMap<_, Mark> = HashMap::new();
        let [answered, kept] = tables.request_marks()?;
        for (range, ticket, number) in answered {
            let mark = marks.entry((range, ticket)).or_default();
            (mark.answered, mark.highest) = (number, number);
        }
        for (range, ticket, number) in kept {
            let mark = marks.entry((range, ticket)).or_default();
            mark.highest = mark.highest.max(number);
        }
        Ok(Self { marks, new: BTreeMap::new() })
    }

    /// The answer that the command has had, or, for one below its ticket's mark, a refusal.
    pub(super) fn recall(
        &self,
        tables: Tables<'_>,
        range: RangeId,
        request: RequestId,
    ) -> Result<Option<Answer>, IndexDatabaseError> {
        let Some(mark) = self.marks.get(&(range, request.ticket)) else { return Ok(None) };
        if request.number <= mark.answered {
            return Ok(Some(Answer::Refused(Refusal::BelowFloor)));
        }
        if request.number > mark.highest {
            return Ok(None);
        }
        match self.new.get(&(range, request.ticket, request.number)) {
            Some(answer) => Ok(Some(answer.clone())),
            None => tables.answer(range, request.ticket, request.number),
        }
    }

    /// Keeps the answer, and forgets those up to `answered`.
    pub(super) fn keep(&mut self, range: RangeId, request: RequestId, answered: RequestNumber, answer: &Answer) {
        let mark = self.marks.entry((range, request.ticket)).or_default();
        mark.highest = mark.highest.max(request.number);
        if answered > mark.answered {
            mark.answered = answered;
            mark.highest = mark.highest.max(answered);
            mark.raised = true;
        }
        self.new.insert((range, request.ticket, request.number), answer.clone());
    }

    /// A range that is split off another remembers what that one does. The rows are copied by others.
    pub(super) fn inherit(&mut self, parent: RangeId, child: RangeId) {
        let marks = self.marks.iter().filter(|((of, _), _)| *of == parent);
        let marks: Vec<_> = marks.map(|((_, ticket), mark)| ((child, *ticket), *mark)).collect();
        self.marks.extend(marks);
        let new = self.new.iter().filter(|((of, ..), _)| *of == parent);
        let new: Vec<_> =
            new.map(|((_, ticket, number), answer)| ((child, *ticket, *number), answer.clone())).collect();
        self.new.extend(new);
    }

    /// Forgets tickets below `floor`.
    pub(super) fn forget_below(
        &mut self,
        tables: Tables<'_>,
        range: RangeId,
        floor: TicketId,
    ) -> Result<(), IndexDatabaseError> {
        self.marks.retain(|(of, ticket), _| *of != range || *ticket >= floor);
        self.new.retain(|(of, ticket, _), _| *of != range || *ticket >= floor);
        tables.forget_tickets_below(range, floor)
    }

    pub(super) fn flush(&mut self, tables: Tables<'_>) -> Result<(), IndexDatabaseError> {
        for ((range, ticket), mark) in self.marks.iter_mut().filter(|(_, mark)| mark.raised) {
            tables.put_request_mark(*range, *ticket, mark.answered)?;
            mark.raised = false;
        }
        for ((range, ticket, number), answer) in std::mem::take(&mut self.new) {
            let answered = self.marks.get(&(range, ticket)).map_or(RequestNumber(0), |mark| mark.answered);
            if number > answered {
                tables.put_answer(range, ticket, number, &answer)?;
            }
        }
        Ok(())
    }
}
