//! What S3 keeps with a bucket as documents: one of each kind, in AWS's own form.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use types::BucketId;

/// A longer document is refused: [`super::Refusal::DocumentTooLong`]. What S3 allows of each kind is less, and not the
/// index's matter.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// What a document of a bucket says. Rows and commands have the numbers: they never change, and one that is added needs
/// a feature level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
#[repr(u8)]
pub enum DocumentKind {
    /// Tags of the bucket.
    Tagging = 1,
    /// Which origins' pages may ask for what.
    Cors = 2,
    /// Who pays.
    RequestPayment = 3,
    /// Transfer acceleration.
    Accelerate = 4,
    /// The static website.
    Website = 5,
    /// The bucket policy, verbatim.
    Policy = 6,
    /// The bucket's access control list.
    Acl = 7,
    /// Object ownership.
    OwnershipControls = 8,
    /// What is never public.
    PublicAccessBlock = 9,
    /// Default encryption.
    Encryption = 10,
    /// Lifecycle rules.
    Lifecycle = 11,
    /// Default retention.
    ObjectLock = 12,
    /// Event notifications.
    Notification = 13,
    /// Server access logging.
    Logging = 14,
    /// How much may be stored.
    Quota = 15,
    /// Replication rules.
    Replication = 16,
}

impl DocumentKind {
    /// All of them, in order of number.
    pub const ALL: [Self; 16] = [
        Self::Tagging,
        Self::Cors,
        Self::RequestPayment,
        Self::Accelerate,
        Self::Website,
        Self::Policy,
        Self::Acl,
        Self::OwnershipControls,
        Self::PublicAccessBlock,
        Self::Encryption,
        Self::Lifecycle,
        Self::ObjectLock,
        Self::Notification,
        Self::Logging,
        Self::Quota,
        Self::Replication,
    ];

    /// The number that rows and commands have.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl From<DocumentKind> for u8 {
    fn from(kind: DocumentKind) -> Self {
        kind.number()
    }
}

/// A number that no kind has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no document of a bucket has number {0}: a later release may know it")]
pub struct UnknownDocumentKind(u8);

impl TryFrom<u8> for DocumentKind {
    type Error = UnknownDocumentKind;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        Self::ALL.into_iter().find(|kind| kind.number() == number).ok_or(UnknownDocumentKind(number))
    }
}

/// A document of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketDocument {
    /// What it says.
    pub kind: DocumentKind,
    /// The document, as S3 has it.
    pub document: Bytes,
}

/// Sets or removes a document of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetBucketDocument {
    /// The bucket: [`super::Refusal::NoSuchBucket`] where it isn't there, or not yet.
    pub bucket: BucketId,
    /// Which of its documents.
    pub kind: DocumentKind,
    /// What it says from now on; `None` removes it.
    pub document: Option<Bytes>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_kinds_are_stable_and_each_has_its_own() {
        let numbers = DocumentKind::ALL.map(DocumentKind::number);
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
        for kind in DocumentKind::ALL {
            assert_eq!(DocumentKind::try_from(kind.number()), Ok(kind));
        }
        assert!(DocumentKind::try_from(0).is_err() && DocumentKind::try_from(17).is_err());
    }
}
