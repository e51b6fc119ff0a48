//! Whether one subject's history could be that of a single copy on which operations happen one at a time.
//!
//! Wing and Gong's search (Testing and verifying concurrent objects, 1993) with Lowe's memory of configurations that
//! were tried: an operation may come next if none that is left was answered before it began. One of unknown outcome may
//! come at any time after its beginning, or never.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::history::{Record, Subject};
use crate::model::State;

/// Configurations after which the search gives up.
pub const CONFIGURATIONS_MAX: usize = 2_000_000;

/// What a search comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Some order explains all answers.
    Linearizable,
    /// No order does; the longest that could be explained, as positions in the history.
    Violation(Vec<usize>),
    /// There are too many.
    Undecided,
}

/// Searches the history of a subject.
pub fn check(records: &[Record], subject: &Subject, configurations_max: usize) -> Verdict {
    Search::new(records).run(State::first(subject), configurations_max)
}

struct Search<'a> {
    records: Vec<(usize, &'a Record)>,
    /// Which are in the order, a bit each.
    taken: Vec<u64>,
    /// The order, with the state before each.
    order: Vec<(usize, State)>,
    /// Names of the configurations that were tried: what is in the order, and the state.
    seen: HashSet<[u64; 2]>,
    left: usize,
}

impl<'a> Search<'a> {
    fn new(records: &'a [Record]) -> Self {
        // What was not answered and has no effect says nothing.
        let told = |record: &Record| record.answered.is_some() || record.operation.is_write();
        let records: Vec<(usize, &Record)> = records.iter().enumerate().filter(|(_, record)| told(record)).collect();
        let left = records.iter().filter(|(_, record)| record.answered.is_some()).count();
        Self { taken: vec![0; records.len().div_ceil(64)], records, order: Vec::new(), seen: HashSet::new(), left }
    }

    fn run(mut self, start: State, configurations_max: usize) -> Verdict {
        let (mut state, mut from, mut longest) = (start, 0, Vec::new());
        loop {
            if self.left == 0 {
                return Verdict::Linearizable;
            }
            if self.seen.len() > configurations_max {
                return Verdict::Undecided;
            }
            if let Some((at, after)) = self.next(&state, from) {
                self.take(at, std::mem::replace(&mut state, after));
                from = 0;
                if self.order.len() > longest.len() {
                    longest = self.order.iter().map(|(at, _)| self.records[*at].0).collect();
                }
            } else if let Some((at, before)) = self.order.pop() {
                self.give_back(at);
                state = before;
                from = at + 1;
            } else {
                return Verdict::Violation(longest);
            }
        }
    }

    /// The next operation from `from` on that may come now and leads to where the search has not been.
    fn next(&mut self, state: &State, from: usize) -> Option<(usize, State)> {
        let answered = |at: usize| self.records[at].1.answered.filter(|_| !self.is_taken(at));
        let deadline = (0..self.records.len()).filter_map(answered).min().unwrap_or(u64::MAX);
        for at in from..self.records.len() {
            let record = self.records[at].1;
            if record.invoked > deadline {
                break;
            }
            if self.is_taken(at) {
                continue;
            }
            let after = match record.answered {
                Some(_) => state.step(record.operation, record.outcome),
                None => state.effect(record.operation),
            };
            let Some(after) = after else { continue };
            let mut taken = self.taken.clone();
            taken[at / 64] |= 1 << (at % 64);
            if self.seen.insert(name_of(&taken, &after)) {
                return Some((at, after));
            }
        }
        None
    }

    fn is_taken(&self, at: usize) -> bool {
        self.taken[at / 64] & (1 << (at % 64)) != 0
    }

    fn take(&mut self, at: usize, before: State) {
        self.taken[at / 64] |= 1 << (at % 64);
        self.order.push((at, before));
        self.left -= usize::from(self.records[at].1.answered.is_some());
    }

    fn give_back(&mut self, at: usize) {
        self.taken[at / 64] &= !(1 << (at % 64));
        self.left += usize::from(self.records[at].1.answered.is_some());
    }
}

/// Names a configuration in so many bits that no two of some millions have the same name.
fn name_of(taken: &[u64], state: &State) -> [u64; 2] {
    [0_u8, 1].map(|salt| {
        let mut hasher = DefaultHasher::new();
        (salt, taken, state).hash(&mut hasher);
        hasher.finish()
    })
}

#[cfg(test)]
mod tests;
