//! The content of one file: a length and the blocks that it occupies, shared between images until one is changed.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

pub(super) const BLOCK_BYTES: u64 = 4096;
/// The unit in which a write is torn, in bytes: what disks promise to write whole.
const SECTOR_BYTES: u64 = 512;

type Block = [u8; BLOCK_BYTES as usize];

#[derive(Debug, Clone, Default)]
pub(super) struct Image {
    bytes: u64,
    /// By the block's number; `None` is reserved but unwritten.
    blocks: BTreeMap<u64, Option<Arc<Block>>>,
}

/// One change of a file's content.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Write { offset: u64, data: Vec<u8> },
    SetLength(u64),
    Allocate { offset: u64, bytes: u64 },
    PunchHole { offset: u64, bytes: u64 },
}

impl Image {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn allocated_bytes(&self) -> u64 {
        self.blocks.len() as u64 * BLOCK_BYTES
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let wanted = self.bytes.saturating_sub(offset).min(buffer.len() as u64);
        let wanted = usize::try_from(wanted).expect("at most the buffer's length");
        let mut done = 0;
        while done < wanted {
            let (number, start) = place(offset + done as u64);
            let piece = (wanted - done).min(BLOCK_BYTES as usize - start);
            let target = &mut buffer[done..done + piece];
            match self.blocks.get(&number) {
                Some(Some(block)) => target.copy_from_slice(&block[start..start + piece]),
                Some(None) | None => target.fill(0),
            }
            done += piece;
        }
        wanted
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match *change {
            Change::Write { offset, ref data } => {
                self.put(data, offset);
                if !data.is_empty() {
                    self.bytes = self.bytes.max(offset + data.len() as u64);
                }
            }
            Change::SetLength(bytes) => self.set_length(bytes),
            Change::Allocate { offset, bytes } => {
                for number in blocks_touching(offset, bytes) {
                    self.blocks.entry(number).or_default();
                }
                self.bytes = self.bytes.max(offset + bytes);
            }
            Change::PunchHole { offset, bytes } => self.punch_hole(offset, bytes),
        }
    }

    /// Applies the sectors of `change` that `keeps` says yes to, and its size by one more answer. What is kept beyond
    /// the file's end stays until [`Image::cut`], for a later change may have kept a larger size.
    pub(super) fn apply_torn(&mut self, change: &Change, mut keeps: impl FnMut() -> bool) {
        match *change {
            Change::Write { offset, ref data } => {
                let end = offset + data.len() as u64;
                let mut at = offset;
                while at < end {
                    let next = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;
                    let next = next.min(end);
                    if keeps() {
                        self.put(&data[index(at - offset)..index(next - offset)], at);
                    }
                    at = next;
                }
                if keeps() {
                    self.bytes = self.bytes.max(end);
                }
            }
            Change::SetLength(_) | Change::Allocate { .. } => {
                if keeps() {
                    self.apply(change);
                }
            }
            Change::PunchHole { offset, bytes } => {
                for number in blocks_touching(offset, bytes) {
                    if keeps() {
                        let start = offset.max(number * BLOCK_BYTES);
                        let end = (offset + bytes).min((number + 1) * BLOCK_BYTES);
                        self.punch_hole(start, end - start);
                    }
                }
            }
        }
    }

    /// Drops what lies beyond the end.
    pub(super) fn cut(&mut self) {
        self.set_length(self.bytes);
    }

    /// How many blocks `change` would add.
    pub(super) fn blocks_added_by(&self, change: &Change) -> u64 {
        let touched = match *change {
            Change::Write { offset, ref data } => blocks_touching(offset, data.len() as u64),
            Change::Allocate { offset, bytes } => blocks_touching(offset, bytes),
            Change::SetLength(_) | Change::PunchHole { .. } => return 0,
        };
        let present = self.blocks.range(touched.clone()).count() as u64;
        touched.end - touched.start - present
    }

