//! Commands on versions.

use serde::{Deserialize, Serialize};
use types::{
    Checksum, ETag, LegalHold, ObjectAttributes, ObjectKey, Owner, Part, PartNumber, Retention, Run, UploadId,
    VersionId,
};

use super::BucketAt;

/// What must hold of a key's newest version for a write to take effect, decided in `apply`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WriteConditions {
    /// If-Match: there is a current object (no marker), with one of these tags. [`super::Refusal::NoSuchKey`] when
    /// there is none, else [`super::Refusal::PreconditionFailed`].
    pub if_match: Option<ETagCondition>,
    /// If-None-Match: there is no current object (with one of these tags).
    pub if_none_match: Option<ETagCondition>,
}

/// The entity tags that a condition names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ETagCondition {
    /// `*`
    Any,
    /// Any of these. Tags that are not of this store's form have been left out: they match nothing.
    OneOf(Vec<ETag>),
}

/// Makes a version of one part visible.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PutObject {
    /// The bucket.
    pub bucket: BucketAt,
    /// The key.
    pub key: ObjectKey,
    /// What must hold.
    pub conditions: WriteConditions,
    /// What becomes visible.
    pub version: NewVersion,
    /// The bytes. `modified` is set by `apply`.
    pub part: Part,
    /// Whether the part's runs are narrower than wanted: queued for re-striping in the same commit.
    pub degraded: bool,
}

/// A version before `apply` gave it its stamp.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewVersion {
    /// The random half of its id.
    pub random: u64,
    /// Its plain bytes.
    pub plain_bytes: u64,
    /// Its entity tag.
    pub etag: ETag,
    /// The checksum that clients are shown.
    pub checksum: Option<Checksum>,
    /// Headers, metadata, tags, storage class, locks.
    pub attributes: ObjectAttributes,
    /// Who owns it.
    pub owner: Owner,
}

/// Deletes a version, or, without `version`, what the bucket's versioning says: the object (off), or it adds a marker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeleteObject {
    /// The bucket.
    pub bucket: BucketAt,
    /// The key.
    pub key: ObjectKey,
    /// Which version to remove for good.
    pub version: Option<WhichVersion>,
    /// What must hold of the key's newest version (with `version`: of that version).
    pub conditions: WriteConditions,
    /// The random half of a marker's id.
    pub random: u64,
    /// Who owns a marker.
    pub owner: Owner,
    /// Whether retention in governance mode may be passed over.
    pub bypass_governance: bool,
}

/// Puts tags in place of those that a version has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetObjectTags {
    /// The bucket.
    pub bucket: BucketAt,
    /// The key.
    pub key: ObjectKey,
    /// Which version: [`super::Refusal::NoSuchKey`] where the key has no newest one, [`super::Refusal::NoSuchVersion`]
    /// where it hasn't the one that is named, [`super::Refusal::IsMarker`] for a marker.
    pub version: WhichVersion,
    /// The tags from now on; none removes them.
    pub tags: Vec<(String, String)>,
}

/// Sets what holds a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetObjectLock {
    /// The bucket: [`super::Refusal::NoObjectLock`] where it has none.
    pub bucket: BucketAt,
    /// The key.
    pub key: ObjectKey,
    /// Which version, as for [`SetObjectTags`].
    pub version: WhichVersion,
    /// What is set.
    pub change: LockChange,
}

/// What of a version's lock is set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum LockChange {
    /// Its retention: [`super::Refusal::Locked`] for less than the one that lasts, unless that may be bypassed;
    /// [`super::Refusal::RetainUntilPassed`] for one that is over.
    Retention {
        /// From now on; `None` removes it.
        retention: Option<Retention>,
        /// Whether a retention in governance mode may be shortened, replaced or removed.
        bypass_governance: bool,
    },
    /// Its legal hold.
    LegalHold(LegalHold),
}

/// Names one version of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhichVersion {
    /// The newest one, which may be a marker.
    Newest,
    /// The `null` version.
    Null,
    /// The one with this id.
    Id(VersionId),
}

/// Puts the bytes of one part elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplacePart {
    /// The bucket, whatever its epoch.
    pub bucket: types::BucketId,
    /// The key.
    pub key: ObjectKey,
    /// The version that has the part, for a part of a single-part version.
    pub version: Option<VersionId>,
    /// The upload that has the part, for others.
    pub upload: Option<UploadId>,
    /// The part's number.
    pub number: PartNumber,
    /// The runs that the part must still lie in.
    pub expected: Vec<Run>,
    /// Where it lies from now on; `expected` becomes garbage.
    pub part: Part,
    /// Whether it is still narrower than wanted.
    pub degraded: bool,
}
