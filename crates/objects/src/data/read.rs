//! Reading: from extents to a stream of bytes.
//!
//! A read keeps a window of shard reads under way ahead of its reader: small at first, wider the more the reader took,
//! as far as memory is free; the first read of an empty window waits in line for its memory. A reader that stops taking
//! loses what was read ahead ([`Readers`]) and goes on in steps of 64 KiB until it is fast again.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use futures::{FutureExt, Stream, StreamExt};
use parking_lot::Mutex;
use platform::Reservation;
use tokio::time::Instant;
use types::{Extent, HomeKey};

use super::Core;
use super::cursor::{BadExtent, Cursor, ShardUnit, Unit};
use super::fetch::{fetch, fetch_stripe};
use super::memory::tied_bytes;
use super::pace::{PRESSED_WINDOWS, Pace};

/// The first step, and all steps of a slow reader.
const STEP_BYTES_MIN: usize = 64 << 10;
/// The longest step: one call to a disk.
pub(super) const STEP_BYTES_MAX: usize = 512 << 10;
/// A step is at most the budget's share of one reader, divided by this. What a reader was given stays reserved until its
/// socket took it, and one that stalls has two steps there that nobody can take back: half of the budget, of all readers.
const STEPS_PER_READER: u64 = 4;
/// How many times faster than slow a reader must be to be read ahead for again.
const FAST_AGAIN: u64 = 4;
/// Over how many bytes: more than a burst that fills the buffers between here and the reader.
const FAST_AGAIN_BYTES: u64 = 1 << 20;

/// How often, within a pace window, it is looked for readers that stall.
const SWEEPS_PER_WINDOW: u32 = 20;

/// One part to read.
#[derive(Debug, Clone)]
pub struct PartToRead {
    /// The key of the row that names the extents: the home of runs that name no other.
    pub home: HomeKey,
    /// Where its bytes are.
    pub extents: Vec<Extent>,
    /// CRC-64/NVME of its bytes, compared when the whole part is read.
    pub crc64_nvme: Option<u64>,
}

/// Why bytes could not be read. What came before the error is right.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// The run was freed: ask the index again, and go on from there if the version still stands.
    #[error("the bytes were freed")]
    Gone,
    /// More shards than the parity makes up for are missing or corrupt.
    #[error("the bytes are lost or out of reach: {reason}")]
    Unreadable {
        /// What was tried.
        reason: String,
    },
    /// All shards were right by their own checksums, and the part's checksum is not: nothing was repaired. The last
    /// bytes of the part were held back, those before them were not.
    #[error("the part's CRC-64/NVME is not the one that it was stored with")]
    Corrupt,
    /// Memory was not free in time: 503 SlowDown.
    #[error("too many transfers at once")]
    SlowDown,
}

/// The bytes of a range, in order, in pieces of any length up to 256 KiB (inline bytes: as they are); it ends after the
/// last one or after an error. Dropping it ends the read.
pub struct BodyReader {
    state: Arc<Mutex<ReadState>>,
}

impl BodyReader {
    pub(super) fn new(core: Arc<Core>, parts: Vec<PartToRead>, range: Range<u64>) -> Self {
        let checks = PartChecks::of(&parts, &range);
        let parts: Arc<[PartToRead]> = parts.into();
        core.readers.count.fetch_add(1, Ordering::Relaxed);
        let pace = Pace::new(core.settings.slow_bytes_per_second, core.settings.pace_window);
        let state = ReadState {
            cursor: Cursor::new(Arc::clone(&parts), range.clone()),
            core,
            parts,
            delivered_to: range.start,
            range,
            checks,
            reads: FuturesOrdered::new(),
            ready: VecDeque::new(),
            held_bytes: 0,
            pace,
            slow: false,
            given: None,
            waits: false,
            registered: false,
            ended: false,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }
}

impl Stream for BodyReader {
    type Item = Result<Bytes, ReadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.state.lock();
        let polled = state.poll_next(context);
        if !state.registered && state.held_bytes > 2 * STEP_BYTES_MIN {
            state.registered = true;
            Readers::register(&state.core, &self.state);
        }
        polled
    }
}

