//! Gathers a transaction's frames on their way into the WAL: SQLite writes each frame's header and each page by a call
//! of its own, which costs more than copying them.
//!
//! What is gathered is in the file before the write that ends the transaction returns, so before any other connection
//! learns of it. Format: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

/// A frame's header.
const HEADER_BYTES: usize = 24;
/// Where a frame's header has the database's length if it ends a transaction, else zeros.
const COMMIT_AT: std::ops::Range<usize> = 4..8;
/// More is not gathered: a transaction that is so long gains nothing.
const BYTES_MAX: usize = 256 << 10;

/// Frames that follow each other and are not in the file yet.
#[derive(Debug, Default)]
pub(super) struct Frames {
    start: u64,
    bytes: Vec<u8>,
    /// Where the last write ended. A write elsewhere corrects what stands in the file; it is not one to gather.
    end: Option<u64>,
    /// Whether the last header that came ends a transaction.
    ends_transaction: bool,
}

/// What is to be done with a write.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gathering {
    /// It is kept.
    Kept,
    /// It was kept, and all that is kept is to be written now.
    Full,
    /// What is kept is to be written, then this.
    Apart,
}

impl Frames {
    /// Takes a write.
    pub(super) fn push(&mut self, data: &[u8], offset: u64) -> Gathering {
        let follows = self.end == Some(offset);
        self.end = Some(offset + data.len() as u64);
        let is_header = data.len() == HEADER_BYTES;
        if is_header {
            self.ends_transaction = data[COMMIT_AT] != [0; 4];
        }
        if !follows {
            return Gathering::Apart;
        }
        if self.bytes.is_empty() {
            self.start = offset;
        }
        self.bytes.extend_from_slice(data);
        let whole = !is_header && self.ends_transaction;
        if whole || self.bytes.len() >= BYTES_MAX { Gathering::Full } else { Gathering::Kept }
    }

    /// What is kept, and where it belongs; `None` when nothing is.
    pub(super) fn pending(&self) -> Option<(&[u8], u64)> {
        (!self.bytes.is_empty()).then_some((&self.bytes[..], self.start))
    }

    /// What was pending has been written, or can't be any more.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(pages: u32) -> [u8; HEADER_BYTES] {
        let mut header = [7; HEADER_BYTES];
        header[COMMIT_AT].copy_from_slice(&pages.to_be_bytes());
        header
    }

    #[test]
    fn a_transaction_is_one_write() {
        let mut frames = Frames::default();
        assert_eq!(frames.push(&[1; 32], 0), Gathering::Apart);
        assert_eq!(frames.push(&header(0), 32), Gathering::Kept);
        assert_eq!(frames.push(&[2; 512], 56), Gathering::Kept);
        assert_eq!(frames.push(&header(9), 568), Gathering::Kept);
        assert_eq!(frames.push(&[3; 512], 592), Gathering::Full);
        let (bytes, start) = frames.pending().expect("two frames");
        assert_eq!((bytes.len(), start), (2 * (24 + 512), 32));
        frames.clear();
        assert_eq!(frames.pending(), None);
    }

    #[test]
    fn a_header_that_is_corrected_goes_to_the_file_at_once() {
        let mut frames = Frames::default();
        frames.push(&[1; 32], 0);
        frames.push(&header(0), 32);
        frames.push(&[2; 512], 56);
        assert_eq!(frames.push(&header(0), 32), Gathering::Apart);
        assert_eq!(frames.pending().map(|(bytes, start)| (bytes.len(), start)), Some((24 + 512, 32)));
    }
}
