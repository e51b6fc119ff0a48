//! How far SQLite is, for those who wait for it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use tokio::sync::watch;
use types::RangeId;

/// For each range, the index after the last entry whose effects readers see.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    next: RwLock<BTreeMap<RangeId, watch::Sender<u64>>>,
    /// Counts the times that a range's rows began to be replaced.
    replacements: AtomicU64,
}

impl Progress {
    /// Nothing is applied yet.
    pub(crate) fn new(ranges: impl IntoIterator<Item = RangeId>) -> Self {
        let next = ranges.into_iter().map(|range| (range, watch::Sender::new(0))).collect();
        Self { next: RwLock::new(next), replacements: AtomicU64::new(0) }
    }

    /// A range is here from now on; what is known of it stays.
    pub(crate) fn begin(&self, range: RangeId) {
        self.next.write().entry(range).or_insert_with(|| watch::Sender::new(0));
    }

    /// The index after the last applied entry; 0 for a range that isn't here.
    pub(crate) fn next(&self, range: RangeId) -> u64 {
        self.next.read().get(&range).map_or(0, |next| *next.borrow())
    }

    /// Everything before `next` is applied.
    pub(crate) fn set(&self, range: RangeId, next: u64) {
        if let Some(sender) = self.next.read().get(&range) {
            sender.send_replace(next);
            return;
        }
        self.next.write().entry(range).or_insert_with(|| watch::Sender::new(0)).send_replace(next);
    }

    /// A range's rows are about to be replaced: nothing of it can be read until [`Progress::set`]. Who reads compares
    /// [`Progress::replacements`] from before its transaction with that from after it.
    pub(crate) fn begin_replacement(&self, range: RangeId) {
        self.set(range, 0);
        self.replacements.fetch_add(1, Ordering::SeqCst);
    }

    /// How many times rows began to be replaced.
    pub(crate) fn replacements(&self) -> u64 {
        self.replacements.load(Ordering::SeqCst)
    }

    /// Waits until the entry at `index` is applied.
    pub(crate) async fn reached(&self, range: RangeId, index: u64) {
        let next = self.next.read().get(&range).map(watch::Sender::subscribe);
        if let Some(mut next) = next {
            // The sender lives as long as this, so it can't be closed.
            let _ = next.wait_for(|next| *next > index).await;
        }
    }

    /// All ranges and how far they are.
    pub(crate) fn all(&self) -> BTreeMap<RangeId, u64> {
        self.next.read().iter().map(|(range, next)| (*range, *next.borrow())).collect()
    }
}
