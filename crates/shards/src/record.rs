//! Records: the self-describing headers that stand before each body in a segment.
//!
//! A header is checked by a keyed hash over all of it; the key is derived from the disk's secret, the segment and its
//! generation, and the header names its own offset. So neither a client's bytes, nor a record of another place or of
//! an earlier use of a recycled segment, pass for a record (docs/disk-format.md).

use serde::{Deserialize, Serialize};
use types::{Integrity, PlacementGroupId, RunId, TicketId};

use crate::ShardAddress;
use crate::blocks::checksums_len;
use crate::segment::{SegmentId, SegmentKey};

pub(crate) const MAGIC: [u8; 8] = *b"\xc4CNREC\r\n";
const FORMAT_VERSION: u16 = 1;
/// Bytes before the metadata.
pub(crate) const FIXED_BYTES: usize = 80;
const MAC_BYTES: usize = 16;
/// The longest metadata: a home key, and what `objects` keeps of a request.
pub(crate) const METADATA_BYTES_MAX: usize = 48 * 1024;
/// The longest header.
pub(crate) const HEADER_BYTES_MAX: usize = 64 * 1024;
/// The longest body: `types::Profile`'s longest shard.
pub(crate) const BODY_BYTES_MAX: usize = 4 << 20;
/// Bytes of a shard address in records and index rows.
pub(crate) const ADDRESS_BYTES: usize = 29;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordKind {
    /// A shard.
    Shard,
    /// Freed runs ([`Tombstone`]s in the metadata); no body.
    Tombstones,
}

/// What a header says; borrowed from its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordHeader<'a> {
    pub(crate) kind: RecordKind,
    /// Rises with every record of a disk.
    pub(crate) seq: u64,
    /// Every record up to here was durable before this one was written.
    pub(crate) synced_seq: u64,
    /// Which shard; of tombstones all zeros.
    pub(crate) address: ShardAddress,
    pub(crate) body_bytes: u32,
    /// `None` without a body.
    pub(crate) integrity: Option<Integrity>,
    pub(crate) metadata: &'a [u8],
    /// One for each block of the body.
    pub(crate) checksums: &'a [u8],
}

/// Why bytes are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    /// Perhaps one, but the bytes end before its header does.
    #[error("the header has {header_bytes} bytes")]
    Incomplete {
        /// How many bytes are needed to tell.
        header_bytes: usize,
    },
    /// None, or a damaged one.
    #[error("no record of this place")]
    NotARecord,
    /// A whole one of a newer format.
    #[error("a record of format {found}")]
    Unsupported {
        /// The version that it has.
        found: u16,
    },
}

