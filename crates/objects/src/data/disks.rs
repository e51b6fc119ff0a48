//! What writers and readers have learned about disks ahead of the layout, and how full they are.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use types::{Disk, DiskId, Layout};

/// The conditions of all disks. What it says is a hint: a disk that is wrongly avoided costs a narrower stripe, one that
/// is wrongly tried a repeated one.
#[derive(Debug, Default)]
pub struct DiskConditions {
    by_id: Mutex<HashMap<DiskId, Condition>>,
}

#[derive(Debug, Default)]
struct Condition {
    failed_until: Option<Instant>,
    unreachable_until: Option<Instant>,
    full_until: Option<Instant>,
    slow_until: Option<Instant>,
    free_bytes: Option<u64>,
}

/// Disks that a write keeps away from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Avoided {
    /// Failed, too slow, out of reach or full.
    pub(super) disks: Vec<DiskId>,
    /// Those of them that are only full.
    pub(super) full: Vec<DiskId>,
    /// Those of them that are only out of reach.
    pub(super) unreachable: Vec<DiskId>,
}

impl DiskConditions {
    /// Notes a disk's free space; groups are chosen by it. A disk that it was never noted for counts by its capacity.
    pub fn set_free_bytes(&self, disk: DiskId, free_bytes: u64) {
        self.by_id.lock().entry(disk).or_default().free_bytes = Some(free_bytes);
    }

    /// Notes that a disk works again: it is not avoided any more.
    pub fn clear(&self, disk: DiskId) {
        if let Some(condition) = self.by_id.lock().get_mut(&disk) {
            condition.failed_until = None;
            condition.unreachable_until = None;
            condition.full_until = None;
            condition.slow_until = None;
        }
    }

    /// Keeps writes away from a disk that failed or was too slow, for so long.
    pub fn note_failed(&self, disk: DiskId, avoid: Duration) {
        self.by_id.lock().entry(disk).or_default().failed_until = Some(Instant::now() + avoid);
    }

    /// Keeps writes away from a disk whose node could not be reached, for so long.
    pub(super) fn note_unreachable(&self, disk: DiskId, avoid: Duration) {
        self.by_id.lock().entry(disk).or_default().unreachable_until = Some(Instant::now() + avoid);
    }

    /// Keeps writes away from a disk that was full, for so long.
    pub(super) fn note_full(&self, disk: DiskId, avoid: Duration) {
        self.by_id.lock().entry(disk).or_default().full_until = Some(Instant::now() + avoid);
    }

    /// The disks to keep away from now, in order of id.
    pub(super) fn avoided(&self) -> Avoided {
        let now = Instant::now();
        let by_id = self.by_id.lock();
        let mut avoided = Avoided::default();
        for (&disk, condition) in &*by_id {
            let holds = |until: Option<Instant>| until.is_some_and(|until| until > now);
            let (failed, full) = (holds(condition.failed_until), holds(condition.full_until));
            let unreachable = holds(condition.unreachable_until);
            if failed || unreachable || full {
                avoided.disks.push(disk);
            }
            match (failed, unreachable, full) {
                (false, false, true) => avoided.full.push(disk),
                (false, true, false) => avoided.unreachable.push(disk),
                _ => {}
            }
        }
        drop(by_id);
        avoided.disks.sort_unstable();
        avoided.full.sort_unstable();
        avoided.unreachable.sort_unstable();
        avoided
    }

    /// Has reads go around a disk that let one wait, for so long.
    pub(super) fn note_slow(&self, disk: DiskId, avoid: Duration) {
        self.by_id.lock().entry(disk).or_default().slow_until = Some(Instant::now() + avoid);
    }

    /// Whether the disk failed a moment ago.
    pub(super) fn is_failed(&self, disk: DiskId) -> bool {
        self.until(disk, |condition| condition.failed_until.max(condition.unreachable_until))
    }

    /// Whether a read should try the other shards first.
    pub(super) fn is_failed_or_slow(&self, disk: DiskId) -> bool {
        self.until(disk, |condition| condition.failed_until.max(condition.unreachable_until).max(condition.slow_until))
    }

    fn until(&self, disk: DiskId, of: impl Fn(&Condition) -> Option<Instant>) -> bool {
        self.by_id.lock().get(&disk).and_then(of).is_some_and(|until| until > Instant::now())
    }

    /// The free space of each of a layout's disks.
    pub(super) fn free_bytes(&self, layout: &Layout) -> HashMap<DiskId, u64> {
        let by_id = self.by_id.lock();
        let noted = |disk: &Disk| by_id.get(&disk.id).and_then(|condition| condition.free_bytes);
        layout.disks.iter().map(|disk| (disk.id, noted(disk).unwrap_or(disk.capacity_bytes))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_disk_is_avoided_for_its_time_and_no_longer() {
        let conditions = DiskConditions::default();
        let [failed, full, fine, away] = [1, 2, 3, 4].map(|number| DiskId::from_bytes([number; 16]));
        conditions.note_failed(failed, Duration::from_secs(10));
        conditions.note_full(full, Duration::from_secs(5));
        conditions.note_unreachable(away, Duration::from_secs(1));
        conditions.set_free_bytes(fine, 7);
        let all = Avoided { disks: vec![failed, full, away], full: vec![full], unreachable: vec![away] };
        assert_eq!(conditions.avoided(), all);
        assert!(conditions.is_failed(away) && conditions.is_failed_or_slow(away));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(conditions.avoided(), Avoided { disks: vec![failed, full], full: vec![full], unreachable: vec![] });
        assert!(conditions.is_failed(failed) && !conditions.is_failed(full) && !conditions.is_failed(fine));
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(conditions.avoided(), Avoided { disks: vec![failed], ..Avoided::default() });
        conditions.clear(failed);
        assert_eq!(conditions.avoided(), Avoided::default());
    }
}
