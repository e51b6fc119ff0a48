//! What is being made whole again, how far that is, and what is still to be freed.

use admin::{DeletedStatus, LifecycleStatus, RepairStatus};
use index::{Query, QueryAnswer};
use types::{CommitStamp, DiskId, DiskState, TicketId};
use upkeep::progress::read;
use upkeep::settling::awaited_ticket;

use crate::status::NodeAdmin;

/// Rows of what was deleted that one status reads at most, a page at a time.
const DELETED_PAGE: usize = 1000;
const DELETED_PAGES_MAX: usize = 5;

impl NodeAdmin {
    pub(crate) async fn repair(&self, degraded_parts: u64) -> RepairStatus {
        let progress = &self.progress;
        let settling = self.settling();
        RepairStatus {
            waiting_shards: self.repairs.waiting(),
            repaired_shards: read(&progress.repaired_shards),
            repaired_bytes: read(&progress.repaired_bytes),
            lost_shards: read(&progress.lost_shards),
            degraded_parts,
            missing_shards: self.care.missing_shards().await,
            restriped_parts: read(&progress.restriped_parts),
            lifecycle: LifecycleStatus {
                expired_objects: read(&progress.expired_objects),
                expired_noncurrent: read(&progress.expired_noncurrent),
                expired_markers: read(&progress.expired_markers),
                aborted_uploads: read(&progress.aborted_uploads),
                moved_versions: read(&progress.moved_versions),
            },
            rebuilding: self.rebuilding().await,
            settling_seconds_max: if settling.is_empty() { None } else { self.settling_seconds_max(&settling).await },
            settling: settling.iter().map(ToString::to_string).collect(),
        }
    }

    /// The disks that are not whole yet, by their superblocks, and what share of their shards they have.
    pub(crate) async fn rebuilding(&self) -> Vec<(String, f64)> {
        let states = self.shards.disk_states();
        let mut shown = Vec::new();
        for disk in states.keys().filter(|disk| self.care.is_unfinished(**disk)) {
            let has = self.shards.usage(*disk).await.map_or(0, |usage| usage.shards);
            let due = self.shards_due(*disk).await;
            shown.push((disk.to_string(), if due == 0 { 0.0 } else { (has as f64 / due as f64).min(1.0) }));
        }
        shown
    }

    /// How many shards a disk should have: as many as what it replaced had, or, where nobody has seen that, as this node's
    /// other disks have on average.
    async fn shards_due(&self, disk: DiskId) -> u64 {
        let known = self.care.shards_due.lock().get(&disk).copied();
        if let Some(known) = known {
            return known;
        }
        let layout = self.care.layout.current();
        let own = layout.disks.iter().filter(|row| row.node == self.node && row.state == DiskState::Up);
        let mut counted = Vec::new();
        for row in own.filter(|row| !self.care.is_unfinished(row.id)) {
            counted.extend(self.shards.usage(row.id).await.map(|usage| usage.shards));
        }
        counted.iter().sum::<u64>() / (counted.len() as u64).max(1)
    }

    /// The disks that have all there was, and may lack what writers of before still commit.
    fn settling(&self) -> Vec<DiskId> {
        let states = self.shards.disk_states();
        let settles = |disk: &&DiskId| !self.care.is_unfinished(**disk) && !self.care.is_settled(**disk);
        states.keys().filter(settles).copied().collect()
    }

    /// In how many seconds the last writer of before is over, at the latest, if it has died; `None` where that is not known.
    async fn settling_seconds_max(&self, settling: &[DiskId]) -> Option<u64> {
        let noted = settling.iter().map(|disk| awaited_ticket(&*self.shards.superblock(*disk).ok()?));
        let awaited: TicketId = noted.collect::<Option<Vec<_>>>()?.into_iter().max()?;
        let QueryAnswer::Tickets { tickets, .. } = self.ranges.query(Query::Tickets).await.ok()? else { return None };
        let renewed = tickets.iter().filter(|ticket| ticket.id < awaited).map(|ticket| ticket.renewed.0).max();
        let idle_us = u64::try_from(self.spans.ticket_idle_max.as_micros()).ok()?;
        let left_us = renewed.map_or(0, |at| at.saturating_add(idle_us).saturating_sub(self.clock.now().0));
        Some(left_us.div_ceil(1_000_000))
    }

    /// What was deleted or replaced and is still on the disks.
    pub(crate) async fn deleted(&self) -> DeletedStatus {
        let mut deleted =
            DeletedStatus { grace_seconds: self.spans.garbage_grace.as_secs(), ..DeletedStatus::default() };
        let mut after = None;
        for _ in 0..DELETED_PAGES_MAX {
            let query = Query::Garbage { freed_before: CommitStamp(u64::MAX), after, limit: DELETED_PAGE };
            // What cannot be asked for now is not worth a refusal of all else.
            let Ok(QueryAnswer::Garbage(rows)) = self.ranges.query(query).await else { return deleted };
            deleted.bytes += rows.iter().map(|row| row.run.stored_bytes()).sum::<u64>();
            let Some(last) = rows.last().filter(|_| rows.len() >= DELETED_PAGE) else { return deleted };
            after = Some(last.row.clone());
        }
        deleted.is_more = true;
        deleted
    }
}