impl RecordHeader<'_> {
    /// The length that [`RecordHeader::encode_into`] will write.
    pub(crate) fn encoded_len(metadata_bytes: usize, integrity: Option<Integrity>, body_bytes: usize) -> usize {
        let checksums = integrity.map_or(0, |integrity| checksums_len(integrity, body_bytes));
        FIXED_BYTES + metadata_bytes + checksums + MAC_BYTES
    }

    /// Appends the header for a record at `offset` of the segment whose key is given.
    pub(crate) fn encode_into(&self, bytes: &mut Vec<u8>, key: &SegmentKey, offset: u64) {
        let start = bytes.len();
        let header_bytes = Self::encoded_len(self.metadata.len(), self.integrity, self.body_bytes as usize);
        let length = |bytes: usize| u32::try_from(bytes).expect("bounded by HEADER_BYTES_MAX").to_le_bytes();
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.push(match self.kind {
            RecordKind::Shard => 1,
            RecordKind::Tombstones => 2,
        });
        bytes.push(match self.integrity {
            None => 0,
            Some(Integrity::Xxh3) => 1,
            Some(Integrity::Blake3) => 2,
        });
        bytes.extend_from_slice(&length(header_bytes));
        bytes.extend_from_slice(&self.body_bytes.to_le_bytes());
        bytes.extend_from_slice(&length(self.metadata.len()));
        bytes.extend_from_slice(&self.seq.to_le_bytes());
        bytes.extend_from_slice(&self.synced_seq.to_le_bytes());
        bytes.extend_from_slice(&offset.to_le_bytes());
        bytes.extend_from_slice(&encode_address(&self.address));
        bytes.extend_from_slice(&[0; 3]);
        bytes.extend_from_slice(self.metadata);
        bytes.extend_from_slice(self.checksums);
        let mac = key.mac(&bytes[start..]);
        bytes.extend_from_slice(&mac);
        debug_assert_eq!(bytes.len() - start, header_bytes, "the length that was announced");
    }

    /// Reads the header that begins at `bytes[0]`, which lies at `offset` of the segment whose key is given. `bytes`
    /// may go on after it.
    pub(crate) fn decode<'a>(bytes: &'a [u8], key: &SegmentKey, offset: u64) -> Result<RecordHeader<'a>, RecordError> {
        let Some(fixed) = bytes.first_chunk::<FIXED_BYTES>() else {
            return Err(RecordError::Incomplete { header_bytes: FIXED_BYTES });
        };
        let lengths = Lengths::read(fixed).ok_or(RecordError::NotARecord)?;
        let Some(header) = bytes.get(..lengths.header) else {
            return Err(RecordError::Incomplete { header_bytes: lengths.header });
        };
        let (checked, mac) = header.split_at(lengths.header - MAC_BYTES);
        if u64_at(fixed, 40) != offset || key.mac(checked) != mac {
            return Err(RecordError::NotARecord);
        }
        let version = u16::from_le_bytes([fixed[8], fixed[9]]);
        if version != FORMAT_VERSION {
            return Err(RecordError::Unsupported { found: version });
        }
        let kind = match fixed[10] {
            1 => RecordKind::Shard,
            2 => RecordKind::Tombstones,
            _ => return Err(RecordError::NotARecord),
        };
        let integrity = integrity_of(fixed[11]).ok_or(RecordError::NotARecord)?;
        let checksums = integrity.map_or(0, |integrity| checksums_len(integrity, lengths.body));
        if FIXED_BYTES + lengths.metadata + checksums + MAC_BYTES != lengths.header
            || (kind == RecordKind::Shard) != (lengths.body > 0)
            || integrity.is_some() != (lengths.body > 0)
        {
            return Err(RecordError::NotARecord);
        }
        let (metadata, checksums) = checked[FIXED_BYTES..].split_at(lengths.metadata);
        Ok(RecordHeader {
            kind,
            seq: u64_at(fixed, 24),
            synced_seq: u64_at(fixed, 32),
            address: decode_address(fixed[48..48 + ADDRESS_BYTES].try_into().expect("29 bytes")),
            body_bytes: u32::try_from(lengths.body).expect("read from 32 bits"),
            integrity,
            metadata,
            checksums,
        })
    }

    /// Gives bytes that may be a header its offset and its MAC.
    #[cfg(fuzzing)]
    pub(crate) fn seal(bytes: &mut [u8], key: &SegmentKey, offset: u64) {
        let lengths = bytes.first_chunk().and_then(Lengths::read);
        let Some(header) = lengths.and_then(|lengths| bytes.get_mut(..lengths.header)) else { return };
        header[40..48].copy_from_slice(&offset.to_le_bytes());
        let (checked, mac) = header.split_at_mut(header.len() - MAC_BYTES);
        mac.copy_from_slice(&key.mac(checked));
    }

    /// The header's own length in bytes.
    pub(crate) fn header_bytes(&self) -> usize {
        FIXED_BYTES + self.metadata.len() + self.checksums.len() + MAC_BYTES
    }
}

/// The lengths in a header, if they can be those of one. The same in every format version, so that an older program
/// can tell a newer record from garbage.
struct Lengths {
    header: usize,
    body: usize,
    metadata: usize,
}