type StepRead = BoxFuture<'static, Result<Vec<Bytes>, ReadError>>;

struct ReadState {
    core: Arc<Core>,
    parts: Arc<[PartToRead]>,
    range: Range<u64>,
    /// Up to where the reader has the bytes.
    delivered_to: u64,
    checks: PartChecks,
    /// Where the next step begins.
    cursor: Cursor,
    /// Steps under way.
    reads: FuturesOrdered<StepRead>,
    /// Bytes that are here.
    ready: VecDeque<Bytes>,
    /// Bytes of steps that were begun and not delivered.
    held_bytes: usize,
    /// The reader's pace, of the time that it let us wait.
    pace: Pace,
    slow: bool,
    /// When the reader was last given bytes, and how many, since it asked for more.
    given: Option<(Instant, usize)>,
    /// Whether the reader waits for us.
    waits: bool,
    /// Whether the sweeper knows this read.
    registered: bool,
    ended: bool,
}

impl ReadState {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, ReadError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.judge_pace();
        self.waits = false;
        loop {
            if let Err(BadExtent) = self.begin_steps() {
                return self.end_with(ReadError::Unreadable { reason: "a row names bytes that no run has".to_owned() });
            }
            // Polls those that were just begun, too, so that they run while the reader has its bytes.
            let read = self.reads.poll_next_unpin(context);
            let is_pending = read.is_pending();
            match read {
                Poll::Ready(Some(Ok(pieces))) => {
                    self.ready.extend(pieces);
                    continue;
                }
                Poll::Ready(Some(Err(error))) if self.ready.is_empty() => return self.end_with(error),
                Poll::Ready(Some(Err(error))) => {
                    // After what is here. Nothing is begun after it.
                    self.cursor = Cursor::new(Arc::from([]), 0..0);
                    self.reads = FuturesOrdered::new();
                    self.reads.push_back(futures::future::ready(Err(error)).boxed());
                }
                Poll::Ready(None) | Poll::Pending => {}
            }
            if let Some(piece) = self.ready.pop_front() {
                return self.deliver(piece);
            }
            if self.reads.is_empty() && self.cursor.is_at_end() {
                self.ended = true;
                return Poll::Ready(None);
            }
            if is_pending {
                self.waits = true;
                return Poll::Pending;
            }
        }
    }

    fn deliver(&mut self, piece: Bytes) -> Poll<Option<Result<Bytes, ReadError>>> {
        if !self.checks.pass(self.delivered_to, &piece) {
            return self.end_with(ReadError::Corrupt);
        }
        self.delivered_to += piece.len() as u64;
        self.held_bytes -= piece.len();
        self.given = Some((Instant::now(), piece.len()));
        Poll::Ready(Some(Ok(piece)))
    }

    fn end_with(&mut self, error: ReadError) -> Poll<Option<Result<Bytes, ReadError>>> {
        self.ended = true;
        self.reads = FuturesOrdered::new();
        self.ready.clear();
        Poll::Ready(Some(Err(error)))
    }

    /// Begins steps up to the window's width.
    fn begin_steps(&mut self) -> Result<(), BadExtent> {
        loop {
            let is_empty = self.held_bytes == 0;
            if self.cursor.is_at_end() || (!is_empty && self.held_bytes + STEP_BYTES_MIN > self.window_bytes()) {
                return Ok(());
            }
            if let Some((bytes, read)) = self.begin_stripe() {
                self.held_bytes += bytes;
                self.reads.push_back(read);
                continue;
            }
            let before = self.cursor.clone();
            let Some(unit) = self.cursor.next(self.step_bytes())? else { return Ok(()) };
            let budget = &self.core.seams.budget;
            let (bytes, read) = match unit {
                Unit::Inline(piece) => (piece.len(), futures::future::ready(Ok(vec![piece])).boxed()),
                Unit::Shard(unit) => match budget.try_reserve_ahead(unit.bytes() as u64, self.held_bytes as u64) {
                    Some(memory) => (unit.bytes(), step(Arc::clone(&self.core), unit, memory).boxed()),
                    None if is_empty => {
                        // What waits in line is short: while it is held, a missing shard may need more to be rebuilt.
                        self.cursor = before;
                        let Some(Unit::Shard(unit)) = self.cursor.next(STEP_BYTES_MIN)? else { return Ok(()) };
                        (unit.bytes(), step_in_line(Arc::clone(&self.core), unit).boxed())
                    }
                    None => {
                        self.cursor = before;
                        return Ok(());
                    }
                },
            };
            self.held_bytes += bytes;
            self.reads.push_back(read);
        }
    }

    /// A whole stripe at once, where a data shard of it is out of reach: rebuilt by itself, each step of that shard would
    /// read all the others again. Only for readers that take much, and while memory is free.
    fn begin_stripe(&mut self) -> Option<(usize, StepRead)> {
        let window_bytes = self.window_bytes();
        let core = Arc::clone(&self.core);
        let before = self.cursor.clone();
        let unit = self.cursor.next_stripe(|run| window_bytes >= run.profile.shard_bytes() && core.lacks_data(run))?;
        let bytes = unit.run.plain_bytes_of(unit.stripe);
        let shards_bytes = (unit.run.shard_len_of(unit.stripe) * unit.run.profile.width()) as u64;
        let memory = core.seams.budget.try_reserve_ahead(shards_bytes, self.held_bytes as u64);
        match memory {
            Some(memory) => Some((bytes, tied(fetch_stripe(core, unit), memory).boxed())),
            None => {
                self.cursor = before;
                None
            }
        }
    }

    /// How far to read ahead: what the reader took so far says how likely it takes more, and how well it goes.
    fn window_bytes(&self) -> usize {
        if self.slow {
            return 0;
        }
        let taken = usize::try_from(self.delivered_to - self.range.start).unwrap_or(usize::MAX);
        (taken / 2).saturating_add(2 * STEP_BYTES_MIN).min(self.core.settings.read_ahead_bytes_max)
    }

    fn step_bytes(&self) -> usize {
        (self.window_bytes() / 2).next_power_of_two().clamp(STEP_BYTES_MIN, self.step_bytes_max())
    }

    /// The longest step beside as many readers as there are now.
    fn step_bytes_max(&self) -> usize {
        let steps = STEPS_PER_READER * self.core.readers.count.load(Ordering::Relaxed).max(1);
        let share = usize::try_from(self.core.seams.budget.total_bytes() / steps).unwrap_or(usize::MAX);
        // Down to a power of two, as all steps are.
        (share.saturating_add(1).next_power_of_two() / 2).clamp(STEP_BYTES_MIN, STEP_BYTES_MAX)
    }

    fn judge_pace(&mut self) {
        let Some((since, bytes)) = self.given.take() else { return };
        self.pace.count(since.elapsed(), bytes);
        let fast = self.pace.is_at_least(self.core.settings.slow_bytes_per_second * FAST_AGAIN);
        if self.slow && fast && self.pace.bytes() >= FAST_AGAIN_BYTES {
            self.slow = false;
            self.pace.restart();
        } else if let Some(slow) = self.pace.verdict() {
            self.slow = slow;
        }
    }

    /// Gives up what was read ahead of a reader that took nothing for so long.
    fn give_up_if_stalled(&mut self, patience: Duration) {
        let stalled = self.given.is_some_and(|(since, _)| since.elapsed() > patience);
        if !stalled || self.waits || self.ended || self.held_bytes == 0 {
            return;
        }
        self.slow = true;
        self.pace.restart();
        self.reads = FuturesOrdered::new();
        self.ready.clear();
        self.held_bytes = 0;
        self.cursor = Cursor::new(Arc::clone(&self.parts), self.delivered_to..self.range.end);
    }
}

