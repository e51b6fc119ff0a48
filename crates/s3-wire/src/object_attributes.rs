//! What a client says of an object beside its bytes: standard headers, user metadata, tags, storage class, locks.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use types::{ObjectAttributes, StorageClass};

use crate::error::{ErrorCode, S3Error};
use crate::head::RequestHead;
use crate::{object_lock, tagging};

/// The most user metadata that an object may have, in bytes of names and values.
pub const METADATA_BYTES_MAX: usize = 2048;

/// The most that an object's standard headers may have, in bytes of names and values.
const HEADERS_BYTES_MAX: usize = 8 << 10;

const METADATA_PREFIX: &str = "x-amz-meta-";

/// The content type of an object that was given none.
pub(crate) const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

const KEPT_HEADERS: [&str; 7] = [
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
    "x-amz-website-redirect-location",
];

/// Reads the attributes of a new object: PutObject, CreateMultipartUpload, CopyObject with REPLACE.
///
/// # Errors
/// `MetadataTooLarge`, `RequestHeaderSectionTooLarge` for more than 8 KiB of standard headers, `InvalidStorageClass`,
/// `InvalidRedirectLocation`, those of [`tagging::parse_header`] and [`object_lock::parse`], and `NotImplemented` naming the header for encryption
/// and for ACLs other than the owner's.
pub fn parse(head: &RequestHead<'_>) -> Result<ObjectAttributes, S3Error> {
    refuse_unbuilt(head)?;
    let (retention, legal_hold) = object_lock::parse(head)?;
    Ok(ObjectAttributes {
        headers: kept_headers(head.headers)?,
        metadata: metadata(head.headers)?,
        tags: head.header("x-amz-tagging")?.map(tagging::parse_header).transpose()?.unwrap_or_default(),
        storage_class: storage_class(head)?.unwrap_or_default(),
        retention,
        legal_hold,
    })
}

/// The storage class that a request names; whether it is configured is the caller's question.
///
/// # Errors
/// `InvalidStorageClass` for what is no name of a class.
pub fn storage_class(head: &RequestHead<'_>) -> Result<Option<StorageClass>, S3Error> {
    let Some(name) = head.header("x-amz-storage-class")? else { return Ok(None) };
    StorageClass::new(name).map(Some).map_err(|_| invalid_storage_class(name))
}

/// `InvalidStorageClass` for a class that isn't configured.
pub fn invalid_storage_class(name: &str) -> S3Error {
    S3Error::new(ErrorCode::InvalidStorageClass).with("StorageClassRequested", name)
}

/// Refuses what would change what is stored and isn't built: encryption, holds that end by an event, appends, ACLs other
/// than the owner's.
pub(crate) fn refuse_unbuilt(head: &RequestHead<'_>) -> Result<(), S3Error> {
    for name in head.headers.keys().map(HeaderName::as_str) {
        let Some(rest) = name.strip_prefix("x-amz-") else { continue };
        let unbuilt = rest.starts_with("server-side-encryption")
            || rest.starts_with("copy-source-server-side-encryption")
            || rest.starts_with("grant-")
            || rest == "write-offset-bytes"
            || (rest.starts_with("object-lock-") && !object_lock::is_known(name));
        if unbuilt {
            return Err(S3Error::header_not_implemented(name));
        }
    }
    check_acl(head)
}

/// Takes the canned ACLs that say what holds anyway.
pub(crate) fn check_acl(head: &RequestHead<'_>) -> Result<(), S3Error> {
    match head.header("x-amz-acl")? {
        None | Some("private" | "bucket-owner-full-control") => Ok(()),
        Some(
            "public-read" | "public-read-write" | "aws-exec-read" | "authenticated-read" | "bucket-owner-read"
            | "log-delivery-write",
        ) => Err(S3Error::header_not_implemented("x-amz-acl")),
        Some(acl) => Err(S3Error::invalid_argument(ErrorCode::InvalidArgument.message(), "x-amz-acl", acl)),
    }
}

