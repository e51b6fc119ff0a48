//! Whether one subject's history could be that of a single copy on which operations happen one at a time.
//!
//! Wing and Gong's search (Testing and verifying concurrent objects, 1993) with Lowe's memory of configurations that
//! were tried: an operation may come next if none that is left was answered before it began. One of unknown outcome may
//! come at any time after its beginning, or never.

use std::collections::HashSet;

use crate::history::{Operation, Outcome, Record, ValueId};

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

/// What a subject holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum State {
    /// A bucket that isn't there.
    NoBucket,
    /// No object.
    Empty,
    /// An object of these bytes.
    Holds(ValueId),
}

/// Searches the history of a subject: a key's, whose bucket is always there, or a bucket's, which begins without.
pub fn check(records: &[Record], is_bucket: bool, configurations_max: usize) -> Verdict {
    let start = if is_bucket { State::NoBucket } else { State::Empty };
    Search::new(records).run(start, configurations_max)
}

/// What becomes of `state` if the operation happens now and is answered so; `None`: it cannot be.
fn step(state: State, operation: Operation, outcome: Outcome) -> Option<State> {
    use Operation::{CreateBucket, Delete, DeleteBucket, Get, Put, PutNew, PutOver};
    let there = state != State::NoBucket;
    match (operation, outcome) {
        (Put(value), Outcome::Done) => there.then_some(State::Holds(value)),
        (PutNew(value), Outcome::Done) => (state == State::Empty).then_some(State::Holds(value)),
        (PutNew(_), Outcome::PreconditionFailed) => matches!(state, State::Holds(_)).then_some(state),
        (PutOver(old, value), Outcome::Done) => (state == State::Holds(old)).then_some(State::Holds(value)),
        (PutOver(old, _), Outcome::PreconditionFailed) => {
            (matches!(state, State::Holds(_)) && state != State::Holds(old)).then_some(state)
        }
        (PutOver(..) | Get, Outcome::Absent) => (state == State::Empty).then_some(state),
        (Get, Outcome::Found(value)) => (state == State::Holds(value)).then_some(state),
        (Delete, Outcome::Done) => there.then_some(State::Empty),
        (CreateBucket, Outcome::Done) => (!there).then_some(State::Empty),
        (CreateBucket, Outcome::BucketExists) => there.then_some(state),
        (DeleteBucket, Outcome::Done) => (state == State::Empty).then_some(State::NoBucket),
        (DeleteBucket, Outcome::BucketNotEmpty) => matches!(state, State::Holds(_)).then_some(state),
        (_, Outcome::NoBucket) => (!there).then_some(state),
        _ => None,
    }
}

/// What an operation of unknown outcome does if it happens now; `None`: nothing, so it need not be tried.
fn effect(state: State, operation: Operation) -> Option<State> {
    step(state, operation, Outcome::Done).filter(|after| *after != state)
}

struct Search<'a> {
    records: Vec<(usize, &'a Record)>,
    /// Which are in the order, a bit each.
    taken: Vec<u64>,
    /// The order, with the state before each.
    order: Vec<(usize, State)>,
    seen: HashSet<(Vec<u64>, State)>,
    left: usize,
}

