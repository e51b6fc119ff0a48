//! What a request's head says of the bytes that follow: how many, how they are framed, what they must hash to.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header;
use types::{Checksum, ChecksumAlgorithm};

use crate::checksum;
use crate::chunked::ChunkedForm;
use crate::error::{ErrorCode, S3Error};
use crate::head::RequestHead;

/// The longest body of one PutObject or UploadPart, in bytes.
pub const OBJECT_BODY_BYTES_MAX: u64 = 5 << 30;

/// What `x-amz-content-sha256` says of a body that no signature covers.
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// The bytes of an object or a part that are about to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectBody {
    /// How many plain bytes, if the head says so; `None` only for a body in HTTP chunks, which may have
    /// [`OBJECT_BODY_BYTES_MAX`] at most.
    pub plain_bytes: Option<u64>,
    /// How the plain bytes are framed, if they are aws-chunked.
    pub chunked: Option<ChunkedForm>,
    /// What they must hash to.
    pub integrity: BodyIntegrity,
}

/// What a body must hash to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BodyIntegrity {
    /// Content-MD5: `BadDigest` if it is another one.
    pub content_md5: Option<[u8; 16]>,
    /// The checksum, or where it will stand.
    pub checksum: BodyChecksum,
}

/// The checksum of a body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum BodyChecksum {
    /// None was sent.
    #[default]
    None,
    /// It stands in a header.
    Value(Checksum),
    /// It will stand in the trailer, under [`checksum::header_name`] of this algorithm.
    Trailer(ChecksumAlgorithm),
}

impl BodyChecksum {
    /// The algorithm that the body must be run through.
    pub const fn algorithm(&self) -> Option<ChecksumAlgorithm> {
        match self {
            Self::None => None,
            Self::Value(checksum) => Some(checksum.algorithm),
            Self::Trailer(algorithm) => Some(*algorithm),
        }
    }
}

impl ObjectBody {
    /// Reads what PutObject and UploadPart say of their body.
    ///
    /// # Errors
    /// `MissingContentLength`, `EntityTooLarge`, `InvalidDigest`, `InvalidRequest` for checksum headers that are broken
    /// or don't go together, `InvalidArgument` for aws-chunked bodies that x-amz-content-sha256 doesn't announce.
    pub fn parse(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        let chunked = ChunkedForm::of_request(head);
        let plain_bytes = plain_bytes(head, chunked)?;
        if let Some(size) = plain_bytes.filter(|size| *size > OBJECT_BODY_BYTES_MAX) {
            return Err(too_large(size));
        }
        let integrity = BodyIntegrity::parse(head)?;
        let has_trailer = chunked.is_some_and(ChunkedForm::has_trailer);
        if matches!(integrity.checksum, BodyChecksum::Trailer(_)) && !has_trailer {
            return Err(ErrorCode::MalformedTrailerError.into());
        }
        Ok(Self { plain_bytes, chunked, integrity })
    }
}

/// `EntityTooLarge` for a body of `size` bytes.
pub fn too_large(size: u64) -> S3Error {
    S3Error::new(ErrorCode::EntityTooLarge)
        .with("ProposedSize", size.to_string())
        .with("MaxSizeAllowed", OBJECT_BODY_BYTES_MAX.to_string())
}

/// How many plain bytes a body has, if the head says so; `None` only for one in HTTP chunks.
///
/// # Errors
/// `MissingContentLength`; `InvalidArgument` for a body that is said to be aws-chunked, and of which no signature says
/// that it isn't: its frames would be stored as content.
pub fn plain_bytes(head: &RequestHead<'_>, chunked: Option<ChunkedForm>) -> Result<Option<u64>, S3Error> {
    if chunked.is_some() {
        let text = head.header("x-amz-decoded-content-length")?;
        let digits = text.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
        let length = digits.map(|digits| digits.parse().unwrap_or(u64::MAX));
        return length.map(Some).ok_or_else(|| ErrorCode::MissingContentLength.into());
    }
    let is_signed = head.header("x-amz-content-sha256")?.is_some_and(|payload| payload != UNSIGNED_PAYLOAD);
    let encodings = head.headers.get_all(header::CONTENT_ENCODING).iter();
    let mut tokens = encodings.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    if !is_signed && tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(b"aws-chunked")) {
        return Err(S3Error::invalid_argument(
            "aws-chunked encoding is not supported when x-amz-content-sha256 UNSIGNED-PAYLOAD is supplied.",
            "Content-Encoding",
            "aws-chunked",
        ));
    }
    match head.content_length()? {
        Some(length) => Ok(Some(length)),
        None if head.headers.contains_key(header::TRANSFER_ENCODING) => Ok(None),
        None => Err(ErrorCode::MissingContentLength.into()),
    }
}

