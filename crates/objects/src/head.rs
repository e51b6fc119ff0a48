//! What a read says of a version beside its bytes.

use std::fmt;

use types::{
    Checksum, ETag, ObjectAttributes, Owner, PartNumber, Timestamp, Version, VersionId, VersionKind, Versioning,
};

/// A version's id as its bucket's clients see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShownVersion {
    /// The bucket never had versioning: there is no `x-amz-version-id`.
    Unversioned,
    /// The `null` version of a bucket that has, or had, versioning.
    Null,
    /// A version with an id of its own.
    Id(VersionId),
}

impl ShownVersion {
    /// How the version `id` of a bucket with this versioning is shown.
    pub const fn new(id: VersionId, null: bool, versioning: Versioning) -> Self {
        match (null, versioning) {
            (true, Versioning::Off) => Self::Unversioned,
            (true, _) => Self::Null,
            (false, _) => Self::Id(id),
        }
    }
}

impl fmt::Display for ShownVersion {
    /// `null` or the id's hex digits; an unversioned one is `null` too, as listings show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unversioned | Self::Null => f.write_str("null"),
            Self::Id(id) => id.fmt(f),
        }
    }
}

/// A version with bytes, without them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectHead {
    /// Its id.
    pub version: ShownVersion,
    /// Plain bytes of the whole object.
    pub plain_bytes: u64,
    /// Its entity tag.
    pub etag: ETag,
    /// Last-Modified.
    pub modified: Timestamp,
    /// Whether it is the newest of its key.
    pub newest: bool,
    /// The checksum that clients are shown when they ask for it.
    pub checksum: Option<Checksum>,
    /// How many parts a completed upload has; `None` for a plain PUT or copy.
    pub parts: Option<u16>,
    /// Headers, metadata, tags, storage class, locks.
    pub attributes: ObjectAttributes,
    /// Who owns it.
    pub owner: Owner,
}

impl ObjectHead {
    /// Moves what it can out of `version`, whose attributes and checksum are empty afterwards.
    pub(crate) fn taken_from(version: &mut Version, versioning: Versioning) -> Self {
        let parts = match &version.kind {
            VersionKind::Multipart { parts, .. } => Some(count_of(parts.len())),
            VersionKind::Single(_) | VersionKind::DeleteMarker => None,
        };
        Self {
            version: ShownVersion::new(version.id, version.null, versioning),
            plain_bytes: version.plain_bytes,
            etag: version.etag,
            modified: version.modified(),
            newest: version.superseded.is_none(),
            checksum: version.checksum.take(),
            parts,
            attributes: std::mem::take(&mut version.attributes),
            owner: version.owner.clone(),
        }
    }
}

/// The part that a read with `partNumber` chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenPart {
    /// Its number in the request: parts are counted by their place in the object, from 1.
    pub number: PartNumber,
    /// Its checksum of the object's algorithm, if it has one.
    pub checksum: Option<Checksum>,
}

pub(crate) fn count_of(parts: usize) -> u16 {
    u16::try_from(parts).expect("an upload has at most 10,000 parts")
}
