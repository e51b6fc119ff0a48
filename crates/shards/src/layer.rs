//! Recent shards and freed runs that the SQLite index doesn't know yet.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::ops::Bound;

use types::{PlacementGroupId, RunId, TicketId};

use crate::ShardAddress;
use crate::location::Location;

/// A run in its placement group.
pub(crate) type RunKey = (PlacementGroupId, RunId);

/// What was published since the last flush, over everything older.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    /// Shards that are there.
    pub(crate) shards: BTreeMap<ShardAddress, Location>,
    /// Runs that were freed after anything that an older layer or the SQLite index says of them.
    pub(crate) freed: BTreeSet<RunKey>,
}

/// What a layer says of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// It is there.
    Live(Location),
    /// Its run was freed.
    Freed,
    /// Nothing: an older layer may know.
    Unknown,
}

impl Layer {
    pub(crate) fn len(&self) -> usize {
        self.shards.len() + self.freed.len()
    }

    pub(crate) fn find(&self, address: &ShardAddress) -> Lookup {
        if let Some(location) = self.shards.get(address) {
            return Lookup::Live(*location);
        }
        if !self.freed.is_empty() && self.freed.contains(&run_of(address)) {
            return Lookup::Freed;
        }
        Lookup::Unknown
    }

    /// The shards of one run.
    pub(crate) fn run_shards(&self, run: RunKey) -> impl Iterator<Item = (ShardAddress, Location)> {
        let (first, last) = run_range(run);
        self.shards.range(first..=last).map(|(address, location)| (*address, *location))
    }

    /// The shards after `after`, in order.
    pub(crate) fn shards_after(&self, after: Option<ShardAddress>) -> impl Iterator<Item = (ShardAddress, Location)> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.shards.range((start, Bound::Unbounded)).map(|(address, location)| (*address, *location))
    }
}

pub(crate) fn run_of(address: &ShardAddress) -> RunKey {
    (address.group, address.run)
}

/// The lowest and the highest address that a run can have.
pub(crate) fn run_range((group, run): RunKey) -> (ShardAddress, ShardAddress) {
    (ShardAddress { group, run, stripe: 0, shard: 0 }, ShardAddress { group, run, stripe: u32::MAX, shard: u8::MAX })
}

/// The lowest and the highest address that a run of one ticket can have in a group.
pub(crate) fn ticket_range(group: PlacementGroupId, ticket: TicketId) -> (ShardAddress, ShardAddress) {
    let (first, _) = run_range((group, RunId { ticket, tail: 0 }));
    let (_, last) = run_range((group, RunId { ticket, tail: u64::MAX }));
    (first, last)
}

/// The last runs that were freed, so that a reader under way hears Gone and not Missing.
#[derive(Debug, Default)]
pub(crate) struct GoneRuns {
    known: HashSet<RunKey>,
    order: VecDeque<RunKey>,
}

impl GoneRuns {
    /// Older ones are forgotten. One takes some 100 bytes.
    const RUNS_MAX: usize = 8192;

    pub(crate) fn remember(&mut self, run: RunKey) {
        if !self.known.insert(run) {
            return;
        }
        self.order.push_back(run);
        if self.order.len() > Self::RUNS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    pub(crate) fn contains(&self, run: RunKey) -> bool {
        self.known.contains(&run)
    }
}
