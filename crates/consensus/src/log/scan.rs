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