fn kept_headers(headers: &HeaderMap) -> Result<Vec<(String, Bytes)>, S3Error> {
    let mut kept: Vec<(String, Bytes)> = Vec::new();
    let mut size = 0;
    for name in headers.keys().filter(|name| KEPT_HEADERS.contains(&name.as_str())) {
        let value = joined(headers, name);
        let value = if *name == header::CONTENT_ENCODING { without_aws_chunked(value) } else { value };
        if value.is_empty() {
            continue;
        }
        if name.as_str() == "x-amz-website-redirect-location" {
            let allowed: [&[u8]; 3] = [b"/", b"http://", b"https://"];
            if !allowed.iter().any(|prefix| value.starts_with(prefix)) {
                return Err(ErrorCode::InvalidRedirectLocation.into());
            }
        }
        size += name.as_str().len() + value.len();
        kept.push((name.as_str().to_owned(), value.into()));
    }
    if size > HEADERS_BYTES_MAX {
        return Err(
            S3Error::new(ErrorCode::RequestHeaderSectionTooLarge).with("MaxSizeAllowed", HEADERS_BYTES_MAX.to_string())
        );
    }
    Ok(kept)
}

fn metadata(headers: &HeaderMap) -> Result<Vec<(String, Bytes)>, S3Error> {
    let mut metadata = Vec::new();
    let mut size = 0;
    for name in headers.keys() {
        let Some(short) = name.as_str().strip_prefix(METADATA_PREFIX) else { continue };
        let value = joined(headers, name);
        size += short.len() + value.len();
        metadata.push((short.to_owned(), Bytes::from(value)));
    }
    if size > METADATA_BYTES_MAX {
        return Err(S3Error::new(ErrorCode::MetadataTooLarge)
            .with("Size", size.to_string())
            .with("MaxSizeAllowed", METADATA_BYTES_MAX.to_string()));
    }
    Ok(metadata)
}

/// All values of a header that was sent several times are one list.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Vec<u8> {
    let values: Vec<_> = headers.get_all(name).iter().map(|value| value.as_bytes().trim_ascii()).collect();
    values.join(&b","[..])
}

/// `aws-chunked` describes the transfer, not the object. A value without it stays as it is.
fn without_aws_chunked(value: Vec<u8>) -> Vec<u8> {
    let is_of_transfer = |token: &[u8]| token.eq_ignore_ascii_case(b"aws-chunked");
    let tokens = || value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    if !tokens().any(is_of_transfer) {
        return value;
    }
    let rest: Vec<_> = tokens().filter(|token| !token.is_empty() && !is_of_transfer(token)).collect();
    rest.join(&b","[..])
}

/// Writes the attributes into the head of a GetObject or HeadObject answer.
pub(crate) fn set_headers(headers: &mut HeaderMap, attributes: &ObjectAttributes) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(DEFAULT_CONTENT_TYPE));
    for (name, value) in &attributes.headers {
        insert(headers, name, value);
    }
    for (name, value) in &attributes.metadata {
        let mut full = String::with_capacity(METADATA_PREFIX.len() + name.len());
        full.push_str(METADATA_PREFIX);
        full.push_str(name);
        insert(headers, &full, value);
    }
    if !attributes.tags.is_empty() {
        headers.insert(HeaderName::from_static("x-amz-tagging-count"), HeaderValue::from(attributes.tags.len()));
    }
    object_lock::set_headers(headers, attributes);
    if attributes.storage_class.as_str() != StorageClass::STANDARD {
        insert(headers, "x-amz-storage-class", &Bytes::copy_from_slice(attributes.storage_class.as_str().as_bytes()));
    }
}

