//! ListObjectsV2.

use bytes::Bytes;
use http::Response;
use types::BucketName;

use crate::answer;
use crate::error::S3Error;
use crate::head::RequestHead;
use crate::list_objects::{ENTRY_BYTES, ListLine, ListedObject, write_lines};
use crate::listing::{self, ListScope};
use crate::xml::XmlWriter;

/// A page of a bucket's objects is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct ListObjectsV2Request {
    /// The bucket.
    pub bucket: BucketName,
    /// Prefix, delimiter, limit, encoding.
    pub scope: ListScope,
    /// Whether owners are shown.
    pub fetch_owner: bool,
    /// StartAfter as it was sent, for it is echoed.
    start_after: Option<Bytes>,
    /// The token as it was sent, for it is echoed, too.
    token: Option<String>,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageStart {
    /// After this key or common prefix; may be empty.
    After(Bytes),
    /// Where the page ended whose answer had this token: opaque here.
    Token(String),
}

impl ListObjectsV2Request {
    /// Reads the request.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn parse(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        let token = head.query.text("continuation-token")?.map(str::to_owned);
        let start_after = head.query.bytes("start-after").map(Bytes::copy_from_slice);
        let owner = head.query.text("fetch-owner")?;
        let fetch_owner = match owner {
            None | Some("") => false,
            Some(text) if text.eq_ignore_ascii_case("true") => true,
            Some(text) if text.eq_ignore_ascii_case("false") => false,
            Some(text) => return Err(listing::invalid("fetch-owner", text.as_bytes())),
        };
        Ok(Self { bucket: head.bucket()?, scope: ListScope::parse(head, "max-keys")?, fetch_owner, start_after, token })
    }

    /// Where the page begins: a token goes before StartAfter; an empty one is the beginning.
    pub fn start(&self) -> PageStart {
        match self.token.as_ref().filter(|token| !token.is_empty()) {
            Some(token) => PageStart::Token(token.clone()),
            None => PageStart::After(self.start_after.clone().unwrap_or_default()),
        }
    }
}

/// Writes a page. `next_token` stands for its end when more follow.
pub fn answer(
    request: &ListObjectsV2Request,
    lines: &[ListLine<'_, ListedObject<'_>>],
    next_token: Option<&str>,
) -> Response<Bytes> {
    let scope = &request.scope;
    let mut xml = XmlWriter::with_capacity(1024 + ENTRY_BYTES * lines.len());
    xml.open_root("ListBucketResult");
    xml.text("Name", request.bucket.as_str());
    scope.encoding.write(&mut xml, "Prefix", &scope.prefix);
    if let Some(start_after) = &request.start_after {
        scope.encoding.write(&mut xml, "StartAfter", start_after);
    }
    if let Some(token) = &request.token {
        xml.text("ContinuationToken", token);
    }
    if let Some(token) = next_token {
        xml.text("NextContinuationToken", token);
    }
    xml.plain("KeyCount", lines.len());
    xml.plain("MaxKeys", scope.limit);
    if !scope.delimiter.is_empty() {
        scope.encoding.write(&mut xml, "Delimiter", &scope.delimiter);
    }
    scope.encoding.write_type(&mut xml);
    xml.flag("IsTruncated", next_token.is_some());
    write_lines(&mut xml, scope.encoding, lines);
    xml.close("ListBucketResult");
    answer::document(xml)
}
