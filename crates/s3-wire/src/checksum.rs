//! Checksums in headers, trailers and XML.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use types::{Checksum, ChecksumAlgorithm, ChecksumType};

use crate::error::{ErrorCode, S3Error};
use crate::xml::{Element, XmlWriter};

/// The header that carries a checksum of this algorithm.
pub const fn header_name(algorithm: ChecksumAlgorithm) -> &'static str {
    match algorithm {
        ChecksumAlgorithm::Crc32 => "x-amz-checksum-crc32",
        ChecksumAlgorithm::Crc32c => "x-amz-checksum-crc32c",
        ChecksumAlgorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
        ChecksumAlgorithm::Sha1 => "x-amz-checksum-sha1",
        ChecksumAlgorithm::Sha256 => "x-amz-checksum-sha256",
    }
}

/// The XML element that carries a checksum of this algorithm.
pub const fn element_name(algorithm: ChecksumAlgorithm) -> &'static str {
    match algorithm {
        ChecksumAlgorithm::Crc32 => "ChecksumCRC32",
        ChecksumAlgorithm::Crc32c => "ChecksumCRC32C",
        ChecksumAlgorithm::Crc64Nvme => "ChecksumCRC64NVME",
        ChecksumAlgorithm::Sha1 => "ChecksumSHA1",
        ChecksumAlgorithm::Sha256 => "ChecksumSHA256",
    }
}

/// The algorithm whose header is named so.
pub fn algorithm_of_header(name: &str) -> Option<ChecksumAlgorithm> {
    ChecksumAlgorithm::ALL.into_iter().find(|algorithm| header_name(*algorithm) == name)
}

/// A checksum as clients see it: base64, and for a composite one `-` and the number of parts.
pub fn checksum_text(checksum: &Checksum, parts: Option<u16>) -> String {
    let mut text = STANDARD.encode(checksum.value());
    if let (ChecksumType::Composite, Some(parts)) = (checksum.checksum_type, parts) {
        text.push('-');
        text.push_str(&parts.to_string());
    }
    text
}

/// Reads a full-object checksum: base64 of as many bytes as the algorithm has.
///
/// # Errors
/// `InvalidRequest`, naming `header`.
pub fn parse_value(algorithm: ChecksumAlgorithm, header: &str, text: &[u8]) -> Result<Checksum, S3Error> {
    let value = STANDARD.decode(text.trim_ascii()).ok();
    let checksum = value.and_then(|value| Checksum::new(algorithm, ChecksumType::FullObject, value).ok());
    checksum.ok_or_else(|| S3Error::invalid_request(format!("Value for {header} header is invalid.")))
}

/// `BadDigest` for a body whose checksum is another one than the client's.
pub fn bad_checksum(algorithm: ChecksumAlgorithm) -> S3Error {
    let message = format!("The {} you specified did not match the calculated checksum.", algorithm.name());
    S3Error::new(ErrorCode::BadDigest).with_message(message)
}

/// `BadDigest` for a body whose MD5 is another one than Content-MD5.
pub fn bad_content_md5(expected: &[u8; 16], calculated: &[u8; 16]) -> S3Error {
    S3Error::new(ErrorCode::BadDigest)
        .with("ExpectedDigest", STANDARD.encode(expected))
        .with("CalculatedDigest", STANDARD.encode(calculated))
}

/// `XAmzContentSHA256Mismatch` for a body whose SHA-256 is another one than x-amz-content-sha256.
pub fn content_sha256_mismatch(expected: &[u8; 32], calculated: &[u8; 32]) -> S3Error {
    S3Error::new(ErrorCode::XAmzContentSHA256Mismatch)
        .with("ClientComputedContentSHA256", hex::encode(expected))
        .with("S3ComputedContentSHA256", hex::encode(calculated))
}

/// The one `x-amz-checksum-*` header of a request.
///
/// # Errors
/// `InvalidRequest` for several, for an algorithm that isn't known, and for a broken value.
pub fn parse_header(headers: &HeaderMap) -> Result<Option<Checksum>, S3Error> {
    let mut found = None;
    for (name, value) in headers {
        let Some(suffix) = name.as_str().strip_prefix("x-amz-checksum-") else { continue };
        if matches!(suffix, "algorithm" | "type" | "mode") {
            continue;
        }
        let Some(algorithm) = algorithm_of_header(name.as_str()) else {
            return Err(S3Error::invalid_request(
                "The algorithm type you specified in x-amz-checksum- header is invalid.",
            ));
        };
        if found.is_some() {
            return Err(several());
        }
        found = Some(parse_value(algorithm, name.as_str(), value.as_bytes())?);
    }
    Ok(found)
}

