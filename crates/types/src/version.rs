//! Versions and their parts: what a key holds.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Checksum, CommitStamp, ETag, Extent, LegalHold, Owner, Retention, StorageClass, Timestamp, UploadId};

/// A bucket's versioning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Versioning {
    /// Never enabled: one `null` version a key.
    #[default]
    Off,
    /// Every write adds a version.
    Enabled,
    /// Enabled once: writes replace the `null` version, older versions stay.
    Suspended,
}

/// Where a bucket is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BucketState {
    /// Takes requests.
    Live,
    /// Being deleted: its ranges refuse writes until that is done or undone.
    Fenced,
}

/// Which version of a key: opaque to clients, 32 hex digits; it encodes the stamp and random bits.
/// `null` is a flag of the version and no value of this type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VersionId {
    /// When it was committed; unique within the key.
    pub stamp: CommitStamp,
    /// So that an id cannot be guessed from a time.
    pub random: u64,
}

/// Text that is no version id of this store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a version id of this store")]
pub struct VersionIdError;

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.stamp.0, self.random)
    }
}

impl fmt::Debug for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VersionId({self})")
    }
}

impl FromStr for VersionId {
    type Err = VersionIdError;

    fn from_str(text: &str) -> Result<Self, VersionIdError> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| VersionIdError)?;
        let both = u128::from_be_bytes(bytes);
        Ok(Self { stamp: CommitStamp((both >> 64) as u64), random: both as u64 })
    }
}

/// A part's number, 1 to 10,000. A plain PUT is part 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartNumber(u16);

impl PartNumber {
    /// The number of a plain PUT's only part.
    pub const ONE: Self = Self(1);
    /// The highest.
    pub const MAX: u16 = 10_000;
    /// Under which an upload's manifest is stored: no part that a client can name.
    pub const MANIFEST: Self = Self(0);

    /// `None` outside 1 to 10,000.
    pub const fn new(number: u32) -> Option<Self> {
        if number >= 1 && number <= Self::MAX as u32 { Some(Self(number as u16)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for PartNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartNumber({})", self.0)
    }
}

/// One step between plain and stored bytes. None is written today; compression and encryption come here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transform {
    /// Which transformation.
    pub id: u16,
    /// Its parameters.
    pub parameters: Bytes,
    /// Which key, where it needs one.
    pub key_reference: Option<String>,
}

/// What one UploadPart, or a plain PUT, stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its number.
    pub number: PartNumber,
    /// MD5 of its plain bytes.
    pub etag: ETag,
    /// The checksums that the client sent or asked for.
    pub checksums: Vec<Checksum>,
    /// CRC-64/NVME of its plain bytes: always kept.
    pub crc64_nvme: u64,
    /// Bytes as the client sent them.
    pub plain_bytes: u64,
    /// Bytes after the transforms: the sum of the extents.
    pub stored_bytes: u64,
    /// How plain bytes became stored ones.
    pub transforms: Vec<Transform>,
    /// Where the stored bytes are, in order.
    pub extents: Vec<Extent>,
    /// When the part was stored.
    pub modified: CommitStamp,
}

/// What a version row says of one part of a completed upload; the part itself is a row of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartSummary {
    /// Its number.
    pub number: PartNumber,
    /// Its plain bytes.
    pub plain_bytes: u64,
}

/// What a version is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum VersionKind {
    /// A delete marker: it has no bytes.
    DeleteMarker,
    /// An object of one part, which stands in the version's own row.
    Single(Part),
    /// A completed upload; its parts are rows under this upload id, those named here.
    Multipart {
        /// The upload.
        upload: UploadId,
        /// The parts that Complete named, in order.
        parts: Vec<PartSummary>,
    },
}

/// What a client said of an object beside its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectAttributes {
    /// Standard headers kept word for word, in the order of arrival: lower-case names out of `content-type`,
    /// `cache-control`, `content-disposition`, `content-encoding`, `content-language`, `expires`,
    /// `x-amz-website-redirect-location`.
    pub headers: Vec<(String, Bytes)>,
    /// User metadata: lower-case names without `x-amz-meta-`, raw bytes.
    pub metadata: Vec<(String, Bytes)>,
    /// Object tags.
    pub tags: Vec<(String, String)>,
    /// The wanted profile.
    pub storage_class: StorageClass,
    /// Object lock's retention.
    pub retention: Option<Retention>,
    /// Object lock's legal hold.
    pub legal_hold: LegalHold,
}

/// One immutable content of an object, or a delete marker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its id; of a `null` version too, though clients see `null`.
    pub id: VersionId,
    /// Whether it is the key's `null` version.
    pub null: bool,
    /// Its bytes, or that it is a delete marker.
    pub kind: VersionKind,
    /// Plain bytes; 0 for a delete marker.
    pub plain_bytes: u64,
    /// Its entity tag; of a delete marker all zeros, never shown.
    pub etag: ETag,
    /// The checksum that clients are shown; none for a delete marker.
    pub checksum: Option<Checksum>,
    /// Headers, metadata, tags, storage class, locks.
    pub attributes: ObjectAttributes,
    /// Who owns it.
    pub owner: Owner,
    /// When a newer version of the key took its place; `None` while it is the newest.
    pub superseded: Option<CommitStamp>,
}

impl ObjectAttributes {
    /// Whether object lock was asked for: a bucket must have it then.
    pub fn names_lock(&self) -> bool {
        self.retention.is_some() || self.legal_hold != LegalHold::Unset
    }
}

impl Version {
    /// When it was committed: S3's Last-Modified.
    pub const fn modified(&self) -> Timestamp {
        self.id.stamp.time()
    }

    /// Whether it is a delete marker.
    pub const fn is_delete_marker(&self) -> bool {
        matches!(self.kind, VersionKind::DeleteMarker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_ids_read_back_and_sort_by_stamp() {
        let older = VersionId { stamp: CommitStamp(1), random: u64::MAX };
        let newer = VersionId { stamp: CommitStamp(2), random: 0 };
        assert!(older < newer && older.to_string() < newer.to_string());
        assert_eq!(newer.to_string().parse(), Ok(newer));
        assert_eq!("null".parse::<VersionId>(), Err(VersionIdError));
    }
}
