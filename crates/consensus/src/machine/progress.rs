//! How far SQLite is, for those who wait for it.

use std::collections::BTreeMap;

use tokio::sync::watch;
use types::RangeId;

/// For each range, the index after the last entry whose effects readers see.
#[derive(Debug)]
pub(crate) struct Progress(BTreeMap<RangeId, watch::Sender<u64>>);

impl Progress {
    /// Nothing is applied yet.
    pub(crate) fn new(ranges: impl IntoIterator<Item = RangeId>) -> Self {
        Self(ranges.into_iter().map(|range| (range, watch::Sender::new(0))).collect())
    }

    /// The index after the last applied entry; 0 for a range that isn't here.
    pub(crate) fn next(&self, range: RangeId) -> u64 {
        self.0.get(&range).map_or(0, |next| *next.borrow())
    }

    /// Everything before `next` is applied.
    pub(crate) fn set(&self, range: RangeId, next: u64) {
        if let Some(sender) = self.0.get(&range) {
            sender.send_replace(next);
        }
    }

    /// Waits until the entry at `index` is applied.
    pub(crate) async fn reached(&self, range: RangeId, index: u64) {
        if let Some(sender) = self.0.get(&range) {
            // The sender lives as long as this, so it can't be closed.
            let _ = sender.subscribe().wait_for(|next| *next > index).await;
        }
    }

    /// All ranges and how far they are.
    pub(crate) fn all(&self) -> BTreeMap<RangeId, u64> {
        self.0.iter().map(|(range, next)| (*range, *next.borrow())).collect()
    }
}
