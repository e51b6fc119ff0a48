//! CompleteMultipartUpload.

use bytes::Bytes;
use http::Response;
use types::{BucketName, Checksum, ChecksumAlgorithm, ChecksumType, ETag, ObjectKey, PartNumber, UploadId};

use crate::answer;
use crate::checksum;
use crate::conditions::WriteConditions;
use crate::error::{ErrorCode, S3Error};
use crate::get_object::refuse_encryption_keys;
use crate::head::{RequestHead, VersionRef};
use crate::operation::LONG_XML_BYTES_MAX;
use crate::xml::{Element, XmlWriter};

/// All parts but the last have at least so many bytes.
pub const PART_BYTES_MIN: u64 = 5 << 20;

/// An upload is to become an object.
#[derive(Debug, Clone, PartialEq)]
pub struct CompleteMultipartUploadRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// The parts that it is made of: at least one. They must be in ascending order, which is not checked here.
    pub parts: Vec<NamedPart>,
    /// The checksum that the object must have: for a composite one without `-N`.
    pub checksum: Option<Checksum>,
    /// The type that the client says the checksum has; it must be the upload's.
    pub checksum_type: Option<ChecksumType>,
    /// How many bytes the object must have.
    pub object_bytes: Option<u64>,
    /// What must hold when it is committed.
    pub conditions: WriteConditions,
}

/// A part that the document names.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedPart {
    /// Its number.
    pub number: PartNumber,
    /// Its tag.
    pub etag: ETag,
    /// Its checksum.
    pub checksum: Option<Checksum>,
}

impl CompleteMultipartUploadRequest {
    /// Reads the request.
    ///
    /// # Errors
    /// `NoSuchUpload` for what is no upload id; `MalformedXML`, also for no part or more than 10,000;
    /// `InvalidPart` for what can't be a tag; `InvalidArgument` and `InvalidRequest` for checksums and sizes;
    /// `InvalidRequest` for keys of encryption.
    pub fn parse(head: &RequestHead<'_>, body: &[u8]) -> Result<Self, S3Error> {
        let (bucket, key, upload) = (head.bucket()?, head.key()?, head.upload()?);
        refuse_encryption_keys(head)?;
        let conditions = WriteConditions::of_write(head.headers);
        let checksum_type = head.header("x-amz-checksum-type")?.map(checksum::parse_type).transpose()?;
        let checksum = parse_object_checksum(head, checksum_type)?;
        let object_bytes = head.header("x-amz-mp-object-size")?.map(parse_object_size).transpose()?;
        let parts = parse_parts(body, upload)?;
        Ok(Self { bucket, key, upload, parts, checksum, checksum_type, object_bytes, conditions })
    }
}

/// The object's checksum; a composite one comes with `-N`, which is cut off, for the parts say how many they are.
fn parse_object_checksum(
    head: &RequestHead<'_>,
    checksum_type: Option<ChecksumType>,
) -> Result<Option<Checksum>, S3Error> {
    let names = ChecksumAlgorithm::ALL.map(|algorithm| (algorithm, checksum::header_name(algorithm)));
    let mut found = names.iter().filter_map(|(algorithm, name)| Some((*algorithm, *name, head.headers.get(*name)?)));
    let Some((algorithm, name, value)) = found.next() else {
        return checksum::parse_header(head.headers);
    };
    if found.next().is_some() {
        return Err(checksum::several());
    }
    let text = value.as_bytes();
    let (digits, composite) = match text.iter().rposition(|&byte| byte == b'-') {
        Some(at) => (&text[..at], true),
        None => (text, false),
    };
    let full = checksum::parse_value(algorithm, name, digits)?;
    let is_composite = composite || checksum_type == Some(ChecksumType::Composite);
    let of_type = if is_composite { ChecksumType::Composite } else { ChecksumType::FullObject };
    let checksum = Checksum::new(algorithm, of_type, full.value().to_vec());
    Ok(Some(checksum.expect("the length was checked")))
}

fn parse_object_size(text: &str) -> Result<u64, S3Error> {
    match text.parse::<i128>() {
        Ok(size) if size < 0 => {
            Err(S3Error::invalid_request(format!("Value for x-amz-mp-object-size header is less than zero: '{text}'")))
        }
        Ok(size) => Ok(u64::try_from(size).unwrap_or(u64::MAX)),
        Err(_) => Err(S3Error::invalid_request(format!("Value for x-amz-mp-object-size header is invalid: '{text}'"))),
    }
}

fn parse_parts(body: &[u8], upload: UploadId) -> Result<Vec<NamedPart>, S3Error> {
    let document = Element::parse(body, LONG_XML_BYTES_MAX)?.named("CompleteMultipartUpload")?;
    let mut parts: Vec<NamedPart> = Vec::new();
    for part in document.children().iter().filter(|child| child.name() == "Part") {
        if parts.len() == usize::from(PartNumber::MAX) {
            return Err(ErrorCode::MalformedXML.into());
        }
        parts.push(parse_part(part, upload)?);
    }
    if parts.is_empty() { Err(ErrorCode::MalformedXML.into()) } else { Ok(parts) }
}

