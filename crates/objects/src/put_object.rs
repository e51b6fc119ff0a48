//! PutObject.

use types::{BucketName, Checksum, ETag, ObjectAttributes, ObjectKey, Owner, Timestamp};

use crate::body::BodyFacts;
use crate::data::BodySource;
use crate::{Objects, ObjectsError, ShownVersion, WriteConditions};

/// Stores an object.
#[derive(Debug, Clone)]
pub struct PutObjectRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Headers, metadata, tags, storage class, locks.
    pub attributes: ObjectAttributes,
    /// Who will own it.
    pub owner: Owner,
    /// What must hold of the key at commit.
    pub conditions: WriteConditions,
    /// What the client said of the body.
    pub said: BodyFacts,
}

/// A version that a PUT or a completed upload made visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenVersion {
    /// Its id.
    pub version: ShownVersion,
    /// Its entity tag.
    pub etag: ETag,
    /// Its checksum.
    pub checksum: Option<Checksum>,
    /// Its plain bytes.
    pub plain_bytes: u64,
    /// Last-Modified.
    pub modified: Timestamp,
}

impl Objects {
    /// Stores `body` under the key: durable and visible once this returns.
    ///
    /// The body's digests are compared with what the client named, in `said` and in trailers ([`BodySource::finish`]),
    /// before the commit; on any error nothing is left behind.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchBucket`], [`ObjectsError::InvalidStorageClass`]; of the body: [`ObjectsError::Body`], [`ObjectsError::BodyLength`],
    /// [`ObjectsError::BadDigest`], [`ObjectsError::BadPayloadHash`], [`ObjectsError::BadChecksum`],
    /// [`ObjectsError::EntityTooLarge`]; at commit: [`ObjectsError::PreconditionFailed`],
    /// [`ObjectsError::NoSuchKey`] (If-Match without an object), [`ObjectsError::TicketOver`]; and those of the store.
    pub async fn put_object(
        &self,
        request: PutObjectRequest,
        body: &mut dyn BodySource,
    ) -> Result<WrittenVersion, ObjectsError> {
        todo!()
    }
}
