//! From a range of parts to the pieces of shards that hold it.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use types::{Extent, HomeKey, Run, RunForm};

use super::read::PartToRead;

/// Shards are verified in blocks of this many bytes: what ends at a multiple is not read twice.
const BLOCK_BYTES: u64 = 64 << 10;

/// A stretch of bytes that one read brings.
#[derive(Debug, Clone)]
pub(super) enum Unit {
    /// From the index.
    Inline(Bytes),
    /// From one shard of a stripe (of copies: any of them).
    Shard(ShardUnit),
}

/// A stretch of one shard.
#[derive(Debug, Clone)]
pub(super) struct ShardUnit {
    pub(super) run: Arc<Run>,
    pub(super) home: Arc<HomeKey>,
    pub(super) stripe: u32,
    pub(super) shard: u8,
    /// Of the shard's bytes.
    pub(super) range: Range<u64>,
}

/// All plain bytes of one stripe.
#[derive(Debug, Clone)]
pub(super) struct StripeUnit {
    pub(super) run: Arc<Run>,
    pub(super) home: Arc<HomeKey>,
    pub(super) stripe: u32,
}

impl Unit {
    fn bytes(&self) -> usize {
        match self {
            Self::Inline(bytes) => bytes.len(),
            Self::Shard(unit) => unit.bytes(),
        }
    }
}

impl ShardUnit {
    pub(super) fn bytes(&self) -> usize {
        usize::try_from(self.range.end - self.range.start).expect("a piece of a shard")
    }
}

/// A row names bytes that a run doesn't have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadExtent;

/// Walks a range of parts.
#[derive(Clone)]
pub(super) struct Cursor {
    parts: Arc<[PartToRead]>,
    part: usize,
    extent: usize,
    /// Bytes into the extent.
    at: u64,
    /// Bytes up to the range's end.
    rest: u64,
    /// The run of the extent that the cursor is in, shared by its units.
    shared: Option<(Arc<Run>, Arc<HomeKey>)>,
}

impl Cursor {
    /// Stands at the range's start; the part of the range that lies beyond the parts is none.
    pub(super) fn new(parts: Arc<[PartToRead]>, range: Range<u64>) -> Self {
        let mut skip = range.start;
        let mut cursor = Self { parts, part: 0, extent: 0, at: 0, rest: range.end - range.start, shared: None };
        while let Some(extent) = cursor.current() {
            let length = extent.length();
            if skip < length {
                cursor.at = skip;
                return cursor;
            }
            skip -= length;
            cursor.step();
        }
        cursor.rest = 0;
        cursor
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest == 0
    }

    /// The next unit, of at most `bytes_max`; `None` at the end.
    pub(super) fn next(&mut self, bytes_max: usize) -> Result<Option<Unit>, BadExtent> {
        while self.rest > 0 {
            let Some(extent) = self.current() else { return Err(BadExtent) };
            let here = (extent.length() - self.at).min(self.rest);
            if here == 0 {
                self.step();
                continue;
            }
            let unit = match extent {
                Extent::Inline(bytes) => {
                    let start = usize::try_from(self.at).expect("within bytes in memory");
                    Unit::Inline(bytes.slice(start..start + usize::try_from(here).expect("within bytes in memory")))
                }
                Extent::Slice { offset, run, .. } => {
                    let position = offset + self.at;
                    let (stripe, shard, range) = locate(run, position, here, bytes_max as u64).ok_or(BadExtent)?;
                    let (run, home) = self.shared_run();
                    Unit::Shard(ShardUnit { run, home, stripe, shard, range })
                }
            };
            self.at += unit.bytes() as u64;
            self.rest -= unit.bytes() as u64;
            return Ok(Some(unit));
        }
        Ok(None)
    }

    /// The stripe that begins here, if the rest of the range holds all of it and `is_wanted` says so of its run.
    pub(super) fn next_stripe(&mut self, is_wanted: impl FnOnce(&Run) -> bool) -> Option<StripeUnit> {
        while self.rest > 0 && self.current().is_some_and(|extent| extent.length() == self.at) {
            self.step();
        }
        let Extent::Slice { offset, length, run } = self.current()? else { return None };
        let position = offset + self.at;
        let stripe_bytes = u64::from(run.stripe_bytes);
        let stripe = u32::try_from(position.checked_div(stripe_bytes)?).ok().filter(|&stripe| stripe < run.stripes)?;
        let bytes = run.plain_bytes_of(stripe) as u64;
        let is_whole = position.is_multiple_of(stripe_bytes) && bytes > 0 && bytes <= self.rest.min(length - self.at);
        if !is_whole || run.form != RunForm::Striped || !is_wanted(run) {
            return None;
        }
        let (run, home) = self.shared_run();
        self.at += bytes;
        self.rest -= bytes;
        Some(StripeUnit { run, home, stripe })
    }

    fn current(&self) -> Option<&Extent> {
        // A part may be empty.
        self.parts.get(self.part)?.extents.get(self.extent).or(Some(&EMPTY))
    }

    fn step(&mut self) {
        self.shared = None;
        self.at = 0;
        self.extent += 1;
        if self.parts.get(self.part).is_some_and(|part| self.extent >= part.extents.len()) {
            self.part += 1;
            self.extent = 0;
        }
    }

    fn shared_run(&mut self) -> (Arc<Run>, Arc<HomeKey>) {
        let part = &self.parts[self.part];
        let shared = self.shared.get_or_insert_with(|| {
            let run = part.extents[self.extent].run().expect("a slice has a run");
            let home = run.home.as_ref().unwrap_or(&part.home);
            (Arc::new(run.clone()), Arc::new(home.clone()))
        });
        shared.clone()
    }
}

static EMPTY: Extent = Extent::Inline(Bytes::new());

/// Where `bytes` plain bytes from `position` of a run begin: stripe, shard, and as much of the shard's bytes as hold
/// them, at most `bytes_max`. `None` if the run has no such bytes.
fn locate(run: &Run, position: u64, bytes: u64, bytes_max: u64) -> Option<(u32, u8, Range<u64>)> {
    let stripe_bytes = u64::from(run.stripe_bytes);
    let stripe = u32::try_from(position.checked_div(stripe_bytes)?).ok().filter(|&stripe| stripe < run.stripes)?;
    let into_stripe = position % stripe_bytes;
    let plain = run.plain_bytes_of(stripe) as u64;
    let left_in_stripe = plain.checked_sub(into_stripe).filter(|&left| left > 0)?;
    let (shard, into_shard, left_in_shard) = match run.form {
        RunForm::Copies { .. } => (0, into_stripe, left_in_stripe),
        RunForm::Striped => {
            let shard_len = run.shard_len_of(stripe) as u64;
            let into_shard = into_stripe % shard_len;
            (into_stripe / shard_len, into_shard, shard_len - into_shard)
        }
    };
    // Ends at a block's end where it can.
    let aligned_max = bytes_max.saturating_sub(into_shard % BLOCK_BYTES).max(1);
    let length = bytes.min(left_in_stripe).min(left_in_shard).min(aligned_max);
    Some((stripe, u8::try_from(shard).expect("below k"), into_shard..into_shard + length))
}
