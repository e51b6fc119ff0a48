//! Winning space back: removing large segments of which nothing lives, compacting small ones that are mostly dead.
//!
//! Before a segment is recycled or removed, the SQLite index is flushed and checkpointed: it must never, not even
//! after a crash, know a shard in a segment that is gone, or need a tombstone that was in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use platform::threads;
use tokio::sync::oneshot;

use super::{KeepFailure, Keeper};
use crate::accounts::{Accounts, SegmentAccount, SegmentState};
use crate::health::DiskHealth;
use crate::queue::{EntombOp, RelocateOp, SmallOp};
use crate::reading::{decode, read_header};
use crate::record::{RecordKind, Tombstone, decode_tombstones};
use crate::scan::{FoundRecord, Scanner};
use crate::segment::{RECORDS_START, SegmentFile, SegmentKind};

/// Bytes that are moved before waiting for the committing thread.
const MOVED_BYTES_MAX: u64 = 1 << 20;
/// Spare segments beyond this many are removed.
const SPARES_KEPT: usize = 2;
/// On a full disk even a little is worth compacting for.
const COMPACT_LIVE_PERCENT_WHEN_FULL: u64 = 90;

impl Keeper {
    pub(super) fn reclaim(&self) -> Result<(), KeepFailure> {
        self.remove_dead_large()?;
        while !self.core.keeper.is_closed()
            && let Some(account) = self.compactable()?
        {
            if !self.compact(&account)? {
                break;
            }
        }
        Ok(())
    }

    fn remove_dead_large(&self) -> Result<(), KeepFailure> {
        let dead: Vec<_> = self.core.catalog.with_accounts(|accounts| {
            let sealed = accounts.iter().filter(|account| account.state == SegmentState::Sealed);
            let large = sealed.filter(|account| account.identity.kind == SegmentKind::Large);
            large.filter(|account| account.live_shards == 0).map(|account| account.identity).collect()
        });
        let mut removed = Vec::with_capacity(dead.len());
        for identity in dead {
            let segment = self.core.segment_file(identity)?;
            if self.holds_live_records(&segment)? {
                tracing::error!(disk = %self.core.home.disk_id, segment = %identity.id,
                    "a segment counts as dead and holds shards: it is kept");
                self.set_state(&identity, SegmentState::Damaged);
            } else {
                removed.push(identity);
            }
        }
        if removed.is_empty() || !self.flush()?.durable {
            return Ok(());
        }
        for identity in removed {
            self.core.catalog.remove_segment(identity.id);
            self.core.handles.remove(identity.id);
            self.core.home.remove(&identity)?;
        }
        Ok(())
    }

