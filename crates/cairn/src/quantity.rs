//! Quantities as people write them: `256MiB`, `2s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

/// Text that is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a number of bytes.
    #[error("{0:?} is no number of bytes: write one like 4096, 64KiB, 256MiB or 1GiB")]
    Bytes(String),
    /// Not a time.
    #[error("{0:?} is no time: write one like 500ms, 2s, 10m, 1h or 30d")]
    Time(String),
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ByteCount(pub u64);

const BYTE_UNITS: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl FromStr for ByteCount {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let wrong = || QuantityError::Bytes(text.to_owned());
        let unit = BYTE_UNITS.into_iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, bytes)));
        let (digits, bytes) = unit.unwrap_or((text, 1));
        let number: u64 = digits.trim().parse().map_err(|_| wrong())?;
        number.checked_mul(bytes).map(Self).ok_or_else(wrong)
    }
}

impl TryFrom<String> for ByteCount {
    type Error = QuantityError;

    fn try_from(text: String) -> Result<Self, QuantityError> {
        text.parse()
    }
}

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |bytes: u64| self.0 >= bytes && self.0.is_multiple_of(bytes);
        match BYTE_UNITS.into_iter().find(|(_, bytes)| whole(*bytes)) {
            Some((unit, bytes)) if bytes > 1 => write!(f, "{}{unit}", self.0 / bytes),
            _ => write!(f, "{}", self.0),
        }
    }
}

/// A time span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);

const TIME_UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

impl FromStr for Span {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let wrong = || QuantityError::Time(text.to_owned());
        let unit = TIME_UNITS.into_iter().find_map(|(unit, millis)| Some((text.strip_suffix(unit)?, millis)));
        let (digits, millis) = unit.ok_or_else(wrong)?;
        let number: u64 = digits.trim().parse().map_err(|_| wrong())?;
        number.checked_mul(millis).map(|millis| Self(Duration::from_millis(millis))).ok_or_else(wrong)
    }
}

impl TryFrom<String> for Span {
    type Error = QuantityError;

    fn try_from(text: String) -> Result<Self, QuantityError> {
        text.parse()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).expect("a span was read from 64 bits of milliseconds");
        let unit = TIME_UNITS.into_iter().rev().find(|(_, unit)| millis >= *unit && millis.is_multiple_of(*unit));
        match unit {
            Some((unit, of)) => write!(f, "{}{unit}", millis / of),
            None => f.write_str("0s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_and_show() {
        for (text, bytes) in [("0", 0), ("4096", 4096), ("64KiB", 65_536), ("256MiB", 1 << 28), ("3GiB", 3 << 30)] {
            assert_eq!(text.parse(), Ok(ByteCount(bytes)), "{text}");
        }
        assert_eq!(ByteCount(65_536).to_string(), "64KiB");
        assert_eq!(ByteCount(65_537).to_string(), "65537");
        for text in ["", "KiB", "1.5MiB", "-1", "99999999999TiB"] {
            assert!(text.parse::<ByteCount>().is_err(), "{text}");
        }
    }

    #[test]
    fn spans_read_and_show() {
        for (text, millis) in [("500ms", 500), ("2s", 2000), ("10m", 600_000), ("30d", 2_592_000_000)] {
            assert_eq!(text.parse(), Ok(Span(Duration::from_millis(millis))), "{text}");
            assert_eq!(Span(Duration::from_millis(millis)).to_string(), text);
        }
        assert!("5".parse::<Span>().is_err());
    }
}
