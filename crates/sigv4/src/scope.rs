//! The credential scope: `KEY/20130524/us-east-1/s3/aws4_request`.

use std::borrow::Cow;
use std::ops::Range;

/// A credential and its scope, as a request names them.
#[derive(Debug, Clone)]
pub(crate) struct Scope<'a> {
    text: Cow<'a, str>,
    key: usize,
    date: Range<usize>,
    region: Range<usize>,
    service: Range<usize>,
    terminal: usize,
}

impl<'a> Scope<'a> {
    /// Takes it apart; the key itself may contain `/`.
    ///
    /// `None` with fewer than five parts, or without a key.
    pub(crate) fn parse(text: Cow<'a, str>) -> Option<Self> {
        let before = |end: usize| text[..end].rfind('/');
        let terminal = before(text.len())?;
        let service = before(terminal)?;
        let region = before(service)?;
        let date = before(region)?;
        let scope = Self {
            key: date,
            date: date + 1..region,
            region: region + 1..service,
            service: service + 1..terminal,
            terminal: terminal + 1,
            text,
        };
        (scope.key > 0).then_some(scope)
    }

    pub(crate) fn access_key_id(&self) -> &str {
        &self.text[..self.key]
    }

    pub(crate) fn date(&self) -> &str {
        &self.text[self.date.clone()]
    }

    pub(crate) fn region(&self) -> &str {
        &self.text[self.region.clone()]
    }

    pub(crate) fn service(&self) -> &str {
        &self.text[self.service.clone()]
    }

    pub(crate) fn terminal(&self) -> &str {
        &self.text[self.terminal..]
    }

    /// All but the key: what stands in the string to sign.
    pub(crate) fn without_key(&self) -> &str {
        &self.text[self.date.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_taken_apart_from_its_end() {
        let scope = Scope::parse("a/b/20130524/us-east-1/s3/aws4_request".into()).unwrap();
        let parts = (scope.access_key_id(), scope.date(), scope.region(), scope.service(), scope.terminal());
        assert_eq!(parts, ("a/b", "20130524", "us-east-1", "s3", "aws4_request"));
        assert_eq!(scope.without_key(), "20130524/us-east-1/s3/aws4_request");
        for broken in ["", "a", "a/20130524/us-east-1/s3", "/20130524/us-east-1/s3/aws4_request"] {
            assert!(Scope::parse(broken.into()).is_none(), "{broken}");
        }
    }
}
