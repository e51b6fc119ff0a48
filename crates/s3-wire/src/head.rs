//! The head of a request: what the parsers of all operations are given.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use types::{AccountId, BucketName, ObjectKey, PartNumber, UploadId, VersionId};

use crate::error::{ErrorCode, S3Error};
use crate::operation::{Operation, identify};
use crate::query::Query;
use crate::target::Target;

/// A request without its body.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// What it is aimed at.
    pub target: &'a Target,
    /// The decoded query.
    pub query: &'a Query,
    /// The headers.
    pub headers: &'a HeaderMap,
}

/// A version that a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionRef {
    /// `versionId=null`
    Null,
    /// The version with this id.
    Id(VersionId),
}

impl VersionRef {
    /// Reads a version id.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no version id of this store.
    pub fn parse(text: &str) -> Result<Self, S3Error> {
        match text {
            "null" => Ok(Self::Null),
            "" => Err(S3Error::invalid_argument("Version id cannot be the empty string", "versionId", "")),
            _ => match text.parse() {
                Ok(id) => Ok(Self::Id(id)),
                Err(_) => Err(S3Error::invalid_argument("Invalid version id specified", "versionId", text)),
            },
        }
    }
}

impl std::fmt::Display for VersionRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Id(id) => id.fmt(f),
        }
    }
}

impl RequestHead<'_> {
    /// Names the operation.
    ///
    /// # Errors
    /// Those of [`identify`].
    pub fn operation(&self) -> Result<Operation, S3Error> {
        identify(self.method, self.target, self.query, self.headers)
    }

    /// The bucket's name.
    ///
    /// # Errors
    /// `InvalidBucketName`.
    pub fn bucket(&self) -> Result<BucketName, S3Error> {
        self.target.bucket()
    }

    /// The key.
    ///
    /// # Errors
    /// `KeyTooLongError`.
    pub fn key(&self) -> Result<ObjectKey, S3Error> {
        self.target.key()
    }

    /// The first value of a header as visible ASCII.
    ///
    /// # Errors
    /// `InvalidArgument` when it has other bytes.
    pub fn header(&self, name: &str) -> Result<Option<&str>, S3Error> {
        let Some(value) = self.headers.get(name) else { return Ok(None) };
        let text = value.to_str().map_err(|_| {
            let value = String::from_utf8_lossy(value.as_bytes());
            S3Error::invalid_argument(ErrorCode::InvalidArgument.message(), name, value)
        })?;
        Ok(Some(text.trim()))
    }

    /// The version that `versionId` names.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no version id of this store.
    pub fn version(&self) -> Result<Option<VersionRef>, S3Error> {
        self.query.text("versionId")?.map(VersionRef::parse).transpose()
    }

    /// Refuses a version: what is written becomes a new one.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn refuse_version(&self) -> Result<(), S3Error> {
        match self.query.text("versionId")? {
            None => Ok(()),
            Some(given) => {
                Err(S3Error::invalid_argument("This operation does not accept a version-id.", "versionId", given))
            }
        }
    }

    /// The upload that `uploadId` names.
    ///
    /// # Errors
    /// `NoSuchUpload` for what is no upload id of this store.
    pub fn upload(&self) -> Result<UploadId, S3Error> {
        let text = self.query.text("uploadId")?.unwrap_or_default();
        text.parse().map_err(|_| S3Error::new(ErrorCode::NoSuchUpload).with("UploadId", text))
    }

    /// The part that `partNumber` names.
    ///
    /// # Errors
    /// `InvalidArgument` outside of 1 to 10,000.
    pub fn part_number(&self) -> Result<Option<PartNumber>, S3Error> {
        let Some(text) = self.query.text("partNumber")? else { return Ok(None) };
        let number = text.parse().ok().and_then(PartNumber::new);
        let message = "Part number must be an integer between 1 and 10000, inclusive";
        number.map(Some).ok_or_else(|| S3Error::invalid_argument(message, "partNumber", text))
    }

    /// The account that must own the bucket, by `x-amz-expected-bucket-owner`; else the request is refused.
    ///
    /// # Errors
    /// `InvalidBucketOwnerAWSAccountID` for what is no account id.
    pub fn expected_bucket_owner(&self) -> Result<Option<AccountId>, S3Error> {
        self.account("x-amz-expected-bucket-owner")
    }

    /// The account that must own the source's bucket, by `x-amz-source-expected-bucket-owner`.
    ///
    /// # Errors
    /// `InvalidBucketOwnerAWSAccountID` for what is no account id.
    pub fn expected_source_bucket_owner(&self) -> Result<Option<AccountId>, S3Error> {
        self.account("x-amz-source-expected-bucket-owner")
    }

    fn account(&self, name: &str) -> Result<Option<AccountId>, S3Error> {
        let Some(text) = self.header(name)? else { return Ok(None) };
        let digits = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        let account = text.parse().ok().filter(|_| digits).map(AccountId);
        account.map(Some).ok_or_else(|| S3Error::from(ErrorCode::InvalidBucketOwnerAWSAccountID))
    }

    /// Whether retention in governance mode is to be passed over, if the caller has the right.
    pub fn bypasses_governance(&self) -> bool {
        self.flag("x-amz-bypass-governance-retention")
    }

    /// Content-Length, if there is one.
    ///
    /// # Errors
    /// `BadRequest` for what is no number, and for two that differ.
    pub fn content_length(&self) -> Result<Option<u64>, S3Error> {
        let mut length = None;
        for value in self.headers.get_all(header::CONTENT_LENGTH) {
            let number = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let number: u64 = number.and_then(|text| text.parse().ok()).ok_or(ErrorCode::BadRequest)?;
            if length.is_some_and(|length| length != number) {
                return Err(ErrorCode::BadRequest.into());
            }
            length = Some(number);
        }
        Ok(length)
    }

    /// Whether a header says `true`.
    pub(crate) fn flag(&self, name: &'static str) -> bool {
        let name = HeaderName::from_static(name);
        self.headers.get(name).is_some_and(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"true"))
    }
}

