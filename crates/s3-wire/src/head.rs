//! The head of a request: what the parsers of all operations are given.

use http::{HeaderMap, HeaderName, Method, header};
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
