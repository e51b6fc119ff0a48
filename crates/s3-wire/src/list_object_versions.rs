//! ListObjectVersions.

use bytes::Bytes;
use http::Response;
use types::{BucketName, Owner};

use crate::answer;
use crate::error::S3Error;
use crate::head::{RequestHead, VersionRef};
use crate::list_objects::{ListLine, ListedObject};
use crate::listing::{self, KeyEncoding, ListScope};
use crate::xml::XmlWriter;

/// A page of a bucket's versions and delete markers is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct ListObjectVersionsRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// Prefix, delimiter, limit, encoding.
    pub scope: ListScope,
    /// Only keys and common prefixes after this one; with [`Self::version_marker`] also this key's older versions.
    pub key_marker: Bytes,
    /// Within the marker's key: only versions older than this one.
    pub version_marker: Option<VersionRef>,
}

impl ListObjectVersionsRequest {
    /// Reads the request.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn parse(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        let key_marker = listing::bytes(head, "key-marker");
        let version = head.query.text("version-id-marker")?;
        if let Some(version) = version.filter(|_| key_marker.is_empty() && !head.query.has("key-marker")) {
            let message = "A version-id marker cannot be specified without a key marker.";
            return Err(S3Error::invalid_argument(message, "version-id-marker", version));
        }
        let version = version.map(|version| {
            VersionRef::parse(version).map_err(|_| {
                let empty = "A version-id marker cannot be empty.";
                let message = if version.is_empty() { empty } else { "Invalid version id specified" };
                S3Error::invalid_argument(message, "version-id-marker", version)
            })
        });
        Ok(Self {
            bucket: head.bucket()?,
            scope: ListScope::parse(head, "max-keys")?,
            version_marker: version.transpose()?.filter(|_| !key_marker.is_empty()),
            key_marker,
        })
    }
}

/// A version or a delete marker as listings show it.
#[derive(Debug, Clone, Copy)]
pub struct ListedVersion<'a> {
    /// All but what follows; for a marker only key, time and owner count.
    pub object: ListedObject<'a>,
    /// Its id as it is shown.
    pub version: VersionRef,
    /// Whether it is the newest of its key.
    pub newest: bool,
    /// Whether it is a delete marker.
    pub marker: bool,
    /// Its owner.
    pub owner: &'a Owner,
}

/// Writes a page. `truncated`: more follow after its last line.
pub fn answer(
    request: &ListObjectVersionsRequest,
    lines: &[ListLine<'_, ListedVersion<'_>>],
    truncated: bool,
) -> Response<Bytes> {
    let scope = &request.scope;
    let mut xml = XmlWriter::with_capacity(1024 + 640 * lines.len());
    xml.open_root("ListVersionsResult");
    xml.text("Name", request.bucket.as_str());
    scope.encoding.write(&mut xml, "Prefix", &scope.prefix);
    scope.encoding.write(&mut xml, "KeyMarker", &request.key_marker);
    match request.version_marker {
        Some(version) => xml.plain("VersionIdMarker", version),
        None => xml.text("VersionIdMarker", ""),
    }
    if truncated {
        match lines.last() {
            Some(ListLine::Entry(last)) => {
                scope.encoding.write(&mut xml, "NextKeyMarker", last.object.key);
                xml.plain("NextVersionIdMarker", last.version);
            }
            Some(ListLine::CommonPrefix(prefix)) => scope.encoding.write(&mut xml, "NextKeyMarker", prefix),
            None => {}
        }
    }
    xml.plain("MaxKeys", scope.limit);
    if !scope.delimiter.is_empty() {
        scope.encoding.write(&mut xml, "Delimiter", &scope.delimiter);
    }
    scope.encoding.write_type(&mut xml);
    xml.flag("IsTruncated", truncated);
    for line in lines {
        if let ListLine::Entry(version) = line {
            write_version(&mut xml, scope.encoding, version);
        }
    }
    for line in lines {
        if let ListLine::CommonPrefix(prefix) = line {
            scope.encoding.write_prefix(&mut xml, prefix);
        }
    }
    xml.close("ListVersionsResult");
    answer::document(xml)
}

fn write_version(xml: &mut XmlWriter, encoding: KeyEncoding, version: &ListedVersion<'_>) {
    let name = if version.marker { "DeleteMarker" } else { "Version" };
    let object = &version.object;
    xml.open(name);
    encoding.write(xml, "Key", object.key);
    xml.plain("VersionId", version.version);
    xml.flag("IsLatest", version.newest);
    xml.time("LastModified", object.modified);
    if !version.marker {
        xml.etag("ETag", &object.etag);
        if let Some((algorithm, checksum_type)) = object.checksum {
            xml.text("ChecksumAlgorithm", algorithm.name());
            xml.text("ChecksumType", checksum_type.name());
        }
        xml.plain("Size", object.size);
        xml.text("StorageClass", object.storage_class.as_str());
    }
    xml.owner("Owner", version.owner);
    xml.close(name);
}