impl Drop for ReadState {
    fn drop(&mut self) {
        self.core.readers.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The first step of an empty window: its memory comes in line.
async fn step_in_line(core: Arc<Core>, unit: ShardUnit) -> Result<Vec<Bytes>, ReadError> {
    let bytes = unit.range.end - unit.range.start;
    let memory = core.seams.budget.reserve(bytes, core.settings.memory_patience).await;
    step(core, unit, memory.map_err(|_| ReadError::SlowDown)?).await
}

async fn step(core: Arc<Core>, unit: ShardUnit, memory: Reservation) -> Result<Vec<Bytes>, ReadError> {
    tied(fetch(core, unit), memory).await
}

/// What is read holds its memory.
async fn tied(
    read: impl Future<Output = Result<Vec<Bytes>, ReadError>>,
    memory: Reservation,
) -> Result<Vec<Bytes>, ReadError> {
    let pieces = read.await?;
    let memory = Arc::new(memory);
    Ok(pieces.into_iter().map(|piece| tied_bytes(piece, Arc::clone(&memory))).collect())
}

/// The checksums of the parts that a range holds whole.
struct PartChecks {
    /// From where to where a part lies, and its CRC.
    parts: VecDeque<(Range<u64>, u64)>,
    crc: crc64fast_nvme::Digest,
}

impl PartChecks {
    fn of(parts: &[PartToRead], range: &Range<u64>) -> Self {
        let mut start = 0;
        let mut whole = VecDeque::new();
        for part in parts {
            let end = start + part.extents.iter().map(Extent::length).sum::<u64>();
            if let Some(crc) = part.crc64_nvme
                && start < end
                && range.start <= start
                && end <= range.end
            {
                whole.push_back((start..end, crc));
            }
            start = end;
        }
        Self { parts: whole, crc: crc64fast_nvme::Digest::new() }
    }

    /// Takes the bytes at `position`; false when they end a part whose checksum is another one.
    fn pass(&mut self, position: u64, piece: &[u8]) -> bool {
        let end = position + piece.len() as u64;
        while let Some((part, expected)) = self.parts.front() {
            let (from, to) = (part.start.max(position), part.end.min(end));
            if from >= to {
                return true;
            }
            let at = |offset: u64| usize::try_from(offset - position).expect("within the piece");
            self.crc.write(&piece[at(from)..at(to)]);
            if to < part.end {
                return true;
            }
            let crc = std::mem::replace(&mut self.crc, crc64fast_nvme::Digest::new());
            if crc.sum64() != *expected {
                return false;
            }
            self.parts.pop_front();
        }
        true
    }
}

/// The reads under way.
#[derive(Default)]
pub(super) struct Readers {
    count: AtomicU64,
    /// Those that hold memory ahead of their readers. One task looks through them as long as there are any.
    known: Mutex<Vec<Weak<Mutex<ReadState>>>>,
}

impl Readers {
    fn register(core: &Arc<Core>, state: &Arc<Mutex<ReadState>>) {
        let mut known = core.readers.known.lock();
        known.push(Arc::downgrade(state));
        if known.len() == 1 {
            tokio::spawn(sweep(Arc::clone(core)));
        }
    }
}

async fn sweep(core: Arc<Core>) {
    loop {
        let window = core.settings.pace_window;
        tokio::time::sleep(window / SWEEPS_PER_WINDOW).await;
        let patience = if core.seams.budget.is_used_up() { window / PRESSED_WINDOWS } else { window };
        let known: Vec<Arc<Mutex<ReadState>>> = {
            let mut known = core.readers.known.lock();
            known.retain(|reader| reader.strong_count() > 0);
            if known.is_empty() {
                return;
            }
            known.iter().filter_map(Weak::upgrade).collect()
        };
        for reader in known {
            // One that is being polled is not stalled.
            if let Some(mut state) = reader.try_lock() {
                state.give_up_if_stalled(patience);
            }
        }
    }
}
