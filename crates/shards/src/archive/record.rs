//! The bytes of an archive file: a header that names it, then records, each with a head and a payload
//! (docs/disk-format.md).

use twox_hash::xxhash3_128;
use types::{DiskId, RangeId};

use crate::ArchiveFile;
use crate::superblock::DiskSecret;

/// Bytes of the header, and of a record's head.
pub(super) const HEAD_BYTES: usize = 64;
/// Bytes of a head that its hash covers.
const HASHED_BYTES: usize = 48;
const FILE_MAGIC: [u8; 8] = *b"\xc4CNARC\r\n";
const RECORD_MAGIC: [u8; 4] = *b"CNAR";
const FORMAT_VERSION: u16 = 1;
const KEY_CONTEXT: &[u8; 16] = b"cairn archive v1";

/// The key of the heads of one file on one disk: neither other files' records nor a client's bytes pass for its own.
#[derive(Clone)]
pub(super) struct FileKey([u8; 32]);

impl FileKey {
    pub(super) fn new(secret: &DiskSecret, file: ArchiveFile) -> Self {
        let mut name = [0; 32];
        name[..16].copy_from_slice(KEY_CONTEXT);
        name[16..24].copy_from_slice(&file.range.0.to_le_bytes());
        name[24..].copy_from_slice(&file.generation.to_le_bytes());
        Self(*blake3::keyed_hash(secret.bytes(), &name).as_bytes())
    }

    fn sign(&self, head: &mut [u8; HEAD_BYTES]) {
        let hash = blake3::keyed_hash(&self.0, &head[..HASHED_BYTES]);
        head[HASHED_BYTES..].copy_from_slice(&hash.as_bytes()[..HEAD_BYTES - HASHED_BYTES]);
    }

    fn is_signed(&self, head: &[u8; HEAD_BYTES]) -> bool {
        let hash = blake3::keyed_hash(&self.0, &head[..HASHED_BYTES]);
        head[HASHED_BYTES..] == hash.as_bytes()[..HEAD_BYTES - HASHED_BYTES]
    }
}

/// The header of a file.
pub(super) fn encode_header(key: &FileKey, disk: DiskId, file: ArchiveFile) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..8].copy_from_slice(&FILE_MAGIC);
    head[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    head[16..24].copy_from_slice(&file.range.0.to_le_bytes());
    head[24..32].copy_from_slice(&file.generation.to_le_bytes());
    head[32..48].copy_from_slice(&disk.to_bytes());
    key.sign(&mut head);
    head
}

/// What a record's head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHead {
    pub(super) seq: u64,
    pub(super) payload_bytes: u32,
    pub(super) checksum: u128,
}

impl RecordHead {
    pub(super) fn of(seq: u64, payload: &[u8]) -> Self {
        let payload_bytes = u32::try_from(payload.len()).expect("bounded by the caller");
        Self { seq, payload_bytes, checksum: checksum_of(payload) }
    }

    /// The head of a record that begins at `offset`.
    pub(super) fn encode(&self, key: &FileKey, offset: u64) -> [u8; HEAD_BYTES] {
        let mut head = [0; HEAD_BYTES];
        head[..4].copy_from_slice(&RECORD_MAGIC);
        head[4..8].copy_from_slice(&self.payload_bytes.to_le_bytes());
        head[8..16].copy_from_slice(&self.seq.to_le_bytes());
        head[16..24].copy_from_slice(&offset.to_le_bytes());
        head[24..40].copy_from_slice(&self.checksum.to_le_bytes());
        key.sign(&mut head);
        head
    }

    /// Reads the head of the record at `offset`; `None` where there is none.
    pub(super) fn decode(head: &[u8; HEAD_BYTES], key: &FileKey, offset: u64) -> Option<Self> {
        let number = |at: usize| u64::from_le_bytes(*head[at..].first_chunk().expect("within the head"));
        if head[..4] != RECORD_MAGIC || number(16) != offset || !key.is_signed(head) {
            return None;
        }
        Some(Self {
            seq: number(8),
            payload_bytes: u32::from_le_bytes(*head[4..].first_chunk().expect("within the head")),
            checksum: u128::from_le_bytes(*head[24..].first_chunk().expect("within the head")),
        })
    }
}

/// The checksum of a payload.
pub(super) fn checksum_of(payload: &[u8]) -> u128 {
    xxhash3_128::Hasher::oneshot(payload)
}

/// The name of a file in the archive's directory.
pub(super) fn name_of(file: ArchiveFile) -> String {
    format!("{:016x}-{:016x}.archive", file.range.0, file.generation)
}

/// Reads a file's name; `None` for other names.
pub(super) fn parse_name(name: &str) -> Option<ArchiveFile> {
    let (range, generation) = name.strip_suffix(".archive")?.split_once('-')?;
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let file = ArchiveFile { range: RangeId(number(range)?), generation: number(generation)? };
    (name_of(file) == name).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: ArchiveFile = ArchiveFile { range: RangeId(1), generation: 0x0203 };
    const GOLDEN: &str = include_str!("../../tests/golden/archive_v1.hex");

    fn secret() -> DiskSecret {
        postcard::from_bytes(&[7; 32]).expect("32 bytes are a secret")
    }

    fn sample() -> Vec<u8> {
        let key = FileKey::new(&secret(), FILE);
        let payload = b"state and log";
        let head = RecordHead::of(3, payload).encode(&key, 64);
        [&encode_header(&key, DiskId::from_bytes([9; 16]), FILE)[..], &head, payload].concat()
    }

    #[test]
    fn the_bytes_of_version_1_never_change() {
        assert_eq!(hex::encode(sample()), GOLDEN.trim());
        let key = FileKey::new(&secret(), FILE);
        let head = sample()[64..128].try_into().expect("64 bytes");
        assert_eq!(RecordHead::decode(&head, &key, 64), Some(RecordHead::of(3, b"state and log")));
    }

    #[test]
    fn a_head_is_of_one_place_and_file_alone() {
        let head = sample()[64..128].try_into().expect("64 bytes");
        let key = FileKey::new(&secret(), FILE);
        assert_eq!(RecordHead::decode(&head, &key, 65), None);
        let other = FileKey::new(&secret(), ArchiveFile { generation: 4, ..FILE });
        assert_eq!(RecordHead::decode(&head, &other, 64), None);
        for bit in 0..512 {
            let mut changed = head;
            changed[bit / 8] ^= 1 << (bit % 8);
            // What lies between checksum and hash is hashed too.
            assert_eq!(RecordHead::decode(&changed, &key, 64), None, "bit {bit}");
        }
    }

    #[test]
    fn names_read_back_and_others_are_none() {
        assert_eq!(name_of(FILE), "0000000000000001-0000000000000203.archive");
        assert_eq!(parse_name(&name_of(FILE)), Some(FILE));
        for name in ["1-2.archive", "0000000000000001-0000000000000203.archive.new", "x", ""] {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }
}