    /// Brings `change` over from `newer`, to which it and others after it were applied already: cheaper than applying
    /// it, for the blocks are shared.
    pub(super) fn take_over(&mut self, change: &Change, newer: &Self) {
        let touched = match *change {
            Change::SetLength(bytes) => return self.set_length(bytes),
            Change::Write { offset, ref data } => blocks_touching(offset, data.len() as u64),
            Change::Allocate { offset, bytes } | Change::PunchHole { offset, bytes } => blocks_touching(offset, bytes),
        };
        let present: Vec<u64> = self.blocks.range(touched.clone()).map(|(&number, _)| number).collect();
        for number in present {
            self.blocks.remove(&number);
        }
        self.blocks.extend(newer.blocks.range(touched).map(|(&number, block)| (number, block.clone())));
        self.bytes = newer.bytes;
    }

    /// Turns one bit over; `false` where the file has no such byte. A byte in a hole becomes a written one.
    pub(super) fn flip(&mut self, offset: u64, mask: u8) -> bool {
        let mut byte = [0];
        if self.read(&mut byte, offset) == 0 {
            return false;
        }
        self.put(&[byte[0] ^ mask], offset);
        true
    }

    fn put(&mut self, data: &[u8], offset: u64) {
        let mut done = 0;
        while done < data.len() {
            let (number, start) = place(offset + done as u64);
            let piece = (data.len() - done).min(BLOCK_BYTES as usize - start);
            let block =
                self.blocks.entry(number).or_default().get_or_insert_with(|| Arc::new([0; BLOCK_BYTES as usize]));
            Arc::make_mut(block)[start..start + piece].copy_from_slice(&data[done..done + piece]);
            done += piece;
        }
    }

    fn set_length(&mut self, bytes: u64) {
        drop(self.blocks.split_off(&bytes.div_ceil(BLOCK_BYTES)));
        let (number, start) = place(bytes);
        self.zero(number, start..BLOCK_BYTES as usize);
        self.bytes = bytes;
    }

    fn punch_hole(&mut self, offset: u64, bytes: u64) {
        let end = offset + bytes;
        for number in blocks_touching(offset, bytes) {
            let start = offset.saturating_sub(number * BLOCK_BYTES);
            let stop = (end - number * BLOCK_BYTES).min(BLOCK_BYTES);
            if start == 0 && stop == BLOCK_BYTES {
                self.blocks.remove(&number);
            } else {
                self.zero(number, index(start)..index(stop));
            }
        }
    }

    fn zero(&mut self, number: u64, range: Range<usize>) {
        if let Some(Some(block)) = self.blocks.get_mut(&number) {
            Arc::make_mut(block)[range].fill(0);
        }
    }
}

impl Change {
    /// Leaves only the first `bytes` of what is written.
    pub(super) fn shorten(&mut self, bytes: u64) {
        if let Self::Write { data, .. } = self {
            data.truncate(index(bytes));
        }
    }

    /// Leaves out what is written to the last block.
    pub(super) fn shorten_by_a_block(&mut self) {
        if let Self::Write { offset, data } = self {
            let end = *offset + data.len() as u64;
            let last_block = (end.saturating_sub(1) / BLOCK_BYTES) * BLOCK_BYTES;
            data.truncate(index(last_block.saturating_sub(*offset)));
        }
    }

    /// A file offset never passes what `off_t` can hold.
    pub(super) fn check(&self) -> io::Result<()> {
        let (offset, bytes) = match *self {
            Self::Write { offset, ref data } => (offset, data.len() as u64),
            Self::SetLength(bytes) => (0, bytes),
            Self::Allocate { bytes: 0, .. } | Self::PunchHole { bytes: 0, .. } => {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            Self::Allocate { offset, bytes } | Self::PunchHole { offset, bytes } => (offset, bytes),
        };
        match offset.checked_add(bytes) {
            Some(end) if i64::try_from(end).is_ok() => Ok(()),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

/// The block of an offset and the index within it.
fn place(offset: u64) -> (u64, usize) {
    (offset / BLOCK_BYTES, index(offset % BLOCK_BYTES))
}

fn index(bytes: u64) -> usize {
    usize::try_from(bytes).expect("an index into memory")
}

fn blocks_touching(offset: u64, bytes: u64) -> Range<u64> {
    if bytes == 0 { 0..0 } else { offset / BLOCK_BYTES..(offset + bytes).div_ceil(BLOCK_BYTES) }
}