impl BodyIntegrity {
    /// Reads Content-MD5, `x-amz-checksum-*`, `x-amz-trailer` and `x-amz-sdk-checksum-algorithm`.
    ///
    /// # Errors
    /// `InvalidDigest` for a Content-MD5 that is not base64 of 16 bytes; `InvalidRequest` for checksum headers that are
    /// broken or don't go together.
    pub fn parse(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        let content_md5 = content_md5(head)?;
        let value = checksum::parse_header(head.headers)?;
        let trailer = trailer_algorithm(head)?;
        let checksum = match (value, trailer) {
            (Some(_), Some(_)) => return Err(checksum::several()),
            (Some(value), None) => BodyChecksum::Value(value),
            (None, Some(algorithm)) => BodyChecksum::Trailer(algorithm),
            (None, None) => BodyChecksum::None,
        };
        if let Some(name) = head.header("x-amz-sdk-checksum-algorithm")? {
            let invalid = || S3Error::invalid_request("Value for x-amz-sdk-checksum-algorithm header is invalid.");
            let announced: ChecksumAlgorithm = name.parse().map_err(|_| invalid())?;
            match checksum.algorithm() {
                // Some SDKs send the header with Content-MD5 alone, which S3 takes for DeleteObjects and the like.
                None if content_md5.is_some() => {}
                None => {
                    return Err(S3Error::invalid_request(
                        "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or \
                         x-amz-trailer headers were found.",
                    ));
                }
                Some(algorithm) if algorithm != announced => return Err(invalid()),
                Some(_) => {}
            }
        }
        Ok(Self { content_md5, checksum })
    }

    /// The same of CompleteMultipartUpload, whose `x-amz-checksum-*` headers are the object's and say nothing of the
    /// document.
    ///
    /// # Errors
    /// Those of [`Self::parse`] but for the headers' values.
    pub fn parse_of_completion(head: &RequestHead<'_>) -> Result<Self, S3Error> {
        let checksum = trailer_algorithm(head)?.map_or(BodyChecksum::None, BodyChecksum::Trailer);
        Ok(Self { content_md5: content_md5(head)?, checksum })
    }

    /// Whether the client sent nothing to check the body by.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn trailer_algorithm(head: &RequestHead<'_>) -> Result<Option<ChecksumAlgorithm>, S3Error> {
    let Some(name) = head.header("x-amz-trailer")? else { return Ok(None) };
    let algorithm = checksum::algorithm_of_header(&name.to_ascii_lowercase());
    let several = head.headers.get_all("x-amz-trailer").iter().count() > 1;
    match algorithm {
        Some(algorithm) if !several => Ok(Some(algorithm)),
        _ => Err(S3Error::invalid_request("The value specified in the x-amz-trailer header is not supported")),
    }
}

fn content_md5(head: &RequestHead<'_>) -> Result<Option<[u8; 16]>, S3Error> {
    head.headers.get("content-md5").map(|value| parse_content_md5(value.as_bytes())).transpose()
}

