//! GetObject and HeadObject: one request but for the method, one head but for the body.

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use types::{BucketName, Checksum, ETag, ObjectAttributes, ObjectKey, PartNumber, Timestamp};

use crate::answer;
use crate::checksum;
use crate::conditions::ReadConditions;
use crate::error::{ErrorCode, S3Error};
use crate::head::{RequestHead, VersionRef};
use crate::object_attributes;
use crate::range::{ByteRange, RangeSpec};
use crate::time::http_date;

/// An object is to be read, or its head.
#[derive(Debug, Clone, PartialEq)]
pub struct GetObjectRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The version; `None` is the newest.
    pub version: Option<VersionRef>,
    /// Which bytes. None with If-Range: whether the object is still the one that the client has a part of is not
    /// known here, and the whole of it is right in either case (RFC 9110, section 14.2).
    pub range: Option<RangeSpec>,
    /// Which part; never with a range.
    pub part_number: Option<PartNumber>,
    /// What must hold.
    pub conditions: ReadConditions,
    /// Headers that the answer has instead of the object's.
    pub overrides: ResponseOverrides,
    /// Whether the checksum is shown.
    pub checksum_mode: bool,
}

/// Refuses keys of encryption: no object is encrypted with one.
///
/// # Errors
/// `InvalidRequest`.
pub(crate) fn refuse_encryption_keys(head: &RequestHead<'_>) -> Result<(), S3Error> {
    if head.headers.keys().any(|name| name.as_str().starts_with("x-amz-server-side-encryption-customer")) {
        return Err(S3Error::invalid_request("The encryption parameters are not applicable to this object."));
    }
    Ok(())
}

impl GetObjectRequest {
    /// Reads the request.
    ///
    /// # Errors
    /// `InvalidArgument`, `InvalidRequest` for a range with a part number, and for keys of encryption.
    pub fn parse(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        refuse_encryption_keys(head)?;
        let part_number = head.part_number()?;
        let range = head.headers.get(header::RANGE);
        if part_number.is_some() && range.is_some() {
            let words = "Cannot specify both Range header and partNumber query parameter";
            return Err(S3Error::invalid_request(words));
        }
        let mode = head.headers.get("x-amz-checksum-mode").map(HeaderValue::as_bytes);
        Ok(Self {
            bucket: head.bucket()?,
            key: head.key()?,
            version: head.version()?,
            range: range.filter(|_| !head.headers.contains_key(header::IF_RANGE)).and_then(RangeSpec::parse),
            part_number,
            conditions: ReadConditions::of_read(head.headers),
            overrides: ResponseOverrides::parse(head)?,
            checksum_mode: mode.is_some_and(|mode| mode.trim_ascii().eq_ignore_ascii_case(b"enabled")),
        })
    }
}

/// Headers of the answer that the `response-*` parameters name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseOverrides(Vec<(HeaderName, HeaderValue)>);

impl ResponseOverrides {
    fn parse(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        let known = [
            ("response-cache-control", header::CACHE_CONTROL),
            ("response-content-disposition", header::CONTENT_DISPOSITION),
            ("response-content-encoding", header::CONTENT_ENCODING),
            ("response-content-language", header::CONTENT_LANGUAGE),
            ("response-content-type", header::CONTENT_TYPE),
            ("response-expires", header::EXPIRES),
        ];
        let mut overrides = Vec::new();
        for (parameter, name) in known {
            let Some(value) = head.query.bytes(parameter).filter(|value| !value.is_empty()) else { continue };
            let header = HeaderValue::from_bytes(value).map_err(|_| crate::listing::invalid(parameter, value))?;
            overrides.push((name, header));
        }
        Ok(Self(overrides))
    }

    /// Whether there are none. Anonymous requests may not have any: [`ResponseOverrides::refused_to_anonymous`].
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What AWS answers an anonymous request that has some.
    pub fn refused_to_anonymous() -> S3Error {
        S3Error::invalid_request("Request specific response headers cannot be used for anonymous GET requests.")
    }
}

/// Which bytes are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// All.
    Whole,
    /// These: 206 with Content-Range.
    Range(ByteRange),
    /// A part that has no bytes: 206.
    EmptyPart,
}

