//! What the answers of all operations share: documents, empty bodies, headers.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use types::{ETag, Owner, Timestamp};

use crate::time::push_iso8601;
use crate::xml::XmlWriter;

/// 200 with an XML document.
pub(crate) fn document(xml: XmlWriter) -> Response<Bytes> {
    let body = xml.finish();
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// No body.
pub(crate) fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    response
}

/// Sets a header whose value is visible ASCII: an id, a number, a name of a closed set.
pub(crate) fn set(headers: &mut HeaderMap, name: &'static str, value: impl std::fmt::Display) {
    // A value that HTTP can't carry would have come from an earlier release's rows; the answer goes without it.
    if let Ok(value) = HeaderValue::try_from(value.to_string()) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// The ETag as header: in quotes.
pub(crate) fn etag_header(etag: &ETag) -> HeaderValue {
    HeaderValue::try_from(format!("\"{etag}\"")).expect("an ETag is ASCII")
}

impl XmlWriter {
    /// An element with a time.
    pub(crate) fn time(&mut self, name: &str, at: Timestamp) {
        self.open(name);
        push_iso8601(self.buffer(), at);
        self.close(name);
    }

    /// An element with an ETag in quotes.
    pub(crate) fn etag(&mut self, name: &str, etag: &ETag) {
        self.open(name);
        self.raw("&quot;");
        let mut digits = [0; 32];
        hex::encode_to_slice(etag.md5, &mut digits).expect("32 digits for 16 bytes");
        self.buffer().extend_from_slice(&digits);
        if let Some(parts) = etag.parts {
            self.raw("-");
            self.raw(&parts.to_string());
        }
        self.raw("&quot;");
        self.close(name);
    }

    /// An account, as `Owner` or `Initiator`.
    pub(crate) fn owner(&mut self, name: &str, owner: &Owner) {
        self.open(name);
        self.text("ID", owner.canonical_id.0.as_bytes());
        self.text("DisplayName", owner.display_name.as_bytes());
        self.close(name);
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, name: &str, value: bool) {
        self.open(name);
        self.raw(if value { "true" } else { "false" });
        self.close(name);
    }
}
