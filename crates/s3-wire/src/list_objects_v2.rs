//! ListObjectsV2.

use bytes::Bytes;
use http::Response;
use types::BucketName;

use crate::answer;
use crate::error::S3Error;
use crate::head::RequestHead;
use crate::list_objects::{ENTRY_BYTES, ListLine, ListedObject, write_lines};
use crate::listing::{self, ContinuationToken, ListScope};
use crate::xml::XmlWriter;

/// A page of a bucket's objects is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct ListObjectsV2Request {
    /// The bucket.
    pub bucket: BucketName,
    /// Prefix, delimiter, limit, encoding.
    pub scope: ListScope,
    /// Only keys and common prefixes after this one: the token's, else StartAfter; may be empty.
    pub after: Bytes,
    /// Whether owners are shown.
    pub fetch_owner: bool,
    /// Both as they were sent, for they are echoed.
    start_after: Option<Bytes>,
    token: Option<Bytes>,
}

impl ListObjectsV2Request {
    /// Reads the request.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn parse(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        let token = head.query.bytes("continuation-token").map(Bytes::copy_from_slice);
        let start_after = head.query.bytes("start-after").map(Bytes::copy_from_slice);
        // An empty token is the beginning; it is echoed all the same.
        let after = match token.as_ref().filter(|token| !token.is_empty()) {
            Some(token) => ContinuationToken::decode(token)?.after,
            None => start_after.clone().unwrap_or_default(),
        };
        let owner = head.query.text("fetch-owner")?;
        let fetch_owner = match owner {
            None | Some("") => false,
            Some(text) if text.eq_ignore_ascii_case("true") => true,
            Some(text) if text.eq_ignore_ascii_case("false") => false,
            Some(text) => return Err(listing::invalid("fetch-owner", text.as_bytes())),
        };
        Ok(Self {
            bucket: head.bucket()?,
            scope: ListScope::parse(head, "max-keys")?,
            after,
            fetch_owner,
            start_after,
            token,
        })
    }
}

/// Writes a page. `truncated`: more follow after its last line.
pub fn answer(
    request: &ListObjectsV2Request,
    lines: &[ListLine<'_, ListedObject<'_>>],
    truncated: bool,
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
    if let (true, Some(last)) = (truncated, lines.last()) {
        let after = match last {
            ListLine::Entry(object) => object.key,
            ListLine::CommonPrefix(prefix) => prefix,
        };
        let token = ContinuationToken { after: Bytes::copy_from_slice(after) };
        xml.text("NextContinuationToken", token.encode());
    }
    xml.plain("KeyCount", lines.len());
    xml.plain("MaxKeys", scope.limit);
    if !scope.delimiter.is_empty() {
        scope.encoding.write(&mut xml, "Delimiter", &scope.delimiter);
    }
    scope.encoding.write_type(&mut xml);
    xml.flag("IsTruncated", truncated);
    write_lines(&mut xml, scope.encoding, lines);
    xml.close("ListBucketResult");
    answer::document(xml)
}
