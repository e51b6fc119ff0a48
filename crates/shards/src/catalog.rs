//! The index of a disk as its users see it: recent entries in memory over those in SQLite, and the accounts of the
//! segments.
//!
//! Invariants. Only records that are durable are in it. One change is published under one lock, entries and accounts
//! together, so a flush writes a state that a replay of the segments' tails completes exactly. A layer that is being
//! flushed is dropped only after SQLite has committed it, and readers ask memory first, so no entry is ever out of
//! sight.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::RwLock;
use types::{PlacementGroupId, TicketId};

use crate::ShardAddress;
use crate::accounts::{Accounts, SegmentAccount};
use crate::database::{Database, FlushSet, IndexFailure, Punch, StoredState};
use crate::layer::{GoneRuns, Layer, Lookup, RunKey, run_of};
use crate::location::{Location, Place};
use crate::segment::{SegmentId, SegmentIdentity, SegmentKind};

/// Where a shard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Here.
    Live(Place),
    /// It was freed.
    Gone,
    /// It isn't on this disk.
    Missing,
}

/// One change, durable already.
#[derive(Debug)]
pub(crate) enum Effect {
    /// A record was written.
    Put {
        address: ShardAddress,
        location: Location,
        /// The record whose place it takes.
        replaced: Option<Location>,
    },
    /// A run was freed.
    Kill {
        run: RunKey,
        /// The tombstone's sequence number.
        below: u64,
        /// All shards of it.
        killed: Vec<(ShardAddress, Location)>,
    },
}

/// What has come out of a flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flushed {
    /// Whether what had been published before the call is now in SQLite durably.
    pub(crate) durable: bool,
}

/// The index of a disk.
#[derive(Debug)]
pub(crate) struct Catalog {
    database: Database,
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    recent: Layer,
    /// What a flush is writing, or has failed to write.
    flushing: Option<Arc<FlushSet>>,
    flushes: u64,
    accounts: Accounts,
    punches: BTreeMap<(SegmentId, u64), Punch>,
    published_seq: u64,
    /// Whether SQLite says all that the segments' scanned parts say.
    complete: bool,
    tails: HashMap<(PlacementGroupId, TicketId), Option<u64>>,
    gone: GoneRuns,
}

/// More tickets than these are asked for in SQLite again.
const TAILS_MAX: usize = 4096;

impl Catalog {
    /// Begins with what SQLite held; `complete` is false while a scan makes it anew.
    pub(crate) fn new(database: Database, stored: StoredState, complete: bool) -> Self {
        let punches = stored.punches.into_iter().map(|punch| ((punch.segment, punch.offset), punch)).collect();
        let state = State {
            recent: Layer::default(),
            flushing: None,
            flushes: 0,
            accounts: Accounts::new(stored.segments),
            punches,
            published_seq: stored.seq,
            complete,
            tails: HashMap::new(),
            gone: GoneRuns::default(),
        };
        Self { database, state: RwLock::new(state) }
    }

    /// Where a shard is.
    pub(crate) fn find(&self, address: &ShardAddress) -> Result<Finding, IndexFailure> {
        let known_in_memory = {
            let state = self.state.read();
            match state.find(address) {
                Lookup::Live(location) => Some(state.place(location)),
                Lookup::Freed => return Ok(Finding::Gone),
                Lookup::Unknown => None,
            }
        };
        if let Some(place) = known_in_memory {
            return Ok(place.map_or(Finding::Missing, Finding::Live));
        }
        let found = self.database.find(address)?;
        let state = self.state.read();
        Ok(match found.and_then(|location| state.place(location)) {
            Some(place) => Finding::Live(place),
            None if state.gone.contains(run_of(address)) => Finding::Gone,
            None => Finding::Missing,
        })
    }

    /// Where a shard is, for the one thread that publishes. Seldom asks SQLite: most runs are younger than all that
    /// was flushed.
    pub(crate) fn find_location(&self, address: &ShardAddress) -> Result<Option<Location>, IndexFailure> {
        match self.state.read().find(address) {
            Lookup::Live(location) => return Ok(Some(location)),
            Lookup::Freed => return Ok(None),
            Lookup::Unknown => {}
        }
        if self.may_be_flushed(run_of(address))? { self.database.find(address) } else { Ok(None) }
    }

    /// All shards of a run.
    pub(crate) fn run_shards(&self, run: RunKey) -> Result<Vec<(ShardAddress, Location)>, IndexFailure> {
        let flushed = self.may_be_flushed(run)?;
        // Held while SQLite is asked, so that no flush ends in between.
        let state = self.state.read();
        let mut shards: BTreeMap<_, _> =
            if flushed { self.database.run_shards(run)?.into_iter().collect() } else { BTreeMap::new() };
        for layer in state.layers_from_old() {
            if layer.freed.contains(&run) {
                shards.clear();
            }
            shards.extend(layer.run_shards(run));
        }
        Ok(shards.into_iter().collect())
    }

