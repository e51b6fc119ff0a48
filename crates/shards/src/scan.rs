//! Finding the records of a segment, one after the other, whatever a crash or a bad sector left in between.
//!
//! A record whose header is whole tells where the next one begins, so a body is never looked into. Where no record
//! begins, the next header is searched for: in a small segment at every byte, in a large one at every page.

use std::io;

use crate::ShardAddress;
use crate::location::{Location, record_bytes};
use crate::record::{HEADER_BYTES_MAX, MAGIC, RecordError, RecordHeader, RecordKind};
use crate::segment::{PAGE_BYTES, SegmentFile, SegmentId, SegmentKind};

/// Bytes that one read asks for where all bytes are looked at.
const WINDOW_BYTES: usize = 256 * 1024;

/// A record that a scan found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundRecord {
    pub(crate) offset: u64,
    pub(crate) header_bytes: u32,
    pub(crate) body_bytes: u32,
    pub(crate) kind: RecordKind,
    pub(crate) seq: u64,
    pub(crate) synced_seq: u64,
    pub(crate) address: ShardAddress,
    /// Of tombstones alone.
    pub(crate) metadata: Vec<u8>,
    /// Whether bytes that are neither a record nor zeros lie before it.
    pub(crate) after_garbage: bool,
}

impl FoundRecord {
    /// Where it lies, if the scan was one of `segment`.
    pub(crate) fn location(&self, segment: SegmentId) -> Location {
        Location {
            segment,
            offset: self.offset,
            header_bytes: self.header_bytes,
            body_bytes: self.body_bytes,
            seq: self.seq,
        }
    }
}

/// A scan of one segment.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    segment: &'a SegmentFile,
    at: u64,
    end: u64,
    /// How far to search for a header where none stands.
    search_bytes_max: u64,
    window: Window,
}

impl<'a> Scanner<'a> {
    /// Scans from `from`, where a record begins if one is there, to the end of the file. A search gives up after
    /// `search_bytes_max` bytes in which no record begins.
    pub(crate) fn new(segment: &'a SegmentFile, from: u64, search_bytes_max: u64) -> io::Result<Self> {
        let end = segment.file.status()?.bytes;
        Ok(Self { segment, at: from, end, search_bytes_max, window: Window::default() })
    }

    /// The next record; `None` when there is none any more.
    pub(crate) fn next_record(&mut self) -> io::Result<Option<FoundRecord>> {
        if let Some(found) = self.record_at(self.at)? {
            self.at = self.end_of(&found);
            return Ok(Some(found));
        }
        let found = match self.segment.identity.kind {
            SegmentKind::Small => self.search_bytes()?,
            SegmentKind::Large => self.search_pages()?,
        };
        self.at = found.as_ref().map_or(self.end, |found| self.end_of(found));
        Ok(found)
    }

    fn end_of(&self, found: &FoundRecord) -> u64 {
        found.offset + record_bytes(found.header_bytes.into(), found.body_bytes.into(), self.segment.identity.kind)
    }

    fn record_at(&mut self, offset: u64) -> io::Result<Option<FoundRecord>> {
        // In a large segment all but the header is skipped, so no more than it is read.
        let first = match self.segment.identity.kind {
            SegmentKind::Small => WINDOW_BYTES,
            SegmentKind::Large => PAGE_BYTES,
        };
        let bytes = self.window.get(self.segment, offset, PAGE_BYTES, first)?;
        let needed = match RecordHeader::decode(bytes, &self.segment.key, offset) {
            Ok(header) => return Ok(Some(found_record(&header, offset))),
            Err(RecordError::Incomplete { header_bytes }) if header_bytes > bytes.len() => header_bytes,
            Err(_) => return Ok(None),
        };
        let bytes = self.window.get(self.segment, offset, needed, first.max(HEADER_BYTES_MAX))?;
        Ok(RecordHeader::decode(bytes, &self.segment.key, offset).ok().map(|header| found_record(&header, offset)))
    }

    /// Looks for a header at every byte after `self.at`.
    fn search_bytes(&mut self) -> io::Result<Option<FoundRecord>> {
        let limit = self.end.min(self.at.saturating_add(self.search_bytes_max));
        let mut garbage = false;
        let mut at = self.at;
        while at + (MAGIC.len() as u64) <= limit {
            let bytes = self.window.get(self.segment, at, MAGIC.len(), WINDOW_BYTES)?;
            let step = memchr::memmem::find(bytes, &MAGIC).unwrap_or(bytes.len().saturating_sub(MAGIC.len() - 1));
            garbage = garbage || !is_zero(&bytes[..step]);
            let here = bytes[step..].starts_with(&MAGIC);
            at += step as u64;
            if at >= limit {
                break;
            }
            if here {
                if let Some(found) = self.record_at(at)? {
                    return Ok(Some(FoundRecord { after_garbage: garbage, ..found }));
                }
                garbage = true;
                at += 1;
            } else if step == 0 {
                break;
            }
        }
        Ok(None)
    }

