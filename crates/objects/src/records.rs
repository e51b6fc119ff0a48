//! What lies on the disks beside a part's bytes, so that index rows can be rebuilt from them.
//!
//! A [`PartRecord`] goes into the header of a part's first stripe; a [`Manifest`] is the body of a run of its own, which
//! Complete writes under the object's key, with part number [`types::PartNumber::MANIFEST`], before it commits. Both
//! prove that bytes were written, not that a version was committed.
//!
//! Format: a version byte, then postcard. A version's meaning never changes; golden bytes are in the tests. A
//! [`PartRecord`] of version 2 has the bucket's name before it, for the index that knows it may be what was lost.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use types::{BucketName, Checksum, ETag, ObjectAttributes, Owner, PartNumber, Timestamp, UploadId, Versioning};

/// Of manifests, and of part records that don't name their bucket.
const VERSION: u8 = 1;
/// Of part records.
const PART_VERSION: u8 = 2;

/// A [`PartRecord`] as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedRecord {
    /// The name of the bucket that the part's home key names by number; version 1 had none.
    pub bucket: Option<BucketName>,
    /// The record.
    pub record: PartRecord,
}

/// What a shard header says of the part that it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartRecord {
    /// The only part of an object: a plain PUT or a copy.
    Object(ObjectRecord),
    /// A part of an upload. A manifest says whether it became part of an object.
    UploadPart {
        /// The upload.
        upload: UploadId,
        /// When the part began, by the writer's clock: of two parts with one number the later one counts.
        began: Timestamp,
        /// Its plain bytes, where the client said them before.
        declared_bytes: Option<u64>,
    },
    /// The run holds a manifest.
    Manifest {
        /// The upload.
        upload: UploadId,
        /// When Complete began, by the writer's clock.
        began: Timestamp,
        /// The manifest's bytes.
        declared_bytes: u64,
    },
}

/// What is known of an object before its bytes have come. Tag and checksum come from the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRecord {
    /// When the PUT began, by the writer's clock.
    pub began: Timestamp,
    /// The bucket's versioning then.
    pub versioning: Versioning,
    /// Headers, metadata, tags, storage class, locks.
    pub attributes: ObjectAttributes,
    /// Who owns it.
    pub owner: Owner,
    /// Its plain bytes, where the client said them before: a run that ends earlier is not the whole object.
    pub declared_bytes: Option<u64>,
    /// The algorithm of the checksum that is kept.
    pub checksum: Option<types::ChecksumAlgorithm>,
}

/// What an upload became.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The upload.
    pub upload: UploadId,
    /// When Complete began, by the writer's clock.
    pub began: Timestamp,
    /// The bucket's versioning then.
    pub versioning: Versioning,
    /// Headers, metadata, tags, storage class, locks.
    pub attributes: ObjectAttributes,
    /// Who owns it.
    pub owner: Owner,
    /// Plain bytes of the whole.
    pub plain_bytes: u64,
    /// The entity tag.
    pub etag: ETag,
    /// The checksum that clients are shown.
    pub checksum: Option<Checksum>,
    /// The parts in order.
    pub parts: Vec<ManifestPart>,
}

/// One part of a [`Manifest`]. Its bytes are found by key, upload and number among the shard headers: where they lie may
/// change, so it doesn't stand here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestPart {
    /// Its number.
    pub number: PartNumber,
    /// Its entity tag.
    pub etag: ETag,
    /// Its checksums.
    pub checksums: Vec<Checksum>,
    /// CRC-64/NVME of its bytes: tells it from another part of that number.
    pub crc64_nvme: u64,
    /// Its plain bytes.
    pub plain_bytes: u64,
    /// The bytes themselves, of a part that lies in the index and so on no disk.
    pub inline: Option<Bytes>,
}

/// Bytes that are no record of a known version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written by a newer release.
    #[error("record format {found} is not known to this release, which reads up to {PART_VERSION}")]
    UnknownVersion {
        /// The version byte; 0 for no bytes at all.
        found: u8,
    },
    /// Of a known version, but not well-formed.
    #[error("malformed record")]
    Malformed,
}

impl NamedRecord {
    /// Version byte and body.
    pub fn encode(&self) -> Bytes {
        postcard::to_extend(self, vec![PART_VERSION]).expect("records hold nothing that postcard refuses").into()
    }

    /// Reads what [`NamedRecord::encode`] of this or an older release wrote.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        match bytes.split_first() {
            Some((&PART_VERSION, body)) => decode_body(body),
            _ => Ok(Self { bucket: None, record: decode(bytes)? }),
        }
    }
}

impl Manifest {
    /// Version byte and body.
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads what [`Manifest::encode`] of this or an older release wrote.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        decode(bytes)
    }
}

fn encode<T: Serialize>(value: &T) -> Bytes {
    postcard::to_extend(value, vec![VERSION]).expect("records hold nothing that postcard refuses").into()
}