impl Lengths {
    fn read(fixed: &[u8; FIXED_BYTES]) -> Option<Self> {
        let length = |at: usize| u32::from_le_bytes(fixed[at..at + 4].try_into().expect("four bytes")) as usize;
        let lengths = Self { header: length(12), body: length(16), metadata: length(20) };
        let plausible = fixed.starts_with(&MAGIC)
            && (FIXED_BYTES + MAC_BYTES..=HEADER_BYTES_MAX).contains(&lengths.header)
            && lengths.body <= BODY_BYTES_MAX
            && lengths.metadata <= lengths.header - FIXED_BYTES - MAC_BYTES;
        plausible.then_some(lengths)
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn integrity_of(byte: u8) -> Option<Option<Integrity>> {
    match byte {
        0 => Some(None),
        1 => Some(Some(Integrity::Xxh3)),
        2 => Some(Some(Integrity::Blake3)),
        _ => None,
    }
}

/// An address as bytes whose order is the order of addresses.
pub(crate) fn encode_address(address: &ShardAddress) -> [u8; ADDRESS_BYTES] {
    let mut bytes = [0; ADDRESS_BYTES];
    bytes[..8].copy_from_slice(&address.group.0.to_be_bytes());
    bytes[8..24].copy_from_slice(&address.run.to_bytes());
    bytes[24..28].copy_from_slice(&address.stripe.to_be_bytes());
    bytes[28] = address.shard;
    bytes
}

/// Reads what [`encode_address`] wrote.
pub(crate) fn decode_address(bytes: &[u8; ADDRESS_BYTES]) -> ShardAddress {
    ShardAddress {
        group: PlacementGroupId(u64::from_be_bytes(bytes[..8].try_into().expect("eight bytes"))),
        run: RunId::from_bytes(bytes[8..24].try_into().expect("16 bytes")),
        stripe: u32::from_be_bytes(bytes[24..28].try_into().expect("four bytes")),
        shard: bytes[28],
    }
}

/// The address of records that are no shards.
pub(crate) const NO_ADDRESS: ShardAddress =
    ShardAddress { group: PlacementGroupId(0), run: RunId { ticket: TicketId(0), tail: 0 }, stripe: 0, shard: 0 };

/// One freed run: no record of it below `below` counts any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tombstone {
    pub(crate) group: PlacementGroupId,
    pub(crate) run: RunId,
    /// The sequence number of the free; a copy of a tombstone keeps it.
    pub(crate) below: u64,
    /// The small segments, each with its generation, in which records of the run lay: while one of them is in use,
    /// this tombstone is needed.
    pub(crate) segments: Vec<(SegmentId, u64)>,
}

const TOMBSTONES_V1: u8 = 1;

/// The metadata of a record of tombstones.
pub(crate) fn encode_tombstones(tombstones: &[Tombstone]) -> Vec<u8> {
    postcard::to_extend(tombstones, vec![TOMBSTONES_V1]).expect("plain data can be encoded")
}

/// Reads what [`encode_tombstones`] wrote; `None` for anything else.
pub(crate) fn decode_tombstones(metadata: &[u8]) -> Option<Vec<Tombstone>> {
    let (TOMBSTONES_V1, rest) = metadata.split_first().map(|(version, rest)| (*version, rest))? else { return None };
    match postcard::take_from_bytes(rest) {
        Ok((tombstones, [])) => Some(tombstones),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use platform::{FaultyDisk, SeededEntropy};
    use proptest::prelude::*;
    use types::{ClusterId, DiskId, NodeId};

    use super::*;
    use crate::superblock::{DiskIdentity, DiskSecret, format};

    const GOLDEN: &str = include_str!("../tests/golden/record_v1.hex");
    const GOLDEN_TOMBSTONES: &str = include_str!("../tests/golden/tombstones_v1.hex");

    /// A secret that the same seed always gives.
    fn secret() -> DiskSecret {
        let identity = DiskIdentity {
            cluster: ClusterId::from_bytes([1; 16]),
            node: NodeId::from_bytes([2; 16]),
            disk: DiskId::from_bytes([3; 16]),
        };
        format(&FaultyDisk::new(1), identity, &FixedEntropy).unwrap().secret
    }

    #[derive(Debug)]
    struct FixedEntropy;

    impl platform::Entropy for FixedEntropy {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0x42);
        }
    }

    fn key() -> SegmentKey {
        SegmentKey::new(&secret(), SegmentId(6), 1000)
    }

    fn address() -> ShardAddress {
        let run = RunId { ticket: TicketId(5), tail: 0x1122_3344_5566_7788 };
        ShardAddress { group: PlacementGroupId(77), run, stripe: 9, shard: 3 }
    }