    /// Looks for a header at every page after `self.at`.
    fn search_pages(&mut self) -> io::Result<Option<FoundRecord>> {
        let mut garbage = false;
        let mut at = self.at;
        while at + (PAGE_BYTES as u64) <= self.end && at - self.at < self.search_bytes_max {
            let page = self.window.get(self.segment, at, PAGE_BYTES, WINDOW_BYTES)?;
            let page = &page[..page.len().min(PAGE_BYTES)];
            if page.starts_with(&MAGIC)
                && let Some(found) = self.record_at(at)?
            {
                return Ok(Some(FoundRecord { after_garbage: garbage, ..found }));
            }
            let page = self.window.get(self.segment, at, PAGE_BYTES, WINDOW_BYTES)?;
            garbage = garbage || !is_zero(&page[..page.len().min(PAGE_BYTES)]);
            at += PAGE_BYTES as u64;
        }
        Ok(None)
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(PAGE_BYTES).all(|piece| piece == &[0; PAGE_BYTES][..piece.len()])
}

fn found_record(header: &RecordHeader<'_>, offset: u64) -> FoundRecord {
    FoundRecord {
        offset,
        header_bytes: u32::try_from(header.header_bytes()).expect("at most HEADER_BYTES_MAX"),
        body_bytes: header.body_bytes,
        kind: header.kind,
        seq: header.seq,
        synced_seq: header.synced_seq,
        address: header.address,
        metadata: if header.kind == RecordKind::Tombstones { header.metadata.to_vec() } else { Vec::new() },
        after_garbage: false,
    }
}

/// A stretch of the file in memory.
#[derive(Debug, Default)]
struct Window {
    /// As long as any read so far wanted.
    buffer: Vec<u8>,
    start: u64,
    /// How much of the buffer the last read filled.
    length: usize,
}

impl Window {
    /// The bytes from `offset` on that are in memory: at least `needed`, fewer only at the file's end. Reads `wanted`
    /// where they aren't.
    ///
    /// A sector that can't be read counts as one of garbage: what lies after it must still be found.
    fn get(&mut self, segment: &SegmentFile, offset: u64, needed: usize, wanted: usize) -> io::Result<&[u8]> {
        let end = self.start + self.length as u64;
        let held = offset >= self.start && offset + needed as u64 <= end;
        if !held {
            let wanted = wanted.max(needed);
            if self.buffer.len() < wanted {
                self.buffer = vec![0; wanted];
            }
            let buffer = &mut self.buffer[..wanted];
            self.start = offset;
            self.length = match segment.file.read_at(buffer, offset) {
                Ok(length) => length,
                Err(_) => read_by_pages(segment, buffer, offset)?,
            };
        }
        Ok(&self.buffer[usize::try_from(offset - self.start).expect("within the window")..self.length])
    }
}

/// Reads page by page where a read of all failed; unreadable pages become bytes that no record has.
fn read_by_pages(segment: &SegmentFile, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let end = segment.file.status()?.bytes;
    let mut length = 0;
    for page in bytes.chunks_mut(PAGE_BYTES) {
        let at = offset + length as u64;
        if at >= end {
            break;
        }
        let left = usize::try_from(end - at).unwrap_or(usize::MAX).min(page.len());
        if segment.file.read_at(&mut page[..left], at).is_err() {
            page[..left].fill(0xff);
        }
        length += left;
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::path::Path;
    use std::sync::Arc;

    use platform::{Disk, FaultyDisk, SeededEntropy};
    use proptest::prelude::*;
    use types::{ClusterId, DiskId, Integrity, NodeId};

    use super::*;
    use crate::contract::address;
    use crate::location::padded;
    use crate::segment::{DIRECTORY, RECORDS_START, SegmentHome, SegmentId, SegmentIdentity};
    use crate::superblock::{DiskIdentity, format};

    /// What lies in a segment, one after the other.
    #[derive(Debug, Clone)]
    enum Piece {
        /// A record with a body of so many bytes, filled with headers of other places.
        Record(usize),
        /// A record whose header lost a bit.
        Damaged(usize),
        Garbage(usize),
        Zeros(usize),
    }

    fn pieces() -> impl Strategy<Value = Vec<Piece>> {
        let length = || prop_oneof![1..300usize, 3000..9000usize];
        let piece = prop_oneof![
            4 => length().prop_map(Piece::Record),
            1 => length().prop_map(Piece::Damaged),
            1 => length().prop_map(Piece::Garbage),
            1 => length().prop_map(Piece::Zeros),
        ];
        prop::collection::vec(piece, 0..12)
    }

    fn segment(kind: SegmentKind) -> SegmentFile {
        let disk = FaultyDisk::new(1);
        let identity = DiskIdentity {
            cluster: ClusterId::from_bytes([1; 16]),
            node: NodeId::from_bytes([2; 16]),
            disk: DiskId::from_bytes([3; 16]),
        };
        let secret = format(&disk, identity, &SeededEntropy::new(1)).unwrap().secret;
        disk.create_directory(Path::new(DIRECTORY)).unwrap();
        let home = SegmentHome { disk: Arc::new(disk), disk_id: identity.disk, secret };
        home.create(SegmentIdentity { id: SegmentId(1), kind, generation: 1, bytes: 512 * 1024 }, 512 * 1024).unwrap()
    }

    fn record(segment: &SegmentFile, offset: u64, seq: u64, body_bytes: usize) -> Vec<u8> {
        let kind = segment.identity.kind;
        let checksums = vec![0; crate::blocks::checksums_len(Integrity::Xxh3, body_bytes)];
        let header = RecordHeader {
            kind: RecordKind::Shard,
            seq,
            synced_seq: 0,
            address: address(1, seq, 0),
            body_bytes: u32::try_from(body_bytes).unwrap(),
            integrity: Some(Integrity::Xxh3),
            metadata: b"m",
            checksums: &checksums,
        };
        let mut bytes = Vec::new();
        header.encode_into(&mut bytes, &segment.key, offset);
        // A whole header of this very segment, but of another place.
        let elsewhere = bytes.clone();
        bytes.resize(usize::try_from(padded(bytes.len() as u64, kind)).unwrap(), 0);
        bytes.extend(elsewhere.iter().cycle().take(body_bytes));
        bytes.resize(usize::try_from(padded(bytes.len() as u64, kind)).unwrap(), 0);
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Whatever lies between them, a scan finds the whole records, in order, and nothing else.
        #[test]
        fn a_scan_finds_the_whole_records_and_nothing_else(pieces in pieces(), large in any::<bool>()) {
            let kind = if large { SegmentKind::Large } else { SegmentKind::Small };
            let segment = segment(kind);
            let mut offset = RECORDS_START;
            let mut expected = Vec::new();
            for (seq, piece) in (1..).zip(&pieces) {
                let bytes = match piece {
                    Piece::Record(body_bytes) => {
                        expected.push((offset, seq, *body_bytes));
                        record(&segment, offset, seq, *body_bytes)
                    }
                    Piece::Damaged(body_bytes) => {
                        let mut bytes = record(&segment, offset, seq, *body_bytes);
                        bytes[30] ^= 4;
                        bytes
                    }
                    Piece::Garbage(length) => vec![0xc4; usize::try_from(padded(*length as u64, kind)).unwrap()],
                    Piece::Zeros(length) => vec![0; usize::try_from(padded(*length as u64, kind)).unwrap()],
                };
                segment.file.write_all_at(&[IoSlice::new(&bytes)], offset).unwrap();
                offset += bytes.len() as u64;
            }
            let mut scanner = Scanner::new(&segment, RECORDS_START, u64::MAX).unwrap();
            let mut found = Vec::new();
            while let Some(record) = scanner.next_record().unwrap() {
                found.push((record.offset, record.seq, record.body_bytes as usize));
            }
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_search_gives_up_where_it_is_told_to() {
        let segment = segment(SegmentKind::Small);
        let bytes = record(&segment, RECORDS_START + 20_000, 1, 100);
        segment.file.write_all_at(&[IoSlice::new(&bytes)], RECORDS_START + 20_000).unwrap();
        for (search, found) in [(10_000, false), (30_000, true)] {
            let mut scanner = Scanner::new(&segment, RECORDS_START, search).unwrap();
            assert_eq!(scanner.next_record().unwrap().is_some(), found);
        }
    }

    /// What can't be read is passed over like garbage.
    #[test]
    fn a_scan_passes_over_unreadable_sectors() {
        use platform::faulty::{Fault, Operation};
        let segment = segment(SegmentKind::Small);
        let bytes = record(&segment, RECORDS_START, 1, 100);
        segment.file.write_all_at(&[IoSlice::new(&bytes)], RECORDS_START).unwrap();
        let disk = FaultyDisk::new(2);
        disk.inject(Fault::once(Operation::Read));
        // A file of another disk that fails once, with the same bytes: the second read, by pages, succeeds.
        let file = disk.open(Path::new("copy"), platform::OpenOptions::CREATE).unwrap();
        file.write_all_at(&[IoSlice::new(&bytes)], RECORDS_START).unwrap();
        let segment = SegmentFile { file, ..segment };
        let mut scanner = Scanner::new(&segment, RECORDS_START, u64::MAX).unwrap();
        assert_eq!(scanner.next_record().unwrap().map(|record| record.seq), Some(1));
    }
}
