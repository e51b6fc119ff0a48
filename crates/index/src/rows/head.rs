//! The head of a version: what listings and conditions look at. It is small, so that many fit on a page.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use types::{AccountId, CanonicalId, CommitStamp, ETag, ObjectKey, Owner, StorageClass, VersionId};

use super::{RowError, VERSION, versioned};
use crate::command::UploadChecksum;
use crate::query::ListedVersion;

/// The row of `current` and `versions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeadRow {
    pub(crate) id: VersionId,
    pub(crate) null: bool,
    pub(crate) marker: bool,
    pub(crate) plain_bytes: u64,
    pub(crate) etag: ETag,
    pub(crate) storage_class: StorageClass,
    pub(crate) checksum: Option<UploadChecksum>,
    pub(crate) owner: Owner,
    /// `None` while it is the newest of its key.
    pub(crate) superseded: Option<CommitStamp>,
}

/// Version 1, as it is stored.
#[derive(Serialize, Deserialize)]
struct HeadV1<'a> {
    stamp: CommitStamp,
    #[serde(with = "postcard::fixint::le")]
    random: u64,
    /// Bit 0: null, bit 1: marker.
    flags: u8,
    plain_bytes: u64,
    etag: ETag,
    /// `None` is STANDARD.
    storage_class: Option<&'a str>,
    checksum: Option<UploadChecksum>,
    superseded: Option<CommitStamp>,
    account: AccountId,
    #[serde(borrow)]
    canonical_id: CanonicalV1<'a>,
    display_name: &'a str,
}

const NULL: u8 = 1;
const MARKER: u8 = 2;

/// A canonical id is nearly always 64 lower-case hex digits, which take half the room as bytes.
#[derive(Serialize, Deserialize)]
enum CanonicalV1<'a> {
    Digits([u8; 32]),
    Text(#[serde(borrow)] Cow<'a, str>),
}

impl HeadRow {
    /// The row's bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let class = self.storage_class.as_str();
        let row = HeadV1 {
            stamp: self.id.stamp,
            random: self.id.random,
            flags: u8::from(self.null) * NULL + u8::from(self.marker) * MARKER,
            plain_bytes: self.plain_bytes,
            etag: self.etag,
            storage_class: (class != StorageClass::STANDARD).then_some(class),
            checksum: self.checksum,
            superseded: self.superseded,
            account: self.owner.account,
            canonical_id: CanonicalV1::of(&self.owner.canonical_id),
            display_name: &self.owner.display_name,
        };
        let mut bytes = Vec::with_capacity(128);
        bytes.push(VERSION);
        postcard::to_extend(&row, bytes).expect("heads hold nothing that postcard refuses")
    }

    /// Reads what [`HeadRow::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let row: HeadV1<'_> = postcard::from_bytes(versioned(bytes)?).map_err(RowError::new)?;
        let storage_class = match row.storage_class {
            None => StorageClass::default(),
            Some(class) => StorageClass::new(class).map_err(RowError::new)?,
        };
        Ok(Self {
            id: VersionId { stamp: row.stamp, random: row.random },
            null: row.flags & NULL != 0,
            marker: row.flags & MARKER != 0,
            plain_bytes: row.plain_bytes,
            etag: row.etag,
            storage_class,
            checksum: row.checksum,
            owner: Owner {
                account: row.account,
                canonical_id: row.canonical_id.into_id(),
                display_name: row.display_name.into(),
            },
            superseded: row.superseded,
        })
    }

    /// The version as listings show it.
    pub(crate) fn into_listed(self, key: ObjectKey) -> ListedVersion {
        ListedVersion {
            key,
            id: self.id,
            null: self.null,
            newest: self.superseded.is_none(),
            marker: self.marker,
            plain_bytes: self.plain_bytes,
            etag: self.etag,
            storage_class: self.storage_class,
            checksum: self.checksum,
            owner: self.owner,
        }
    }
}

impl<'a> CanonicalV1<'a> {
    fn of(id: &'a CanonicalId) -> Self {
        let mut digits = [0; 32];
        let lower_case = !id.0.bytes().any(|byte| byte.is_ascii_uppercase());
        match hex::decode_to_slice(id.0.as_bytes(), &mut digits) {
            Ok(()) if lower_case => Self::Digits(digits),
            _ => Self::Text(Cow::Borrowed(&id.0)),
        }
    }

    fn into_id(self) -> CanonicalId {
        match self {
            Self::Digits(digits) => {
                // `hex::encode` collects letter by letter: a sixth of a listing's time.
                let mut text = [0; 64];
                hex::encode_to_slice(digits, &mut text).expect("two digits a byte");
                CanonicalId(std::str::from_utf8(&text).expect("hex digits are ASCII").into())
            }
            Self::Text(text) => CanonicalId(text.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_ids_of_any_form_read_back() {
        for text in ["ab".repeat(32), "AB".repeat(32), "someone".to_owned(), String::new()] {
            let id = CanonicalId(text.into());
            assert_eq!(CanonicalV1::of(&id).into_id(), id);
        }
    }
}