/// The headers of a presigned request with those that its URL carries: SDKs put `x-amz-*` headers into the query before
/// they presign, and S3 takes them there as if they had been sent. `None` when there are none.
///
/// What was sent as a header goes first. What describes the transfer and not the object is not taken: signers put
/// digests of an empty body there.
pub fn hoisted_headers(headers: &HeaderMap, query: &Query) -> Option<HeaderMap> {
    if !query.has("X-Amz-Signature") {
        return None;
    }
    let mut all = None;
    for (name, value) in query.pairs() {
        let name = name.to_ascii_lowercase();
        if !name.starts_with(b"x-amz-") || is_of_signature_or_transfer(&name) {
            continue;
        }
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&name), HeaderValue::from_bytes(value.unwrap_or_default()))
        else {
            continue;
        };
        if !headers.contains_key(&name) {
            all.get_or_insert_with(|| headers.clone()).append(name, value);
        }
    }
    all
}

fn is_of_signature_or_transfer(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 11] = [
        b"x-amz-algorithm",
        b"x-amz-credential",
        b"x-amz-date",
        b"x-amz-expires",
        b"x-amz-signature",
        b"x-amz-signedheaders",
        b"x-amz-security-token",
        b"x-amz-content-sha256",
        b"x-amz-decoded-content-length",
        b"x-amz-sdk-checksum-algorithm",
        b"x-amz-trailer",
    ];
    let digest = name.strip_prefix(b"x-amz-checksum-");
    NAMES.contains(&name) || digest.is_some_and(|rest| !matches!(rest, b"algorithm" | b"mode" | b"type"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BaseDomains;

    const VERSION: &str = "00000000000000010000000000000002";

    fn with<T>(uri: &str, pairs: &[(&'static str, &'static str)], read: impl FnOnce(RequestHead<'_>) -> T) -> T {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let target = Target::parse(None, path, &BaseDomains::new([])).unwrap();
        let query = Query::parse(Some(query)).unwrap();
        read(RequestHead { method: &Method::GET, target: &target, query: &query, headers: &headers })
    }

    #[test]
    fn versions_uploads_and_parts_are_read_or_refused() {
        let version = |uri: &str| with(uri, &[], |head| head.version().map_err(|error| error.message().to_owned()));
        assert_eq!(version("/b/k"), Ok(None));
        assert_eq!(version("/b/k?versionId=null"), Ok(Some(VersionRef::Null)));
        assert_eq!(version(&format!("/b/k?versionId={VERSION}")).unwrap().unwrap().to_string(), VERSION);
        assert_eq!(version("/b/k?versionId=x"), Err("Invalid version id specified".to_owned()));
        assert_eq!(version("/b/k?versionId="), Err("Version id cannot be the empty string".to_owned()));
        let upload = |uri: &str| with(uri, &[], |head| head.upload().map_err(|error| error.code()));
        assert_eq!(upload(&format!("/b/k?uploadId={VERSION}")).unwrap().to_string(), VERSION);
        assert_eq!(upload("/b/k?uploadId=x"), Err(ErrorCode::NoSuchUpload));
        let part = |uri: &str| with(uri, &[], |head| head.part_number().map_err(|error| error.code()));
        assert_eq!(part("/b/k?partNumber=10000").unwrap().map(PartNumber::get), Some(10_000));
        for number in ["0", "10001", "-1", "x", ""] {
            assert_eq!(part(&format!("/b/k?partNumber={number}")), Err(ErrorCode::InvalidArgument), "{number}");
        }
    }

    #[test]
    fn owners_are_twelve_digits_and_lengths_are_numbers_that_agree() {
        let owner = |value| with("/b", &[("x-amz-expected-bucket-owner", value)], |head| head.expected_bucket_owner());
        assert_eq!(owner("000000000042"), Ok(Some(AccountId(42))));
        for value in ["42", "+00000000042", "root", ""] {
            assert_eq!(owner(value).unwrap_err().code(), ErrorCode::InvalidBucketOwnerAWSAccountID, "{value}");
        }
        let length = |pairs: &[(&'static str, &'static str)]| with("/b", pairs, |head| head.content_length());
        assert_eq!((length(&[]), length(&[("content-length", "7")])), (Ok(None), Ok(Some(7))));
        assert_eq!(length(&[("content-length", "7"), ("content-length", "7")]), Ok(Some(7)));
        for pairs in [
            &[("content-length", "7"), ("content-length", "8")][..],
            &[("content-length", "-7")],
            &[("content-length", "+7")],
            &[("content-length", "7, 7")],
            &[("content-length", "99999999999999999999")],
        ] {
            assert_eq!(length(pairs).unwrap_err().code(), ErrorCode::BadRequest, "{pairs:?}");
        }
    }

    #[test]
    fn a_presigned_url_carries_headers_but_no_digests() {
        let hoisted = |uri: &str, pairs: &[(&'static str, &'static str)]| {
            with(uri, pairs, |head| hoisted_headers(head.headers, head.query))
        };
        let uri = "/b/k?X-Amz-Signature=s&X-Amz-Date=d&x-amz-meta-a=%20b&X-Amz-Acl=private&x-amz-checksum-crc32=AAAAAA==\
                   &x-amz-checksum-mode=ENABLED&x-amz-storage-class=FAST&other=1";
        let all = hoisted(uri, &[("x-amz-storage-class", "SLOW"), ("range", "bytes=0-1")]).unwrap();
        let mut names: Vec<_> = all.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        names.sort_unstable();
        let expected = [
            ("range", "bytes=0-1"),
            ("x-amz-acl", "private"),
            ("x-amz-checksum-mode", "ENABLED"),
            ("x-amz-meta-a", " b"),
            ("x-amz-storage-class", "SLOW"),
        ];
        assert_eq!(names, expected);
        assert_eq!(hoisted("/b/k?x-amz-meta-a=b", &[]), None);
        assert_eq!(hoisted("/b/k?X-Amz-Signature=s&X-Amz-Expires=1", &[]), None);
    }
}