impl<'a> Search<'a> {
    fn new(records: &'a [Record]) -> Self {
        // What was not answered and has no effect says nothing.
        let told = |record: &Record| record.answered.is_some() || record.operation != Operation::Get;
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
            if let Some((at, after)) = self.next(state, from) {
                self.take(at, state);
                state = after;
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
    fn next(&mut self, state: State, from: usize) -> Option<(usize, State)> {
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
                Some(_) => step(state, record.operation, record.outcome),
                None => effect(state, record.operation),
            };
            let Some(after) = after else { continue };
            let mut taken = self.taken.clone();
            taken[at / 64] |= 1 << (at % 64);
            if self.seen.insert((taken, after)) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Subject;
    use std::time::Duration;

    /// An operation from one moment to another; without the other, of unknown outcome.
    fn record(operation: Operation, from: u64, to: Option<u64>, outcome: Outcome) -> Record {
        let subject = Subject::Key("key".to_owned());
        let time = (Duration::ZERO, None);
        Record { client: 0, subject, operation, listed: false, invoked: from, answered: to, outcome, time }
    }

    fn done(operation: Operation, from: u64, to: u64) -> Record {
        record(operation, from, Some(to), Outcome::Done)
    }

    fn found(value: ValueId, from: u64, to: u64) -> Record {
        record(Operation::Get, from, Some(to), Outcome::Found(value))
    }

    fn absent(from: u64, to: u64) -> Record {
        record(Operation::Get, from, Some(to), Outcome::Absent)
    }

    fn unknown(operation: Operation, from: u64) -> Record {
        record(operation, from, None, Outcome::Unknown)
    }

    fn is_good(mut records: Vec<Record>, is_bucket: bool) -> bool {
        records.sort_by_key(|record| record.invoked);
        match check(&records, is_bucket, CONFIGURATIONS_MAX) {
            Verdict::Linearizable => true,
            Verdict::Violation(_) => false,
            Verdict::Undecided => panic!("so few operations are decided"),
        }
    }

    #[test]
    fn good_histories_are_found_good() {
        use Operation::{Delete, Put, PutNew, PutOver};
        let good = [
            vec![],
            vec![absent(1, 2), done(Put(1), 3, 4), found(1, 5, 6), done(Delete, 7, 8), absent(9, 10)],
            // While a PUT runs, either may be read; the old one even by who asks second, of two at the same time.
            vec![done(Put(1), 1, 2), done(Put(2), 3, 10), found(2, 4, 7), found(1, 5, 6), found(2, 8, 9)],
            // An unknown outcome may show late, or never, and between others.
            vec![unknown(Put(1), 1), absent(2, 3), done(Put(2), 4, 5), found(1, 6, 7)],
            vec![unknown(Delete, 1), done(Put(2), 4, 5), found(2, 6, 7), absent(8, 9)],
            vec![unknown(Put(1), 1), absent(20, 21)],
            // Conditions.
            vec![done(PutNew(1), 1, 4), record(PutNew(2), 2, Some(3), Outcome::PreconditionFailed)],
            vec![done(Put(1), 1, 2), done(PutOver(1, 2), 3, 4), found(2, 5, 6)],
            vec![record(PutOver(1, 2), 1, Some(2), Outcome::Absent)],
            vec![unknown(Put(7), 1), record(PutNew(2), 2, Some(3), Outcome::PreconditionFailed), found(7, 4, 5)],
        ];
        for (number, history) in good.into_iter().enumerate() {
            assert!(is_good(history, false), "good history {number}");
        }
    }

    #[test]
    fn bad_histories_are_found_bad() {
        use Operation::{Delete, Put, PutNew, PutOver};
        let failed = Outcome::PreconditionFailed;
        let bad = [
            // A lost write, a stale read, a value from nowhere, one that came back.
            vec![done(Put(1), 1, 2), absent(3, 4)],
            vec![done(Put(1), 1, 2), done(Put(2), 3, 4), found(1, 5, 6)],
            vec![found(1, 1, 2)],
            vec![done(Put(1), 1, 2), done(Delete, 3, 4), found(1, 5, 6)],
            // Two reads one after the other, in the wrong order, while a PUT runs.
            vec![done(Put(1), 1, 2), done(Put(2), 3, 10), found(2, 4, 5), found(1, 6, 7)],
            // Two winners; a 412 without an object; a 412 for the object that it names.
            vec![done(PutNew(1), 1, 4), done(PutNew(2), 2, 3)],
            vec![record(PutNew(2), 2, Some(3), failed)],
            vec![done(Put(1), 1, 2), record(PutOver(1, 2), 3, Some(4), failed)],
            vec![done(Put(1), 1, 2), done(PutOver(1, 2), 3, 6), done(PutOver(1, 3), 4, 5)],
            // A retry that was refused for its own success.
            vec![record(PutNew(1), 1, Some(2), failed), found(1, 3, 4)],
            // A write that took effect twice.
            vec![done(Put(1), 1, 2), found(1, 3, 4), done(Put(2), 5, 6), found(2, 7, 8), found(1, 9, 10)],
            vec![unknown(Put(1), 1), found(1, 3, 4), done(Put(2), 5, 6), found(2, 7, 8), found(1, 9, 10)],
        ];
        for (number, history) in bad.into_iter().enumerate() {
            assert!(!is_good(history, false), "bad history {number}");
        }
    }

    #[test]
    fn buckets_come_and_go_with_what_is_in_them() {
        use Operation::{CreateBucket, Delete, DeleteBucket, Put};
        let not_empty = |from, to| record(DeleteBucket, from, Some(to), Outcome::BucketNotEmpty);
        let made = || done(CreateBucket, 1, 2);
        assert!(is_good(vec![made(), done(Put(1), 3, 4), not_empty(5, 6), found(1, 7, 8)], true));
        assert!(is_good(vec![made(), done(Put(1), 3, 4), done(Delete, 5, 6), done(DeleteBucket, 7, 8)], true));
        assert!(is_good(vec![made(), done(DeleteBucket, 3, 9), record(Put(1), 4, Some(5), Outcome::NoBucket)], true));
        assert!(!is_good(vec![made(), done(DeleteBucket, 3, 9), done(Put(1), 4, 5)], true), "it was not empty");
        assert!(!is_good(vec![made(), done(Put(1), 3, 4), done(DeleteBucket, 5, 6)], true));
        assert!(!is_good(vec![done(Put(1), 3, 4)], true), "there was no bucket");
        let again = vec![made(), done(DeleteBucket, 3, 4), done(CreateBucket, 5, 6), found(1, 7, 8)];
        assert!(!is_good(again, true), "a new bucket is empty");
    }

    #[test]
    fn too_many_orders_are_given_up() {
        let many: Vec<Record> = (0..40).map(|number| unknown(Operation::Put(number), number)).collect();
        let impossible = found(1_000, 100, 101);
        let records: Vec<Record> = many.into_iter().chain([impossible]).collect();
        assert_eq!(check(&records, false, 1_000), Verdict::Undecided);
    }
}
