//! From what befell an operation to S3's words: one exhaustive match.

use bytes::Bytes;
use http::header::{ETAG, LAST_MODIFIED};
use http::{HeaderName, HeaderValue};
use objects::{ObjectHead, ObjectsError};
use s3_wire::conditions::precondition_failed;
use s3_wire::{
    ErrorCode, S3Error, checksum, complete_multipart_upload as complete, copy_object, get_object, object_attributes,
    object_lock, object_lock_configuration, upload_part,
};
use types::{BucketName, ChecksumAlgorithm, Timestamp};

use crate::body;
use crate::call::shown;

const VERSION_ID: HeaderName = HeaderName::from_static("x-amz-version-id");

/// S3's answer to `error`.
///
/// What only an operator can mend is logged here, once; the client is told no more than AWS tells.
pub(crate) fn to_s3(error: ObjectsError) -> S3Error {
    match error {
        ObjectsError::NoSuchBucket { bucket } => of_bucket(ErrorCode::NoSuchBucket, &bucket),
        ObjectsError::BucketAlreadyExists { bucket } => of_bucket(ErrorCode::BucketAlreadyExists, &bucket),
        ObjectsError::BucketAlreadyOwnedByYou { bucket } => of_bucket(ErrorCode::BucketAlreadyOwnedByYou, &bucket),
        ObjectsError::BucketNotEmpty { bucket } => of_bucket(ErrorCode::BucketNotEmpty, &bucket),
        ObjectsError::BucketBusy { bucket } => of_bucket(ErrorCode::OperationAborted, &bucket),
        ObjectsError::InvalidBucketState { .. } => S3Error::new(ErrorCode::InvalidBucketState).with_message(
            "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
        ),
        ObjectsError::VersioningNotEnabled { .. } => object_lock_configuration::versioning_not_enabled(),
        ObjectsError::NoObjectLock { .. } => object_lock::no_configuration(),
        ObjectsError::DocumentTooLong { bytes_max } => {
            S3Error::new(ErrorCode::MaxMessageLengthExceeded).with("MaxMessageLengthBytes", bytes_max.to_string())
        }

        ObjectsError::NoSuchKey { key } => get_object::no_such_key(&key),
        ObjectsError::NewestIsMarker { key, marker } => {
            // Only a marker that is named says when it was made.
            get_object::delete_marker(&key, Timestamp::default(), shown(marker), false)
        }
        ObjectsError::NamedIsMarker { key, marker, modified } => {
            get_object::delete_marker(&key, modified, shown(marker), true)
        }
        ObjectsError::NoSuchVersion { key, version } => {
            S3Error::new(ErrorCode::NoSuchVersion).with("Key", key.to_string()).with("VersionId", version.to_string())
        }
        ObjectsError::NoSuchAccount => ErrorCode::AccessDenied.into(),
        ObjectsError::Locked { .. } => {
            S3Error::new(ErrorCode::AccessDenied).with_message("Access Denied because object protected by object lock.")
        }

        ObjectsError::RetainUntilPassed => object_lock::until_passed().with("ArgumentName", "RetainUntilDate"),

        ObjectsError::NotModified { head } => not_modified(&head),
        ObjectsError::PreconditionFailed { condition: Some(condition) } => precondition_failed(condition.header()),
        ObjectsError::PreconditionFailed { condition: None } => ErrorCode::PreconditionFailed.into(),
        ObjectsError::InvalidRange { object_bytes } => S3Error::new(ErrorCode::InvalidRange)
            .with("ActualObjectSize", object_bytes.to_string())
            .with_header(http::header::CONTENT_RANGE, text_value(format!("bytes */{object_bytes}"))),
        ObjectsError::InvalidPartNumber { number, parts } => get_object::no_such_part(number, parts),

        ObjectsError::Body(error) => body::refusal(error),
        ObjectsError::BodyLength { declared, received } if received < declared => incomplete(declared, received),
        ObjectsError::BodyLength { .. } => S3Error::new(ErrorCode::BadRequest)
            .with_message("The request body is longer than the length that was declared."),
        ObjectsError::BadDigest => ErrorCode::BadDigest.into(),
        ObjectsError::BadPayloadHash => ErrorCode::XAmzContentSHA256Mismatch.into(),
        ObjectsError::BadChecksum { algorithm } => checksum::bad_checksum(algorithm),
        ObjectsError::EntityTooLarge { bytes, bytes_max } => S3Error::new(ErrorCode::EntityTooLarge)
            .with("ProposedSize", bytes.to_string())
            .with("MaxSizeAllowed", bytes_max.to_string()),
        ObjectsError::InvalidStorageClass { class } => object_attributes::invalid_storage_class(class.as_str()),

        ObjectsError::NoSuchUpload { upload } => complete::no_such_upload(upload),
        ObjectsError::InvalidPart { upload, number, etag } => complete::invalid_part(upload, number, &etag.to_string()),
        ObjectsError::MissingPartChecksum { algorithm, number } => complete::missing_part_checksum(algorithm, number),
        ObjectsError::InvalidPartOrder { upload } => {
            S3Error::new(ErrorCode::InvalidPartOrder).with("UploadId", upload.to_string())
        }
        ObjectsError::NoParts => ErrorCode::MalformedXML.into(),
        ObjectsError::EntityTooSmall { number, etag, bytes, .. } => complete::part_too_small(number, &etag, bytes),
        ObjectsError::ChecksumKindMismatch { wanted, given } => checksum_kind(wanted, given),
        ObjectsError::ChecksumTypeMismatch { wanted } => complete::other_checksum_type(wanted),
        ObjectsError::ObjectSizeMismatch { expected, bytes } => complete::other_object_size(expected, bytes),

        ObjectsError::CopyChangesNothing => copy_object::changes_nothing(),
        ObjectsError::InvalidCopyRange { object_bytes } => S3Error::new(ErrorCode::InvalidRange)
            .with_message(format!("Range specified is not valid for source object of size: {object_bytes}")),
        ObjectsError::CopySourceTooLarge { .. } => copy_object::source_too_large(),
        ObjectsError::InvalidToken => {
            S3Error::invalid_argument("The continuation token provided is incorrect", "continuation-token", "")
        }

        ObjectsError::SlowDown => ErrorCode::SlowDown.into(),
        ObjectsError::NoRoom => ErrorCode::InsufficientStorage.into(),
        ObjectsError::Unavailable { reason, outcome_unknown } => {
            tracing::warn!(%reason, outcome_unknown, "request answered 503");
            ErrorCode::ServiceUnavailable.into()
        }
        ObjectsError::TicketOver => ErrorCode::ServiceUnavailable.into(),
        ObjectsError::Damaged { reason } => {
            tracing::error!(%reason, "stored data is damaged");
            ErrorCode::InternalError.into()
        }
    }
}

