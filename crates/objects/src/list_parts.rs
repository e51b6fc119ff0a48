//! ListParts.

use types::{
    BucketName, Checksum, ChecksumAlgorithm, ETag, HomeKey, ObjectKey, Owner, Part, PartNumber, StorageClass,
    Timestamp, UploadId,
};

use crate::reads::checksum_of;
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
    /// When the upload began.
    pub began: Timestamp,
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
        let ListPartsRequest { bucket, key, upload, after, max_parts } = request;
        let found = self.find_open_upload(&bucket, &key, upload).await?;
        let algorithm = found.view.checksum.map(|checksum| checksum.algorithm);
        let page = if max_parts == 0 {
            ListedParts { parts: Vec::new(), truncated: false, next_after: after }
        } else {
            self.listed_parts(&found.home, upload, after, max_parts, algorithm).await?
        };
        Ok(PartsPage {
            began: found.view.began.time(),
            parts: page.parts,
            truncated: page.truncated,
            next_after: page.next_after,
            owner: found.view.owner,
            storage_class: found.view.attributes.storage_class,
            checksum: found.view.checksum,
        })
    }

    /// A page of an upload's parts, completed or not. `max_parts` is at least 1.
    pub(crate) async fn listed_parts(
        &self,
        home: &HomeKey,
        upload: UploadId,
        after: u16,
        max_parts: usize,
        algorithm: Option<ChecksumAlgorithm>,
    ) -> Result<ListedParts, ObjectsError> {
        let mut rows = self.part_rows(home, upload, after, max_parts.saturating_add(1)).await?;
        let truncated = rows.len() > max_parts;
        rows.truncate(max_parts);
        let parts: Vec<_> = rows.into_iter().map(|row| ListedPart::of(&row, algorithm)).collect();
        let next_after = parts.last().map_or(after, |part| part.number.get());
        Ok(ListedParts { parts, truncated, next_after })
    }
}

/// A page of parts, without their upload.
pub(crate) struct ListedParts {
    pub(crate) parts: Vec<ListedPart>,
    pub(crate) truncated: bool,
    pub(crate) next_after: u16,
}

impl ListedPart {
    fn of(row: &Part, algorithm: Option<ChecksumAlgorithm>) -> Self {
        Self {
            number: row.number,
            etag: row.etag,
            plain_bytes: row.plain_bytes,
            modified: row.modified.time(),
            checksum: checksum_of(row, algorithm),
        }
    }
}
