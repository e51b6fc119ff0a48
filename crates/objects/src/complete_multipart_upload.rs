//! CompleteMultipartUpload.

use types::{BucketName, Checksum, ChecksumType, ETag, ObjectKey, PartNumber, UploadId};

use crate::put_object::WrittenVersion;
use crate::{Objects, ObjectsError, WriteConditions};

/// Makes an upload an object.
#[derive(Debug, Clone)]
pub struct CompleteMultipartUploadRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// The object's parts.
    pub parts: Vec<NamedPart>,
    /// What must hold of the key at commit.
    pub conditions: WriteConditions,
    /// `x-amz-checksum-*`: the object's checksum as the client computed it. A composite one is without `-N`.
    pub checksum: Option<Checksum>,
    /// `x-amz-checksum-type`.
    pub checksum_type: Option<ChecksumType>,
    /// `x-amz-mp-object-size`.
    pub object_bytes: Option<u64>,
}

/// A part as Complete names it.
#[derive(Debug, Clone)]
pub struct NamedPart {
    /// Its number.
    pub number: PartNumber,
    /// Its tag.
    pub etag: ETag,
    /// Its checksums, as far as the client gave them.
    pub checksums: Vec<Checksum>,
}

impl Objects {
    /// Makes the named parts one object: durable and visible once this returns. Repeated after success (with whatever
    /// parts), it answers the same again.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchUpload`], [`ObjectsError::NoParts`], [`ObjectsError::InvalidPartOrder`],
    /// [`ObjectsError::InvalidPart`], [`ObjectsError::EntityTooSmall`], [`ObjectsError::EntityTooLarge`],
    /// [`ObjectsError::BadChecksum`], [`ObjectsError::ChecksumKindMismatch`],
    /// [`ObjectsError::ObjectSizeMismatch`], [`ObjectsError::PreconditionFailed`], [`ObjectsError::NoSuchKey`]
    /// (If-Match without an object).
    pub async fn complete_multipart_upload(
        &self,
        request: CompleteMultipartUploadRequest,
    ) -> Result<WrittenVersion, ObjectsError> {
        todo!()
    }
}