pub(crate) fn several() -> S3Error {
    S3Error::invalid_request("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
}

/// Reads the name of an algorithm.
///
/// # Errors
/// `InvalidRequest` for one that isn't known.
pub fn parse_algorithm(name: &str) -> Result<ChecksumAlgorithm, S3Error> {
    name.parse().map_err(|_| {
        S3Error::invalid_request(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, \
             CRC32C, CRC64NVME, SHA1, SHA256]",
        )
    })
}

/// Reads `x-amz-checksum-type`.
///
/// # Errors
/// `InvalidRequest` for a type that isn't known.
pub fn parse_type(name: &str) -> Result<ChecksumType, S3Error> {
    name.parse().map_err(|_| S3Error::invalid_request("Value for x-amz-checksum-type header is invalid."))
}

/// Checks that an upload may have this algorithm with this type.
///
/// # Errors
/// `InvalidRequest`.
pub fn check_type_of_upload(algorithm: ChecksumAlgorithm, checksum_type: ChecksumType) -> Result<(), S3Error> {
    if algorithm.allows_for_upload(checksum_type) {
        return Ok(());
    }
    Err(S3Error::invalid_request(format!(
        "The {} checksum type cannot be used with the {} checksum algorithm.",
        checksum_type.name(),
        algorithm.name().to_ascii_lowercase()
    )))
}

/// Shows a checksum in an answer's headers.
pub(crate) fn set_headers(headers: &mut HeaderMap, checksum: &Checksum, parts: Option<u16>) {
    let value = HeaderValue::try_from(checksum_text(checksum, parts)).expect("base64 is ASCII");
    headers.insert(HeaderName::from_static(header_name(checksum.algorithm)), value);
    let of_type = HeaderValue::from_static(checksum.checksum_type.name());
    headers.insert(HeaderName::from_static("x-amz-checksum-type"), of_type);
}

/// Shows a checksum in an answer's XML.
pub(crate) fn write_element(xml: &mut XmlWriter, checksum: &Checksum, parts: Option<u16>) {
    xml.text(element_name(checksum.algorithm), checksum_text(checksum, parts));
}

/// The checksum elements of a part in a CompleteMultipartUpload.
///
/// # Errors
/// `InvalidArgument` for several, and for a broken value.
pub(crate) fn parse_elements(part: &Element<'_>) -> Result<Option<Checksum>, S3Error> {
    let mut found = None;
    for algorithm in ChecksumAlgorithm::ALL {
        let Some(text) = part.child_text(element_name(algorithm))?.filter(|text| !text.is_empty()) else { continue };
        let checksum = parse_value(algorithm, element_name(algorithm), text.as_bytes());
        match (found.is_some(), checksum) {
            (false, Ok(checksum)) => found = Some(checksum),
            _ => {
                let message = "Invalid Base64 or multiple checksums present in request";
                return Err(S3Error::invalid_argument(message, "Checksum", text));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn refused(pairs: &[(&'static str, &'static str)]) -> String {
        parse_header(&headers(pairs)).unwrap_err().message().to_owned()
    }

    #[test]
    fn one_checksum_is_read_and_everything_else_refused() {
        let one = parse_header(&headers(&[("x-amz-checksum-crc32", "NhCmhg=="), ("x-amz-checksum-mode", "ENABLED")]));
        let one = one.unwrap().unwrap();
        assert_eq!((one.algorithm, one.value()), (ChecksumAlgorithm::Crc32, &[0x36, 0x10, 0xa6, 0x86][..]));
        assert_eq!(checksum_text(&one, None), "NhCmhg==");
        assert_eq!(parse_header(&headers(&[])), Ok(None));
        for value in ["", "NhCmhg", "NhCmhgA=", "!!!!"] {
            assert_eq!(
                refused(&[("x-amz-checksum-crc32", value)]),
                "Value for x-amz-checksum-crc32 header is invalid."
            );
        }
        assert!(
            refused(&[("x-amz-checksum-crc32", "NhCmhg=="), ("x-amz-checksum-crc32c", "yZRlqg==")])
                .starts_with("Expecting a single x-amz-checksum- header.")
        );
        assert!(refused(&[("x-amz-checksum-crc99", "NhCmhg==")]).starts_with("The algorithm type you specified"));
    }

    #[test]
    fn composite_checksums_show_their_parts() {
        let checksum = Checksum::new(ChecksumAlgorithm::Crc32, ChecksumType::Composite, vec![1, 2, 3, 4]).unwrap();
        assert_eq!(checksum_text(&checksum, Some(3)), "AQIDBA==-3");
    }

    #[test]
    fn types_that_do_not_go_with_an_algorithm_are_refused_in_aws_words() {
        let error = check_type_of_upload(ChecksumAlgorithm::Sha256, ChecksumType::FullObject).unwrap_err();
        let words = "The FULL_OBJECT checksum type cannot be used with the sha256 checksum algorithm.";
        assert_eq!(error.message(), words);
        assert!(check_type_of_upload(ChecksumAlgorithm::Crc32, ChecksumType::FullObject).is_ok());
    }
}
