//! Appending the shards of one stripe, all at once: it is whole, or it goes elsewhere.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use shards::{ShardBody, ShardError, ShardHeader};
use tokio::time::{Instant, timeout_at};
use types::{DiskId, PlacementGroup, Profile};

use super::Core;
use super::body::WriteError;

/// How many times its patience a stripe waits where more slots are late than parity makes up for: then it is not a
/// slot that is slow but the store that has much to do, and no other group would be faster.
const CONGESTION_FACTOR: u32 = 5;

/// Why a stripe is not whole; of several reasons the last in this order is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub(super) enum AppendError {
    /// Other disks may have room.
    #[error("the disk is full")]
    Full,
    /// A newer layout is on its way, or this disk has yet to hear of the one there is.
    #[error("the layout is old, or disk {0} has not been told it yet")]
    Stale(DiskId),
    /// Another group may take it.
    #[error("{0}")]
    Failed(String),
    /// No disk will take it.
    #[error("{0}")]
    Refused(String),
}

impl AppendError {
    pub(super) fn into_write_error(self, profile: Profile) -> WriteError {
        match self {
            Self::Full => WriteError::Full,
            error => WriteError::InsufficientDisks { profile, reason: error.to_string() },
        }
    }
}

/// Appends all shards in parallel, and notes what went wrong with which disk.
///
/// A slot is late when it has not acknowledged within the patience of the settings; where the stripe's other slots took
/// long themselves, within twice their time.
pub(super) async fn append_all(
    core: &Core,
    group: &PlacementGroup,
    parity: usize,
    headers: Vec<ShardHeader>,
    bodies: Vec<ShardBody>,
) -> Result<(), AppendError> {
    let disk_of = |header: &ShardHeader| group.slots[usize::from(header.slot.0)].target().0;
    let mut unanswered: Vec<DiskId> = headers.iter().map(disk_of).collect();
    let appends = headers.into_iter().zip(bodies).map(|(header, body)| {
        let disk = disk_of(&header);
        let append = core.seams.shards.append(disk, header, body);
        async move { (disk, append.await) }
    });
    let mut appends: FuturesUnordered<_> = appends.collect();
    let patience = core.settings.append_patience;
    let began = Instant::now();
    let mut deadline = began + patience * CONGESTION_FACTOR;
    let mut worst = None;
    loop {
        match timeout_at(deadline, appends.next()).await {
            Ok(None) => break,
            Ok(Some((disk, outcome))) => {
                unanswered.retain(|waiting| *waiting != disk);
                if let Err(error) = outcome {
                    tracing::warn!(%disk, %error, "a shard was not appended; its stripe goes to another group");
                    worst = worst.max(Some(note(core, disk, error, began.elapsed())));
                }
                if unanswered.len() <= parity {
                    deadline = deadline.min(began + slot_patience(patience, began.elapsed()));
                }
            }
            Err(_) => {
                for disk in unanswered {
                    tracing::warn!(%disk, "a shard was not acknowledged in time; its stripe goes to another group");
                    core.note_late(disk);
                    let late = AppendError::Failed(format!("disk {disk} did not acknowledge in time"));
                    worst = worst.max(Some(late));
                }
                break;
            }
        }
    }
    worst.map_or(Ok(()), Err)
}

/// How long the last slots may take when the others took `others`.
fn slot_patience(patience: Duration, others: Duration) -> Duration {
    patience.max(others * 2)
}

fn note(core: &Core, disk: DiskId, error: ShardError, took: Duration) -> AppendError {
    match error {
        ShardError::DiskFull { .. } => {
            core.disks.note_full(disk, core.settings.avoid_full);
            AppendError::Full
        }
        ShardError::Stale { .. } => AppendError::Stale(disk),
        ShardError::Invalid { .. } => AppendError::Refused(error.to_string()),
        ShardError::Unreachable { .. } => {
            core.note_unreachable(disk, took);
            AppendError::Failed(error.to_string())
        }
        error => {
            core.disks.note_failed(disk, core.settings.avoid_failed);
            AppendError::Failed(error.to_string())
        }
    }
}
