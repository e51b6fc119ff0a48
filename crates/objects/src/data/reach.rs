//! What one call that failed says about a node: the other disks there are likely as far away.

use std::time::Duration;

use types::DiskId;

use super::Core;

/// What a try may cost that is repeated soon.
const AT_ONCE: Duration = Duration::from_millis(300);

impl Core {
    /// Keeps away from a node that could not be reached, by way of one of its disks: for a moment where that was known at
    /// once, else as from disks that failed, for each try costs as much again.
    pub(super) fn note_unreachable(&self, disk: DiskId, took: Duration) {
        for disk in std::iter::once(disk).chain(self.disks_beside(disk)) {
            match took < AT_ONCE {
                true => self.disks.note_unreachable(disk, self.settings.avoid_unreachable),
                false => self.disks.note_failed(disk, self.settings.avoid_failed),
            }
        }
    }

    /// Keeps away from a disk that did not answer in time, and for a moment from its whole node: it may be the disk that
    /// hangs, or the way there, and who finds out disk by disk waits as long for each.
    pub(super) fn note_late(&self, disk: DiskId) {
        self.disks.note_failed(disk, self.settings.avoid_failed);
        for beside in self.disks_beside(disk) {
            self.disks.note_unreachable(beside, self.settings.avoid_unreachable);
        }
    }

    /// The other disks of its node; none on a cluster of one node, where there is no way that could be broken.
    fn disks_beside(&self, disk: DiskId) -> Vec<DiskId> {
        let layout = self.layout();
        let Some(node) = layout.disk(disk).map(|disk| disk.node).filter(|_| layout.nodes.len() > 1) else {
            return Vec::new();
        };
        layout.disks.iter().filter(|beside| beside.node == node && beside.id != disk).map(|beside| beside.id).collect()
    }
}