    /// Up to `limit` shards after `after`, in order.
    pub(crate) fn shards_after(
        &self,
        after: Option<ShardAddress>,
        limit: usize,
    ) -> Result<Vec<(ShardAddress, Location)>, IndexFailure> {
        // Held while SQLite is asked, so that no flush ends in between.
        let state = self.state.read();
        let mut shards = BTreeMap::new();
        let mut cursor = after;
        loop {
            let page = self.database.shards_after(cursor, limit)?;
            let last = page.last().map(|(address, _)| *address);
            let ended = page.len() < limit;
            shards.extend(page.into_iter().filter(|(address, _)| state.find(address) == Lookup::Unknown));
            if ended || shards.len() >= limit {
                break;
            }
            cursor = last;
        }
        if let Some(flushing) = &state.flushing {
            let unmasked = flushing.layer.shards_after(after);
            shards.extend(unmasked.filter(|(address, _)| state.recent.find(address) == Lookup::Unknown).take(limit));
        }
        shards.extend(state.recent.shards_after(after).take(limit));
        Ok(shards.into_iter().take(limit).collect())
    }

    /// Whether SQLite may know shards of a run: only if the run is not above the highest of its ticket there.
    fn may_be_flushed(&self, (group, run): RunKey) -> Result<bool, IndexFailure> {
        let before = {
            let state = self.state.read();
            if let Some(highest) = state.tails.get(&(group, run.ticket)) {
                return Ok(highest.is_some_and(|highest| run.tail <= highest));
            }
            (state.flushing.is_none(), state.flushes)
        };
        let highest = self.database.highest_tail(group, run.ticket)?;
        let mut state = self.state.write();
        // What was read while a flush was under way may be old by now.
        if before == (true, state.flushes) && state.flushing.is_none() {
            if state.tails.len() >= TAILS_MAX {
                state.tails.clear();
            }
            state.tails.insert((group, run.ticket), highest);
        } else {
            return Ok(true);
        }
        Ok(highest.is_some_and(|highest| run.tail <= highest))
    }

    /// Publishes what a batch has made durable: records up to `seq`, in `segment` up to `tail`.
    pub(crate) fn publish(&self, effects: Vec<Effect>, segment: SegmentId, tail: u64, seq: u64) {
        self.publish_with_tombstones(effects, segment, tail, seq, 0);
    }

    /// The same for a batch with so many bytes of tombstones.
    pub(crate) fn publish_with_tombstones(
        &self,
        effects: Vec<Effect>,
        segment: SegmentId,
        tail: u64,
        seq: u64,
        tombstone_bytes: u64,
    ) {
        let mut state = self.state.write();
        for effect in effects {
            state.apply(effect);
        }
        state.accounts.advance(segment, tail);
        if tombstone_bytes > 0 {
            state.accounts.add_tombstones(segment, tombstone_bytes);
        }
        state.published_seq = state.published_seq.max(seq);
    }

    /// Applies a tombstone that a scan found: like [`Effect::Kill`], but younger records of the run stay.
    pub(crate) fn replay_kill(&self, run: RunKey, below: u64) -> Result<(), IndexFailure> {
        let (killed, younger): (Vec<_>, Vec<_>) =
            self.run_shards(run)?.into_iter().partition(|(_, location)| location.seq < below);
        let mut state = self.state.write();
        if killed.is_empty() {
            state.gone.remember(run);
            return Ok(());
        }
        state.apply(Effect::Kill { run, below, killed });
        // The kill hides all of the run that older layers hold.
        state.recent.shards.extend(younger);
        Ok(())
    }

    /// Writes what was published into SQLite and makes it durable. One caller at a time.
    ///
    /// After [`IndexFailure::Full`] everything is still known and the next call tries again.
    pub(crate) fn flush(&self) -> Result<Flushed, IndexFailure> {
        // What an earlier call failed to write comes first, then what has been published since.
        let left_over = self.state.read().flushing.clone();
        if let Some(set) = left_over {
            self.write(&set)?;
        }
        let set = self.begin_flush();
        self.write(&set)?;
        Ok(Flushed { durable: self.database.checkpoint()? })
    }

    fn write(&self, set: &FlushSet) -> Result<(), IndexFailure> {
        self.database.write(set)?;
        self.state.write().flushing = None;
        Ok(())
    }

    fn begin_flush(&self) -> Arc<FlushSet> {
        let mut state = self.state.write();
        state.flushes += 1;
        let set = Arc::new(FlushSet {
            layer: std::mem::take(&mut state.recent),
            segments: state.accounts.take_changed(),
            removed: state.accounts.take_removed(),
            punches: state.punches.values().copied().collect(),
            seq: state.published_seq,
            complete: state.complete,
        });
        for address in set.layer.shards.keys() {
            // Raised before SQLite has them: too high a bound only costs a question.
            if let Some(highest) = state.tails.get_mut(&(address.group, address.run.ticket)) {
                *highest = (*highest).max(Some(address.run.tail));
            }
        }
        state.flushing = Some(Arc::clone(&set));
        set
    }

