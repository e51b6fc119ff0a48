//! ListParts.

use types::{BucketName, Checksum, ETag, ObjectKey, Owner, PartNumber, StorageClass, Timestamp, UploadId};

use crate::{Objects, ObjectsError, UploadChecksum};

/// Lists an upload's parts.
#[derive(Debug, Clone)]
pub struct ListPartsRequest {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// Only parts above this number (`part-number-marker`); 0: all.
    pub after: u16,
    /// At most so many (S3: up to 1,000); 0 answers an empty, complete page.
    pub max_parts: usize,
}

/// A page of parts.
#[derive(Debug, Clone)]
pub struct PartsPage {
    /// In order of number.
    pub parts: Vec<ListedPart>,
    /// Whether more follow.
    pub truncated: bool,
    /// `NextPartNumberMarker`: the last part's number; of an empty page the request's marker.
    pub next_after: u16,
    /// Who began the upload.
    pub owner: Owner,
    /// The upload's class.
    pub storage_class: StorageClass,
    /// The checksum that it was begun with.
    pub checksum: Option<UploadChecksum>,
}

/// A part as listings show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPart {
    /// Its number.
    pub number: PartNumber,
    /// Its entity tag.
    pub etag: ETag,
    /// Its plain bytes.
    pub plain_bytes: u64,
    /// When it was stored.
    pub modified: Timestamp,
    /// Its checksum of the upload's algorithm, else the one that the client sent.
    pub checksum: Option<Checksum>,
}

impl Objects {
    /// One page of the parts of an upload under way.
    ///
    /// # Errors
    /// [`ObjectsError::NoSuchUpload`].
    pub async fn list_parts(&self, request: ListPartsRequest) -> Result<PartsPage, ObjectsError> {
        todo!()
    }
}
