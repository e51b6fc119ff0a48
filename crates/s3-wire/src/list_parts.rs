//! ListParts.

use bytes::Bytes;
use http::Response;
use types::{
    BucketName, Checksum, ChecksumAlgorithm, ChecksumType, ETag, ObjectKey, Owner, PartNumber, StorageClass, Timestamp,
    UploadId,
};

use crate::answer;
use crate::checksum;
use crate::error::S3Error;
use crate::head::RequestHead;
use crate::listing;
use crate::xml::XmlWriter;

/// A page of an upload's parts is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPartsRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// At most so many.
    pub limit: usize,
    /// Only parts after this number.
    pub after: u16,
}

impl ListPartsRequest {
    /// Reads the request.
    ///
    /// # Errors
    /// `NoSuchUpload` for what is no upload id; `InvalidArgument`.
    pub fn parse(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        let marker = listing::bounded_number("part-number-marker", head.query.text("part-number-marker")?)?;
        Ok(Self {
            bucket: head.bucket()?,
            key: head.key()?,
            upload: head.upload()?,
            limit: listing::page_limit("max-parts", head.query.text("max-parts")?)?,
            after: u16::try_from(marker.unwrap_or(0)).unwrap_or(u16::MAX),
        })
    }
}

/// The upload that the page is of.
#[derive(Debug, Clone, Copy)]
pub struct UploadOfParts<'a> {
    /// Who began it, and will own the object.
    pub owner: &'a Owner,
    /// The class that the object will have.
    pub storage_class: &'a StorageClass,
    /// The checksum that the object will have, if the client chose one.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
}

/// A part as listings show it.
#[derive(Debug, Clone, Copy)]
pub struct ListedPart<'a> {
    /// Its number.
    pub number: PartNumber,
    /// Its tag.
    pub etag: &'a ETag,
    /// Its plain bytes.
    pub plain_bytes: u64,
    /// When it was stored.
    pub modified: Timestamp,
    /// Its checksum.
    pub checksum: Option<&'a Checksum>,
}

/// Writes a page. `truncated`: more follow after its last part.
pub fn answer(
    request: &ListPartsRequest,
    upload: &UploadOfParts<'_>,
    parts: &[ListedPart<'_>],
    truncated: bool,
) -> Response<Bytes> {
    let mut xml = XmlWriter::with_capacity(1024 + 256 * parts.len());
    xml.open_root("ListPartsResult");
    xml.text("Bucket", request.bucket.as_str());
    xml.text("Key", request.key.as_bytes());
    xml.plain("UploadId", request.upload);
    xml.owner("Initiator", upload.owner);
    xml.owner("Owner", upload.owner);
    xml.text("StorageClass", upload.storage_class.as_str());
    xml.plain("PartNumberMarker", request.after);
    xml.plain("NextPartNumberMarker", parts.last().map_or(0, |part| part.number.get()));
    xml.plain("MaxParts", request.limit);
    xml.flag("IsTruncated", truncated);
    if let Some((algorithm, checksum_type)) = upload.checksum {
        xml.text("ChecksumAlgorithm", algorithm.name());
        xml.text("ChecksumType", checksum_type.name());
    }
    for part in parts {
        xml.open("Part");
        xml.plain("PartNumber", part.number.get());
        xml.time("LastModified", part.modified);
        xml.etag("ETag", part.etag);
        xml.plain("Size", part.plain_bytes);
        if let Some(checksum) = part.checksum {
            checksum::write_element(&mut xml, checksum, None);
        }
        xml.close("Part");
    }
    xml.close("ListPartsResult");
    answer::document(xml)
}
