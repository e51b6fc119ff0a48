//! Conditions: of reads, which are decided here against a version, and of writes, which are decided at commit and only
//! read here.

use http::{HeaderMap, HeaderValue, header};
use types::{ETag, Timestamp};

use crate::answer::etag_header;
use crate::error::{ErrorCode, S3Error};
use crate::operation::Operation;
use crate::time::{http_date, parse_http_date};

/// The entity tags that a condition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ETagList {
    /// `*`
    Any,
    /// Any of these; tags that this store can't have given are left out, for they match nothing.
    OneOf(Vec<ETag>),
}

impl ETagList {
    /// Reads a list of quoted, weak or bare tags.
    pub fn parse(text: &str) -> Self {
        if text.trim() == "*" || text.trim() == "\"*\"" {
            return Self::Any;
        }
        let tags = text.split(',').map(str::trim).map(|tag| tag.strip_prefix("W/").unwrap_or(tag));
        Self::OneOf(tags.filter_map(|tag| tag.parse().ok()).collect())
    }

    /// Whether an existing version with this tag is among them.
    pub fn matches(&self, etag: &ETag) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.contains(etag),
        }
    }
}

/// The conditions of a read, or those of a copy on its source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadConditions {
    /// If-Match.
    pub if_match: Option<ETagList>,
    /// If-None-Match.
    pub if_none_match: Option<ETagList>,
    /// If-Modified-Since; a date that can't be read is no condition.
    pub if_modified_since: Option<Timestamp>,
    /// If-Unmodified-Since; a date that can't be read is no condition.
    pub if_unmodified_since: Option<Timestamp>,
}

impl ReadConditions {
    /// Those of GET and HEAD.
    pub fn of_read(headers: &HeaderMap) -> Self {
        Self::named(headers, ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"])
    }

    /// Those of a copy on its source.
    pub fn of_copy_source(headers: &HeaderMap) -> Self {
        Self::named(
            headers,
            [
                "x-amz-copy-source-if-match",
                "x-amz-copy-source-if-none-match",
                "x-amz-copy-source-if-modified-since",
                "x-amz-copy-source-if-unmodified-since",
            ],
        )
    }

    fn named(headers: &HeaderMap, [matches, none_match, modified, unmodified]: [&'static str; 4]) -> Self {
        let text = |name: &'static str| headers.get(name).and_then(|value| value.to_str().ok());
        let tags = |name| headers.get(name).map(|value| ETagList::parse(&String::from_utf8_lossy(value.as_bytes())));
        Self {
            if_match: tags(matches),
            if_none_match: tags(none_match),
            if_modified_since: text(modified).and_then(parse_http_date),
            if_unmodified_since: text(unmodified).and_then(parse_http_date),
        }
    }

    /// Decides a read of a version with this tag, last modified then; times are compared in whole seconds.
    ///
    /// If-Match beats If-Unmodified-Since, If-None-Match beats If-Modified-Since (RFC 9110, section 13.2.2).
    ///
    /// # Errors
    /// `PreconditionFailed`, naming the condition, or `NotModified` with the headers that a 304 keeps.
    pub fn check(&self, etag: &ETag, modified: Timestamp) -> Result<(), S3Error> {
        match self.failed(etag, modified) {
            None => Ok(()),
            Some(Failed::Precondition(condition)) => Err(precondition_failed(condition)),
            Some(Failed::Unchanged(_)) => Err(S3Error::new(ErrorCode::NotModified)
                .with_header(header::ETAG, etag_header(etag))
                .with_header(header::LAST_MODIFIED, http_date(modified))),
        }
    }

    /// Decides a copy from a version with this tag, last modified then: whatever fails is `PreconditionFailed`.
    ///
    /// # Errors
    /// `PreconditionFailed`, naming the condition.
    pub fn check_copy_source(&self, etag: &ETag, modified: Timestamp) -> Result<(), S3Error> {
        match self.failed(etag, modified) {
            None => Ok(()),
            Some(Failed::Precondition(condition) | Failed::Unchanged(condition)) => {
                Err(precondition_failed(&format!("x-amz-copy-source-{condition}")))
            }
        }
    }

    fn failed(&self, etag: &ETag, modified: Timestamp) -> Option<Failed> {
        match (&self.if_match, self.if_unmodified_since) {
            (Some(tags), _) if !tags.matches(etag) => return Some(Failed::Precondition("If-Match")),
            (None, Some(since)) if modified.seconds() > since.seconds() => {
                return Some(Failed::Precondition("If-Unmodified-Since"));
            }
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) if tags.matches(etag) => Some(Failed::Unchanged("If-None-Match")),
            (None, Some(since)) if modified.seconds() <= since.seconds() => {
                Some(Failed::Unchanged("If-Modified-Since"))
            }
            _ => None,
        }
    }
}

enum Failed {
    Precondition(&'static str),
    Unchanged(&'static str),
}

/// `PreconditionFailed`, naming the condition that did not hold, e.g. `If-Match`.
pub fn precondition_failed(condition: &str) -> S3Error {
    S3Error::new(ErrorCode::PreconditionFailed).with("Condition", condition)
}

/// The conditions of a write, decided at commit against the key's newest version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteConditions {
    /// If-Match: there is a current object, with one of these tags.
    pub if_match: Option<ETagList>,
    /// `If-None-Match: *`: there is no current object.
    pub if_none_match: bool,
}

impl WriteConditions {
    /// Those of PutObject, CompleteMultipartUpload, and CopyObject on its target.
    ///
    /// # Errors
    /// `NotImplemented`, naming the header, for a condition that S3 doesn't have on writes: If-None-Match with an
    /// ETag, the time conditions.
    pub fn of_write(headers: &HeaderMap) -> Result<Self, S3Error> {
        refuse(headers, &["if-modified-since", "if-unmodified-since"])?;
        refuse(headers, &DIRECTORY_BUCKET_CONDITIONS)?;
        let if_none_match = match headers.get("if-none-match").map(|value| value.as_bytes().trim_ascii()) {
            None => false,
            Some(b"*" | b"\"*\"") => true,
            Some(_) => return Err(S3Error::header_not_implemented("If-None-Match")),
        };
        Ok(Self { if_match: if_match(headers), if_none_match })
    }