fn of_bucket(code: ErrorCode, bucket: &BucketName) -> S3Error {
    S3Error::new(code).with("BucketName", bucket.as_str())
}

fn not_modified(head: &ObjectHead) -> S3Error {
    let error = S3Error::new(ErrorCode::NotModified)
        .with_header(ETAG, text_value(format!("\"{}\"", head.etag)))
        .with_header(LAST_MODIFIED, s3_wire::time::http_date(head.modified));
    let error = head.attributes.headers.iter().fold(error, |error, (name, value)| {
        // RFC 9110 section 15.4.5: what a cache would have been told with 200, but nothing of the content.
        match (name.as_str(), HeaderName::try_from(name), HeaderValue::from_maybe_shared(Bytes::clone(value))) {
            ("cache-control" | "expires", Ok(name), Ok(value)) => error.with_header(name, value),
            _ => error,
        }
    });
    match shown(head.version) {
        None => error,
        Some(version) => error.with_header(VERSION_ID, text_value(version.to_string())),
    }
}

/// A body that ended before its declared end.
pub(crate) fn incomplete(declared: u64, received: u64) -> S3Error {
    S3Error::new(ErrorCode::IncompleteBody)
        .with_message("You did not provide the number of bytes specified by the Content-Length HTTP header")
        .with("ExpectedBytes", declared.to_string())
        .with("ReceivedBytes", received.to_string())
}