    /// Looks record by record: a mistake in the accounts must not cost a shard.
    fn holds_live_records(&self, segment: &SegmentFile) -> Result<bool, KeepFailure> {
        let mut scanner = Scanner::new(segment, RECORDS_START, u64::MAX)?;
        while let Some(record) = scanner.next_record()? {
            if record.kind == RecordKind::Shard && self.is_live(segment, &record)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_live(&self, segment: &SegmentFile, record: &FoundRecord) -> Result<bool, KeepFailure> {
        Ok(self.core.catalog.find_location(&record.address)? == Some(record.location(segment.identity.id)))
    }

    /// The sealed small segment that is best compacted, if one is worth it and what lives in it has a place to go.
    fn compactable(&self) -> Result<Option<SegmentAccount>, KeepFailure> {
        let full = self.core.health.get() == DiskHealth::Full;
        let percent_max =
            if full { COMPACT_LIVE_PERCENT_WHEN_FULL } else { u64::from(self.core.settings.compact_live_percent_max) };
        let is_little = |bytes: u64, account: &SegmentAccount| bytes * 100 <= account.used_bytes() * percent_max;
        loop {
            let Some(best) = self.core.catalog.with_accounts(|accounts| {
                let room: u64 = small(accounts)
                    .filter(|account| matches!(account.state, SegmentState::Open | SegmentState::Spare))
                    .map(|account| account.identity.bytes - account.tail)
                    .sum();
                small(accounts)
                    .filter(|account| account.state == SegmentState::Sealed)
                    .filter(|account| account.live_bytes <= room)
                    .filter(|account| account.look_again_at <= accounts.retired())
                    .filter(|account| account.shadows || is_little(account.live_bytes, account))
                    // While one has shadows, all tombstones are needed.
                    .min_by_key(|account| (!account.shadows, account.live_bytes))
                    .copied()
            }) else {
                return Ok(None);
            };
            if best.shadows || is_little(best.live_bytes + best.tombstone_bytes, &best) {
                return Ok(Some(best));
            }
            // Mostly tombstones, which may all be needed: moving them would win nothing, again and again.
            if is_little(best.live_bytes + self.needed_tombstone_bytes(&best)?, &best) {
                return Ok(Some(best));
            }
            self.core.catalog.change_accounts(|accounts| accounts.look_again_later(best.identity.id));
        }
    }

    fn needed_tombstone_bytes(&self, account: &SegmentAccount) -> Result<u64, KeepFailure> {
        let segment = self.core.segment_file(account.identity)?;
        let mut scanner = Scanner::new(&segment, RECORDS_START, u64::MAX)?;
        let mut needed = 0;
        while let Some(record) = scanner.next_record()? {
            if record.kind == RecordKind::Tombstones {
                let all = decode_tombstones(&record.metadata).unwrap_or_default();
                let kept = all.iter().filter(|tombstone| self.is_needed(tombstone, &segment)).count();
                needed += u64::from(record.header_bytes) * kept as u64 / (all.len() as u64).max(1);
            }
        }
        Ok(needed)
    }

    fn is_needed(&self, tombstone: &Tombstone, going: &SegmentFile) -> bool {
        self.core.catalog.needs_tombstone(&tombstone.segments, going.identity.id)
    }

    /// Moves what lives out of a small segment and recycles it; `false` when that must be tried again later.
    fn compact(&self, account: &SegmentAccount) -> Result<bool, KeepFailure> {
        let identity = account.identity;
        let segment = self.core.segment_file(identity)?;
        let failed = Arc::new(AtomicBool::new(false));
        let mut scanner = Scanner::new(&segment, RECORDS_START, u64::MAX)?;
        let mut moved = 0;
        while let Some(record) = scanner.next_record()? {
            moved += match record.kind {
                RecordKind::Shard => self.relocate(&segment, &record, &failed)?,
                RecordKind::Tombstones => self.entomb(&segment, &record, &failed),
            };
            if moved >= MOVED_BYTES_MAX {
                self.wait_for_commits();
                moved = 0;
            }
            if failed.load(Ordering::Acquire) || self.core.health.get().is_down() || self.core.keeper.is_closed() {
                return Ok(false);
            }
        }
        self.wait_for_commits();
        if failed.load(Ordering::Acquire) || self.core.health.get().is_down() {
            return Ok(false);
        }
        let left = self
            .core
            .catalog
            .with_accounts(|accounts| accounts.get(identity.id).is_none_or(|account| account.live_shards > 0));
        if left {
            tracing::error!(disk = %self.core.home.disk_id, segment = %identity.id,
                "shards of a segment cannot be read: it is kept until they are replaced");
            self.set_state(&identity, SegmentState::Damaged);
            return Ok(true);
        }
        if !self.flush()?.durable {
            return Ok(false);
        }
        self.retire(&segment)?;
        tracing::debug!(disk = %self.core.home.disk_id, segment = %identity.id, "a segment was compacted");
        Ok(true)
    }

    /// Makes an empty segment a spare one, or removes it where there are enough.
    fn retire(&self, segment: &SegmentFile) -> Result<(), KeepFailure> {
        let identity = segment.identity;
        self.core.handles.remove(identity.id);
        let spares = self.core.catalog.with_accounts(|accounts| accounts.spares().count());
        if spares >= SPARES_KEPT {
            self.core.catalog.remove_segment(identity.id);
            self.core.home.remove(&identity)?;
        } else {
            let recycled = self.core.home.recycle(segment, self.core.generation_after(&identity))?;
            let account = SegmentAccount::empty(recycled.identity, SegmentState::Spare);
            self.core.catalog.change_accounts(|accounts| accounts.insert(account));
            self.core.health.set_full(false);
        }
        Ok(())
    }

    /// Has a record written anew if it lives; returns its bytes then. One that can't be read is left where it is.
    fn relocate(
        &self,
        segment: &SegmentFile,
        record: &FoundRecord,
        failed: &Arc<AtomicBool>,
    ) -> Result<u64, KeepFailure> {
        if !self.is_live(segment, record)? {
            return Ok(0);
        }
        let from = record.location(segment.identity.id);
        let mut body = self.core.pool.take(record.body_bytes as usize);
        let body_offset = from.body_offset(segment.identity.kind);
        let (Ok(bytes), Ok(length)) =
            (read_header(segment, &from, &record.address), segment.file.read_at(&mut body, body_offset))
        else {
            return Ok(0);
        };
        let Ok(header) = decode(&bytes, segment, &from, &record.address) else { return Ok(0) };
        let Some(integrity) = header.integrity.filter(|_| length == body.len()) else { return Ok(0) };
        // Copied with the checksums that it came with: if the body is damaged, the copy will show that too.
        self.core.queue.push_small(SmallOp::Relocate(RelocateOp {
            address: record.address,
            from,
            metadata: header.metadata.to_vec(),
            integrity,
            checksums: header.checksums.to_vec(),
            body: vec![body.freeze()],
            failed: Arc::clone(failed),
        }));
        Ok(from.record_bytes(segment.identity.kind))
    }

    /// Has the tombstones written anew that are still needed; returns their bytes.
    fn entomb(&self, segment: &SegmentFile, record: &FoundRecord, failed: &Arc<AtomicBool>) -> u64 {
        let mut tombstones = decode_tombstones(&record.metadata).unwrap_or_default();
        tombstones.retain(|tombstone| self.is_needed(tombstone, segment));
        if tombstones.is_empty() {
            return 0;
        }
        self.core.queue.push_small(SmallOp::Entomb(EntombOp { tombstones, failed: Arc::clone(failed) }));
        record.metadata.len() as u64
    }

    fn wait_for_commits(&self) {
        let (reply, done) = oneshot::channel();
        self.core.queue.push_small(SmallOp::Barrier(reply));
        // An error means that the queue was closed; the caller looks at what has become of its records.
        let _ = threads::block_on(done);
    }

    fn set_state(&self, identity: &crate::segment::SegmentIdentity, state: SegmentState) {
        self.core.catalog.change_accounts(|accounts| accounts.set_state(identity.id, state));
    }
}

fn small(accounts: &Accounts) -> impl Iterator<Item = &SegmentAccount> {
    accounts.iter().filter(|account| account.identity.kind == SegmentKind::Small)
}
