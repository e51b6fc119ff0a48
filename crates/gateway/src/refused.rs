//! The answer to a head that is refused before HTTP's parser has it: written by hand, and the connection is closed
//! after it.

use std::fmt::Write;

use s3_wire::{ErrorCode, ErrorContext, S3Error};

use crate::framing::Refusal;
use crate::gateway::GatewayCore;
use crate::request_path::SERVER_NAME;

/// The bytes of the answer.
pub(crate) fn answer(core: &GatewayCore, refusal: Refusal) -> Vec<u8> {
    let id = core.request_ids.next();
    let host = core.request_ids.host();
    let error = in_words(refusal);
    id.name().sync_scope(|| tracing::debug!(error = %refusal, "request refused"));
    // What the request was aimed at has not been read.
    let body = error.body(&ErrorContext { resource: "/", request_id: id.as_str(), host_id: host.as_str() });
    let date = s3_wire::time::http_date(core.services.clock.now());
    let mut head = String::with_capacity(320);
    let status = error.status();
    write!(
        head,
        "HTTP/1.1 {} {}\r\nx-amz-request-id: {id}\r\nx-amz-id-2: {}\r\nserver: {SERVER_NAME}\r\ndate: {}\r\n\
         content-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        host.as_str(),
        date.to_str().expect("a date is ASCII"),
        body.len(),
    )
    .expect("a String takes all text");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(&body);
    bytes
}

fn in_words(refusal: Refusal) -> S3Error {
    match refusal {
        Refusal::HeadTooLong | Refusal::TooManyHeaders => ErrorCode::RequestHeaderSectionTooLarge.into(),
        Refusal::Repeated(_) | Refusal::LengthAndEncoding | Refusal::BadLength | Refusal::MissingHost => {
            let mut words = refusal.to_string();
            words[..1].make_ascii_uppercase();
            S3Error::new(ErrorCode::BadRequest).with_message(format!("{words}."))
        }
        Refusal::BadRequestLine | Refusal::BadHeader => ErrorCode::BadRequest.into(),
        Refusal::UnknownEncoding => S3Error::header_not_implemented("Transfer-Encoding"),
        Refusal::HeadTimeout => ErrorCode::RequestTimeout.into(),
    }
}
