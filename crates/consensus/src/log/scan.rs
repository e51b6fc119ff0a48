//! Reading a segment from its start: which records count, and where they end.

use std::io;

use platform::DiskFile;

use super::record::{BATCH_RECORD_BYTES, BLOCK_BYTES, Record, RecordKind, SegmentHeader, claimed_bytes};

/// Bytes that are read at once.
const WINDOW_BYTES: usize = 1 << 20;

/// What a segment was found to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scan {
    /// The sequence after the last good record: that of the first missing one.
    pub(super) next_seq: u64,
    /// Where the last good record ends.
    pub(super) end: u64,
    /// The highest sequence that any good batch record here says had been synced; 0 when there is none.
    pub(super) synced_seq: u64,
}

impl Scan {
    /// Whether a record that had been synced is missing: that is corruption, and not a torn batch.
    pub(super) fn lost_synced_records(&self) -> bool {
        self.synced_seq >= self.next_seq
    }
}

/// Reads the good records of a segment in order and gives each, with its offset, to `visit`.
///
/// Ends at `end_seq` for a segment that has a successor, else at the first bad record; what lies behind a bad record
/// is looked through for batch records alone, because they tell what had been synced.
///
/// # Errors
/// What reading says, and what `visit` says.
pub(super) fn scan_segment(
    file: &dyn DiskFile,
    header: &SegmentHeader,
    end_seq: Option<u64>,
    visit: &mut dyn FnMut(Record<'_>, u64) -> io::Result<()>,
) -> io::Result<Scan> {
    let mut window = Window::new(file, header.bytes);
    let mut scan = Scan { next_seq: header.first_seq, end: BLOCK_BYTES as u64, synced_seq: 0 };
    let mut offset = BLOCK_BYTES as u64;
    while end_seq.is_none_or(|end| scan.next_seq < end) {
        match scan_batch(&mut window, header, offset, end_seq, &mut scan, visit)? {
            Some(next) => offset = next,
            None => {
                look_behind(&mut window, header, offset, &mut scan)?;
                break;
            }
        }
    }
    Ok(scan)
}

/// Reads one batch; `None` when it has a bad record, else where the next one begins.
fn scan_batch(
    window: &mut Window<'_>,
    header: &SegmentHeader,
    offset: u64,
    end_seq: Option<u64>,
    scan: &mut Scan,
    visit: &mut dyn FnMut(Record<'_>, u64) -> io::Result<()>,
) -> io::Result<Option<u64>> {
    let seal = header.seal();
    let Some(first) = Record::decode(seal, offset, window.bytes(offset, BATCH_RECORD_BYTES)?) else { return Ok(None) };
    let Some(head) = first.batch_head() else { return Ok(None) };
    if first.seq != scan.next_seq {
        return Ok(None);
    }
    scan.synced_seq = scan.synced_seq.max(head.synced_seq);
    let mut at = offset + BATCH_RECORD_BYTES as u64;
    for _ in 0..head.records {
        let claimed = claimed_bytes(window.bytes(at, super::record::RECORD_HEADER_BYTES)?).unwrap_or(usize::MAX);
        if at.saturating_add(claimed as u64) > offset + u64::from(head.bytes) {
            return Ok(None);
        }
        let Some(record) = Record::decode(seal, at, window.bytes(at, claimed)?) else { return Ok(None) };
        if record.seq != scan.next_seq || record.kind == RecordKind::Batch {
            return Ok(None);
        }
        visit(record, at)?;
        at += record.bytes() as u64;
        scan.next_seq += 1;
        scan.end = at;
        if end_seq == Some(scan.next_seq) {
            break;
        }
    }
    Ok(Some(at.next_multiple_of(BLOCK_BYTES as u64)))
}

/// Takes what batches behind a bad record say about what had been synced.
fn look_behind(window: &mut Window<'_>, header: &SegmentHeader, bad: u64, scan: &mut Scan) -> io::Result<()> {
    let seal = header.seal();
    let mut offset = bad;
    while offset + (BATCH_RECORD_BYTES as u64) <= header.bytes {
        let found = Record::decode(seal, offset, window.bytes(offset, BATCH_RECORD_BYTES)?);
        if let Some(head) = found.and_then(|record| record.batch_head()) {
            scan.synced_seq = scan.synced_seq.max(head.synced_seq);
        }
        offset += BLOCK_BYTES as u64;
    }
    Ok(())
}

/// A stretch of the file in memory that moves forward.
struct Window<'a> {
    file: &'a dyn DiskFile,
    file_bytes: u64,
    start: u64,
    buffer: Vec<u8>,
}

impl<'a> Window<'a> {
    fn new(file: &'a dyn DiskFile, file_bytes: u64) -> Self {
        Self { file, file_bytes, start: 0, buffer: Vec::new() }
    }

    /// The `wanted` bytes at `offset`; fewer at the end of the segment.
    fn bytes(&mut self, offset: u64, wanted: usize) -> io::Result<&[u8]> {
        let end = offset.saturating_add(wanted as u64).min(self.file_bytes);
        if offset >= end {
            return Ok(&[]);
        }
        if offset < self.start || end > self.start + self.buffer.len() as u64 {
            self.fill(offset, usize::try_from(end - offset).expect("it is at most what was wanted"))?;
        }
        let from = usize::try_from(offset - self.start).expect("it lies in the buffer");
        let to = usize::try_from(end - self.start).expect("it is in memory").min(self.buffer.len());
        Ok(&self.buffer[from.min(to)..to])
    }

    fn fill(&mut self, offset: u64, wanted: usize) -> io::Result<()> {
        let rest = usize::try_from(self.file_bytes - offset).unwrap_or(usize::MAX);
        let bytes = wanted.max(WINDOW_BYTES).min(rest);
        self.buffer.resize(bytes, 0);
        let read = self.file.read_at(&mut self.buffer, offset)?;
        self.buffer.truncate(read);
        self.start = offset;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    //! Every prefix of a segment, and every flipped bit, on a segment of several batches: what had been synced by then
    //! is found or its loss is noticed, and what is found is never wrong.

    use std::io::IoSlice;
    use std::path::Path;
    use std::sync::Arc;

    use platform::{Disk, FaultyDisk, OpenOptions};
    use types::{RangeId, VoterId};

    use super::*;
    use crate::log::record::BatchBuilder;

    const BYTES: u64 = 32 << 10;

    fn header() -> SegmentHeader {
        SegmentHeader { voter: VoterId::from_bytes([1; 16]), number: 1, first_seq: 1, bytes: BYTES, key: [3; 16] }
    }

    fn payload(seq: u64) -> Vec<u8> {
        vec![seq as u8; 40 + 61 * seq as usize % 700]
    }

    /// The bytes of a segment of four batches, and where each record ends, in order.
    fn segment() -> (Vec<u8>, Vec<u64>) {
        let header = header();
        let mut bytes = header.encode();
        let mut ends = Vec::new();
        let mut seq = 1;
        for records in [3, 1, 12, 2] {
            let mut batch = BatchBuilder::new(&header, bytes.len() as u64, seq, Vec::new());
            for at in seq..seq + records {
                let offset = batch.push(RecordKind::Entry, RangeId(1), &[&payload(at)]);
                ends.push(offset + super::super::record::RECORD_HEADER_BYTES as u64 + payload(at).len() as u64);
            }
            bytes.extend(batch.finish(seq - 1));
            seq += records;
        }
        bytes.resize(BYTES as usize, 0);
        (bytes, ends)
    }

    fn file(bytes: &[u8]) -> Arc<dyn DiskFile> {
        let file = FaultyDisk::new(1).open(Path::new("segment"), OpenOptions::NEW).expect("made");
        file.write_all_at(&[IoSlice::new(bytes)], 0).expect("written");
        file
    }

    /// Scans, and checks that every record found is the one that was written.
    fn scan(file: &dyn DiskFile, end_seq: Option<u64>) -> Scan {
        let mut next = 1;
        let scanned = scan_segment(file, &header(), end_seq, &mut |record, _| {
            assert_eq!((record.seq, record.payload), (next, &payload(next)[..]));
            next += 1;
            Ok(())
        });
        let scan = scanned.expect("readable");
        assert_eq!(scan.next_seq, next);
        scan
    }

    /// The sequence of the first record that a byte at `at`, or padding after it, can spoil.
    fn first_behind(ends: &[u64], at: u64) -> u64 {
        ends.iter().filter(|end| **end <= at).count() as u64 + 1
    }

    #[test]
    fn every_prefix_gives_the_records_that_are_whole_in_it() {
        let (bytes, ends) = segment();
        for cut in (BLOCK_BYTES..bytes.len()).step_by(7) {
            let mut prefix = bytes[..cut].to_vec();
            prefix.resize(bytes.len(), 0);
            let found = scan(&*file(&prefix), None);
            let whole = first_behind(&ends, cut as u64);
            // Zeros at the end of the record that is cut may be what was there.
            assert!(found.next_seq >= whole && found.next_seq <= whole + 1, "cut at {cut}: {found:?}");
            assert!(!found.lost_synced_records(), "cut at {cut}: a torn end is no corruption");
        }
    }

    #[test]
    fn every_flipped_bit_is_cut_or_noticed_by_what_had_been_synced() {
        let (bytes, ends) = segment();
        let file = file(&bytes);
        let all = ends.len() as u64 + 1;
        let last_batch_begins = scan(&*file, None).synced_seq + 1;
        for (at, byte) in bytes.iter().copied().enumerate().skip(BLOCK_BYTES) {
            let bit = 1 << (at % 8);
            file.write_all_at(&[IoSlice::new(&[byte ^ bit])], at as u64).expect("flipped");
            let found = scan(&*file, None);
            let is_whole = found.next_seq == all;
            if found.next_seq < last_batch_begins {
                assert!(found.lost_synced_records(), "byte {at}: {found:?} passed for a torn batch");
            } else if !is_whole {
                assert!(!found.lost_synced_records(), "byte {at}: {found:?} is a torn batch");
            }
            // In a sealed segment, whatever spoils a record shows.
            let sealed = scan(&*file, Some(all));
            assert_eq!(sealed.next_seq == all, is_whole, "byte {at}");
            // Only padding is spoiled without a trace.
            let is_padding = !ends.contains(&(at as u64 + 1)) && byte == 0 && is_whole;
            assert!(is_whole == is_padding, "byte {at}: {found:?}");
            file.write_all_at(&[IoSlice::new(&[byte])], at as u64).expect("flipped back");
        }
    }

    #[test]
    fn records_missing_before_a_later_batch_are_corruption() {
        let (mut bytes, _) = segment();
        bytes[BLOCK_BYTES..3 * BLOCK_BYTES].fill(0);
        let found = scan(&*file(&bytes), None);
        assert_eq!(found.next_seq, 1);
        assert!(found.lost_synced_records(), "{found:?}");
    }
}