fn parse_part(part: &Element<'_>, upload: UploadId) -> Result<NamedPart, S3Error> {
    let number_text = part.child_text("PartNumber")?.ok_or(ErrorCode::MalformedXML)?;
    let number: i64 = number_text.parse().map_err(|_| ErrorCode::MalformedXML)?;
    let valid = u32::try_from(number).ok().and_then(PartNumber::new);
    let number = valid.ok_or_else(|| {
        let message = if number < 1 {
            "PartNumber must be >= 1"
        } else {
            "Part number must be an integer between 1 and 10000, inclusive"
        };
        S3Error::invalid_argument(message, "PartNumber", number_text)
    })?;
    let etag_text = part.child_text("ETag")?.ok_or(ErrorCode::MalformedXML)?;
    let etag = etag_text.parse().map_err(|_| invalid_part(upload, number, etag_text))?;
    Ok(NamedPart { number, etag, checksum: checksum::parse_elements(part)? })
}

/// `InvalidPart`: the upload has no such part, or it has another tag.
pub fn invalid_part(upload: UploadId, number: PartNumber, etag: &str) -> S3Error {
    S3Error::new(ErrorCode::InvalidPart)
        .with("UploadId", upload.to_string())
        .with("PartNumber", number.get().to_string())
        .with("ETag", etag.trim_matches('"'))
}

/// `EntityTooSmall`: a part that is not the last has under [`PART_BYTES_MIN`].
pub fn part_too_small(number: PartNumber, etag: &ETag, size: u64) -> S3Error {
    S3Error::new(ErrorCode::EntityTooSmall)
        .with("ProposedSize", size.to_string())
        .with("MinSizeAllowed", PART_BYTES_MIN.to_string())
        .with("PartNumber", number.get().to_string())
        .with("ETag", etag.to_string())
}

/// `InvalidRequest`: a composite checksum needs that of each part in the document.
pub fn missing_part_checksum(algorithm: ChecksumAlgorithm, number: PartNumber) -> S3Error {
    S3Error::invalid_request(format!(
        "The upload was created using a {} checksum. The complete request must include the checksum for each part. It \
         was missing for part {} in the request.",
        algorithm.name().to_ascii_lowercase(),
        number.get()
    ))
}

/// `InvalidRequest`: the request names another type than the upload has.
pub fn other_checksum_type(of_upload: ChecksumType) -> S3Error {
    S3Error::invalid_request(format!(
        "The upload was created using the {} checksum mode. The complete request must use the same checksum mode.",
        of_upload.name()
    ))
}

/// `InvalidRequest`: the object has another size than `x-amz-mp-object-size`.
pub fn other_object_size(expected: u64, actual: u64) -> S3Error {
    S3Error::invalid_request(format!(
        "The provided 'x-amz-mp-object-size' header value {expected} does not match what was computed: {actual}"
    ))
}

/// `NoSuchUpload`
pub fn no_such_upload(upload: UploadId) -> S3Error {
    S3Error::new(ErrorCode::NoSuchUpload).with("UploadId", upload.to_string())
}

/// What stands at the beginning of an answer that is kept alive by white space until the object is there.
pub const KEEP_ALIVE_PROLOGUE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// The object is there.
#[derive(Debug, Clone, Copy)]
pub struct CompletedAnswer<'a> {
    /// The object's URL.
    pub location: &'a str,
    /// Its bucket.
    pub bucket: &'a BucketName,
    /// Its key.
    pub key: &'a ObjectKey,
    /// Its tag.
    pub etag: &'a ETag,
    /// Its checksum.
    pub checksum: Option<&'a Checksum>,
    /// Its version, in a bucket with versioning enabled.
    pub version: Option<VersionRef>,
}

impl CompletedAnswer<'_> {
    /// Writes the answer.
    pub fn write(&self) -> Response<Bytes> {
        let mut xml = XmlWriter::document();
        self.write_element(&mut xml);
        let mut response = answer::document(xml);
        if let Some(version) = self.version {
            answer::set(response.headers_mut(), "x-amz-version-id", version);
        }
        response
    }

    /// The rest of an answer that began with [`KEEP_ALIVE_PROLOGUE`]. An error there is
    /// [`S3Error::write_element`]'s.
    pub fn write_element(&self, xml: &mut XmlWriter) {
        xml.open_root("CompleteMultipartUploadResult");
        xml.text("Location", self.location);
        xml.text("Bucket", self.bucket.as_str());
        xml.text("Key", self.key.as_bytes());
        xml.etag("ETag", self.etag);
        if let Some(checksum) = self.checksum {
            checksum::write_element(xml, checksum, self.etag.parts);
            xml.text("ChecksumType", checksum.checksum_type.name());
        }
        xml.close("CompleteMultipartUploadResult");
    }
}
