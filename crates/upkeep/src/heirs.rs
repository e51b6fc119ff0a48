//! Heirs: the slots of disks that are out or being drained are given to others, as far as there is a place for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use placement::{begin_moves, plan_heirs};
use tokio::sync::{Mutex, watch};
use types::{DiskId, Layout, PlacementGroupId, SlotIndex};

use crate::duty::{Duty, DutyError, Step};

/// How often it is looked whether a slot lacks an heir when nothing wakes the duty.
const PERIOD: Duration = Duration::from_secs(10);

/// What becomes of a layout; `None` where it stays.
pub type LayoutPlan<'a> = dyn Fn(&Layout) -> Option<Layout> + Send + Sync + 'a;

/// What duties change of the cluster, and what they go by.
#[async_trait]
pub trait ClusterChanges: Send + Sync {
    /// Commits what `plan` makes of the layout, planned again while others come first; nothing where it makes nothing.
    ///
    /// # Errors
    /// [`DutyError`]: it may have been committed all the same.
    async fn change_layout(&self, plan: &LayoutPlan<'_>) -> Result<(), DutyError>;

    /// Bytes of shards on each disk, of those that say so.
    async fn shard_bytes(&self) -> BTreeMap<DiskId, u64>;

    /// Names a wish that nobody else has.
    fn nonce(&self) -> [u8; 16];
}

/// What a slot holds, by what its owner holds: all slots of a disk count alike.
pub fn slot_bytes(
    layout: &Layout,
    of_disks: &BTreeMap<DiskId, u64>,
) -> impl Fn(PlacementGroupId, SlotIndex) -> u64 + use<> {
    let mut slots: BTreeMap<DiskId, u64> = BTreeMap::new();
    for (_, _, slot) in layout.slots() {
        *slots.entry(slot.disk).or_default() += 1;
    }
    let share = |disk: &DiskId| of_disks.get(disk).copied().unwrap_or(0) / slots.get(disk).copied().unwrap_or(1).max(1);
    let bytes: BTreeMap<_, u64> = layout.slots().map(|(group, at, slot)| ((group.id, at), share(&slot.disk))).collect();
    move |group, slot| bytes.get(&(group, slot)).copied().unwrap_or(0)
}

/// What a slot holds on average. What disks say follows late, for a while with what they handed on: a plan that went by it
/// could take back what the last one did, and again. By this one each move is for good.
pub fn even_slot_bytes(
    layout: &Layout,
    of_disks: &BTreeMap<DiskId, u64>,
) -> impl Fn(PlacementGroupId, SlotIndex) -> u64 + use<> {
    let slots = u64::try_from(layout.slots().count()).expect("slots are in memory");
    let each = of_disks.values().sum::<u64>() / slots.max(1);
    move |_, _| each
}

/// The duty.
pub struct Heirs {
    changes: Arc<dyn ClusterChanges>,
    layout: watch::Receiver<Arc<Layout>>,
    woken: Mutex<watch::Receiver<Arc<Layout>>>,
}

impl Heirs {
    /// Gives heirs wherever `layout` lacks some.
    pub fn new(changes: Arc<dyn ClusterChanges>, layout: watch::Receiver<Arc<Layout>>) -> Self {
        let woken = Mutex::new(layout.clone());
        Self { changes, layout, woken }
    }
}

#[async_trait]
impl Duty for Heirs {
    fn name(&self) -> &'static str {
        "heirs"
    }

    async fn step(&self) -> Result<Step, DutyError> {
        let layout = self.layout.borrow().clone();
        if !layout.disks.iter().any(|disk| disk.state.is_left()) {
            return Ok(Step::Idle(PERIOD));
        }
        let bytes = self.changes.shard_bytes().await;
        let plan = |layout: &Layout| {
            let plan = plan_heirs(layout, slot_bytes(layout, &bytes));
            if !plan.homeless.is_empty() {
                tracing::warn!(slots = plan.homeless.len(), "slots of disks that leave have nowhere to go");
            }
            begin_moves(layout, &plan.moves)
        };
        self.changes.change_layout(&plan).await?;
        Ok(Step::Idle(PERIOD))
    }

    async fn wake(&self) {
        if self.woken.lock().await.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
