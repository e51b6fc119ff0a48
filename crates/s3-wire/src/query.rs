//! The query of a request: decoded pairs in the order in which they were sent.

use std::ops::Range;

use crate::error::{ErrorCode, S3Error};
use crate::percent;

/// A decoded query. Names and values are bytes: prefixes and markers may be any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// All names and values, decoded, one after the other: two allocations a query.
    decoded: Vec<u8>,
    pairs: Vec<(Range<u32>, Option<Range<u32>>)>,
}

impl Query {
    /// Parses what stands after `?`; `None` and an empty text are a query without pairs.
    ///
    /// # Errors
    /// `InvalidURI` when an escape is broken.
    pub fn parse(text: Option<&str>) -> Result<Self, S3Error> {
        let mut query = Self::default();
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(query) };
        query.decoded.reserve(text.len());
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = match pair.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (pair, None),
            };
            let name = query.push(name)?;
            let value = value.map(|value| query.push(value)).transpose()?;
            query.pairs.push((name, value));
        }
        Ok(query)
    }

    fn push(&mut self, text: &str) -> Result<Range<u32>, S3Error> {
        let position = |at: usize| u32::try_from(at).map_err(|_| S3Error::new(ErrorCode::InvalidURI));
        let start = position(self.decoded.len())?;
        percent::decode_into(&mut self.decoded, text.as_bytes(), true).ok_or(ErrorCode::InvalidURI)?;
        Ok(start..position(self.decoded.len())?)
    }

    /// The pairs in order; a name without `=` has no value.
    pub fn pairs(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.pairs.iter().map(|(name, value)| (self.slice(name), value.as_ref().map(|value| self.slice(value))))
    }

    fn slice(&self, range: &Range<u32>) -> &[u8] {
        &self.decoded[range.start as usize..range.end as usize]
    }

    /// Whether `name` stands in the query, with a value or without.
    pub fn has(&self, name: &str) -> bool {
        self.bytes(name).is_some()
    }

    /// The first value of `name`; empty where it has none.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.pairs().find(|(each, _)| *each == name.as_bytes()).map(|(_, value)| value.unwrap_or_default())
    }

    /// The first value of `name` as text.
    ///
    /// # Errors
    /// `InvalidArgument` when it is not UTF-8.
    pub fn text(&self, name: &str) -> Result<Option<&str>, S3Error> {
        let Some(value) = self.bytes(name) else { return Ok(None) };
        let text = std::str::from_utf8(value).map_err(|_| {
            S3Error::invalid_argument(ErrorCode::InvalidArgument.message(), name, String::from_utf8_lossy(value))
        })?;
        Ok(Some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_keep_their_order_and_what_has_no_value() {
        let query = Query::parse(Some("b=2&acl&&a=%2B+%ff&b=3&c=")).unwrap();
        let pairs: Vec<_> = query.pairs().collect();
        assert_eq!(
            pairs,
            [
                (&b"b"[..], Some(&b"2"[..])),
                (b"acl", None),
                (b"a", Some(b"+ \xff")),
                (b"b", Some(b"3")),
                (b"c", Some(b"")),
            ]
        );
        assert_eq!(query.bytes("b"), Some(&b"2"[..]));
        assert_eq!(query.text("acl"), Ok(Some("")));
        assert_eq!(query.text("a").unwrap_err().code(), ErrorCode::InvalidArgument);
        assert!(query.has("c") && !query.has("d"));
        assert_eq!(Query::parse(Some("a=%")).unwrap_err().code(), ErrorCode::InvalidURI);
    }
}
