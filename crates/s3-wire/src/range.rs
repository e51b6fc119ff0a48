//! Byte ranges: of reads, and of the source of an UploadPartCopy.

use http::HeaderValue;

use crate::error::{ErrorCode, S3Error};

/// A Range header's one range, before the object's length is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeSpec {
    /// `bytes=first-last`, or `bytes=first-` with `last` at the end.
    From {
        /// The first byte.
        first: u64,
        /// The last byte; `None` is the object's last one.
        last: Option<u64>,
    },
    /// `bytes=-count`: the last `count` bytes.
    Suffix(u64),
}

/// Bytes of an object: at least one, all within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte.
    pub first: u64,
    /// The last byte.
    pub last: u64,
}

impl ByteRange {
    /// How many bytes.
    pub const fn length(self) -> u64 {
        self.last - self.first + 1
    }
}

impl RangeSpec {
    /// Reads a Range header. What is syntactically no range, and several ranges, are `None`: the whole object is
    /// answered (RFC 9110, section 14.2).
    pub fn parse(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?.trim();
        let (unit, ranges) = text.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = ranges.trim().split_once('-')?;
        match (first, last) {
            ("", count) => Some(Self::Suffix(parse_offset(count)?)),
            (first, "") => Some(Self::From { first: parse_offset(first)?, last: None }),
            (first, last) => {
                let (first, last) = (parse_offset(first)?, parse_offset(last)?);
                (first <= last).then_some(Self::From { first, last: Some(last) })
            }
        }
    }

    /// The bytes that it names of an object with `length` bytes.
    ///
    /// # Errors
    /// `InvalidRange` (416) when there are none.
    pub fn resolve(self, length: u64) -> Result<ByteRange, S3Error> {
        let last_byte = length.checked_sub(1);
        let range = match self {
            Self::Suffix(0) => None,
            Self::Suffix(count) => last_byte.map(|last| ByteRange { first: length.saturating_sub(count), last }),
            Self::From { first, last } => last_byte
                .filter(|end| first <= *end)
                .map(|end| ByteRange { first, last: last.map_or(end, |last| last.min(end)) }),
        };
        range.ok_or_else(|| self.unsatisfiable(length))
    }

    /// `InvalidRange` (416) for an object with `length` bytes.
    pub fn unsatisfiable(self, length: u64) -> S3Error {
        S3Error::new(ErrorCode::InvalidRange)
            .with("RangeRequested", self.to_string())
            .with("ActualObjectSize", length.to_string())
            .with_header(http::header::CONTENT_RANGE, content_range_of_none(length))
    }
}

impl std::fmt::Display for RangeSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Suffix(count) => write!(f, "bytes=-{count}"),
            Self::From { first, last: None } => write!(f, "bytes={first}-"),
            Self::From { first, last: Some(last) } => write!(f, "bytes={first}-{last}"),
        }
    }
}

fn content_range_of_none(length: u64) -> HeaderValue {
    HeaderValue::try_from(format!("bytes */{length}")).expect("digits are ASCII")
}

/// Digits alone; more than 64 bits hold mean "beyond any object".
fn parse_offset(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// Reads `x-amz-copy-source-range`, which must name its first and last byte.
///
/// # Errors
/// `InvalidArgument` for any other form.
pub fn parse_copy_source_range(text: &str) -> Result<ByteRange, S3Error> {
    let range = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')).and_then(|(first, last)| {
        let (first, last) = (parse_offset(first)?, parse_offset(last)?);
        (first <= last).then_some(ByteRange { first, last })
    });
    range.ok_or_else(|| {
        S3Error::invalid_argument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the \
             zero-based offsets of the first and last bytes to copy",
            "x-amz-copy-source-range",
            text,
        )
    })
}

/// Checks that a copy's range lies within its source.
///
/// # Errors
/// `InvalidRange`.
pub fn check_copy_source_range(range: ByteRange, source_bytes: u64) -> Result<(), S3Error> {
    if range.last < source_bytes {
        return Ok(());
    }
    let message = format!("Range specified is not valid for source object of size: {source_bytes}");
    Err(S3Error::new(ErrorCode::InvalidRange).with_message(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(range: &str, length: u64) -> Option<Result<(u64, u64), ErrorCode>> {
        let spec = RangeSpec::parse(&HeaderValue::from_str(range).unwrap())?;
        Some(spec.resolve(length).map(|range| (range.first, range.last)).map_err(|error| error.code()))
    }

    #[test]
    fn one_range_is_resolved_against_the_length() {
        assert_eq!(resolved("bytes=0-0", 10), Some(Ok((0, 0))));
        assert_eq!(resolved("bytes=2-5", 10), Some(Ok((2, 5))));
        assert_eq!(resolved("bytes=2-50", 10), Some(Ok((2, 9))));
        assert_eq!(resolved("bytes=2-", 10), Some(Ok((2, 9))));
        assert_eq!(resolved("bytes=-3", 10), Some(Ok((7, 9))));
        assert_eq!(resolved("bytes=-30", 10), Some(Ok((0, 9))));
        assert_eq!(resolved("bytes=0-99999999999999999999999", 10), Some(Ok((0, 9))));
    }

    #[test]
    fn ranges_outside_of_the_object_are_416() {
        let refused = Some(Err(ErrorCode::InvalidRange));
        for (range, length) in
            [("bytes=10-", 10), ("bytes=10-20", 10), ("bytes=-0", 10), ("bytes=0-0", 0), ("bytes=-5", 0)]
        {
            assert_eq!(resolved(range, length), refused, "{range} of {length}");
        }
    }

    #[test]
    fn what_is_no_single_range_is_ignored() {
        for range in ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "bytes=0-1,3-4", "items=0-1", "0-1"] {
            assert_eq!(resolved(range, 10), None, "{range}");
        }
    }

    #[test]
    fn copy_source_ranges_name_both_ends() {
        assert_eq!(parse_copy_source_range("bytes=0-9"), Ok(ByteRange { first: 0, last: 9 }));
        for range in ["", "bytes=0-", "bytes=-1", "bytes=3-2", "0-9", "bytes=0-9-1", "bytes=0,9"] {
            assert_eq!(parse_copy_source_range(range).unwrap_err().code(), ErrorCode::InvalidArgument, "{range}");
        }
        assert!(check_copy_source_range(ByteRange { first: 0, last: 9 }, 10).is_ok());
        assert!(check_copy_source_range(ByteRange { first: 0, last: 9 }, 9).is_err());
    }

    proptest::proptest! {
        #[test]
        fn a_resolved_range_lies_within(text in "bytes=[0-9]{0,20}-[0-9]{0,20}", length: u64) {
            if let Some(Ok((first, last))) = resolved(&text, length) {
                proptest::prop_assert!(first <= last && last < length);
            }
        }
    }
}
