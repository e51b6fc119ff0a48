//! What is kept in memory of one group's log: where each entry lies, and the newest entries themselves.

use std::collections::VecDeque;
use std::ops::Range;

use crate::encoding::{GroupState, MalformedError};
use crate::raft_types::{Entry, LogId, log_id, term_of};

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Location {
    /// The segment's number.
    pub(super) segment: u64,
    /// Where the record begins.
    pub(super) offset: u32,
    /// Its length with its header.
    pub(super) bytes: u32,
}

/// Names one append of one entry, so that a location found later can't be given to what replaced it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token(pub(super) u64);

#[derive(Debug)]
struct Slot {
    term: u64,
    token: Token,
    /// `None` until it is written.
    location: Option<Location>,
}

/// An entry that was asked for.
#[derive(Debug)]
pub(super) enum Found {
    /// In memory.
    Cached(Entry),
    /// On disk.
    At(LogId, Location),
}

/// One group's log: entries without a hole from just above what was purged.
#[derive(Debug, Default)]
pub(super) struct GroupLog {
    /// Vote, purged and committed, as openraft last set them.
    pub(super) state: GroupState,
    /// The index of the first slot; of the next entry where there are none.
    first: u64,
    slots: VecDeque<Slot>,
    /// The newest entries, in order up to the last.
    cache: VecDeque<Entry>,
    cached_bytes: usize,
}

impl GroupLog {
    /// The last entry, or what was purged last.
    pub(super) fn last_log_id(&self) -> Option<LogId> {
        match self.slots.back() {
            Some(slot) => Some(log_id(slot.term, self.next() - 1)),
            None => self.state.purged,
        }
    }

    /// Adds an entry that is yet to be written, and lets the oldest written ones go from memory above `cache_bytes`.
    ///
    /// # Errors
    /// It would leave a hole.
    pub(super) fn append(&mut self, entry: Entry, token: Token, cache_bytes: usize) -> Result<(), MalformedError> {
        self.push(&entry.log_id, token, None)?;
        self.cached_bytes += cost(&entry);
        self.cache.push_back(entry);
        while self.cached_bytes > cache_bytes && self.oldest_cached_is_written() {
            self.forget_oldest();
        }
        Ok(())
    }

    /// Adds an entry that was found on disk; one that was purged before is passed over.
    pub(super) fn recover(&mut self, id: &LogId, location: Location) -> Result<(), MalformedError> {
        if self.state.purged.is_some_and(|purged| id.index <= purged.index) {
            return Ok(());
        }
        if self.slots.is_empty() {
            // What was before it may lie in a removed segment; that it was purged then is said by a later record.
            self.first = id.index;
        }
        self.push(id, Token(0), Some(location))
    }

    /// Notes where an entry was written, if it is still the one that was appended under `token`.
    pub(super) fn locate(&mut self, index: u64, token: Token, location: Location) {
        if let Some(slot) = self.slot_mut(index).filter(|slot| slot.token == token) {
            slot.location = Some(location);
        }
    }

    /// Whether the entry at `index` is written, or was and is purged.
    pub(super) fn is_written(&self, index: u64) -> bool {
        let slot = index.checked_sub(self.first).map(|at| usize::try_from(at).expect("slots are in memory"));
        slot.is_none_or(|at| self.slots.get(at).is_some_and(|slot| slot.location.is_some()))
    }

    /// Takes away the entries from `first_removed` on.
    pub(super) fn truncate(&mut self, first_removed: u64) {
        while self.next() > first_removed && self.slots.pop_back().is_some() {
            if let Some(entry) = self.cache.pop_back() {
                self.cached_bytes -= cost(&entry);
            }
        }
    }

    /// Takes away the entries up to `upto`; where that is beyond the last, all, and the next entry follows it.
    pub(super) fn purge(&mut self, upto: LogId) {
        if self.state.purged.is_none_or(|purged| purged.index < upto.index) {
            self.state.purged = Some(upto);
        }
        while self.first <= upto.index && self.slots.pop_front().is_some() {
            self.first += 1;
            if self.cache.len() > self.slots.len() {
                self.forget_oldest();
            }
        }
        if self.slots.is_empty() {
            self.first = self.first.max(upto.index + 1);
        }
    }