/// An object as answers describe it.
#[derive(Debug, Clone, Copy)]
pub struct ObjectFacts<'a> {
    /// Headers, metadata, tags, storage class.
    pub attributes: &'a ObjectAttributes,
    /// Its tag.
    pub etag: &'a ETag,
    /// When it was stored.
    pub modified: Timestamp,
    /// Its plain bytes.
    pub plain_bytes: u64,
    /// The id that is shown, where the bucket is or was versioned.
    pub version_id: Option<VersionRef>,
}

/// The object is there: the head of GetObject's and HeadObject's answer.
#[derive(Debug, Clone, Copy)]
pub struct ObjectAnswer<'a> {
    /// What is read.
    pub object: ObjectFacts<'a>,
    /// Which bytes.
    pub content: Content,
    /// How many parts the object has, where one was asked for by number and it came by upload.
    pub parts_count: Option<u16>,
    /// The checksum that is shown: the object's, or for a part by number the part's; none for a range.
    pub checksum: Option<&'a Checksum>,
    /// Headers instead of the object's.
    pub overrides: &'a ResponseOverrides,
}

impl ObjectAnswer<'_> {
    /// Writes the head; the bytes are the caller's.
    pub fn write(&self) -> Response<()> {
        let mut response = Response::new(());
        let object = &self.object;
        let headers = response.headers_mut();
        headers.reserve(16);
        object_attributes::set_headers(headers, object.attributes);
        for (name, value) in &self.overrides.0 {
            headers.insert(name.clone(), value.clone());
        }
        headers.insert(header::ETAG, answer::etag_header(object.etag));
        headers.insert(header::LAST_MODIFIED, http_date(object.modified));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if let Some(id) = object.version_id {
            answer::set(headers, "x-amz-version-id", id);
        }
        if let Some(count) = self.parts_count {
            answer::set(headers, "x-amz-mp-parts-count", count);
        }
        if let Some(checksum) = self.checksum {
            checksum::set_headers(headers, checksum, object.etag.parts);
        }
        *response.status_mut() = self.write_content(response.headers_mut());
        response
    }

    fn write_content(&self, headers: &mut HeaderMap) -> StatusCode {
        let (length, status) = match self.content {
            Content::Whole => (self.object.plain_bytes, StatusCode::OK),
            Content::EmptyPart => (0, StatusCode::PARTIAL_CONTENT),
            Content::Range(range) => {
                let text = format!("bytes {}-{}/{}", range.first, range.last, self.object.plain_bytes);
                let value = HeaderValue::try_from(text).expect("a range is ASCII");
                headers.insert(header::CONTENT_RANGE, value);
                (range.length(), StatusCode::PARTIAL_CONTENT)
            }
        };
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        status
    }
}

/// `InvalidPartNumber` (416): the object doesn't have this part.
pub fn no_such_part(part: PartNumber, parts: u16) -> S3Error {
    S3Error::new(ErrorCode::InvalidPartNumber)
        .with("ActualPartCount", parts.to_string())
        .with("PartNumberRequested", part.get().to_string())
}

/// What a read of a delete marker made at `modified` gets: 404 where it is the newest version, 405 with Allow where it was
/// named. `shown_id` is its id where the bucket is or was versioned.
pub fn delete_marker(key: &ObjectKey, modified: Timestamp, shown_id: Option<VersionRef>, named: bool) -> S3Error {
    let error = if named {
        S3Error::new(ErrorCode::MethodNotAllowed)
            .with("Method", "GET")
            .with("ResourceType", "DeleteMarker")
            .with_header(header::ALLOW, HeaderValue::from_static("DELETE"))
            .with_header(header::LAST_MODIFIED, http_date(modified))
    } else {
        no_such_key(key)
    };
    let error = error.with_header(HeaderName::from_static("x-amz-delete-marker"), HeaderValue::from_static("true"));
    match shown_id {
        None => error,
        Some(id) => {
            let id = HeaderValue::try_from(id.to_string()).expect("a version id is ASCII");
            error.with_header(HeaderName::from_static("x-amz-version-id"), id)
        }
    }
}

/// `NoSuchKey`
pub fn no_such_key(key: &ObjectKey) -> S3Error {
    S3Error::new(ErrorCode::NoSuchKey).with("Key", key.to_string())
}

/// `NoSuchVersion`
pub fn no_such_version(key: &ObjectKey, version: VersionRef) -> S3Error {
    S3Error::new(ErrorCode::NoSuchVersion).with("Key", key.to_string()).with("VersionId", version.to_string())
}
