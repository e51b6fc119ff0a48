//! Conditions: of reads, which are decided here against a version, and of writes, which are decided at commit and only
//! read here.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use types::{ETag, Timestamp};

use crate::answer::etag_header;
use crate::error::{ErrorCode, S3Error};
use crate::head::RequestHead;
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
    /// If-None-Match: there is no current object, or none with one of these tags.
    pub if_none_match: Option<ETagList>,
}

impl WriteConditions {
    /// Those of PutObject, CompleteMultipartUpload, and CopyObject on its target.
    pub fn of_write(headers: &HeaderMap) -> Self {
        Self { if_match: tags(headers, header::IF_MATCH), if_none_match: tags(headers, header::IF_NONE_MATCH) }
    }

    /// That of DeleteObject: If-Match.
    pub fn of_delete(headers: &HeaderMap) -> Self {
        Self { if_match: tags(headers, header::IF_MATCH), if_none_match: None }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.if_match.is_none() && self.if_none_match.is_none()
    }
}

/// Refuses conditions that a write doesn't have, so that none is passed over.
///
/// # Errors
/// `NotImplemented`, naming the header.
pub fn refuse_conditions(operation: Operation, head: &RequestHead<'_>, known: Known) -> Result<(), S3Error> {
    let headers = head.headers;
    if operation.is_read() {
        return Ok(());
    }
    refuse(headers, &["if-modified-since", "if-unmodified-since"])?;
    refuse(headers, &DIRECTORY_BUCKET_CONDITIONS)?;
    let is_awss = known == Known::Awss;
    match operation {
        Operation::PutObject | Operation::CopyObject | Operation::CompleteMultipartUpload => {
            match tags(headers, header::IF_NONE_MATCH) {
                Some(ETagList::OneOf(_)) if is_awss => Err(S3Error::header_not_implemented("If-None-Match")),
                _ => Ok(()),
            }
        }
        Operation::DeleteObject if is_awss && head.query.has("versionId") => {
            refuse(headers, &["if-none-match", "if-match"])
        }
        Operation::DeleteObject => refuse(headers, &["if-none-match"]),
        _ => refuse(headers, &["if-match", "if-none-match"]),
    }
}

/// Which conditions writes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// AWS's: of If-None-Match only `*`; no If-Match for a version that is named.
    Awss,
    /// Ceph's, too: both.
    Cephs,
}

/// Conditions that only directory buckets have.
const DIRECTORY_BUCKET_CONDITIONS: [&str; 3] =
    ["x-amz-if-match-last-modified-time", "x-amz-if-match-size", "x-amz-if-match-initiated-time"];

fn tags(headers: &HeaderMap, name: HeaderName) -> Option<ETagList> {
    let text = |value: &HeaderValue| ETagList::parse(&String::from_utf8_lossy(value.as_bytes()));
    headers.get(name).map(text)
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
    use http::Method;

    use super::*;
    use crate::{BaseDomains, Query, Target};

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
        let refused = |operation, query: &str, pairs: &[(&'static str, &str)], known| {
            let target = Target::parse(None, "/b/k", &BaseDomains::new([])).unwrap();
            let (query, headers) = (Query::parse(Some(query)).unwrap(), headers(pairs));
            let head = RequestHead { method: &Method::PUT, target: &target, query: &query, headers: &headers };
            let refused = refuse_conditions(operation, &head, known).err()?;
            assert_eq!(refused.code(), ErrorCode::NotImplemented);
            refused.field("Header").map(str::to_owned)
        };
        let (put, delete, tag) = (Operation::PutObject, Operation::DeleteObject, "\"abc\"");
        for known in [Known::Awss, Known::Cephs] {
            let refused = |operation, query, name, value| refused(operation, query, &[(name, value)], known);
            assert_eq!(refused(put, "", "if-none-match", "*"), None);
            assert_eq!(refused(put, "", "if-match", tag), None);
            assert_eq!(refused(put, "", "if-modified-since", "x").as_deref(), Some("If-Modified-Since"));
            assert_eq!(refused(delete, "", "if-match", "*"), None);
            assert_eq!(refused(delete, "", "if-none-match", "*").as_deref(), Some("If-None-Match"));
            assert_eq!(refused(delete, "", "x-amz-if-match-size", "3").as_deref(), Some("x-amz-if-match-size"));
            assert_eq!(refused(Operation::PutBucketTagging, "", "if-match", "*").as_deref(), Some("If-Match"));
            assert_eq!(refused(Operation::GetObject, "", "if-match", "*"), None);
        }
        let awss = |operation, query, name| refused(operation, query, &[(name, tag)], Known::Awss);
        assert_eq!(awss(put, "", "if-none-match").as_deref(), Some("If-None-Match"));
        assert_eq!(awss(delete, "versionId=null", "if-match").as_deref(), Some("If-Match"));
        let cephs = |operation, query, name| refused(operation, query, &[(name, tag)], Known::Cephs);
        assert_eq!(cephs(put, "", "if-none-match"), None);
        assert_eq!(cephs(delete, "versionId=null", "if-match"), None);
        let write = WriteConditions::of_write(&headers(&[("if-none-match", "*")]));
        assert!(write.if_none_match == Some(ETagList::Any) && write.if_match.is_none() && !write.is_empty());
    }
}
