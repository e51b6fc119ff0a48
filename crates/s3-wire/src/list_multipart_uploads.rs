//! ListMultipartUploads.

use bytes::Bytes;
use http::Response;
use types::{BucketName, ChecksumAlgorithm, ChecksumType, Owner, StorageClass, Timestamp, UploadId};

use crate::answer;
use crate::error::S3Error;
use crate::head::RequestHead;
use crate::list_objects::ListLine;
use crate::listing::{self, KeyEncoding, ListScope};
use crate::xml::XmlWriter;

/// A page of a bucket's uploads under way is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct ListMultipartUploadsRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// Prefix, delimiter, limit, encoding.
    pub scope: ListScope,
    /// Only keys and common prefixes after this one; with [`Self::upload_marker`] also this key's later uploads.
    pub key_marker: Bytes,
    /// Within the marker's key: only uploads after this one.
    pub upload_marker: Option<UploadId>,
}

impl ListMultipartUploadsRequest {
    /// Reads the request.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn parse(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        let key_marker = listing::bytes(head, "key-marker");
        // Without a key marker S3 ignores the upload marker.
        let upload = head.query.text("upload-id-marker")?.filter(|text| !text.is_empty() && !key_marker.is_empty());
        let upload = upload.map(|text| {
            text.parse().map_err(|_| S3Error::invalid_argument("Invalid uploadId marker", "upload-id-marker", text))
        });
        Ok(Self {
            bucket: head.bucket()?,
            scope: ListScope::parse(head, "max-uploads")?,
            key_marker,
            upload_marker: upload.transpose()?,
        })
    }
}

/// An upload as listings show it.
#[derive(Debug, Clone, Copy)]
pub struct ListedUpload<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// Its id.
    pub upload: UploadId,
    /// Who began it, and will own the object.
    pub owner: &'a Owner,
    /// The class that the object will have.
    pub storage_class: &'a StorageClass,
    /// When it began.
    pub began: Timestamp,
    /// The checksum that the object will have, if the client chose one.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
}

/// Writes a page. `truncated`: more follow after its last line.
pub fn answer(
    request: &ListMultipartUploadsRequest,
    lines: &[ListLine<'_, ListedUpload<'_>>],
    truncated: bool,
) -> Response<Bytes> {
    let scope = &request.scope;
    let mut xml = XmlWriter::with_capacity(1024 + 800 * lines.len());
    xml.open_root("ListMultipartUploadsResult");
    xml.text("Bucket", request.bucket.as_str());
    scope.encoding.write(&mut xml, "KeyMarker", &request.key_marker);
    match request.upload_marker {
        Some(upload) => xml.plain("UploadIdMarker", upload),
        None => xml.text("UploadIdMarker", ""),
    }
    let next = if truncated { lines.last() } else { None };
    match next {
        Some(ListLine::Entry(last)) => {
            scope.encoding.write(&mut xml, "NextKeyMarker", last.key);
            xml.plain("NextUploadIdMarker", last.upload);
        }
        Some(ListLine::CommonPrefix(prefix)) => scope.encoding.write(&mut xml, "NextKeyMarker", prefix),
        None => {}
    }
    scope.encoding.write(&mut xml, "Prefix", &scope.prefix);
    if !scope.delimiter.is_empty() {
        scope.encoding.write(&mut xml, "Delimiter", &scope.delimiter);
    }
    scope.encoding.write_type(&mut xml);
    xml.plain("MaxUploads", scope.limit);
    xml.flag("IsTruncated", truncated);
    for line in lines {
        if let ListLine::Entry(upload) = line {
            write_upload(&mut xml, scope.encoding, upload);
        }
    }
    for line in lines {
        if let ListLine::CommonPrefix(prefix) = line {
            scope.encoding.write_prefix(&mut xml, prefix);
        }
    }
    xml.close("ListMultipartUploadsResult");
    answer::document(xml)
}

fn write_upload(xml: &mut XmlWriter, encoding: KeyEncoding, upload: &ListedUpload<'_>) {
    xml.open("Upload");
    encoding.write(xml, "Key", upload.key);
    xml.plain("UploadId", upload.upload);
    xml.owner("Initiator", upload.owner);
    xml.owner("Owner", upload.owner);
    xml.text("StorageClass", upload.storage_class.as_str());
    xml.time("Initiated", upload.began);
    if let Some((algorithm, checksum_type)) = upload.checksum {
        xml.text("ChecksumAlgorithm", algorithm.name());
        xml.text("ChecksumType", checksum_type.name());
    }
    xml.close("Upload");
}
