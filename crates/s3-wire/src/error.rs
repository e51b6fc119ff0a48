//! What S3 answers when it refuses: code, words, fields, headers, and their XML.

mod code;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::xml::XmlWriter;

pub use code::ErrorCode;

/// An S3 error: a code, its words, and what AWS adds to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Error {
    code: ErrorCode,
    message: Cow<'static, str>,
    fields: Vec<(&'static str, String)>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What an error's body says of the request beside the error.
#[derive(Debug, Clone, Copy)]
pub struct ErrorContext<'a> {
    /// The path as it was sent.
    pub resource: &'a str,
    /// The value of `x-amz-request-id`.
    pub request_id: &'a str,
    /// The value of `x-amz-id-2`.
    pub host_id: &'a str,
}

impl S3Error {
    /// `code` with AWS's default words.
    pub const fn new(code: ErrorCode) -> Self {
        Self { code, message: Cow::Borrowed(code.message()), fields: Vec::new(), headers: Vec::new() }
    }

    /// `InvalidArgument` in AWS's form: words, and the argument's name and value.
    pub fn invalid_argument(message: impl Into<Cow<'static, str>>, name: &str, value: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument)
            .with_message(message)
            .with("ArgumentName", name)
            .with("ArgumentValue", value)
    }

    /// `InvalidRequest` with these words.
    pub fn invalid_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidRequest).with_message(message)
    }

    /// `NotImplemented`, naming the header that asks for what isn't there.
    pub fn header_not_implemented(header: &str) -> Self {
        Self::new(ErrorCode::NotImplemented).with("Header", header)
    }

    /// Other words.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// One more element of the body, e.g. `BucketName`.
    #[must_use]
    pub fn with(mut self, field: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((field, value.into()));
        self
    }

    /// One more header of the answer, e.g. `Allow`.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The code.
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// The words.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the answer has this header of the error's own.
    pub fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(each, _)| each == name)
    }

    /// The value of the element `field`, if it was added.
    pub fn field(&self, field: &str) -> Option<&str> {
        self.fields.iter().find(|(name, _)| *name == field).map(|(_, value)| value.as_str())
    }

    /// The body: an `<Error>` document. [`ErrorCode::NotModified`] has none.
    pub fn body(&self, context: &ErrorContext<'_>) -> Bytes {
        if self.code == ErrorCode::NotModified {
            return Bytes::new();
        }
        let mut xml = XmlWriter::document();
        self.write_element(&mut xml, context);
        xml.finish()
    }

    /// Writes the `<Error>` element, e.g. into the body of a CompleteMultipartUpload that was already answered 200.
    pub fn write_element(&self, xml: &mut XmlWriter, context: &ErrorContext<'_>) {
        xml.open("Error");
        xml.text("Code", self.code.as_str());
        xml.text("Message", self.message());
        for (name, value) in &self.fields {
            xml.text(name, value);
        }
        xml.text("Resource", context.resource);
        xml.text("RequestId", context.request_id);
        xml.text("HostId", context.host_id);
        xml.close("Error");
    }

    /// The whole answer. To a HEAD request the gateway sends it without the body.
    pub fn response(&self, context: &ErrorContext<'_>) -> Response<Bytes> {
        let body = self.body(context);
        let mut response = Response::new(body);
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        for (name, value) in &self.headers {
            headers.append(name.clone(), value.clone());
        }
        if self.code != ErrorCode::NotModified {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
            let length = response.body().len();
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }
}

impl From<ErrorCode> for S3Error {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for S3Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for S3Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_an_error_document_with_the_request_in_it() {
        let error = S3Error::new(ErrorCode::NoSuchKey).with("Key", "a<b");
        let context = ErrorContext { resource: "/b/a%3Cb", request_id: "R", host_id: "H" };
        let response = error.response(&context);
        assert_eq!(response.status(), 404);
        assert_eq!(
            std::str::from_utf8(response.body()).unwrap(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code>\
             <Message>The specified key does not exist.</Message><Key>a&lt;b</Key><Resource>/b/a%3Cb</Resource>\
             <RequestId>R</RequestId><HostId>H</HostId></Error>"
        );
    }

    #[test]
    fn not_modified_has_headers_but_no_body() {
        let error =
            S3Error::new(ErrorCode::NotModified).with_header(http::header::ETAG, HeaderValue::from_static("\"x\""));
        let response = error.response(&ErrorContext { resource: "/", request_id: "R", host_id: "H" });
        assert!(response.body().is_empty() && !response.headers().contains_key(CONTENT_LENGTH));
        assert_eq!(response.headers()["etag"], "\"x\"");
    }
}
