//! PostObject: a browser's upload by a form.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use types::{BucketName, ETag, ObjectAttributes, ObjectKey};

use crate::answer;
use crate::body::{BodyChecksum, BodyIntegrity};
use crate::error::{ErrorCode, S3Error};
use crate::form::FIELDS_BYTES_MAX;
use crate::head::{RequestHead, VersionRef};
use crate::object_attributes;
use crate::percent;
use crate::tagging::{self, Tagged};
use crate::xml::XmlWriter;

/// A form without its file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostForm {
    fields: Vec<(String, Vec<u8>)>,
}

/// An object is to be stored by a form.
#[derive(Debug, Clone, PartialEq)]
pub struct PostObjectRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Headers, metadata, storage class.
    pub attributes: ObjectAttributes,
    /// What the file must hash to.
    pub integrity: BodyIntegrity,
    /// What the browser is answered.
    pub success: Success,
}

/// What a browser is answered once the object is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Success {
    /// This status: 200, 201 (with a document), or 204.
    Status(StatusCode),
    /// It is sent to this URL.
    Redirect(String),
}

/// Fields that say what becomes of the form, and are no headers of the object.
const CONTROLS: [&str; 16] = [
    "acl",
    "awsaccesskeyid",
    "bucket",
    "key",
    "policy",
    "redirect",
    "signature",
    "success_action_redirect",
    "success_action_status",
    "submit",
    "tagging",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-signature",
];

impl PostForm {
    /// Adds a field that precedes the file; `name` is in lower case.
    ///
    /// # Errors
    /// `InvalidArgument` for one that is there already: which of the two holds would be anybody's guess.
    pub fn add(&mut self, name: String, value: Vec<u8>) -> Result<(), S3Error> {
        if self.field(&name).is_some() {
            let value = String::from_utf8_lossy(&value).into_owned();
            return Err(S3Error::invalid_argument("A field of the POST form is there twice.", &name, value));
        }
        self.fields.push((name, value));
        Ok(())
    }

    /// Puts the file's name in the place of `${filename}`, except in the policy, which is signed as it is.
    ///
    /// # Errors
    /// `MaxPostPreDataLengthExceeded` where the fields are longer than may be with it.
    pub fn name_file(&mut self, file: &[u8]) -> Result<(), S3Error> {
        const VARIABLE: &[u8] = b"${filename}";
        for (_, value) in self.fields.iter_mut().filter(|(name, _)| name != "policy") {
            let mut named = Vec::with_capacity(value.len());
            let variables = memchr::memmem::find_iter(value, VARIABLE).count();
            if value.len() + variables * file.len() > FIELDS_BYTES_MAX {
                return Err(ErrorCode::MaxPostPreDataLengthExceeded.into());
            }
            let mut rest = value.as_slice();
            while let Some(at) = memchr::memmem::find(rest, VARIABLE) {
                named.extend_from_slice(&rest[..at]);
                named.extend_from_slice(file);
                rest = &rest[at + VARIABLE.len()..];
            }
            named.extend_from_slice(rest);
            *value = named;
        }
        let bytes: usize = self.fields.iter().map(|(_, value)| value.len()).sum();
        if bytes > 2 * FIELDS_BYTES_MAX { Err(ErrorCode::MaxPostPreDataLengthExceeded.into()) } else { Ok(()) }
    }

    /// The fields in their order.
    pub fn fields(&self) -> &[(String, Vec<u8>)] {
        &self.fields
    }

    /// A field's value.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_slice())
    }

    /// A field's value as text.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no UTF-8.
    pub fn text(&self, name: &str) -> Result<Option<&str>, S3Error> {
        let Some(value) = self.field(name) else { return Ok(None) };
        std::str::from_utf8(value).map(Some).map_err(|_| {
            S3Error::invalid_argument(ErrorCode::InvalidArgument.message(), name, String::from_utf8_lossy(value))
        })
    }

    /// The headers that the fields stand for.
    ///
    /// # Errors
    /// `InvalidArgument` for a value that no header can have.
    pub fn headers(&self) -> Result<HeaderMap, S3Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.fields {
            let name = if name == "acl" { "x-amz-acl" } else { name };
            // A form has no conditions, and what its sender's browser says stands in the request's own head.
            let is_of_request = name.starts_with("if-") || matches!(name, "referer" | "user-agent" | "origin");
            if CONTROLS.contains(&name) || name.starts_with("x-ignore-") || is_of_request {
                continue;
            }
            // What no header could say is nothing that S3 knows.
            let Ok(known) = HeaderName::from_bytes(name.as_bytes()) else { continue };
            let value = HeaderValue::from_bytes(value).map_err(|_| {
                S3Error::invalid_argument(ErrorCode::InvalidArgument.message(), name, String::from_utf8_lossy(value))
            })?;
            headers.insert(known, value);
        }
        Ok(headers)
    }
}

