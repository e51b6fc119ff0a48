//! Receiving a body: one copy into buffers that lie as the shards will, digests on the way, one stripe on its way to the
//! disks while the next one fills.
//!
//! Memory follows the sender's pace. A body begins with 64 KiB ([`PROBE_BYTES`]); if they come fast, the rest of a
//! stripe is reserved. A sender that turns slow has its stripe closed short and goes on in stripes of 64 KiB, which are
//! a run of their own, until it is fast again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use telemetry::{RequestName, carried};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use types::{Checksum, Extent, Profile};

use super::Core;
use super::body::{BodySource, StoredBody, WriteError, WriteRequest};
use super::digests::{BodyDigests, Digests, WantedDigests};
use super::groups::{likely_profile, of_copies};
use super::memory::{NoMemory, StripeMemory, TransferMemory};
use super::pace::Pace;
use super::runs::RunWriter;
use super::stripe::{PIECE_BYTES_MAX, StripeFill, stripe_memory_bytes};

/// What a sender may send before it is known to be fast; also the stripe of slow senders, and the longest small form.
pub(super) const PROBE_BYTES: usize = 64 << 10;
/// How many times faster than slow a sender must be to be given a full stripe again.
const FAST_AGAIN: u64 = 4;
/// A sender that changes its pace so often stays slow: each change ends a run.
const PACE_CHANGES_MAX: usize = 64;

/// Stores a body.
pub(super) async fn write(
    core: Arc<Core>,
    request: WriteRequest,
    body: &mut dyn BodySource,
) -> Result<StoredBody, WriteError> {
    let mut writer = BodyWriter::begin(core, request)?;
    writer.receive(body).await?;
    let trailers = body.finish().await?;
    writer.complete(&trailers).await
}

struct BodyWriter {
    core: Arc<Core>,
    request: WriteRequest,
    /// Up to how many bytes the body goes into the index.
    inline_bytes_max: usize,
    /// Up to how many bytes it is small.
    small_bytes_max: usize,
    /// The profile that the next stripe is laid out for.
    profile: Profile,
    digests: BodyDigests,
    memory: TransferMemory,
    pace: Pace,
    pace_changes: usize,
    mode: Mode,
    /// Bytes received.
    received: u64,
    fill: Option<StripeFill>,
    /// Whether some stripe was sent on its way.
    is_striped: bool,
    /// Here while no stripe is under way.
    runs: Option<RunWriter>,
    in_flight: Option<JoinHandle<(RunWriter, Result<(), WriteError>)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Nothing is known of the sender.
    Probing,
    /// Full stripes.
    Fast,
    /// Small stripes.
    Slow,
}

impl BodyWriter {
    fn begin(core: Arc<Core>, request: WriteRequest) -> Result<Self, WriteError> {
        let inline_bytes_max = if request.may_inline { core.settings.inline_bytes_max.min(PROBE_BYTES) } else { 0 };
        let small_bytes_max = core.settings.copies_bytes_max.clamp(inline_bytes_max, PROBE_BYTES);
        let is_large = request.declared_bytes.is_some_and(|bytes| bytes > small_bytes_max as u64);
        let profile = match likely_profile(&core, request.profile) {
            Err(error) if is_large => return Err(error),
            likely => likely.unwrap_or(request.profile),
        };
        let wanted = WantedDigests::of(&request);
        let bytes_max = request.declared_bytes.unwrap_or(u64::MAX);
        let digests = BodyDigests::begin(wanted, bytes_max, &core.md5, &core.seams.workers);
        let memory = TransferMemory::new(core.seams.budget.clone(), core.settings.memory_patience);
        let pace = Pace::new(core.settings.slow_bytes_per_second, core.settings.pace_window);
        let runs = RunWriter::new(Arc::clone(&core), &request);
        Ok(Self {
            core,
            request,
            inline_bytes_max,
            small_bytes_max,
            profile,
            digests,
            memory,
            pace,
            pace_changes: 0,
            mode: Mode::Probing,
            received: 0,
            fill: None,
            is_striped: false,
            runs: Some(runs),
            in_flight: None,
        })
    }

    /// Takes the whole body; all but its last stripe are under way then.
    async fn receive(&mut self, body: &mut dyn BodySource) -> Result<(), WriteError> {
        while let Some(mut frame) = self.next_frame(body).await? {
            self.received += frame.len() as u64;
            if let Some(declared) = self.request.declared_bytes
                && self.received > declared
            {
                return Err(WriteError::Length { declared, received: self.received });
            }
            while !frame.is_empty() {
                self.take(&mut frame).await?;
            }
        }
        match self.request.declared_bytes {
            Some(declared) if declared != self.received => {
                Err(WriteError::Length { declared, received: self.received })
            }
            _ => Ok(()),
        }
    }

