//! One generation of a range's archive: how it begins, goes on after a restart, and grows.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use platform::threads::{block_on, run_blocking};
use shards::{ArchiveError, ArchiveFile, ArchiveService, ArchiveSet};
use tokio::sync::mpsc;
use types::DiskId;

use super::ArchiverParts;
use crate::entry::{ArchiveEntry, EntryError, LogStretch, StateEnd};

/// Bytes of rows in one record.
const ROWS_BYTES: usize = 2 << 20;
/// Bytes of log, as far as they are read from disk, in one record.
const LOG_BYTES: u64 = 2 << 20;
/// Rows that may wait for the disks.
const ROWS_AHEAD: usize = 1;

/// Why a generation can't begin or go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum GenerationError {
    /// A disk did not take it.
    #[error("disk {disk}: {reason}")]
    Disk { disk: DiskId, reason: String },
    /// The index gives no rows or no log.
    #[error("the index: {0}")]
    Index(String),
    /// The log does not go back so far any more.
    #[error("the log begins after entry {0}")]
    Purged(u64),
    /// What lies on the disks is of no known format.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// Copies differ, or one is missing.
    #[error("its copies are not all there and equal")]
    Unequal,
}

/// A generation that is appended to.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) file: ArchiveFile,
    /// The disks that have all of it.
    pub(super) disks: Vec<DiskId>,
    /// The number of the next record.
    seq: u64,
    /// The index after the last entry that is in it.
    pub(super) next: u64,
    pub(super) state_bytes: u64,
    pub(super) log_bytes: u64,
    /// When everything that was then applied was in it, on the monotonic clock; `None` where this process doesn't know.
    pub(super) complete: Option<Duration>,
    /// Whether it can't go on.
    pub(super) is_over: bool,
}

/// Writes the state of a new generation; a disk that fails ends it.
pub(super) async fn begin(
    parts: Arc<ArchiverParts>,
    file: ArchiveFile,
    disks: Vec<DiskId>,
) -> Result<Generation, GenerationError> {
    let time = parts.clock.now();
    let complete = parts.clock.monotonic();
    let (sender, mut stretches) = mpsc::channel::<Vec<u8>>(ROWS_AHEAD);
    let index = parts.index.clone();
    let rows = tokio::spawn(async move {
        let take = move |stretch| match block_on(sender.send(stretch)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        };
        index.range_rows(file.range, ROWS_BYTES, take).await
    });
    let mut generation = Generation {
        file,
        disks,
        seq: 0,
        next: 0,
        state_bytes: 0,
        log_bytes: 0,
        complete: Some(complete),
        is_over: false,
    };
    while let Some(stretch) = stretches.recv().await {
        let payload = ArchiveEntry::Rows(stretch.into()).encode();
        generation.state_bytes += payload.len() as u64;
        generation.append_to_all(&*parts.disks, payload).await?;
    }
    let rows = rows.await.map_err(|error| GenerationError::Index(error.to_string()))?;
    let next = rows.map_err(|error| GenerationError::Index(error.to_string()))?;
    generation.next = next.ok_or_else(|| GenerationError::Index("its rows were broken off".to_owned()))?;
    let end = ArchiveEntry::State(StateEnd {
        next: generation.next,
        time,
        state_bytes: generation.state_bytes,
        voter: parts.index.voter(),
    });
    generation.append_to_all(&*parts.disks, end.encode()).await?;
    Ok(generation)
}

