//! Bringing one stretch of a shard: from its disk, or rebuilt from the other shards of its stripe.
//!
//! What is missing, corrupt or slow costs more reads, not an error, as long as k shards answer. A bad shard is reported
//! once for each read that meets it; whether its run still lives is asked by those who repair.

use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use erasure::Coder;
use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream::FuturesUnordered;
use platform::Reservation;
use shards::{ShardAddress, ShardBody, ShardError};
use tokio::time::{Instant, timeout};
use types::{DiskId, HomeKey, Run, RunForm};

use super::Core;
use super::coding::rebuild;
use super::cursor::{ShardUnit, StripeUnit};
use super::read::ReadError;
use super::seams::BadShard;

/// How long reads go around a disk after it let one wait.
const AVOID_SLOW: Duration = Duration::from_secs(1);
/// How long disks that don't answer are waited for when nobody else has the bytes.
const PATIENCE: Duration = Duration::from_secs(30);
/// The columns that are rebuilt at a time where memory is short.
pub(super) const NARROW_COLUMN_BYTES: u64 = 64 << 10;

/// One stripe of a run, and what it takes to read it.
pub(super) struct StripeReader {
    pub(super) core: Arc<Core>,
    pub(super) run: Arc<Run>,
    pub(super) home: Arc<HomeKey>,
    pub(super) stripe: u32,
    /// Nobody waits for it.
    pub(super) is_for_upkeep: bool,
}

/// The bytes of a unit.
pub(super) async fn fetch(core: Arc<Core>, unit: ShardUnit) -> Result<ShardBody, ReadError> {
    let ShardUnit { run, home, stripe, shard, range } = unit;
    core.learn_group(&run).await;
    let reader = StripeReader { core, run, home, stripe, is_for_upkeep: false };
    match reader.run.form {
        RunForm::Copies { .. } => reader.read_copy(range).await,
        RunForm::Striped => reader.read_shard(shard, range).await,
    }
}

/// All bytes of a stripe, out of any k shards.
pub(super) async fn fetch_stripe(core: Arc<Core>, unit: StripeUnit) -> Result<ShardBody, ReadError> {
    let StripeUnit { run, home, stripe } = unit;
    core.learn_group(&run).await;
    let reader = StripeReader { core, run, home, stripe, is_for_upkeep: false };
    reader.read_whole().await
}

impl Core {
    /// Has the layout read anew where it does not know a run's group: another gateway wrote there a moment after it was
    /// made.
    async fn learn_group(&self, run: &Run) {
        if self.layout().group(run.group).is_none()
            && let Err(error) = self.seams.planner.refresh().await
        {
            tracing::debug!(%error, "the layout could not be read anew");
        }
    }

    /// Whether some data shard of a run is better rebuilt than read.
    pub(super) fn lacks_data(&self, run: &Run) -> bool {
        let layout = self.layout();
        let Some(group) = layout.group(run.group) else { return true };
        (0..run.profile.k())
            .any(|slot| group.slots.get(slot).is_none_or(|slot| !slot.disks().any(|disk| self.is_worth_trying(disk))))
    }

    /// Whether a read of a disk will likely be answered soon.
    fn is_worth_trying(&self, disk: DiskId) -> bool {
        let is_read = self.layout().disk_state(disk).is_read();
        is_read && !self.disks.is_failed_or_slow(disk)
    }
}

impl StripeReader {
    async fn read_whole(&self) -> Result<ShardBody, ReadError> {
        let coder = self.coder()?;
        let shard_len = self.run.shard_len_of(self.stripe) as u64;
        let present = self.gather((0..self.width()).collect(), coder.k(), 0..shard_len).await?;
        let mut present: Vec<(usize, ShardBody)> =
            present.into_iter().map(|(shard, body)| (usize::from(shard), body)).collect();
        let missing = |shard: &usize| present.iter().all(|(there, _)| there != shard);
        let wanted: Vec<usize> = (0..coder.k()).filter(missing).collect();
        if !wanted.is_empty() {
            let pool = self.core.seams.buffers.clone();
            let rebuilt = self.core.seams.workers.run(move || {
                let rebuilt = rebuild(&coder, &present, &wanted, &pool, &Arc::new(())).expect("k shards were gathered");
                present.extend(wanted.into_iter().zip(rebuilt));
                present
            });
            present = rebuilt.await;
        }
        present.sort_unstable_by_key(|(shard, _)| *shard);
        present.truncate(self.run.profile.k());
        // Without the padding.
        let mut left = self.run.plain_bytes_of(self.stripe);
        let mut plain = ShardBody::new();
        for piece in present.into_iter().flat_map(|(_, body)| body) {
            let bytes = piece.len().min(left);
            left -= bytes;
            if bytes > 0 {
                plain.push(piece.slice(..bytes));
            }
        }
        Ok(plain)
    }

    fn coder(&self) -> Result<Arc<Coder>, ReadError> {
        Coder::of_run(self.run.profile, self.run.code).map_err(|error| self.unreadable(&error.to_string()))
    }