    /// The entries of `range` that are there.
    pub(super) fn get(&self, range: Range<u64>) -> Vec<Found> {
        let start = range.start.max(self.first);
        let end = range.end.min(self.next());
        (start..end).map(|index| self.found(index)).collect()
    }

    /// The last id of each term in `range`.
    pub(super) fn term_ends(&self, range: Range<u64>) -> Vec<LogId> {
        let start = range.start.max(self.first);
        let end = range.end.min(self.next());
        let is_end = |index: &u64| index + 1 == end || self.slot(*index).term != self.slot(index + 1).term;
        (start..end).filter(is_end).map(|index| log_id(self.slot(index).term, index)).collect()
    }

    /// The oldest segment that has an entry of the group; `None` when no entry is on disk.
    ///
    /// Entries are written in order, so the first one lies in the oldest.
    pub(super) fn oldest_segment(&self) -> Option<u64> {
        self.slots.front().and_then(|slot| slot.location).map(|location| location.segment)
    }

    /// Checks what was recovered: nothing between what was purged and the first entry may be missing.
    pub(super) fn check_recovered(&mut self) -> Result<(), MalformedError> {
        let expected = self.state.purged.map_or(0, |purged| purged.index + 1);
        if !self.slots.is_empty() && self.first != expected {
            let reason = format!("the first entry is {}, not {expected}", self.first);
            return Err(MalformedError { what: "group log", reason });
        }
        // A committed id may have been noted before its entry was written; without the entry it tells nothing.
        self.state.committed = self.state.committed.min(self.last_log_id());
        Ok(())
    }

