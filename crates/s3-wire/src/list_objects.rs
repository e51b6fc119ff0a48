//! ListObjects: version 1. What it shares with version 2 is here too: the entries.

use bytes::Bytes;
use http::Response;
use types::{BucketName, ChecksumAlgorithm, ChecksumType, ETag, Owner, StorageClass, Timestamp};

use crate::answer;
use crate::error::S3Error;
use crate::head::RequestHead;
use crate::listing::{self, KeyEncoding, ListScope};
use crate::time::push_iso8601;
use crate::xml::XmlWriter;

/// A page of a bucket's objects is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct ListObjectsRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// Prefix, delimiter, limit, encoding.
    pub scope: ListScope,
    /// Only keys and common prefixes after this one; may be empty.
    pub marker: Bytes,
}

impl ListObjectsRequest {
    /// Reads the request.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn parse(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        Ok(Self {
            bucket: head.bucket()?,
            scope: ListScope::parse(head, "max-keys")?,
            marker: listing::bytes(head, "marker"),
        })
    }
}

/// A line of a listing.
#[derive(Debug, Clone, Copy)]
pub enum ListLine<'a, T> {
    /// An object, a version or an upload.
    Entry(T),
    /// Keys rolled up: prefix and delimiter included.
    CommonPrefix(&'a [u8]),
}

/// An object as listings show it.
#[derive(Debug, Clone, Copy)]
pub struct ListedObject<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// When it was stored.
    pub modified: Timestamp,
    /// Its tag.
    pub etag: ETag,
    /// Its bytes.
    pub size: u64,
    /// Its class.
    pub storage_class: &'a StorageClass,
    /// The algorithm and type of its checksum.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    /// Its owner, where owners are shown.
    pub owner: Option<&'a Owner>,
}

/// How many bytes of XML a page is reserved at first: about what a page of short keys takes.
const PAGE_BYTES: usize = 512;
pub(crate) const ENTRY_BYTES: usize = 384;

/// Writes a page. `truncated`: more follow after its last line.
pub fn answer(
    request: &ListObjectsRequest,
    lines: &[ListLine<'_, ListedObject<'_>>],
    truncated: bool,
) -> Response<Bytes> {
    let scope = &request.scope;
    let mut xml = XmlWriter::with_capacity(PAGE_BYTES + ENTRY_BYTES * lines.len());
    xml.open_root("ListBucketResult");
    xml.text("Name", request.bucket.as_str());
    scope.encoding.write(&mut xml, "Prefix", &scope.prefix);
    scope.encoding.write(&mut xml, "Marker", &request.marker);
    if truncated && !scope.delimiter.is_empty() {
        let last = lines.last().map_or(&b""[..], |line| match line {
            ListLine::Entry(object) => object.key,
            ListLine::CommonPrefix(prefix) => prefix,
        });
        scope.encoding.write(&mut xml, "NextMarker", last);
    }
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

/// Writes objects, then common prefixes.
pub(crate) fn write_lines(xml: &mut XmlWriter, encoding: KeyEncoding, lines: &[ListLine<'_, ListedObject<'_>>]) {
    for line in lines {
        if let ListLine::Entry(object) = line {
            write_object(xml, encoding, object);
        }
    }
    for line in lines {
        if let ListLine::CommonPrefix(prefix) = line {
            encoding.write_prefix(xml, prefix);
        }
    }
}

/// The inner loop of a listing: markup that stands together is written together.
fn write_object(xml: &mut XmlWriter, encoding: KeyEncoding, object: &ListedObject<'_>) {
    xml.raw("<Contents>");
    encoding.write(xml, "Key", object.key);
    xml.raw("<LastModified>");
    push_iso8601(xml.buffer(), object.modified);
    xml.raw("</LastModified>");
    xml.etag("ETag", &object.etag);
    if let Some((algorithm, checksum_type)) = object.checksum {
        xml.text("ChecksumAlgorithm", algorithm.name());
        xml.text("ChecksumType", checksum_type.name());
    }
    xml.plain("Size", object.size);
    if let Some(owner) = object.owner {
        xml.owner("Owner", owner);
    }
    // The characters that a class may have need no escaping.
    xml.raw("<StorageClass>");
    xml.raw(object.storage_class.as_str());
    xml.raw("</StorageClass></Contents>");
}