    /// Any copy; which one is tried first differs from run to run, and stays the same for one run.
    async fn read_copy(&self, range: Range<u64>) -> Result<ShardBody, ReadError> {
        let copies = self.width();
        let first = (self.run.id.tail % u64::from(copies)) as u8;
        let candidates = (0..copies).map(|copy| (first + copy) % copies).collect();
        let mut read = self.gather(candidates, 1, range).await?;
        Ok(read.remove(0).1)
    }

    /// Any copy but one.
    pub(super) async fn read_other_copy(&self, copy: u8, range: Range<u64>) -> Result<ShardBody, ReadError> {
        let candidates = (0..self.width()).filter(|&other| other != copy).collect();
        let mut read = self.gather(candidates, 1, range).await?;
        Ok(read.remove(0).1)
    }

    /// The shard from its disk, from the others if that fails, and from both at once if it takes long.
    async fn read_shard(&self, shard: u8, range: Range<u64>) -> Result<ShardBody, ReadError> {
        let Some(disk) = self.disk_of(shard) else { return Err(self.unreadable("its placement group is unknown")) };
        if !self.core.is_worth_trying(disk) {
            return match self.rebuild_range(shard, range.clone()).await {
                Err(ReadError::Unreadable { reason }) => {
                    let last = self.read_one(shard, range).await.1;
                    last.map_err(|error| error.unwrap_or(ReadError::Unreadable { reason }))
                }
                outcome => outcome,
            };
        }
        let mut direct = pin!(self.read_one(shard, range.clone()));
        match timeout(self.core.settings.hedge_after, direct.as_mut()).await {
            Ok((_, Ok(body))) => return Ok(body),
            Ok((_, Err(Some(error)))) => return Err(error),
            Ok((_, Err(None))) => return self.rebuild_range(shard, range).await,
            Err(_) => {}
        }
        let rebuilt = pin!(self.rebuild_range(shard, range));
        match select(direct, rebuilt).await {
            Either::Left(((_, Ok(body)), _)) => Ok(body),
            Either::Right((Ok(body), _)) => {
                // The others were faster, so that it is this disk, not all of them that have much to do.
                self.core.disks.note_slow(disk, AVOID_SLOW);
                Ok(body)
            }
            Either::Left(((_, Err(_)), rebuilt)) => rebuilt.await,
            Either::Right((Err(error), direct)) => direct.await.1.map_err(|own| own.unwrap_or(error)),
        }
    }

    /// The range of a shard out of k others. More memory is needed for it than the reader has: what is free, else for
    /// a narrow column at a time.
    pub(super) async fn rebuild_range(&self, shard: u8, range: Range<u64>) -> Result<ShardBody, ReadError> {
        let coder = self.coder()?;
        let columns = coder.k() as u64 + 1;
        let budget = if self.is_for_upkeep { &self.core.upkeep_budget } else { &self.core.seams.budget };
        let mut memory = budget.try_reserve((range.end - range.start) * columns).map(Arc::new);
        let column_bytes = if memory.is_some() { range.end - range.start } else { NARROW_COLUMN_BYTES };
        let mut rebuilt = ShardBody::new();
        for start in range.clone().step_by(usize::try_from(column_bytes.max(1)).expect("a shard's length")) {
            let column = start..range.end.min(start + column_bytes);
            let memory = match memory.take() {
                Some(memory) => memory,
                None => {
                    let bytes = (column.end - column.start) * columns;
                    let patience = self.core.settings.memory_patience;
                    Arc::new(budget.reserve(bytes, patience).await.map_err(|_| ReadError::SlowDown)?)
                }
            };
            rebuilt.extend(self.rebuild_column(Arc::clone(&coder), shard, column, memory).await?);
        }
        Ok(rebuilt)
    }

    async fn rebuild_column(
        &self,
        coder: Arc<Coder>,
        shard: u8,
        column: Range<u64>,
        memory: Arc<Reservation>,
    ) -> Result<ShardBody, ReadError> {
        let others = (0..self.width()).filter(|&other| other != shard).collect();
        let present = self.gather(others, coder.k(), column).await?;
        let present: Vec<(usize, ShardBody)> =
            present.into_iter().map(|(shard, body)| (usize::from(shard), body)).collect();
        let pool = self.core.seams.buffers.clone();
        let wanted = [usize::from(shard)];
        let rebuilt = self.core.seams.workers.run(move || {
            // What was rebuilt is in the memory of whoever asked; what it was rebuilt from is given back here.
            let rebuilt = rebuild(&coder, &present, &wanted, &pool, &Arc::new(()));
            drop((present, memory));
            rebuilt
        });
        Ok(rebuilt.await.expect("k shards were gathered").remove(0))
    }