    fn next(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    fn push(&mut self, id: &LogId, token: Token, location: Option<Location>) -> Result<(), MalformedError> {
        if self.slots.is_empty() && self.state.purged.is_none() {
            self.first = id.index;
        }
        if id.index != self.next() {
            let reason = format!("entry {} comes where {} is due", id.index, self.next());
            return Err(MalformedError { what: "group log", reason });
        }
        self.slots.push_back(Slot { term: term_of(id), token, location });
        Ok(())
    }

    fn slot(&self, index: u64) -> &Slot {
        let at = usize::try_from(index - self.first).expect("slots are in memory");
        &self.slots[at]
    }

    fn slot_mut(&mut self, index: u64) -> Option<&mut Slot> {
        let at = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.slots.get_mut(at)
    }

    fn found(&self, index: u64) -> Found {
        let cache_first = self.next() - self.cache.len() as u64;
        if index >= cache_first {
            let at = usize::try_from(index - cache_first).expect("the cache is in memory");
            return Found::Cached(self.cache[at].clone());
        }
        let slot = self.slot(index);
        Found::At(log_id(slot.term, index), slot.location.expect("an entry leaves the cache only after it was written"))
    }

    fn oldest_cached_is_written(&self) -> bool {
        let first_cached = self.slots.len() - self.cache.len();
        self.slots.get(first_cached).is_some_and(|slot| slot.location.is_some())
    }

    fn forget_oldest(&mut self) {
        if let Some(entry) = self.cache.pop_front() {
            self.cached_bytes -= cost(&entry);
        }
    }
}

/// Bytes that an entry keeps in memory, about.
pub(super) fn cost(entry: &Entry) -> usize {
    let body = match &entry.payload {
        openraft::EntryPayload::Normal(proposed) => proposed.bytes().len(),
        openraft::EntryPayload::Blank | openraft::EntryPayload::Membership(_) => 64,
    };
    size_of::<Entry>() + body
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use openraft::EntryPayload;

    use super::*;
    use crate::raft_types::Proposed;

    fn entry(term: u64, index: u64) -> Entry {
        let payload = EntryPayload::Normal(Proposed::from_bytes(Bytes::from(vec![0; 1000])));
        Entry { log_id: log_id(term, index), payload }
    }

    fn at(segment: u64) -> Location {
        Location { segment, offset: 4096, bytes: 100 }
    }

    fn filled(terms: &[u64]) -> GroupLog {
        let mut log = GroupLog::default();
        for (index, term) in (0..).zip(terms) {
            log.append(entry(*term, index), Token(index), usize::MAX).expect("in order");
        }
        log
    }

    #[test]
    fn holes_are_refused() {
        let mut log = filled(&[1, 1]);
        assert!(log.append(entry(1, 3), Token(9), 0).is_err());
        assert!(log.append(entry(1, 1), Token(9), 0).is_err());
        assert!(log.append(entry(1, 2), Token(9), 0).is_ok());
    }

    #[test]
    fn only_written_entries_leave_the_cache() {
        let mut log = filled(&[1, 1, 1]);
        log.append(entry(1, 3), Token(3), 0).expect("in order");
        assert!(log.get(0..4).iter().all(|found| matches!(found, Found::Cached(_))));
        log.locate(0, Token(0), at(1));
        log.locate(1, Token(7), at(1));
        log.append(entry(1, 4), Token(4), 0).expect("in order");
        let found = log.get(0..5);
        assert!(matches!(found[0], Found::At(id, place) if id == log_id(1, 0) && place == at(1)));
        assert!(matches!(found[1], Found::Cached(_)), "the wrong token located nothing");
        assert_eq!(log.oldest_segment(), Some(1));
    }

    #[test]
    fn a_location_of_a_replaced_entry_is_not_taken() {
        let mut log = filled(&[1, 1]);
        log.truncate(1);
        assert_eq!(log.last_log_id(), Some(log_id(1, 0)));
        log.append(entry(2, 1), Token(5), usize::MAX).expect("in order");
        log.locate(1, Token(1), at(1));
        log.locate(0, Token(0), at(1));
        log.append(entry(2, 2), Token(6), 0).expect("in order");
        assert!(matches!(&log.get(1..2)[0], Found::Cached(entry) if entry.log_id == log_id(2, 1)));
    }

    #[test]
    fn purging_beyond_the_last_entry_leaves_what_follows_it() {
        let mut log = filled(&[1, 1, 2]);
        log.purge(log_id(1, 1));
        assert_eq!(log.get(0..10).len(), 1);
        assert_eq!(log.last_log_id(), Some(log_id(2, 2)));
        log.purge(log_id(3, 20));
        assert_eq!(log.last_log_id(), Some(log_id(3, 20)));
        assert!(log.append(entry(3, 3), Token(9), 0).is_err());
        assert!(log.append(entry(3, 21), Token(9), 0).is_ok());
    }

    #[test]
    fn term_ends_are_the_last_of_each_term() {
        let log = filled(&[2, 2, 5, 5, 5, 6]);
        assert_eq!(log.term_ends(0..6), vec![log_id(2, 1), log_id(5, 4), log_id(6, 5)]);
        assert_eq!(log.term_ends(1..4), vec![log_id(2, 1), log_id(5, 3)]);
        assert_eq!(log.term_ends(2..3), vec![log_id(5, 2)]);
        assert_eq!(log.term_ends(3..3), Vec::new());
    }

    #[test]
    fn a_gap_above_what_was_purged_is_noticed() {
        let mut log = GroupLog::default();
        log.recover(&log_id(1, 4), at(1)).expect("the first");
        assert!(log.check_recovered().is_err());
        let mut log = GroupLog::default();
        log.recover(&log_id(1, 4), at(1)).expect("the first");
        log.recover(&log_id(1, 5), at(1)).expect("in order");
        log.purge(log_id(1, 4));
        log.state.committed = Some(log_id(1, 9));
        log.check_recovered().expect("entry 5 follows 4");
        assert_eq!(log.state.committed, Some(log_id(1, 5)));
    }
}