    /// That of DeleteObject: If-Match, and only where no version is named.
    ///
    /// # Errors
    /// `NotImplemented`, naming the header, for any other condition.
    pub fn of_delete(headers: &HeaderMap, names_version: bool) -> Result<Self, S3Error> {
        refuse(headers, &["if-none-match", "if-modified-since", "if-unmodified-since"])?;
        refuse(headers, &DIRECTORY_BUCKET_CONDITIONS)?;
        let if_match = if_match(headers);
        if names_version && if_match.is_some() {
            return Err(S3Error::header_not_implemented("If-Match"));
        }
        Ok(Self { if_match, if_none_match: false })
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.if_match.is_none() && !self.if_none_match
    }
}

/// Refuses conditions on a write that has none: all but PutObject, CopyObject, CompleteMultipartUpload and DeleteObject,
/// which read theirs.
///
/// # Errors
/// `NotImplemented`, naming the header.
pub fn refuse_conditions(operation: Operation, headers: &HeaderMap) -> Result<(), S3Error> {
    use Operation::{CompleteMultipartUpload, CopyObject, DeleteObject, PutObject};
    if operation.is_read() || matches!(operation, PutObject | CopyObject | CompleteMultipartUpload | DeleteObject) {
        return Ok(());
    }
    refuse(headers, &["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"])?;
    refuse(headers, &DIRECTORY_BUCKET_CONDITIONS)
}

/// Conditions that only directory buckets have.
const DIRECTORY_BUCKET_CONDITIONS: [&str; 3] =
    ["x-amz-if-match-last-modified-time", "x-amz-if-match-size", "x-amz-if-match-initiated-time"];

fn if_match(headers: &HeaderMap) -> Option<ETagList> {
    let text = |value: &HeaderValue| ETagList::parse(&String::from_utf8_lossy(value.as_bytes()));
    headers.get(header::IF_MATCH).map(text)
}

fn refuse(headers: &HeaderMap, names: &[&'static str]) -> Result<(), S3Error> {
    match names.iter().find(|name| headers.contains_key(**name)) {
        Some(name) => Err(S3Error::header_not_implemented(&canonical_name(name))),
        None => Ok(()),
    }
}

/// `if-none-match` as AWS's errors write it, `If-None-Match`; `x-amz-` headers stay as they are.
fn canonical_name(name: &str) -> String {
    if name.starts_with("x-amz-") {
        return name.to_owned();
    }
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: ETag = ETag::of_body([0xab; 16]);
    const AT: u64 = 784_111_777;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).try_into().unwrap(), value.parse().unwrap())).collect()
    }

    fn read(pairs: &[(&'static str, &str)]) -> Option<ErrorCode> {
        let at = Timestamp(AT * 1_000_000 + 999_999);
        ReadConditions::of_read(&headers(pairs)).check(&TAG, at).err().map(|error| error.code())
    }

    #[test]
    fn reads_are_decided_in_the_order_of_the_rfc() {
        use ErrorCode::{NotModified, PreconditionFailed};
        let (tag, other) = (format!("\"{TAG}\""), "\"00000000000000000000000000000000\"");
        let (before, at, after) =
            ("Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT");
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[("if-match", &tag)]), None);
        assert_eq!(read(&[("if-match", &TAG.to_string())]), None);
        assert_eq!(read(&[("if-match", "*")]), None);
        assert_eq!(read(&[("if-match", other)]), Some(PreconditionFailed));
        assert_eq!(read(&[("if-match", "\"made up\"")]), Some(PreconditionFailed));
        assert_eq!(read(&[("if-match", &format!("{other}, {tag}"))]), None);
        assert_eq!(read(&[("if-none-match", &format!("W/{tag}"))]), Some(NotModified));
        assert_eq!(read(&[("if-none-match", "*")]), Some(NotModified));
        assert_eq!(read(&[("if-none-match", other)]), None);
        assert_eq!(read(&[("if-modified-since", before)]), None);
        assert_eq!(read(&[("if-modified-since", at)]), Some(NotModified));
        assert_eq!(read(&[("if-modified-since", after)]), Some(NotModified));
        assert_eq!(read(&[("if-unmodified-since", before)]), Some(PreconditionFailed));
        assert_eq!(read(&[("if-unmodified-since", at)]), None);
        assert_eq!(read(&[("if-match", &tag), ("if-unmodified-since", before)]), None);
        assert_eq!(read(&[("if-none-match", other), ("if-modified-since", after)]), None);
        assert_eq!(read(&[("if-match", &tag), ("if-none-match", &tag)]), Some(NotModified));
        assert_eq!(read(&[("if-modified-since", "yesterday")]), None);
    }

    #[test]
    fn a_304_keeps_its_headers_and_a_copy_source_never_answers_it() {
        let conditions = ReadConditions { if_none_match: Some(ETagList::Any), ..ReadConditions::default() };
        let error = conditions.check(&TAG, Timestamp::from_seconds(AT)).unwrap_err();
        let response = error.response(&crate::ErrorContext { resource: "/", request_id: "", host_id: "" });
        assert_eq!(response.headers()["etag"], format!("\"{TAG}\""));
        assert_eq!(response.headers()["last-modified"], "Sun, 06 Nov 1994 08:49:37 GMT");
        let error = conditions.check_copy_source(&TAG, Timestamp::from_seconds(AT)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::PreconditionFailed);
        assert_eq!(error.field("Condition"), Some("x-amz-copy-source-If-None-Match"));
    }

    #[test]
    fn conditions_that_writes_do_not_have_are_named_and_never_ignored() {
        let refused = |pairs: &[(&'static str, &str)]| {
            let error = WriteConditions::of_write(&headers(pairs)).unwrap_err();
            (error.code(), error.field("Header").map(str::to_owned))
        };
        let named = |name: &str| (ErrorCode::NotImplemented, Some(name.to_owned()));
        assert_eq!(refused(&[("if-none-match", "\"abc\"")]), named("If-None-Match"));
        assert_eq!(refused(&[("if-modified-since", "x")]), named("If-Modified-Since"));
        let write = WriteConditions::of_write(&headers(&[("if-none-match", "*")])).unwrap();
        assert!(write.if_none_match && write.if_match.is_none() && !write.is_empty());
        let delete = |pairs: &[(&'static str, &str)], version| WriteConditions::of_delete(&headers(pairs), version);
        assert!(delete(&[("if-match", "*")], false).unwrap().if_match == Some(ETagList::Any));
        assert!(delete(&[("if-match", "*")], true).is_err());
        let error = delete(&[("x-amz-if-match-size", "3")], false).unwrap_err();
        assert_eq!(error.field("Header"), Some("x-amz-if-match-size"));
    }
}
