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

    /// Whether a range may be begun here blank: this node has none of its places, neither by a split here that has made it,
    /// and whose group is about to start where that left it, nor by another range, which has yet to apply that split.
    pub(crate) fn may_begin_blank(&self, comes: &RangeDescriptor) -> bool {
        // In one look: a split in between would be seen by neither of two.
        let known = self.descriptors.read();
        known.all().all(|known| known.id != comes.id && !known.interval.overlaps(&comes.interval))
    }

    /// Whether a range has the key that a lookup is about.
    pub(crate) fn has(&self, range: RangeId, query: &Query) -> bool {
        let Some((bucket, key)) = query.key() else { return true };
        let known = self.descriptors.read();
        // Until it is split, a range has everything.
        known.get(range).is_none_or(|range| range.epoch.0 == 0 || range.interval.contains(&index::place(bucket, key)))
    }
}

#[cfg(test)]
mod tests {
    use types::{RangeInterval, SplitEpoch};

    use super::*;

    fn range(id: u64, epoch: u64, interval: RangeInterval) -> RangeDescriptor {
        RangeDescriptor { id: RangeId(id), interval, epoch: SplitEpoch(epoch) }
    }

    /// A leader may ask for a range in the moment in which this node has applied the split that makes it, and has not
    /// started its group yet.
    #[test]
    fn a_range_that_a_split_has_made_here_is_not_begun_blank() {
        let known = KnownRanges::new(mpsc::unbounded_channel().0);
        let (lower, upper) = RangeInterval::WHOLE.split(b"m").expect("both have places");
        let child = range(2, 1, upper);
        assert!(known.may_begin_blank(&child), "nothing is here");
        known.set([range(1, 0, RangeInterval::WHOLE)]);
        assert!(!known.may_begin_blank(&child), "the split is yet to come");
        known.set([range(1, 1, lower), child.clone()]);
        assert!(!known.may_begin_blank(&child), "the split has made it");
        assert_eq!(known.overlapping(&child), None);
    }
}
