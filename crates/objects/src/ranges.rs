//! Byte ranges of objects.

use std::ops::Range;

/// A range as a client asks for it (RFC 9110, section 14.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `first-last`, both included; `last` may lie behind the end.
    FromTo {
        /// The first byte.
        first: u64,
        /// The last byte, not below `first`.
        last: u64,
    },
    /// `first-`: all from there on.
    From {
        /// The first byte.
        first: u64,
    },
    /// `-length`: the last bytes.
    Last {
        /// How many.
        length: u64,
    },
}

impl ByteRange {
    /// The bytes of an object of `bytes` that the range names; `None` when it cannot be satisfied (it begins behind the
    /// end, names no byte, or the object is empty).
    pub fn within(self, bytes: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::FromTo { first, last } => first..last.saturating_add(1).min(bytes),
            Self::From { first } => first..bytes,
            Self::Last { length } => bytes.saturating_sub(length)..bytes,
        };
        (range.start < range.end).then_some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_at_the_end_and_refused_behind_it() {
        assert_eq!(ByteRange::FromTo { first: 2, last: 4 }.within(10), Some(2..5));
        assert_eq!(ByteRange::FromTo { first: 2, last: u64::MAX }.within(10), Some(2..10));
        assert_eq!(ByteRange::FromTo { first: 10, last: 12 }.within(10), None);
        assert_eq!(ByteRange::From { first: 9 }.within(10), Some(9..10));
        assert_eq!(ByteRange::From { first: 10 }.within(10), None);
        assert_eq!(ByteRange::Last { length: 3 }.within(10), Some(7..10));
        assert_eq!(ByteRange::Last { length: 30 }.within(10), Some(0..10));
        assert_eq!(ByteRange::Last { length: 0 }.within(10), None);
        assert_eq!(ByteRange::Last { length: 3 }.within(0), None);
        assert_eq!(ByteRange::From { first: 0 }.within(0), None);
    }
}
