//! The bytes of the log: segment headers and records.
//!
//! ```text
//! segment   header block of 4096 bytes, then batches; each batch begins at a multiple of 4096
//! header    0  magic "CAIRNLOG"   8  version   9  zeros   16  voter   32  segment number
//!           40 first sequence    48 segment bytes        56  key     72  CRC32C of 0..72
//! record    0  CRC32C   4  payload bytes   8  sequence   16  kind   17  group   25  payload
//! ```
//!
//! Numbers are little-endian. A batch is what one write and one sync carried: a batch record, then its records with
//! rising sequences. Batches begin on blocks of their own, so no byte that was acknowledged is ever written again, and
//! a scan finds later batches behind a torn one without trusting any length.
//!
//! A record's CRC also covers the segment's random key, its number and the record's offset: bytes of a recycled
//! segment, of another log or of a client (inline objects lie in here) never pass for a record.

use types::{RangeId, VoterId};

/// Segment headers take one block, and batches begin at multiples of it.
pub(crate) const BLOCK_BYTES: usize = 4096;
/// Bytes before a record's payload.
pub(crate) const RECORD_HEADER_BYTES: usize = 25;
/// Bytes of a batch record's payload.
const BATCH_PAYLOAD_BYTES: usize = 17;
/// Bytes of the batch record that a batch begins with.
pub(crate) const BATCH_RECORD_BYTES: usize = RECORD_HEADER_BYTES + BATCH_PAYLOAD_BYTES;
/// The version of the format that is written.
const VERSION: u8 = 1;
const MAGIC: [u8; 8] = *b"CAIRNLOG";
const HEADER_CRC_AT: usize = 72;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum RecordKind {
    /// Begins a batch: [`BatchHead`]. Its sequence is that of the first record that follows it.
    Batch = 1,
    /// A Raft entry.
    Entry = 2,
    /// A group's vote, purged and committed ids, as they are from here on.
    State = 3,
    /// The group's entries above an index are gone.
    Truncate = 4,
}

impl RecordKind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Batch, Self::Entry, Self::State, Self::Truncate].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// What the first block of a segment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Whose log it is.
    pub(crate) voter: VoterId,
    /// Segments are numbered from 1.
    pub(crate) number: u64,
    /// The sequence of its first record; the segment before it ends just below.
    pub(crate) first_seq: u64,
    /// The length of its file.
    pub(crate) bytes: u64,
    /// Random bits that its CRCs are keyed with; the same on all mirrors.
    pub(crate) key: [u8; 16],
}

impl SegmentHeader {
    /// The block to be written.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut block = vec![0; BLOCK_BYTES];
        block[..8].copy_from_slice(&MAGIC);
        block[8] = VERSION;
        block[16..32].copy_from_slice(&self.voter.to_bytes());
        block[32..40].copy_from_slice(&self.number.to_le_bytes());
        block[40..48].copy_from_slice(&self.first_seq.to_le_bytes());
        block[48..56].copy_from_slice(&self.bytes.to_le_bytes());
        block[56..72].copy_from_slice(&self.key);
        let crc = crc32c::crc32c(&block[..HEADER_CRC_AT]);
        block[HEADER_CRC_AT..HEADER_CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        block
    }

    /// Reads a block; `None` when it is no segment header of a known version.
    pub(crate) fn decode(block: &[u8]) -> Option<Self> {
        let body = block.get(..HEADER_CRC_AT)?;
        let crc = read_u32(block, HEADER_CRC_AT)?;
        if crc32c::crc32c(body) != crc || body[..8] != MAGIC || body[8] != VERSION {
            return None;
        }
        Some(Self {
            voter: VoterId::from_bytes(read_16(body, 16)?),
            number: read_u64(body, 32)?,
            first_seq: read_u64(body, 40)?,
            bytes: read_u64(body, 48)?,
            key: read_16(body, 56)?,
        })
    }

    /// Gives a block that may be one its CRC.
    #[cfg(fuzzing)]
    pub(crate) fn seal_block(block: &mut [u8]) {
        if let Some((body, rest)) = block.split_at_mut_checked(HEADER_CRC_AT)
            && let Some(crc) = rest.first_chunk_mut::<4>()
        {
            *crc = crc32c::crc32c(body).to_le_bytes();
        }
    }

    /// What the CRCs of its records begin with.
    pub(crate) fn seal(&self) -> RecordSeal {
        let seed = crc32c::crc32c(&self.voter.to_bytes());
        let seed = crc32c::crc32c_append(seed, &self.key);
        RecordSeal(crc32c::crc32c_append(seed, &self.number.to_le_bytes()))
    }
}

/// Ties CRCs to one segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordSeal(u32);

impl RecordSeal {
    fn crc(self, offset: u64, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c_append(self.0, &offset.to_le_bytes()), bytes)
    }
}