    /// Waits for the sender; one that turns slow meanwhile gives its memory back, and so does one that is silent while
    /// others wait for memory.
    async fn next_frame(&mut self, body: &mut dyn BodySource) -> Result<Option<Bytes>, WriteError> {
        // Polled on across the window's end: a body is not asked anew before it has answered.
        let mut next = body.next();
        let mut silent = Duration::ZERO;
        loop {
            let began = Instant::now();
            let outcome = if self.mode == Mode::Slow {
                Ok(next.as_mut().await)
            } else {
                timeout_at(self.pace.deadline(), next.as_mut()).await
            };
            let bytes = match &outcome {
                Ok(Ok(Some(frame))) => frame.len(),
                _ => 0,
            };
            silent += began.elapsed();
            self.pace.count(began.elapsed(), bytes);
            if self.mode != Mode::Slow && self.pace.verdict() == Some(true) {
                self.turn_slow().await?;
            }
            if let Ok(frame) = outcome {
                return Ok(frame?);
            }
            if silent >= self.pace.pressed_window() && self.core.seams.budget.is_used_up() {
                self.give_way().await?;
            }
        }
    }

    /// Takes bytes off the frame into the stripe.
    async fn take(&mut self, frame: &mut Bytes) -> Result<(), WriteError> {
        let mut fill = match self.fill.take() {
            Some(fill) => fill,
            None => self.begin_stripe(frame.len()).await?,
        };
        let limit = self.fill_limit(&fill);
        if let Some(piece) = fill.fill(frame, limit - fill.filled()) {
            self.digests.update(piece).await;
        }
        if fill.filled() < limit || self.is_declared_small() {
            self.fill = Some(fill);
            return Ok(());
        }
        if self.mode == Mode::Probing && !fill.is_full() && self.is_fast(1) {
            self.memory.grow(fill.memory(), stripe_memory_bytes(fill.planned(), self.profile)).await?;
            fill.set_piece_bytes_max(PIECE_BYTES_MAX);
            self.set_mode(Mode::Fast);
            self.fill = Some(fill);
            return Ok(());
        }
        if self.mode == Mode::Probing && !self.is_fast(1) {
            self.set_mode(Mode::Slow);
        }
        self.dispatch(fill).await?;
        if self.mode == Mode::Slow {
            self.try_turn_fast(frame.len());
        }
        Ok(())
    }

    /// How far the stripe is filled before something is decided.
    fn fill_limit(&self, fill: &StripeFill) -> usize {
        match self.mode {
            Mode::Fast => fill.planned(),
            Mode::Probing | Mode::Slow => fill.planned().min(PROBE_BYTES),
        }
    }

    /// Whether the sender is so many times as fast as a slow one.
    fn is_fast(&self, times: u64) -> bool {
        self.pace.is_at_least(self.core.settings.slow_bytes_per_second * times)
    }

    fn is_declared_small(&self) -> bool {
        self.request.declared_bytes.is_some_and(|bytes| bytes <= self.small_bytes_max as u64)
    }

    /// Gets memory for a stripe and lays it out; `at_hand` bytes of the rest of the body are here.
    async fn begin_stripe(&mut self, at_hand: usize) -> Result<StripeFill, WriteError> {
        let planned = self.planned_bytes(at_hand);
        self.memory.set_keeps(self.mode != Mode::Slow);
        let memory = self.memory.acquire(self.memory_bytes(planned)).await?;
        Ok(self.lay_out(planned, memory))
    }

    fn lay_out(&self, planned: usize, memory: Arc<StripeMemory>) -> StripeFill {
        // A small body is one piece, whatever the profile.
        let k = if self.is_declared_small() { 1 } else { self.profile.k() };
        let mut fill = StripeFill::new(planned, k, memory, self.core.seams.buffers.clone());
        if self.mode != Mode::Fast {
            fill.set_piece_bytes_max(PROBE_BYTES);
        }
        fill
    }

    /// How many bytes the next stripe will have, as far as one can know.
    fn planned_bytes(&self, at_hand: usize) -> usize {
        let full = if self.mode == Mode::Slow { PROBE_BYTES } else { self.profile.stripe_bytes() };
        let Some(declared) = self.request.declared_bytes else { return full };
        let rest = declared - self.received + at_hand as u64;
        usize::try_from(rest).unwrap_or(usize::MAX).min(full)
    }

    fn memory_bytes(&self, planned: usize) -> u64 {
        if self.is_declared_small() {
            return stripe_memory_bytes(planned, of_copies(self.profile));
        }
        match self.mode {
            Mode::Fast => stripe_memory_bytes(planned, self.profile),
            Mode::Probing | Mode::Slow => small_stripe_memory_bytes(planned.min(PROBE_BYTES), self.profile),
        }
    }

    /// The sender is silent while others wait for memory: what it sent goes to the disks, and its memory to them. Once it
    /// sends again it stands in line as they did.
    async fn give_way(&mut self) -> Result<(), WriteError> {
        if self.mode != Mode::Fast || self.pace_changes >= PACE_CHANGES_MAX {
            return Ok(());
        }
        if let Some(fill) = self.fill.take().filter(|fill| fill.filled() > 0) {
            self.pace_changes += 1;
            self.dispatch(fill).await?;
        }
        self.memory.set_keeps(false);
        Ok(())
    }