impl PostObjectRequest {
    /// Reads a form; `head` is of the request that carries it.
    ///
    /// # Errors
    /// `InvalidArgument` without a key, `KeyTooLongError`, those of [`object_attributes::parse`], of
    /// [`tagging::parse_document`] and of checksums.
    pub fn parse(head: &RequestHead<'_>, form: &PostForm) -> Result<Self, S3Error> {
        let key = form.field("key").filter(|key| !key.is_empty()).ok_or_else(|| missing_field("key"))?;
        let key = ObjectKey::new(Bytes::copy_from_slice(key)).map_err(|_| S3Error::from(ErrorCode::KeyTooLongError))?;
        let headers = form.headers()?;
        let of_form = RequestHead { headers: &headers, ..*head };
        let mut attributes = object_attributes::parse(&of_form)?;
        if let Some(document) = form.field("tagging") {
            attributes.tags = tagging::parse_document(document, Tagged::Object)?;
        }
        let integrity = BodyIntegrity::parse(&of_form)?;
        if matches!(integrity.checksum, BodyChecksum::Trailer(_)) {
            return Err(ErrorCode::MalformedTrailerError.into());
        }
        Ok(Self { bucket: head.bucket()?, key, attributes, integrity, success: Success::of_form(form)? })
    }
}

impl Success {
    fn of_form(form: &PostForm) -> Result<Self, S3Error> {
        let redirect = match form.text("success_action_redirect")? {
            Some(url) => Some(url),
            None => form.text("redirect")?,
        };
        // What is no URL is passed over, as the status is then.
        if let Some(url) = redirect
            && (url.starts_with("http://") || url.starts_with("https://"))
            && HeaderValue::from_str(url).is_ok()
        {
            return Ok(Self::Redirect(url.to_owned()));
        }
        Ok(Self::Status(match form.text("success_action_status")? {
            Some("200") => StatusCode::OK,
            Some("201") => StatusCode::CREATED,
            _ => StatusCode::NO_CONTENT,
        }))
    }
}

/// `InvalidArgument` for a field that the form lacks, or that comes after the file.
pub fn missing_field(name: &str) -> S3Error {
    let message = format!(
        "Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."
    );
    S3Error::invalid_argument(message, name, "")
}

/// `InvalidArgument` for a form without a file.
pub fn no_file() -> S3Error {
    S3Error::invalid_argument("POST requires exactly one file upload per request.", "file", "0")
}

/// `PreconditionFailed` for a body that is no form.
pub fn no_form() -> S3Error {
    S3Error::new(ErrorCode::PreconditionFailed)
        .with("Condition", "Bucket POST must be of the enclosure-type multipart/form-data")
}

/// The object is stored.
#[derive(Debug, Clone, Copy)]
pub struct PostedAnswer<'a> {
    /// The bucket.
    pub bucket: &'a BucketName,
    /// Its key.
    pub key: &'a ObjectKey,
    /// The bucket's URL, without a slash at its end.
    pub bucket_url: &'a str,
    /// Its tag.
    pub etag: &'a ETag,
    /// Its version, in a bucket with versioning enabled.
    pub version: Option<VersionRef>,
}

impl PostedAnswer<'_> {
    /// Writes the answer.
    pub fn write(&self, success: &Success) -> Response<Bytes> {
        let location = format!("{}/{}", self.bucket_url, percent::encode(self.key.as_bytes(), true));
        let mut response = match success {
            Success::Redirect(url) => self.redirect(url),
            Success::Status(StatusCode::CREATED) => self.document(&location),
            Success::Status(status) => answer::empty(*status),
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, answer::etag_header(self.etag));
        if !headers.contains_key(header::LOCATION) {
            answer::set(headers, "location", location);
        }
        if let Some(version) = self.version {
            answer::set(headers, "x-amz-version-id", version);
        }
        response
    }

    /// The browser goes on to where it learns what was stored.
    fn redirect(&self, url: &str) -> Response<Bytes> {
        let mut response = answer::empty(StatusCode::SEE_OTHER);
        let (bucket, key) =
            (percent::encode(self.bucket.as_str().as_bytes(), false), percent::encode(self.key.as_bytes(), false));
        let before = if url.contains('?') { '&' } else { '?' };
        let target = format!("{url}{before}bucket={bucket}&key={key}&etag=%22{}%22", self.etag);
        answer::set(response.headers_mut(), "location", target);
        response
    }

    fn document(&self, location: &str) -> Response<Bytes> {
        let mut xml = XmlWriter::document();
        xml.open("PostResponse");
        xml.text("Location", location.as_bytes());
        xml.text("Bucket", self.bucket.as_str().as_bytes());
        xml.text("Key", self.key.as_bytes());
        xml.etag("ETag", self.etag);
        xml.close("PostResponse");
        let mut response = answer::document(xml);
        *response.status_mut() = StatusCode::CREATED;
        response
    }
}

#[cfg(test)]
mod tests;