/// A batch record's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHead {
    /// All records up to this sequence had been synced before the batch was written.
    pub(crate) synced_seq: u64,
    /// Records that follow.
    pub(crate) records: u32,
    /// Bytes of the batch with its batch record, without padding.
    pub(crate) bytes: u32,
}

impl BatchHead {
    fn decode(payload: &[u8]) -> Option<Self> {
        if payload.len() != BATCH_PAYLOAD_BYTES || payload[0] != VERSION {
            return None;
        }
        Some(Self { synced_seq: read_u64(payload, 1)?, records: read_u32(payload, 9)?, bytes: read_u32(payload, 13)? })
    }

    fn encode(&self) -> [u8; BATCH_PAYLOAD_BYTES] {
        let mut payload = [0; BATCH_PAYLOAD_BYTES];
        payload[0] = VERSION;
        payload[1..9].copy_from_slice(&self.synced_seq.to_le_bytes());
        payload[9..13].copy_from_slice(&self.records.to_le_bytes());
        payload[13..17].copy_from_slice(&self.bytes.to_le_bytes());
        payload
    }
}

/// A record whose CRC was right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    /// Its sequence.
    pub(crate) seq: u64,
    /// What it holds.
    pub(crate) kind: RecordKind,
    /// Whose it is.
    pub(crate) group: RangeId,
    /// The rest.
    pub(crate) payload: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads the record that begins `bytes`, which lie at `offset` of the segment; `None` when none does.
    pub(crate) fn decode(seal: RecordSeal, offset: u64, bytes: &'a [u8]) -> Option<Self> {
        let payload_bytes = read_u32(bytes, 4)? as usize;
        let end = RECORD_HEADER_BYTES.checked_add(payload_bytes)?;
        let whole = bytes.get(..end)?;
        let kind = RecordKind::from_byte(whole[16])?;
        if seal.crc(offset, &whole[4..]) != read_u32(whole, 0)? {
            return None;
        }
        Some(Self {
            seq: read_u64(whole, 8)?,
            kind,
            group: RangeId(read_u64(whole, 17)?),
            payload: &whole[RECORD_HEADER_BYTES..],
        })
    }

    /// Its length in the segment.
    pub(crate) fn bytes(&self) -> usize {
        RECORD_HEADER_BYTES + self.payload.len()
    }

    /// The batch that it begins; `None` when it is no batch record.
    pub(crate) fn batch_head(&self) -> Option<BatchHead> {
        (self.kind == RecordKind::Batch).then(|| BatchHead::decode(self.payload)).flatten()
    }
}

/// The length of the record at the start of `bytes` as it claims; not to be trusted before its CRC was checked.
pub(crate) fn claimed_bytes(bytes: &[u8]) -> Option<usize> {
    RECORD_HEADER_BYTES.checked_add(read_u32(bytes, 4)? as usize)
}