    /// The sender was slow: what it sent goes to the disks, and its memory back.
    async fn turn_slow(&mut self) -> Result<(), WriteError> {
        if self.mode == Mode::Fast {
            self.pace_changes += 1;
            match self.fill.take() {
                Some(fill) if fill.filled() > 0 => self.dispatch(fill).await?,
                _ => {}
            }
        }
        // What was begun as a probe holds no more than a slow sender's stripe and is filled as one.
        self.set_mode(Mode::Slow);
        self.pace.restart();
        Ok(())
    }

    /// After a slow sender's stripe: full stripes again if it was sent fast and the memory is free.
    fn try_turn_fast(&mut self, at_hand: usize) {
        let fast = self.is_fast(FAST_AGAIN) && self.pace_changes < PACE_CHANGES_MAX;
        self.pace.restart();
        if !fast {
            return;
        }
        self.set_mode(Mode::Fast);
        let planned = self.planned_bytes(at_hand);
        let memory = if planned > 0 { self.memory.try_acquire(self.memory_bytes(planned)) } else { None };
        match memory {
            Some(memory) => self.fill = Some(self.lay_out(planned, memory)),
            None => self.set_mode(Mode::Slow),
        }
    }

    fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
        self.memory.set_keeps(mode != Mode::Slow);
    }

    /// Sends a stripe on its way, once the one before has arrived.
    async fn dispatch(&mut self, fill: StripeFill) -> Result<(), WriteError> {
        let (plain, unhashed) = fill.finish();
        if let Some(piece) = unhashed {
            self.digests.update(piece).await;
        }
        self.settle().await?;
        let stripe_bytes = if self.mode == Mode::Slow { PROBE_BYTES } else { self.profile.stripe_bytes() };
        let mut runs = self.runs.take().expect("no stripe is under way");
        self.in_flight = Some(tokio::spawn(carried(RequestName::current(), async move {
            let outcome = runs.append(plain, stripe_bytes).await;
            (runs, outcome)
        })));
        self.is_striped = true;
        Ok(())
    }

    /// Waits for the stripe under way.
    async fn settle(&mut self) -> Result<(), WriteError> {
        let Some(stripe) = self.in_flight.take() else { return Ok(()) };
        let (runs, outcome) = match stripe.await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return Err(self.insufficient("the process is ending")),
            },
        };
        // What the last stripe got, the next one is laid out for.
        self.profile = runs.open_profile().unwrap_or(self.profile);
        self.runs = Some(runs);
        outcome
    }

    fn insufficient(&self, reason: &str) -> WriteError {
        WriteError::InsufficientDisks { profile: self.request.profile, reason: reason.to_owned() }
    }

    /// The body is here: its last bytes go where they belong, its digests are compared.
    async fn complete(mut self, trailers: &[Checksum]) -> Result<StoredBody, WriteError> {
        let fill = self.fill.take().filter(|fill| fill.filled() > 0);
        let mut small = None;
        if let Some(fill) = fill {
            if self.is_striped || self.received > self.small_bytes_max as u64 {
                self.dispatch(fill).await?;
            } else {
                let (plain, unhashed) = fill.finish();
                if let Some(piece) = unhashed {
                    self.digests.update(piece).await;
                }
                small = Some(plain);
            }
        }
        self.settle().await?;
        let mut runs = self.runs.take().expect("no stripe is under way");
        let (digests, inline) = match small {
            Some(plain) if plain.bytes() <= self.inline_bytes_max => {
                (self.digests.finish().await, Some(Bytes::from(plain.into_pieces().concat())))
            }
            // The disks take longer than the workers do. If the digests are wrong, the run is discarded.
            Some(plain) => {
                let (digests, appended) =
                    tokio::join!(self.digests.finish(), runs.append_copies(plain.into_contiguous()));
                appended?;
                (digests, None)
            }
            None => (self.digests.finish().await, None),
        };
        digests.verify(&self.request.expected, trailers)?;
        let (extents, degraded) = match inline {
            Some(bytes) => (vec![Extent::Inline(bytes)], false),
            None => runs.finish(),
        };
        let Digests { md5, crc64_nvme, checksums, .. } = digests;
        Ok(StoredBody { extents, md5, crc64_nvme, checksums, plain_bytes: self.received, degraded })
    }
}

/// What a slow sender's stripe takes: its bytes in one piece, and its parity.
fn small_stripe_memory_bytes(plain: usize, profile: Profile) -> u64 {
    let parity_shards = if profile.k() == 1 { 0 } else { profile.m() };
    let parity = profile.shard_len(plain).next_power_of_two().max(4096) * parity_shards;
    (plain.next_power_of_two().max(4096) + parity) as u64
}

impl From<NoMemory> for WriteError {
    fn from(_: NoMemory) -> Self {
        Self::SlowDown
    }
}