    /// Entries that are in memory alone.
    pub(crate) fn unflushed(&self) -> usize {
        let state = self.state.read();
        state.recent.len() + state.flushing.as_ref().map_or(0, |set| set.layer.len())
    }

    /// Counts SQLite as complete from the next flush on.
    pub(crate) fn set_complete(&self) {
        self.state.write().complete = true;
    }

    /// Notes that every record up to `seq` is known and durable.
    pub(crate) fn raise_seq(&self, seq: u64) {
        let mut state = self.state.write();
        state.published_seq = state.published_seq.max(seq);
    }

    /// The highest sequence number published.
    pub(crate) fn published_seq(&self) -> u64 {
        self.state.read().published_seq
    }

    /// Dead records of large segments that may not be punched out yet.
    pub(crate) fn punches(&self) -> Vec<Punch> {
        self.state.read().punches.values().copied().collect()
    }

    /// Notes a dead record that is to be punched out.
    pub(crate) fn add_punch(&self, punch: Punch) {
        self.state.write().punches.insert((punch.segment, punch.offset), punch);
    }

    /// Notes that records were punched out durably.
    pub(crate) fn remove_punches(&self, punches: &[Punch]) {
        let mut state = self.state.write();
        for punch in punches {
            state.punches.remove(&(punch.segment, punch.offset));
        }
    }

    /// Whether a record that a tombstone kills could still be found by a scan once the segment `going` is gone;
    /// `named` are the small segments that it names.
    pub(crate) fn needs_tombstone(&self, named: &[(SegmentId, u64)], going: SegmentId) -> bool {
        let state = self.state.read();
        let in_use = |(id, generation): &(SegmentId, u64)| {
            *id != going && state.accounts.get(*id).is_some_and(|account| account.identity.generation == *generation)
        };
        // Large records may not be punched out yet, and an older copy of a small one may lie where nobody named it.
        named.iter().any(in_use)
            || !state.punches.is_empty()
            || state.accounts.iter().any(|account| account.shadows && account.identity.id != going)
    }

    /// Looks at the accounts.
    pub(crate) fn with_accounts<T>(&self, look: impl FnOnce(&Accounts) -> T) -> T {
        look(&self.state.read().accounts)
    }

    /// Changes the accounts.
    pub(crate) fn change_accounts<T>(&self, change: impl FnOnce(&mut Accounts) -> T) -> T {
        change(&mut self.state.write().accounts)
    }

    /// The segment of this id now.
    pub(crate) fn segment(&self, id: SegmentId) -> Option<SegmentIdentity> {
        self.with_accounts(|accounts| accounts.get(id).map(|account| account.identity))
    }

    /// Takes a segment out, whose punches then don't matter any more.
    pub(crate) fn remove_segment(&self, id: SegmentId) -> Option<SegmentAccount> {
        let mut state = self.state.write();
        state.punches.retain(|(segment, _), _| *segment != id);
        state.accounts.remove(id)
    }
}

impl State {
    fn find(&self, address: &ShardAddress) -> Lookup {
        match (self.recent.find(address), &self.flushing) {
            (Lookup::Unknown, Some(flushing)) => flushing.layer.find(address),
            (found, _) => found,
        }
    }

    fn layers_from_old(&self) -> impl Iterator<Item = &Layer> {
        self.flushing.as_ref().map(|set| &set.layer).into_iter().chain([&self.recent])
    }

    /// `None` where the segment is gone, which a damaged index may name.
    fn place(&self, location: Location) -> Option<Place> {
        self.accounts.get(location.segment).map(|account| Place { location, segment: account.identity })
    }

    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Put { address, location, replaced } => {
                if let Some(old) = replaced {
                    self.bury(&old, location.seq, true);
                }
                self.recent.shards.insert(address, location);
                self.accounts.credit(&location);
            }
            Effect::Kill { run, below, killed } => {
                let mut known_elsewhere = false;
                for (address, location) in killed {
                    self.bury(&location, below, false);
                    known_elsewhere |= self.recent.shards.remove(&address).is_none();
                }
                // An entry that SQLite never saw needs no row to be deleted; but one in the layer that is being flushed
                // may hide behind one of the recent layer.
                if known_elsewhere || self.flushed_layer_knows(run) {
                    self.recent.freed.insert(run);
                }
                self.gone.remember(run);
            }
        }
    }

    fn flushed_layer_knows(&self, run: RunKey) -> bool {
        let (group, id) = run;
        // `None`: never asked, so SQLite may know it.
        let sqlite_may = self.tails.get(&(group, id.ticket)).is_none_or(|highest| *highest >= Some(id.tail));
        sqlite_may || self.flushing.as_ref().is_some_and(|set| set.layer.run_shards(run).next().is_some())
    }

    fn bury(&mut self, location: &Location, below: u64, superseded: bool) {
        let Some(kind) = self.accounts.debit(location, superseded) else { return };
        if kind == SegmentKind::Large {
            let punch =
                Punch { segment: location.segment, offset: location.offset, bytes: location.record_bytes(kind), below };
            self.punches.insert((location.segment, location.offset), punch);
        }
    }
}
