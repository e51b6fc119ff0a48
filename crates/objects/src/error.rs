//! Why an operation was not done: one enum that the gateway maps to S3's codes.

use types::{
    BucketName, ChecksumAlgorithm, ChecksumType, ETag, ObjectKey, PartNumber, StorageClass, Timestamp, UploadId,
};

use crate::data::BodyError;
use crate::head::{ObjectHead, ShownVersion};

/// Which of a request's conditions failed, named as its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// `If-Match`.
    IfMatch,
    /// `If-None-Match`.
    IfNoneMatch,
    /// `If-Modified-Since`.
    IfModifiedSince,
    /// `If-Unmodified-Since`.
    IfUnmodifiedSince,
}

impl Condition {
    /// The header's name; of a copy source's condition the part after `x-amz-copy-source-`.
    pub const fn header(self) -> &'static str {
        match self {
            Self::IfMatch => "If-Match",
            Self::IfNoneMatch => "If-None-Match",
            Self::IfModifiedSince => "If-Modified-Since",
            Self::IfUnmodifiedSince => "If-Unmodified-Since",
        }
    }
}

/// Why an operation was not done. Nothing of it is visible, unless a variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    // Buckets.
    /// No bucket of this name.
    #[error("bucket {bucket} does not exist")]
    NoSuchBucket {
        /// The name.
        bucket: BucketName,
    },
    /// The name is taken by another account.
    #[error("bucket {bucket} belongs to another account")]
    BucketAlreadyExists {
        /// The name.
        bucket: BucketName,
    },
    /// The caller has this bucket already.
    #[error("bucket {bucket} is the caller's already")]
    BucketAlreadyOwnedByYou {
        /// The name.
        bucket: BucketName,
    },
    /// The bucket has versions, markers or uploads.
    #[error("bucket {bucket} is not empty")]
    BucketNotEmpty {
        /// The name.
        bucket: BucketName,
    },
    /// The bucket is being made, deleted or changed by somebody else: S3's `OperationAborted`.
    #[error("bucket {bucket} is being changed by another request")]
    BucketBusy {
        /// The name.
        bucket: BucketName,
    },
    /// What was asked does not go with object lock, or the like: S3's `InvalidBucketState`.
    #[error("bucket {bucket} has object lock: its versioning cannot be suspended")]
    InvalidBucketState {
        /// The name.
        bucket: BucketName,
    },

    /// Object lock needs versioning: S3's `InvalidBucketState`.
    #[error("bucket {bucket} has no versioning, which object lock needs")]
    VersioningNotEnabled {
        /// The name.
        bucket: BucketName,
    },
    /// The bucket has no object lock: S3's `InvalidRequest`.
    #[error("bucket {bucket} has no object lock")]
    NoObjectLock {
        /// The name.
        bucket: BucketName,
    },

    /// A document of a bucket is too long: S3's `MaxMessageLengthExceeded`.
    #[error("a bucket's document may have {bytes_max} bytes")]
    DocumentTooLong {
        /// The bound.
        bytes_max: usize,
    },

    // Versions.
    /// No current object under the key.
    #[error("key {key} does not exist")]
    NoSuchKey {
        /// The key.
        key: ObjectKey,
    },
    /// The newest version is a delete marker: S3's `NoSuchKey` with `x-amz-delete-marker`.
    #[error("key {key} was deleted")]
    NewestIsMarker {
        /// The key.
        key: ObjectKey,
        /// The marker.
        marker: ShownVersion,
    },
    /// The version named is a delete marker: S3's `MethodNotAllowed` with `Allow: DELETE`.
    #[error("the version named of key {key} is a delete marker")]
    NamedIsMarker {
        /// The key.
        key: ObjectKey,
        /// The marker.
        marker: ShownVersion,
        /// When it was made.
        modified: Timestamp,
    },
    /// The key has no such version.
    #[error("key {key} has no such version")]
    NoSuchVersion {
        /// The key.
        key: ObjectKey,
        /// The version named.
        version: ShownVersion,
    },
    /// The account that was to have a bucket is gone: S3's `AccessDenied`.
    #[error("the account that is to have the bucket is gone")]
    NoSuchAccount,

    /// The version is held by object lock: S3's `AccessDenied`.
    #[error("the version of key {key} is locked")]
    Locked {
        /// The key.
        key: ObjectKey,
    },

    /// A retention that was to be set is over already: S3's `InvalidArgument`.
    #[error("the retention would be over already")]
    RetainUntilPassed,

    // Conditions and ranges.
    /// A read's condition says that the client has it already: 304.
    #[error("not modified")]
    NotModified {
        /// What the client has: 304 shows its tag and time.
        head: Box<ObjectHead>,
    },
    /// A condition does not hold. `None` where it was decided at commit and both could be it.
    #[error("a precondition does not hold")]
    PreconditionFailed {
        /// Which.
        condition: Option<Condition>,
    },
    /// The range begins behind the end (or is of an empty object).
    #[error("the range cannot be satisfied: the object has {object_bytes} bytes")]
    InvalidRange {
        /// The object's bytes.
        object_bytes: u64,
    },
    /// A read named a part that the object doesn't have.
    #[error("the object has no part {}", number.get())]
    InvalidPartNumber {
        /// The part.
        number: PartNumber,
        /// How many parts there are.
        parts: u16,
    },

    // Bodies.
    /// The client's body ended early, stalled, was malformed or failed a check of its own (chunk signature).
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The body is shorter (S3's `IncompleteBody`) or longer than the client said.
    #[error("the body has {received} bytes, not {declared}")]
    BodyLength {
        /// What was said.
        declared: u64,
        /// What came (where it is longer: at least).
        received: u64,
    },
    /// `Content-MD5` is not that of the body: S3's `BadDigest`.
    #[error("the body's MD5 is not the one named")]
    BadDigest,
    /// `x-amz-content-sha256` is not that of the body: S3's `XAmzContentSHA256Mismatch`.
    #[error("the body's SHA-256 is not the one signed")]
    BadPayloadHash,
    /// A checksum is not that of the body or of the completed object: S3's `BadDigest` in the words of checksums.
    #[error("the {} is not the one named", algorithm.name())]
    BadChecksum {
        /// Which.
        algorithm: ChecksumAlgorithm,
    },
    /// Over 5 GiB in one request: S3's `EntityTooLarge`.
    #[error("{bytes} bytes are more than {bytes_max}")]
    EntityTooLarge {
        /// What was sent, as far as it is known.
        bytes: u64,
        /// The bound.
        bytes_max: u64,
    },
    /// Not a configured storage class.
    #[error("storage class {class:?} is not configured")]
    InvalidStorageClass {
        /// The class.
        class: StorageClass,
    },

    // Uploads.
    /// No upload of this id under the key (or it is over).
    #[error("upload {upload} does not exist")]
    NoSuchUpload {
        /// The upload.
        upload: UploadId,
    },
    /// A part that Complete names comes without its checksum, which a composite one is made of.
    #[error("part {} is named without its checksum", number.get())]
    MissingPartChecksum {
        /// The upload's.
        algorithm: ChecksumAlgorithm,
        /// The part.
        number: PartNumber,
    },
    /// A part that Complete names isn't there, or has another tag or checksum.
    #[error("part {} is not there as named", number.get())]
    InvalidPart {
        /// The upload.
        upload: UploadId,
        /// The part.
        number: PartNumber,
        /// The tag that was named.
        etag: ETag,
    },
    /// Complete's parts do not ascend.
    #[error("the parts are not in ascending order")]
    InvalidPartOrder {
        /// The upload.
        upload: UploadId,
    },
    /// Complete names no part: S3's `MalformedXML`.
    #[error("no part is named")]
    NoParts,
    /// A part that is not the last is below 5 MiB.
    #[error("part {} has {bytes} bytes, fewer than {bytes_min}", number.get())]
    EntityTooSmall {
        /// The part.
        number: PartNumber,
        /// Its tag.
        etag: ETag,
        /// Its bytes.
        bytes: u64,
        /// The bound.
        bytes_min: u64,
    },
    /// A part's or Complete's checksum is not of the kind that the upload was begun with: S3's `InvalidRequest`.
    #[error("the upload's checksum is {wanted:?}, not {given:?}")]
    ChecksumKindMismatch {
        /// What the upload was begun with; `None`: it was begun without.
        wanted: Option<ChecksumAlgorithm>,
        /// What the request has; `None`: it has none.
        given: Option<ChecksumAlgorithm>,
    },
    /// Complete's checksum type is not the one that the upload was begun with: S3's `InvalidRequest`.
    #[error("the upload's checksum type is {}", wanted.name())]
    ChecksumTypeMismatch {
        /// What the upload was begun with.
        wanted: ChecksumType,
    },
    /// `x-amz-mp-object-size` is not the parts' sum: S3's `InvalidRequest`.
    #[error("the parts have {bytes} bytes together, not {expected}")]
    ObjectSizeMismatch {
        /// What the client named.
        expected: u64,
        /// The sum.
        bytes: u64,
    },

    // Copies.
    /// A copy of an object onto itself that changes nothing: S3's `InvalidRequest`.
    #[error("the copy would change nothing")]
    CopyChangesNothing,
    /// The copy source's range leaves the object: S3's `InvalidRange` (for copies 400 in AWS's words).
    #[error("the copy range leaves the source, which has {object_bytes} bytes")]
    InvalidCopyRange {
        /// The source's bytes.
        object_bytes: u64,
    },
    /// The copy source is over 5 GiB: S3's `InvalidRequest`.
    #[error("the copy source has {bytes} bytes, more than {bytes_max}")]
    CopySourceTooLarge {
        /// Its bytes.
        bytes: u64,
        /// The bound.
        bytes_max: u64,
    },

    /// A continuation token that this store did not make: S3's `InvalidArgument`.
    #[error("the continuation token is not valid")]
    InvalidToken,

    // The store.
    /// No memory within the time, or too many requests: 503 `SlowDown`.
    #[error("the memory budget has no room")]
    SlowDown,
    /// The disks have no room: 507.
    #[error("the disks have no room")]
    NoRoom,
    /// What is needed can't be reached now: 503 `ServiceUnavailable`; the client may try again. After a write whose
    /// outcome stayed unknown (`outcome_unknown`) it may have taken effect.
    #[error("unavailable: {reason}")]
    Unavailable {
        /// What is missing.
        reason: String,
        /// Whether a write may have taken effect nevertheless.
        outcome_unknown: bool,
    },
    /// The writer's ticket ended before its commit (it was paused too long, or the transfer took over 24 hours): 503;
    /// the client may try again.
    #[error("the writer's ticket ended before the commit")]
    TicketOver,
    /// Stored bytes are lost or wrong beyond repair: 500. A human must look.
    #[error("stored data is damaged: {reason}")]
    Damaged {
        /// What was found.
        reason: String,
    },
}

impl ObjectsError {
    /// What a cluster is too young for that is still being upgraded.
    pub(crate) fn of_level(refusal: &index::Refusal) -> Self {
        let reason = format!("not every node runs a release that can do this yet: {refusal:?}");
        Self::Unavailable { reason, outcome_unknown: false }
    }
}