fn checksum_kind(wanted: Option<ChecksumAlgorithm>, given: Option<ChecksumAlgorithm>) -> S3Error {
    match (wanted, given) {
        (Some(wanted), given) => upload_part::other_checksum(wanted, given),
        (None, _) => S3Error::invalid_request("The upload was created without a checksum algorithm."),
    }
}

fn text_value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("ids, tags and numbers are ASCII")
}

#[cfg(test)]
mod tests {
    use objects::data::BodyError;
    use types::{AccountId, CanonicalId, VersionId};
    use types::{ETag, ObjectAttributes, ObjectKey, Owner};

    use objects::ShownVersion;

    use super::*;

    fn key() -> ObjectKey {
        ObjectKey::new("a<b").unwrap()
    }

    #[test]
    fn deleted_objects_say_so_in_headers() {
        let id = VersionId { stamp: types::CommitStamp(1), random: 2 };
        let newest = ObjectsError::NewestIsMarker { key: key(), marker: ShownVersion::Id(id) };
        let response = to_s3(newest).response(&context());
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["x-amz-delete-marker"], "true");
        assert_eq!(response.headers()["x-amz-version-id"], id.to_string());
        let named = ObjectsError::NamedIsMarker {
            key: key(),
            marker: ShownVersion::Null,
            modified: Timestamp::from_seconds(1),
        };
        let response = to_s3(named).response(&context());
        assert_eq!(response.status(), 405);
        assert_eq!(
            (&response.headers()["allow"], &response.headers()["x-amz-version-id"]),
            (&"DELETE".parse().unwrap(), &"null".parse().unwrap())
        );
    }

    #[test]
    fn a_304_keeps_what_caches_need() {
        let attributes = ObjectAttributes {
            headers: vec![
                ("cache-control".to_owned(), Bytes::from_static(b"max-age=9")),
                ("content-type".to_owned(), Bytes::from_static(b"a/b")),
            ],
            ..ObjectAttributes::default()
        };
        let head = ObjectHead {
            version: ShownVersion::Unversioned,
            plain_bytes: 1,
            etag: ETag::of_body([1; 16]),
            modified: Timestamp::from_seconds(784_111_777),
            newest: true,
            checksum: None,
            parts: None,
            attributes,
            owner: Owner { account: AccountId::ROOT, canonical_id: CanonicalId("0".into()), display_name: "x".into() },
        };
        let response = to_s3(ObjectsError::NotModified { head: Box::new(head) }).response(&context());
        assert_eq!(response.status(), 304);
        assert_eq!(response.headers()["etag"], format!("\"{}\"", ETag::of_body([1; 16])));
        assert_eq!(response.headers()["last-modified"], "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(response.headers()["cache-control"], "max-age=9");
        assert!(!response.headers().contains_key("content-type") && response.body().is_empty());
    }

    #[test]
    fn bodies_are_refused_in_the_words_of_whoever_refused_them() {
        let code = |error| to_s3(error).code();
        let of_ours = BodyError(Box::new(S3Error::new(ErrorCode::SignatureDoesNotMatch)));
        assert_eq!(code(ObjectsError::Body(of_ours)), ErrorCode::SignatureDoesNotMatch);
        let of_others = BodyError("gone".into());
        assert_eq!(code(ObjectsError::Body(of_others)), ErrorCode::IncompleteBody);
        assert_eq!(code(ObjectsError::BodyLength { declared: 2, received: 1 }), ErrorCode::IncompleteBody);
        assert_eq!(code(ObjectsError::BodyLength { declared: 1, received: 2 }), ErrorCode::BadRequest);
    }

    fn context() -> s3_wire::ErrorContext<'static> {
        s3_wire::ErrorContext { resource: "/b/a", request_id: "R", host_id: "H" }
    }
}
