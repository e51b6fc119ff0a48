//! Ranges: contiguous stretches of the index, and who knows which of them.
//!
//! A range's interval is over *places*: byte strings that sort as (bucket, key) do (docs/index-schema.md, "Keys").

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{RangeId, SplitEpoch};

/// A stretch of places, from `start` to before `end`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeInterval {
    /// The first place that may be in it; empty: from the beginning.
    pub start: Vec<u8>,
    /// The first place after it; `None`: to the end.
    pub end: Option<Vec<u8>>,
}

impl RangeInterval {
    /// All places.
    pub const WHOLE: Self = Self { start: Vec::new(), end: None };

    /// Whether a place, or any row that has it in front, is in it.
    pub fn contains(&self, place: &[u8]) -> bool {
        self.start.as_slice() <= place && self.end.as_deref().is_none_or(|end| place < end)
    }

    /// Whether some place could be in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let begins_before = |one: &Self, end: &Option<Vec<u8>>| end.as_ref().is_none_or(|end| one.start < *end);
        begins_before(self, &other.end) && begins_before(other, &self.end)
    }

    /// What is before `at` and what is from `at` on; `None` where one of them would be nothing.
    pub fn split(&self, at: &[u8]) -> Option<(Self, Self)> {
        if self.start.as_slice() >= at || !self.contains(at) {
            return None;
        }
        let lower = Self { start: self.start.clone(), end: Some(at.to_vec()) };
        Some((lower, Self { start: at.to_vec(), end: self.end.clone() }))
    }
}

/// A range: which places it has, at which epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeDescriptor {
    /// The range.
    pub id: RangeId,
    /// Its places.
    pub interval: RangeInterval,
    /// Rises with every split; both halves have the risen one. Of two ranges that ever had the same place, the one with
    /// the higher epoch has it now.
    pub epoch: SplitEpoch,
}

impl RangeDescriptor {
    /// The range of all places, before any split.
    pub const fn whole(id: RangeId) -> Self {
        Self { id, interval: RangeInterval::WHOLE, epoch: SplitEpoch(0) }
    }
}

/// Which range has which places, as far as its holder has heard. What it says may be old; it is never between two
/// truths: a range that took places over is known by its epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeMap {
    ranges: BTreeMap<RangeId, RangeDescriptor>,
}

impl RangeMap {
    /// A map of these ranges.
    pub fn of(ranges: impl IntoIterator<Item = RangeDescriptor>) -> Self {
        let mut map = Self::default();
        map.learn(ranges);
        map
    }

    /// Takes in what is newer than what is known; tells whether anything was.
    pub fn learn(&mut self, heard: impl IntoIterator<Item = RangeDescriptor>) -> bool {
        let mut news = false;
        for range in heard {
            if self.ranges.get(&range.id).is_none_or(|known| known.epoch < range.epoch) {
                self.ranges.insert(range.id, range);
                news = true;
            }
        }
        news
    }

    /// All ranges that were heard of, in order of id.
    pub fn all(&self) -> impl Iterator<Item = &RangeDescriptor> {
        self.ranges.values()
    }

    /// A range, as it was last heard of.
    pub fn get(&self, id: RangeId) -> Option<&RangeDescriptor> {
        self.ranges.get(&id)
    }

    /// The range that has a place; `None` where none that was heard of does.
    pub fn of_place(&self, place: &[u8]) -> Option<&RangeDescriptor> {
        self.ranges.values().filter(|range| range.interval.contains(place)).max_by_key(|range| range.epoch)
    }

    /// The ranges that have the places of an interval, in order of place; `None` where some place is nobody's.
    pub fn covering(&self, interval: &RangeInterval) -> Option<Vec<RangeDescriptor>> {
        let mut found = Vec::new();
        let mut place = interval.start.clone();
        loop {
            let range = self.of_place(&place)?;
            found.push(range.clone());
            // A range that took over a part of this one may not have been followed by this one's own word yet.
            let taken = self.ranges.values().filter(|other| other.epoch > range.epoch && other.interval.start > place);
            let ends = taken.map(|other| &other.interval.start).chain(&range.interval.end);
            let Some(end) = ends.min() else { return Some(found) };
            if interval.end.as_ref().is_some_and(|last| end >= last) {
                return Some(found);
            }
            place.clone_from(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(id: u64, epoch: u64, start: &str, end: &str) -> RangeDescriptor {
        let end = (!end.is_empty()).then(|| end.as_bytes().to_vec());
        let interval = RangeInterval { start: start.as_bytes().to_vec(), end };
        RangeDescriptor { id: RangeId(id), interval, epoch: SplitEpoch(epoch) }
    }

    fn ids(map: &RangeMap, start: &str, end: &str) -> Option<Vec<u64>> {
        let covering = map.covering(&range(0, 0, start, end).interval)?;
        Some(covering.iter().map(|range| range.id.0).collect())
    }

    #[test]
    fn a_split_leaves_no_place_to_nobody_and_none_to_both() {
        let (lower, upper) = RangeInterval::WHOLE.split(b"m").expect("both have places");
        for place in ["", "a", "lz", "m", "m0", "z"] {
            assert!(lower.contains(place.as_bytes()) != upper.contains(place.as_bytes()), "{place}");
        }
        assert!(!lower.overlaps(&upper) && lower.overlaps(&RangeInterval::WHOLE));
        assert_eq!(upper.split(b"m"), None);
        assert_eq!(lower.split(b"m"), None);
        assert_eq!(RangeInterval::WHOLE.split(b""), None);
    }

    #[test]
    fn the_newest_range_of_a_place_has_it_in_whatever_order_they_are_heard_of() {
        let heard = [range(1, 0, "", ""), range(2, 1, "m", ""), range(1, 1, "", "m"), range(3, 2, "f", "m")];
        for turn in 0..heard.len() {
            let mut map = RangeMap::default();
            let (last, first) = heard.split_at(turn);
            map.learn(first.iter().chain(last).cloned());
            let of = |place: &str| map.of_place(place.as_bytes()).map(|range| range.id.0);
            assert_eq!(["", "e", "f", "l", "m", "z"].map(of), [1, 1, 3, 3, 2, 2].map(Some), "{turn}");
            assert_eq!(ids(&map, "", ""), Some(vec![1, 3, 2]));
            assert_eq!(ids(&map, "g", "h"), Some(vec![3]));
            assert_eq!(ids(&map, "a", "g"), Some(vec![1, 3]));
            assert_eq!(ids(&map, "a", "f"), Some(vec![1]));
        }
    }

    #[test]
    fn a_place_of_a_range_that_was_not_heard_of_is_nobodys() {
        let mut map = RangeMap::of([range(1, 1, "", "m")]);
        assert_eq!((map.of_place(b"z"), ids(&map, "a", "z")), (None, None));
        assert!(map.learn([range(2, 1, "m", "")]));
        assert!(!map.learn([range(1, 0, "", "")]), "what is older is no news");
        assert_eq!(ids(&map, "a", "z"), Some(vec![1, 2]));
    }
}