    fn sample() -> RecordHeader<'static> {
        RecordHeader {
            kind: RecordKind::Shard,
            seq: 0x0a0b_0c0d,
            synced_seq: 0x0a0b_0c00,
            address: address(),
            body_bytes: 100_000,
            integrity: Some(Integrity::Xxh3),
            metadata: b"metadata",
            checksums: &[0xcc; 32],
        }
    }

    fn encoded(header: &RecordHeader<'_>, offset: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        header.encode_into(&mut bytes, &key(), offset);
        bytes
    }

    #[test]
    fn the_bytes_of_version_1_never_change() {
        assert_eq!(hex::encode(encoded(&sample(), 0x5000)), GOLDEN.trim());
        let golden = hex::decode(GOLDEN.trim()).unwrap();
        assert_eq!(RecordHeader::decode(&golden, &key(), 0x5000), Ok(sample()));
        assert_eq!(golden.len(), sample().header_bytes());
    }

    #[test]
    fn the_bytes_of_tombstones_never_change() {
        let tombstones = vec![
            Tombstone { group: PlacementGroupId(1), run: address().run, below: 900, segments: vec![(SegmentId(2), 3)] },
            Tombstone { group: PlacementGroupId(300), run: address().run, below: 1, segments: Vec::new() },
        ];
        assert_eq!(hex::encode(encode_tombstones(&tombstones)), GOLDEN_TOMBSTONES.trim());
        assert_eq!(decode_tombstones(&hex::decode(GOLDEN_TOMBSTONES.trim()).unwrap()), Some(tombstones));
    }

    #[test]
    fn a_header_is_of_one_place_alone() {
        let bytes = encoded(&sample(), 0x5000);
        let refused = Err(RecordError::NotARecord);
        assert_eq!(RecordHeader::decode(&bytes, &key(), 0x6000), refused);
        for other in [
            SegmentKey::new(&secret(), SegmentId(7), 1000),
            SegmentKey::new(&secret(), SegmentId(6), 1001),
            SegmentKey::new(&other_secret(), SegmentId(6), 1000),
        ] {
            assert_eq!(RecordHeader::decode(&bytes, &other, 0x5000), refused);
        }
    }

    fn other_secret() -> DiskSecret {
        let identity = DiskIdentity {
            cluster: ClusterId::from_bytes([1; 16]),
            node: NodeId::from_bytes([2; 16]),
            disk: DiskId::from_bytes([3; 16]),
        };
        format(&FaultyDisk::new(1), identity, &SeededEntropy::new(9)).unwrap().secret
    }

    #[test]
    fn a_newer_version_is_told_from_garbage() {
        let mut bytes = encoded(&sample(), 0);
        bytes[8] = 9;
        let checked = bytes.len() - MAC_BYTES;
        assert_eq!(RecordHeader::decode(&bytes, &key(), 0), Err(RecordError::NotARecord));
        let mac = key().mac(&bytes[..checked]);
        bytes[checked..].copy_from_slice(&mac);
        assert_eq!(RecordHeader::decode(&bytes, &key(), 0), Err(RecordError::Unsupported { found: 9 }));
    }

    #[test]
    fn a_header_cut_short_says_how_long_it_is() {
        let bytes = encoded(&sample(), 0);
        assert_eq!(
            RecordHeader::decode(&bytes[..FIXED_BYTES - 1], &key(), 0),
            Err(RecordError::Incomplete { header_bytes: FIXED_BYTES })
        );
        assert_eq!(
            RecordHeader::decode(&bytes[..FIXED_BYTES], &key(), 0),
            Err(RecordError::Incomplete { header_bytes: bytes.len() })
        );
    }

    fn addresses() -> impl Strategy<Value = ShardAddress> {
        let near = |bits: u32| prop_oneof![0..3u64, any::<u64>().prop_map(move |number| number >> (64 - bits))];
        (near(64), near(64), near(64), near(32), any::<u8>()).prop_map(|(group, ticket, tail, stripe, shard)| {
            ShardAddress {
                group: PlacementGroupId(group),
                run: RunId { ticket: TicketId(ticket), tail },
                stripe: u32::try_from(stripe).expect("32 bits"),
                shard,
            }
        })
    }

    proptest! {
        #[test]
        fn addresses_sort_as_their_bytes(a in addresses(), b in addresses()) {
            prop_assert_eq!(a.cmp(&b), encode_address(&a).cmp(&encode_address(&b)));
            prop_assert_eq!(decode_address(&encode_address(&a)), a);
        }

        #[test]
        fn arbitrary_bytes_never_pass_or_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let bytes = [&MAGIC[..], &bytes].concat();
            prop_assert!(RecordHeader::decode(&bytes, &key(), 0).is_err());
            decode_tombstones(&bytes[MAGIC.len()..]);
        }

        #[test]
        fn any_changed_bit_is_noticed(at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let mut bytes = encoded(&sample(), 0);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(RecordHeader::decode(&bytes, &key(), 0).is_err());
        }

        #[test]
        fn headers_read_back(
            metadata in prop::collection::vec(any::<u8>(), 0..200),
            body_bytes in 1..300_000u32,
            blake3 in any::<bool>(),
            seq in any::<u64>(),
            offset in any::<u64>(),
        ) {
            let integrity = if blake3 { Integrity::Blake3 } else { Integrity::Xxh3 };
            let checksums = vec![0x77; checksums_len(integrity, body_bytes as usize)];
            let header = RecordHeader {
                seq,
                body_bytes,
                integrity: Some(integrity),
                metadata: &metadata,
                checksums: &checksums,
                ..sample()
            };
            let mut bytes = encoded(&header, offset);
            prop_assert_eq!(
                bytes.len(),
                RecordHeader::encoded_len(metadata.len(), Some(integrity), body_bytes as usize)
            );
            bytes.extend_from_slice(b"the body");
            prop_assert_eq!(RecordHeader::decode(&bytes, &key(), offset), Ok(header));
        }
    }
}
