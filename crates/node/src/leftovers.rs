//! Drops what disks of this process have of slots that they handed on: after a while, for readers may still go by the
//! layout of before, or at once where the disk is to take another slot of the same group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use shards::LocalShards;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;
use types::{DiskId, Layout, PlacementGroupId, Slot};
use upkeep::{Duty, DutyError, Step};

use crate::layout::LayoutKeeper;

/// How often disks are looked at when the layout does not change.
const PERIOD: Duration = Duration::from_secs(30);
/// How long leftovers stay: longer than readers go by an old layout, and than the archive of the layout is behind.
const GRACE: Duration = Duration::from_secs(60);

/// The duty.
pub(crate) struct Leftovers {
    shards: Arc<LocalShards>,
    layout: Arc<LayoutKeeper>,
    woken: Mutex<watch::Receiver<Arc<Layout>>>,
    /// Since when each is seen.
    seen: Mutex<BTreeMap<(DiskId, PlacementGroupId), Instant>>,
}

impl Leftovers {
    /// Of the disks that `shards` serves.
    pub(crate) fn new(shards: Arc<LocalShards>, layout: Arc<LayoutKeeper>) -> Self {
        let woken = Mutex::new(layout.watch());
        Self { shards, layout, woken, seen: Mutex::default() }
    }
}

#[async_trait]
impl Duty for Leftovers {
    fn name(&self) -> &'static str {
        "leftovers"
    }

    async fn step(&self) -> Result<Step, DutyError> {
        let Some(slots) = self.layout.slots() else { return Ok(Step::Idle(PERIOD)) };
        let mut before = self.seen.lock().await;
        let mut seen = BTreeMap::new();
        let layout = self.layout.current();
        let (states, now) = (self.shards.disk_states(), Instant::now());
        for disk in states.iter().filter(|(_, health)| !health.is_down()).map(|(disk, _)| *disk) {
            for group in slots.leftovers(disk).await? {
                let since = before.get(&(disk, group)).copied().unwrap_or(now);
                seen.insert((disk, group), since);
                let named =
                    layout.group(group).is_some_and(|row| row.slots.iter().flat_map(Slot::disks).any(|d| d == disk));
                if !named && now - since < GRACE {
                    continue;
                }
                while slots.drop_some(disk, group).await? {}
                tracing::info!(%disk, %group, "what a disk had of a slot that it handed on is gone");
                if named {
                    self.layout.tell_slots().await;
                }
            }
        }
        *before = seen;
        Ok(Step::Idle(PERIOD))
    }

    async fn wake(&self) {
        if self.woken.lock().await.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