/// Gives bytes that may be a record its CRC.
#[cfg(fuzzing)]
pub(crate) fn seal_record(bytes: &mut [u8], seal: RecordSeal, offset: u64) {
    if let Some(record) = claimed_bytes(bytes).and_then(|end| bytes.get_mut(..end)) {
        let crc = seal.crc(offset, &record[4..]);
        record[..4].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Builds one batch in a buffer that is used again.
#[derive(Debug)]
pub(crate) struct BatchBuilder {
    seal: RecordSeal,
    offset: u64,
    first_seq: u64,
    records: u32,
    buffer: Vec<u8>,
}

impl BatchBuilder {
    /// Begins the batch that will lie at `offset`; `buffer` is cleared.
    pub(crate) fn new(header: &SegmentHeader, offset: u64, first_seq: u64, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.resize(BATCH_RECORD_BYTES, 0);
        Self { seal: header.seal(), offset, first_seq, records: 0, buffer }
    }

    /// Adds a record whose payload is `parts` one after the other; returns where in the segment it begins.
    pub(crate) fn push(&mut self, kind: RecordKind, group: RangeId, parts: &[&[u8]]) -> u64 {
        let at = self.buffer.len();
        let offset = self.offset + at as u64;
        let payload_bytes: usize = parts.iter().map(|part| part.len()).sum();
        let seq = self.first_seq + u64::from(self.records);
        push_record_head(&mut self.buffer, payload_bytes, seq, kind, group);
        for part in parts {
            self.buffer.extend_from_slice(part);
        }
        self.close_record(at);
        self.records += 1;
        offset
    }

    /// How many records it has.
    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    /// The batch, padded with zeros to whole blocks.
    pub(crate) fn finish(mut self, synced_seq: u64) -> Vec<u8> {
        let bytes = u32::try_from(self.buffer.len()).expect("a batch is far shorter than 4 GiB");
        let head = BatchHead { synced_seq, records: self.records, bytes };
        let mut record = Vec::with_capacity(BATCH_RECORD_BYTES);
        push_record_head(&mut record, BATCH_PAYLOAD_BYTES, self.first_seq, RecordKind::Batch, RangeId(0));
        record.extend_from_slice(&head.encode());
        self.buffer[..BATCH_RECORD_BYTES].copy_from_slice(&record);
        let crc = self.seal.crc(self.offset, &self.buffer[4..BATCH_RECORD_BYTES]);
        self.buffer[..4].copy_from_slice(&crc.to_le_bytes());
        self.buffer.resize(self.buffer.len().next_multiple_of(BLOCK_BYTES), 0);
        self.buffer
    }

    fn close_record(&mut self, at: usize) {
        let crc = self.seal.crc(self.offset + at as u64, &self.buffer[at + 4..]);
        self.buffer[at..at + 4].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Appends a record's first 25 bytes, the CRC left open.
fn push_record_head(buffer: &mut Vec<u8>, payload_bytes: usize, seq: u64, kind: RecordKind, group: RangeId) {
    let payload_bytes = u32::try_from(payload_bytes).expect("a record is far shorter than 4 GiB");
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&payload_bytes.to_le_bytes());
    buffer.extend_from_slice(&seq.to_le_bytes());
    buffer.push(kind as u8);
    buffer.extend_from_slice(&group.0.to_le_bytes());
}

/// Bytes that a batch of records with these payload lengths takes in the segment.
pub(crate) fn batch_bytes(payloads: impl IntoIterator<Item = usize>) -> u64 {
    let records: usize = payloads.into_iter().map(|bytes| RECORD_HEADER_BYTES + bytes).sum();
    (BATCH_RECORD_BYTES + records).next_multiple_of(BLOCK_BYTES) as u64
}

pub(crate) fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

pub(crate) fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

fn read_16(bytes: &[u8], at: usize) -> Option<[u8; 16]> {
    bytes.get(at..at.checked_add(16)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            voter: VoterId::from_bytes([7; 16]),
            number: 3,
            first_seq: 40,
            bytes: 1 << 20,
            key: *b"0123456789abcdef",
        }
    }

    #[test]
    fn a_header_reads_back_and_any_flipped_bit_is_noticed() {
        let block = header().encode();
        assert_eq!(SegmentHeader::decode(&block), Some(header()));
        for bit in 0..(HEADER_CRC_AT + 4) * 8 {
            let mut flipped = block.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&flipped), None, "bit {bit}");
        }
    }

    #[test]
    fn a_batch_reads_back_record_by_record() {
        let mut batch = BatchBuilder::new(&header(), 4096, 40, Vec::new());
        let first = batch.push(RecordKind::Entry, RangeId(1), &[b"one", b"two"]);
        let second = batch.push(RecordKind::State, RangeId(0), &[]);
        let bytes = batch.finish(39);
        assert_eq!(bytes.len(), BLOCK_BYTES);
        assert_eq!(batch_bytes([6, 0]), 4096);

        let seal = header().seal();
        let head = Record::decode(seal, 4096, &bytes).expect("the batch record");
        assert_eq!((head.seq, head.kind), (40, RecordKind::Batch));
        let expected = BatchHead { synced_seq: 39, records: 2, bytes: (BATCH_RECORD_BYTES + 25 + 6 + 25) as u32 };
        assert_eq!(head.batch_head(), Some(expected));
        let entry = Record::decode(seal, first, &bytes[first as usize - 4096..]).expect("the entry");
        assert_eq!(
            (entry.seq, entry.kind, entry.group, entry.payload),
            (40, RecordKind::Entry, RangeId(1), &b"onetwo"[..])
        );
        let state = Record::decode(seal, second, &bytes[second as usize - 4096..]).expect("the state");
        assert_eq!((state.seq, state.kind, state.payload.len()), (41, RecordKind::State, 0));
    }

    #[test]
    fn a_record_is_valid_only_in_its_own_place() {
        let mut batch = BatchBuilder::new(&header(), 4096, 40, Vec::new());
        batch.push(RecordKind::Entry, RangeId(1), &[b"payload"]);
        let bytes = batch.finish(39);
        let seal = header().seal();
        assert!(Record::decode(seal, 4096, &bytes).is_some());
        assert!(Record::decode(seal, 8192, &bytes).is_none(), "at another offset");
        let other = SegmentHeader { number: 4, ..header() };
        assert!(Record::decode(other.seal(), 4096, &bytes).is_none(), "in another segment");
        let rekeyed = SegmentHeader { key: [0; 16], ..header() };
        assert!(Record::decode(rekeyed.seal(), 4096, &bytes).is_none(), "in a segment made anew under the number");
    }

    /// Golden bytes: a release must read what an older one wrote.
    #[test]
    fn formats_stay_as_they_were_first_written() {
        let mut batch = BatchBuilder::new(&header(), 4096, 40, Vec::new());
        batch.push(RecordKind::Truncate, RangeId(1), &[&9u64.to_le_bytes()]);
        let mut written = header().encode()[..76].to_vec();
        written.extend_from_slice(&batch.finish(39)[..BATCH_RECORD_BYTES + 33]);
        crate::testing::assert_golden("log_segment.bin", &written);
    }
}