impl Generation {
    /// Goes on with a generation that lies on the disks; `None` where its state was never whole, or is of another log.
    pub(super) async fn resume(parts: &ArchiverParts, set: ArchiveSet) -> Result<Option<Self>, GenerationError> {
        let disks = &*parts.disks;
        let ArchiveSet { file, disks: of_set } = set;
        let mut ends = Vec::new();
        for disk in &of_set {
            let stored = disks.archives(*disk).await.map_err(|error| failed(*disk, &error))?;
            ends.push(stored.into_iter().find(|stored| stored.file == file).ok_or(GenerationError::Unequal)?);
        }
        let Some(end) = ends.first().copied().filter(|first| ends.iter().all(|end| end == first)) else {
            return Err(GenerationError::Unequal);
        };
        let Some(disk) = of_set.first().copied() else { return Err(GenerationError::Unequal) };
        let page = disks.read_archive(disk, file, end.last, 1).await.map_err(|error| failed(disk, &error))?;
        let last = page.records.into_iter().find(|record| record.seq + 1 == end.records);
        let last = last.and_then(|record| record.payload).ok_or(GenerationError::Unequal)?;
        let (next, state_bytes, voter) = match ArchiveEntry::decode(&last)? {
            ArchiveEntry::Rows(_) => return Ok(None),
            ArchiveEntry::State(StateEnd { next, state_bytes, voter, .. })
            | ArchiveEntry::Log(LogStretch { next, state_bytes, voter, .. }) => (next, state_bytes, voter),
        };
        if voter != parts.index.voter() {
            return Ok(None);
        }
        Ok(Some(Self {
            file,
            disks: of_set,
            seq: end.records,
            next,
            state_bytes,
            log_bytes: end.bytes.saturating_sub(state_bytes),
            complete: None,
            is_over: false,
        }))
    }

    /// Appends the next stretch of the range's log, if there is one; returns the disks that failed and are struck.
    pub(super) async fn append_log(&mut self, parts: &ArchiverParts) -> Result<Vec<(DiskId, String)>, GenerationError> {
        let range = self.file.range;
        if self.is_over {
            return Err(GenerationError::Purged(self.next));
        }
        // In this order: what was answered before the look is in the stretch.
        let (time, now) = (parts.clock.now(), parts.clock.monotonic());
        let applied = parts.index.applied(range);
        if applied <= self.next {
            self.complete = Some(now);
            return Ok(Vec::new());
        }
        let (index, from) = (parts.index.clone(), self.next);
        let stretch = run_blocking(move || index.proposals(range, from, LOG_BYTES)).await;
        let stretch = stretch.map_err(|error| GenerationError::Index(error.to_string()))?;
        let stretch = stretch.ok_or(GenerationError::Purged(from))?;
        let is_complete = stretch.next >= applied;
        let entry = ArchiveEntry::Log(LogStretch {
            from,
            next: stretch.next,
            complete: is_complete.then_some(time),
            state_bytes: self.state_bytes,
            voter: parts.index.voter(),
            proposals: stretch.proposals.into_iter().map(|proposal| (proposal.index, proposal.bytes)).collect(),
        });
        let payload = entry.encode();
        let bytes = payload.len() as u64;
        let failed = self.append_record(&*parts.disks, payload).await;
        self.disks.retain(|disk| !failed.iter().any(|(failed, _)| failed == disk));
        if !self.disks.is_empty() {
            self.next = stretch.next;
            self.log_bytes += bytes;
            self.complete = if is_complete { Some(now) } else { self.complete };
        }
        Ok(failed)
    }

    async fn append_to_all(&mut self, disks: &dyn ArchiveService, payload: Bytes) -> Result<(), GenerationError> {
        match self.append_record(disks, payload).await.into_iter().next() {
            None => Ok(()),
            Some((disk, reason)) => Err(GenerationError::Disk { disk, reason }),
        }
    }

    /// Appends one record on all disks side by side; returns those that failed.
    async fn append_record(&mut self, disks: &dyn ArchiveService, payload: Bytes) -> Vec<(DiskId, String)> {
        let appends = self
            .disks
            .iter()
            .map(async |disk| (*disk, disks.append_archive(*disk, self.file, self.seq, payload.clone()).await));
        let appended = futures::future::join_all(appends).await;
        self.seq += 1;
        let failure = |(disk, appended): (DiskId, Result<(), ArchiveError>)| Some((disk, appended.err()?.to_string()));
        appended.into_iter().filter_map(failure).collect()
    }
}

fn failed(disk: DiskId, error: &ArchiveError) -> GenerationError {
    GenerationError::Disk { disk, reason: error.to_string() }
}