/// What was once a header is one again; anything else that a damaged row could hold is left out.
fn insert(headers: &mut HeaderMap, name: &str, value: &Bytes) {
    let name = HeaderName::from_bytes(name.as_bytes());
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_maybe_shared(value.clone())) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::{BaseDomains, Query, Target};

    fn parsed(pairs: &[(&str, &[u8])]) -> Result<ObjectAttributes, S3Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value).unwrap());
        }
        let target = Target::parse(None, "/bucket/key", &BaseDomains::new([])).unwrap();
        let query = Query::default();
        parse(&RequestHead { method: &Method::PUT, target: &target, query: &query, headers: &headers })
    }

    fn refused(pairs: &[(&str, &[u8])]) -> (ErrorCode, Option<String>) {
        let error = parsed(pairs).unwrap_err();
        (error.code(), error.field("Header").map(str::to_owned))
    }

    #[test]
    fn attributes_are_kept_and_shown_again() {
        let attributes = parsed(&[
            ("content-type", b"text/plain"),
            ("content-encoding", b"aws-chunked, gzip"),
            ("expires", b"never"),
            ("x-amz-meta-One", b" raw \xff\xe4 bytes "),
            ("x-amz-meta-two", b"a"),
            ("x-amz-meta-two", b"b"),
            ("x-amz-tagging", b"k=v"),
            ("x-amz-storage-class", b"FAST"),
            ("x-amz-acl", b"private"),
            ("user-agent", b"test"),
        ])
        .unwrap();
        let mut headers = HeaderMap::new();
        set_headers(&mut headers, &attributes);
        let shown = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
        assert_eq!(shown("content-type"), Some(&b"text/plain"[..]));
        assert_eq!(shown("content-encoding"), Some(&b"gzip"[..]));
        assert_eq!(shown("expires"), Some(&b"never"[..]));
        assert_eq!(shown("x-amz-meta-one"), Some(&b"raw \xff\xe4 bytes"[..]));
        assert_eq!(shown("x-amz-meta-two"), Some(&b"a,b"[..]));
        assert_eq!(shown("x-amz-tagging-count"), Some(&b"1"[..]));
        assert_eq!(shown("x-amz-storage-class"), Some(&b"FAST"[..]));
        assert_eq!(shown("user-agent"), None);
    }

    #[test]
    fn an_encoding_of_the_transfer_alone_is_not_kept() {
        let attributes = parsed(&[("content-encoding", b"aws-chunked")]).unwrap();
        assert!(attributes.headers.is_empty());
        let mut headers = HeaderMap::new();
        set_headers(&mut headers, &attributes);
        assert_eq!(headers["content-type"], DEFAULT_CONTENT_TYPE);
        assert!(!headers.contains_key("x-amz-storage-class"));
    }

    #[test]
    fn what_is_not_built_is_refused_by_name() {
        let not_implemented = |name: &str| (ErrorCode::NotImplemented, Some(name.to_owned()));
        assert_eq!(
            refused(&[("x-amz-server-side-encryption", b"AES256")]),
            not_implemented("x-amz-server-side-encryption")
        );
        assert_eq!(refused(&[("x-amz-grant-read", b"id=1")]), not_implemented("x-amz-grant-read"));
        assert_eq!(refused(&[("x-amz-acl", b"public-read")]), not_implemented("x-amz-acl"));
        assert_eq!(refused(&[("x-amz-acl", b"nonsense")]).0, ErrorCode::InvalidArgument);
        assert_eq!(
            refused(&[("x-amz-object-lock-event-hold", b"ON")]),
            not_implemented("x-amz-object-lock-event-hold")
        );
    }

    #[test]
    fn metadata_and_classes_are_bounded() {
        assert!(parsed(&[("x-amz-meta-k", &[b'v'; 2047])]).is_ok());
        assert_eq!(refused(&[("x-amz-meta-k", &[b'v'; 2048])]).0, ErrorCode::MetadataTooLarge);
        let long = vec![b'v'; (8 << 10) - "cache-control".len()];
        assert!(parsed(&[("cache-control", &long)]).is_ok());
        let more: [(&str, &[u8]); 2] = [("cache-control", &long), ("content-type", b"a/b")];
        assert_eq!(refused(&more).0, ErrorCode::RequestHeaderSectionTooLarge);
        assert_eq!(refused(&[("x-amz-storage-class", b"slow one")]).0, ErrorCode::InvalidStorageClass);
        assert_eq!(refused(&[("x-amz-website-redirect-location", b"ftp://x")]).0, ErrorCode::InvalidRedirectLocation);
    }
}