fn parse_content_md5(value: &[u8]) -> Result<[u8; 16], S3Error> {
    let md5 = STANDARD.decode(value.trim_ascii()).ok().and_then(|md5| md5.try_into().ok());
    md5.ok_or_else(|| {
        S3Error::new(ErrorCode::InvalidDigest).with("Content-MD5", String::from_utf8_lossy(value).into_owned())
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue, Method};

    use super::*;
    use crate::{BaseDomains, Query, Target};

    fn parse(pairs: &[(&'static str, &'static str)]) -> Result<ObjectBody, S3Error> {
        let headers: HeaderMap = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let target = Target::parse(None, "/bucket/key", &BaseDomains::new([])).unwrap();
        let query = Query::default();
        ObjectBody::parse(&RequestHead { method: &Method::PUT, target: &target, query: &query, headers: &headers })
    }

    fn refused(pairs: &[(&'static str, &'static str)]) -> ErrorCode {
        parse(pairs).unwrap_err().code()
    }

    #[test]
    fn lengths_come_from_the_framing() {
        assert_eq!(parse(&[("content-length", "5")]).unwrap().plain_bytes, Some(5));
        assert_eq!(parse(&[("transfer-encoding", "chunked")]).unwrap().plain_bytes, None);
        assert_eq!(refused(&[]), ErrorCode::MissingContentLength);
        assert_eq!(refused(&[("content-length", "5368709121")]), ErrorCode::EntityTooLarge);
        let chunked = parse(&[
            ("content-length", "500"),
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            ("x-amz-decoded-content-length", "300"),
        ])
        .unwrap();
        assert_eq!((chunked.plain_bytes, chunked.chunked), (Some(300), Some(ChunkedForm::Signed)));
        let streaming = ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
        assert_eq!(refused(&[("content-length", "500"), streaming]), ErrorCode::MissingContentLength);
        let said = [("content-length", "5"), ("content-encoding", "gzip, aws-chunked")];
        assert_eq!(refused(&said), ErrorCode::InvalidArgument);
        let [length, encoding] = said;
        assert_eq!(
            refused(&[length, encoding, ("x-amz-content-sha256", UNSIGNED_PAYLOAD)]),
            ErrorCode::InvalidArgument
        );
        let hash = ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(parse(&[length, encoding, hash]).unwrap().plain_bytes, Some(5));
    }

    #[test]
    fn digests_must_be_whole_and_go_together() {
        let length = ("content-length", "5");
        let md5 = parse(&[length, ("content-md5", "XrY7u+Ae7tCTyyK7j1rNww==")]).unwrap().integrity.content_md5;
        assert_eq!(md5.map(hex::encode).as_deref(), Some("5eb63bbbe01eeed093cb22bb8f5acdc3"));
        assert_eq!(refused(&[length, ("content-md5", "AAAA")]), ErrorCode::InvalidDigest);
        assert_eq!(refused(&[length, ("content-md5", "")]), ErrorCode::InvalidDigest);
        let crc = ("x-amz-checksum-crc32", "NhCmhg==");
        let sdk = |name| ("x-amz-sdk-checksum-algorithm", name);
        assert!(parse(&[length, crc, sdk("CRC32")]).is_ok());
        assert_eq!(refused(&[length, crc, sdk("SHA1")]), ErrorCode::InvalidRequest);
        assert_eq!(refused(&[length, sdk("SHA1")]), ErrorCode::InvalidRequest);
        assert_eq!(refused(&[length, crc, sdk("MD4")]), ErrorCode::InvalidRequest);
    }

    #[test]
    fn trailers_are_announced_by_both_headers() {
        let streaming = ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
        let (length, trailer) = (("x-amz-decoded-content-length", "5"), ("x-amz-trailer", "x-amz-checksum-crc64nvme"));
        let body = parse(&[streaming, length, trailer]).unwrap();
        assert_eq!(body.integrity.checksum, BodyChecksum::Trailer(ChecksumAlgorithm::Crc64Nvme));
        assert_eq!(refused(&[("content-length", "5"), trailer]), ErrorCode::MalformedTrailerError);
        assert_eq!(refused(&[streaming, length, ("x-amz-trailer", "x-other")]), ErrorCode::InvalidRequest);
        let both = [streaming, length, trailer, ("x-amz-checksum-crc32", "NhCmhg==")];
        assert_eq!(refused(&both), ErrorCode::InvalidRequest);
    }
}
