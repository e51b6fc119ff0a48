//! GetObjectAttributes.

use bytes::Bytes;
use http::{Response, header};
use types::{BucketName, Checksum, ObjectKey, PartNumber};

use crate::answer;
use crate::checksum;
use crate::conditions::ReadConditions;
use crate::error::S3Error;
use crate::get_object::{ObjectFacts, refuse_encryption_keys};
use crate::head::{RequestHead, VersionRef};
use crate::listing;
use crate::time::http_date;
use crate::xml::XmlWriter;

/// Attributes of an object are asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct GetObjectAttributesRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The version; `None` is the newest.
    pub version: Option<VersionRef>,
    /// Which attributes.
    pub wanted: WantedAttributes,
    /// At most so many parts.
    pub parts_max: usize,
    /// Only parts after this number.
    pub parts_after: u16,
    /// What must hold.
    pub conditions: ReadConditions,
}

/// Which attributes are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WantedAttributes {
    /// ETag.
    pub etag: bool,
    /// Checksum.
    pub checksum: bool,
    /// ObjectParts.
    pub parts: bool,
    /// StorageClass.
    pub storage_class: bool,
    /// ObjectSize.
    pub size: bool,
}

impl GetObjectAttributesRequest {
    /// Reads the request.
    ///
    /// # Errors
    /// `InvalidRequest` without attributes, and for keys of encryption; `InvalidArgument`.
    pub fn parse(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        refuse_encryption_keys(head)?;
        let marker = listing::bounded_number("x-amz-part-number-marker", head.header("x-amz-part-number-marker")?)?;
        Ok(Self {
            bucket: head.bucket()?,
            key: head.key()?,
            version: head.version()?,
            wanted: WantedAttributes::parse(head)?,
            parts_max: listing::page_limit("x-amz-max-parts", head.header("x-amz-max-parts")?)?,
            parts_after: u16::try_from(marker.unwrap_or(0)).unwrap_or(u16::MAX),
            conditions: ReadConditions::of_read(head.headers),
        })
    }
}

impl WantedAttributes {
    fn parse(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        let mut wanted = Self::default();
        let values = head.headers.get_all("x-amz-object-attributes").iter();
        let names = values.flat_map(|value| value.as_bytes().split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
        for name in names.filter(|name| !name.is_empty()) {
            match name {
                b"ETag" => wanted.etag = true,
                b"Checksum" => wanted.checksum = true,
                b"ObjectParts" => wanted.parts = true,
                b"StorageClass" => wanted.storage_class = true,
                b"ObjectSize" => wanted.size = true,
                other => {
                    let message = "Invalid attribute name specified.";
                    let other = String::from_utf8_lossy(other);
                    return Err(S3Error::invalid_argument(message, "x-amz-object-attributes", other));
                }
            }
        }
        if wanted == Self::default() {
            return Err(S3Error::invalid_request(
                "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or \
                 empty",
            ));
        }
        Ok(wanted)
    }
}

/// The parts of an object that came by upload.
#[derive(Debug, Clone, Copy)]
pub struct PartsPage<'a> {
    /// How many it has.
    pub count: usize,
    /// A page of them; `None` where the parts have no checksums of the client's, for then AWS only counts them.
    pub page: Option<&'a [AttributesPart]>,
    /// Whether more follow.
    pub truncated: bool,
}

/// A part as this answer shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributesPart {
    /// Its number.
    pub number: PartNumber,
    /// Its bytes.
    pub size: u64,
    /// Its checksum.
    pub checksum: Option<Checksum>,
}

/// Writes the answer. `checksum` is the object's; `parts` is there for an object that came by upload;
/// `parts_of_checksum` is their number where a composite checksum shows it, as Ceph's does.
pub fn answer(
    request: &GetObjectAttributesRequest,
    object: &ObjectFacts<'_>,
    checksum: Option<&Checksum>,
    parts_of_checksum: Option<u16>,
    parts: Option<&PartsPage<'_>>,
) -> Response<Bytes> {
    let wanted = &request.wanted;
    let mut xml = XmlWriter::document();
    xml.open_root("GetObjectAttributesResponse");
    if wanted.etag {
        xml.plain("ETag", object.etag);
    }
    if let (true, Some(checksum)) = (wanted.checksum, checksum) {
        xml.open("Checksum");
        // Here, and only here, S3 shows a composite one without the number of parts.
        checksum::write_element(&mut xml, checksum, parts_of_checksum);
        xml.text("ChecksumType", checksum.checksum_type.name());
        xml.close("Checksum");
    }
    if let (true, Some(parts)) = (wanted.parts, parts) {
        write_parts(&mut xml, request, parts);
    }
    if wanted.storage_class {
        xml.text("StorageClass", object.attributes.storage_class.as_str());
    }
    if wanted.size {
        xml.plain("ObjectSize", object.plain_bytes);
    }
    xml.close("GetObjectAttributesResponse");
    let mut response = answer::document(xml);
    let headers = response.headers_mut();
    headers.insert(header::LAST_MODIFIED, http_date(object.modified));
    if let Some(id) = object.version_id {
        answer::set(headers, "x-amz-version-id", id);
    }
    response
}

fn write_parts(xml: &mut XmlWriter, request: &GetObjectAttributesRequest, parts: &PartsPage<'_>) {
    xml.open("ObjectParts");
    xml.plain("PartsCount", parts.count);
    if let Some(page) = parts.page {
        xml.plain("PartNumberMarker", request.parts_after);
        xml.plain("NextPartNumberMarker", page.last().map_or(0, |part| part.number.get()));
        xml.plain("MaxParts", request.parts_max);
        xml.flag("IsTruncated", parts.truncated);
        for part in page {
            xml.open("Part");
            xml.plain("PartNumber", part.number.get());
            xml.plain("Size", part.size);
            if let Some(checksum) = &part.checksum {
                checksum::write_element(xml, checksum, None);
            }
            xml.close("Part");
        }
    }
    xml.close("ObjectParts");
}
