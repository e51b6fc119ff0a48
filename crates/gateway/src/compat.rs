//! Whose answers are given where AWS and public test suites differ. Three more differences are not of words:
//! making one's own bucket again (`operations::create_bucket`), a conditional DELETE of nothing
//! (`operations::delete_object`), and filters of lifecycle rules (`operations::put_bucket_lifecycle_configuration`).

use http::{HeaderName, HeaderValue};
use s3_wire::conditions::Known;
use s3_wire::{ErrorCode, S3Error};

const DELETE_MARKER: HeaderName = HeaderName::from_static("x-amz-delete-marker");

/// Whose answers are given where they differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compat {
    /// AWS's.
    #[default]
    Aws,
    /// Ceph RGW's.
    Rgw,
}

impl Compat {
    /// Which conditions writes have.
    pub(crate) const fn write_conditions(self) -> Known {
        match self {
            Self::Aws => Known::Awss,
            Self::Rgw => Known::Cephs,
        }
    }

    /// AWS's error as it is answered here.
    pub(crate) fn words_of(self, error: S3Error) -> S3Error {
        let message = error.message();
        let code = match (self, error.code()) {
            (Self::Aws, _) => return error,
            // A part that the object doesn't have.
            (Self::Rgw, ErrorCode::InvalidPartNumber) => ErrorCode::InvalidPart,
            // An expiry that cannot be is one that is over.
            (Self::Rgw, ErrorCode::AuthorizationQueryParametersError) if message.starts_with("X-Amz-Expires") => {
                ErrorCode::AccessDenied
            }
            // A checksum that is none does not match.
            (Self::Rgw, ErrorCode::InvalidRequest) if message.starts_with("Value for x-amz-checksum-") => {
                ErrorCode::BadDigest
            }
            (Self::Rgw, ErrorCode::BadRequest) if message.starts_with("Object tags cannot be greater") => {
                ErrorCode::InvalidTag
            }
            // That there is no marker either is said, too.
            (Self::Rgw, ErrorCode::NoSuchKey) if !error.has_header(DELETE_MARKER.as_str()) => {
                return error.with_header(DELETE_MARKER, HeaderValue::from_static("false"));
            }
            (Self::Rgw, ErrorCode::InvalidArgument) if message.starts_with("Default retention period") => {
                ErrorCode::InvalidRetentionPeriod
            }
            (Self::Rgw, _) => return error,
        };
        S3Error::new(code)
    }
}

#[cfg(test)]
mod tests {
    use types::{ChecksumAlgorithm, PartNumber};

    use super::*;

    #[test]
    fn a_few_words_differ_and_all_others_stay() {
        let broken = s3_wire::checksum::parse_value(ChecksumAlgorithm::Crc32, "x-amz-checksum-crc32", b"!");
        let tags = s3_wire::tagging::parse_header("a&b&c&d&e&f&g&h&i&j&k");
        let part = s3_wire::get_object::no_such_part(PartNumber::ONE, 0);
        let period = s3_wire::object_lock_configuration::parse(
            b"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
              <Mode>GOVERNANCE</Mode><Days>0</Days></DefaultRetention></Rule></ObjectLockConfiguration>",
        );
        for (error, of_rgw) in [
            (period.unwrap_err(), ErrorCode::InvalidRetentionPeriod),
            (broken.unwrap_err(), ErrorCode::BadDigest),
            (tags.unwrap_err(), ErrorCode::InvalidTag),
            (part, ErrorCode::InvalidPart),
            (ErrorCode::NoSuchKey.into(), ErrorCode::NoSuchKey),
            (S3Error::invalid_request("another"), ErrorCode::InvalidRequest),
        ] {
            assert_eq!(Compat::Aws.words_of(error.clone()), error);
            assert_eq!(Compat::Rgw.words_of(error).code(), of_rgw);
        }
    }
}
