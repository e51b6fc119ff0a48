//! Which places the ranges of this node have, as its database has it, in memory.

use index::Query;
use parking_lot::RwLock;
use tokio::sync::mpsc;
use types::{RangeDescriptor, RangeId, RangeMap};

use super::Mark;

/// A range that a split made, and how it begins.
#[derive(Debug)]
pub(crate) struct Born {
    pub(crate) range: RangeId,
    pub(crate) parent: RangeId,
    pub(crate) mark: Mark,
}

/// The ranges of this node. Written by whoever applies, before readers are told that it was applied: who is told that a
/// split is applied sees it here.
#[derive(Debug)]
pub(crate) struct KnownRanges {
    descriptors: RwLock<RangeMap>,
    born: mpsc::UnboundedSender<Born>,
}

impl KnownRanges {
    /// None are known yet. Those that splits make are told of where `born` ends.
    pub(crate) fn new(born: mpsc::UnboundedSender<Born>) -> Self {
        Self { descriptors: RwLock::default(), born }
    }

    /// They are these from now on.
    pub(crate) fn set(&self, descriptors: impl IntoIterator<Item = RangeDescriptor>) {
        *self.descriptors.write() = RangeMap::of(descriptors);
    }

    /// A range was made by a split. Its group is to be started.
    pub(crate) fn tell_of(&self, born: Born) {
        // Nobody starts groups any more where the index is ending.
        let _ = self.born.send(born);
    }

    /// All of them, in order of id.
    pub(crate) fn all(&self) -> Vec<RangeDescriptor> {
        self.descriptors.read().all().cloned().collect()
    }

    /// One of them.
    pub(crate) fn get(&self, range: RangeId) -> Option<RangeDescriptor> {
        self.descriptors.read().get(range).cloned()
    }

    /// Another range of this node that has some of the places of `comes`: it has yet to apply the split between them.
    pub(crate) fn overlapping(&self, comes: &RangeDescriptor) -> Option<RangeId> {
        let known = self.descriptors.read();
        let other = known.all().find(|known| known.id != comes.id && known.interval.overlaps(&comes.interval));
        other.map(|other| other.id)
    }

    /// Whether a range has the key that a lookup is about.
    pub(crate) fn has(&self, range: RangeId, query: &Query) -> bool {
        let Some((bucket, key)) = query.key() else { return true };
        let known = self.descriptors.read();
        // Until it is split, a range has everything.
        known.get(range).is_none_or(|range| range.epoch.0 == 0 || range.interval.contains(&index::place(bucket, key)))
    }
}