fn decode<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, RecordError> {
    let Some((&version, body)) = bytes.split_first() else { return Err(RecordError::UnknownVersion { found: 0 }) };
    if version != VERSION {
        return Err(RecordError::UnknownVersion { found: version });
    }
    decode_body(body)
}

fn decode_body<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, RecordError> {
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(_) => Err(RecordError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use types::{AccountId, CanonicalId, ChecksumAlgorithm, ChecksumType};

    use super::*;

    const UPLOAD: UploadId = UploadId::from_bytes([7; 16]);

    fn owner() -> Owner {
        let canonical_id = CanonicalId("c".repeat(4).into());
        Owner { account: AccountId::ROOT, canonical_id, display_name: "root".into() }
    }

    fn attributes() -> ObjectAttributes {
        ObjectAttributes {
            headers: vec![("content-type".into(), Bytes::from_static(b"a/b"))],
            metadata: vec![("m".into(), Bytes::from_static(b"\xff"))],
            tags: vec![("t".into(), "v".into())],
            ..ObjectAttributes::default()
        }
    }

    /// Bytes on disks outlive the release that wrote them: these never change. A new form gets a new version byte.
    #[test]
    fn records_of_versions_1_and_2_stay_readable() {
        let object = PartRecord::Object(ObjectRecord {
            began: Timestamp(5),
            versioning: Versioning::Enabled,
            attributes: attributes(),
            owner: owner(),
            declared_bytes: Some(300),
            checksum: Some(ChecksumAlgorithm::Sha1),
        });
        let part = PartRecord::UploadPart { upload: UPLOAD, began: Timestamp(300), declared_bytes: None };
        let manifest = PartRecord::Manifest { upload: UPLOAD, began: Timestamp(300), declared_bytes: 9 };
        for (record, golden) in [
            (
                object,
                "01 00 05 01 01 0c636f6e74656e742d74797065 03612f62 01 016d 01ff 01 0174 0176 085354414e44415244 00 00 \
                 80d0dbc3f402 0463636363 04726f6f74 01ac02 0103",
            ),
            (part, "0101 07070707070707070707070707070707 ac0200"),
            (manifest, "0102 07070707070707070707070707070707 ac0209"),
        ] {
            let golden = hex::decode(golden.replace(' ', "")).unwrap();
            assert_eq!(NamedRecord::decode(&golden), Ok(NamedRecord { bucket: None, record: record.clone() }));
            let named = NamedRecord { bucket: Some(BucketName::new("logs").unwrap()), record };
            let of_version_2 = [&hex::decode("0201046c6f6773").unwrap()[..], &golden[1..]].concat();
            assert_eq!(hex::encode(named.encode()), hex::encode(&of_version_2));
            assert_eq!(NamedRecord::decode(&of_version_2), Ok(named));
        }
    }

    #[test]
    fn manifests_of_version_1_stay_readable() {
        let checksum = Checksum::new(ChecksumAlgorithm::Crc32, ChecksumType::Composite, vec![1, 2, 3, 4]).unwrap();
        let part = ManifestPart {
            number: PartNumber::ONE,
            etag: ETag::of_body([9; 16]),
            checksums: vec![checksum.clone()],
            crc64_nvme: 77,
            plain_bytes: 3,
            inline: Some(Bytes::from_static(b"abc")),
        };
        let manifest = Manifest {
            upload: UPLOAD,
            began: Timestamp(5),
            versioning: Versioning::Off,
            attributes: attributes(),
            owner: owner(),
            plain_bytes: 3,
            etag: ETag { md5: [8; 16], parts: Some(1) },
            checksum: Some(checksum),
            parts: vec![part],
        };
        let golden = "01 07070707070707070707070707070707 05 00 \
                      01 0c636f6e74656e742d74797065 03612f62 01 016d 01ff 01 0174 0176 085354414e44415244 00 00 \
                      80d0dbc3f402 0463636363 04726f6f74 03 08080808080808080808080808080808 0101 \
                      01 00 01 0401020304 01 01 09090909090909090909090909090909 00 01 00 01 0401020304 4d 03 01 03616263";
        let golden = hex::decode(golden.replace(' ', "")).unwrap();
        assert_eq!(hex::encode(manifest.encode()), hex::encode(&golden));
        assert_eq!(Manifest::decode(&golden), Ok(manifest));
    }

    #[test]
    fn foreign_bytes_are_refused() {
        assert_eq!(NamedRecord::decode(&[]), Err(RecordError::UnknownVersion { found: 0 }));
        assert_eq!(NamedRecord::decode(&[9, 0]), Err(RecordError::UnknownVersion { found: 9 }));
        assert_eq!(NamedRecord::decode(&[1, 77]), Err(RecordError::Malformed));
        assert_eq!(NamedRecord::decode(&[2, 77]), Err(RecordError::Malformed));
        let record = PartRecord::UploadPart { upload: UPLOAD, began: Timestamp(1), declared_bytes: None };
        let mut long = NamedRecord { bucket: None, record }.encode().to_vec();
        long.push(0);
        assert_eq!(NamedRecord::decode(&long), Err(RecordError::Malformed));
    }
}