    /// Reads the same range of as many of the candidates as are needed, the likeliest first; each that fails or is slow
    /// is joined by the next.
    async fn gather(
        &self,
        mut candidates: Vec<u8>,
        needed: usize,
        range: Range<u64>,
    ) -> Result<Vec<(u8, ShardBody)>, ReadError> {
        candidates.sort_by_key(|&shard| !self.disk_of(shard).is_some_and(|disk| self.core.is_worth_trying(disk)));
        let mut waiting = candidates.into_iter();
        let mut reads = FuturesUnordered::new();
        for shard in waiting.by_ref().take(needed) {
            reads.push(self.read_one(shard, range.clone()));
        }
        let began = Instant::now();
        let mut read = Vec::with_capacity(needed);
        while read.len() < needed {
            let outcome = timeout(self.core.settings.hedge_after, reads.next()).await;
            match outcome {
                Ok(Some((shard, Ok(body)))) => {
                    read.push((shard, body));
                    continue;
                }
                Ok(Some((_, Err(Some(error))))) => return Err(error),
                Ok(None) => return Err(self.unreadable(&format!("{} of {needed} shards are there", read.len()))),
                Ok(Some((_, Err(None)))) => {}
                Err(_) if began.elapsed() > PATIENCE => return Err(self.unreadable("its disks do not answer")),
                Err(_) => {}
            }
            if let Some(shard) = waiting.next() {
                reads.push(self.read_one(shard, range.clone()));
            }
        }
        Ok(read)
    }

    /// One read of one shard. `Err(None)`: this one is bad, the others may do; `Err(Some)`: nothing will.
    async fn read_one(&self, shard: u8, range: Range<u64>) -> (u8, Result<ShardBody, Option<ReadError>>) {
        let address = self.address(shard);
        let bytes = range.end - range.start;
        let disks = self.disks_of(shard);
        let is_moving = disks.len() > 1;
        let mut disks = disks.into_iter().peekable();
        while let Some(disk) = disks.next() {
            let began = Instant::now();
            let error = match self.core.seams.shards.read(disk, address, range.clone()).await {
                Ok(body) if body.iter().map(Bytes::len).sum::<usize>() as u64 == bytes => return (shard, Ok(body)),
                Ok(_) => ShardError::Corrupt { disk, address },
                // While a slot moves, some of its shards are at the owner, some at the heir.
                Err(ShardError::Missing { .. }) if disks.peek().is_some() => continue,
                // The heir may have had another slot of the group, and freed what it had of the run with that.
                Err(ShardError::Gone { .. }) if is_moving => continue,
                Err(error) => error,
            };
            if let Some(error) = self.note(disk, error, began.elapsed()) {
                return (shard, Err(Some(error)));
            }
        }
        (shard, Err(None))
    }

    /// Tells those concerned what a read met.
    fn note(&self, disk: DiskId, error: ShardError, took: Duration) -> Option<ReadError> {
        match error {
            ShardError::Gone { .. } => return Some(ReadError::Gone),
            ShardError::Missing { address } | ShardError::Corrupt { address, .. } => {
                // Told once by those who repair; a replaced disk answers so for each read until it is rebuilt.
                tracing::debug!(%disk, ?address, "a shard is bad; its bytes are rebuilt");
                let run = (*self.run).clone();
                self.core.seams.repairs.report(BadShard { run, home: (*self.home).clone(), address, disk });
            }
            ShardError::DiskDown { .. } | ShardError::UnknownDisk { .. } => {
                self.core.disks.note_failed(disk, self.core.settings.avoid_failed);
            }
            ShardError::Unreachable { .. } => self.core.note_unreachable(disk, took),
            ShardError::DiskFull { .. } | ShardError::Stale { .. } | ShardError::Invalid { .. } => {
                tracing::error!(%disk, %error, "a read was answered with an error that reads don't have");
            }
        }
        None
    }

    pub(super) fn address(&self, shard: u8) -> ShardAddress {
        ShardAddress { group: self.run.group, run: self.run.id, stripe: self.stripe, shard }
    }

    /// The disk that has the shard most likely.
    fn disk_of(&self, shard: u8) -> Option<DiskId> {
        self.disks_of(shard).first().copied()
    }

    /// The disks that may have the shard now, the likeliest first: of a slot that moves the owner, which has all that is
    /// old, then the heir; but first the one that answers.
    pub(super) fn disks_of(&self, shard: u8) -> Vec<DiskId> {
        let layout = self.core.layout();
        let slot = usize::from(self.run.slot_of(shard).0);
        let Some(slot) = layout.group(self.run.group).and_then(|group| group.slots.get(slot)) else {
            return Vec::new();
        };
        let mut disks: Vec<DiskId> = slot.disks().collect();
        disks.sort_by_key(|disk| !self.core.is_worth_trying(*disk));
        disks
    }

    fn width(&self) -> u8 {
        u8::try_from(self.run.profile.width()).expect("at most 24 shards")
    }

    fn unreadable(&self, reason: &str) -> ReadError {
        ReadError::Unreadable { reason: format!("stripe {} of run {}: {reason}", self.stripe, self.run.id) }
    }
}
