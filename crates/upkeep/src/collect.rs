//! Collect: frees the shards of runs that nothing refers to, once their grace time is over: a sixtieth of it while some
//! disk is full, for then the space is worth more than that slow readers need not ask the index again.
//!
//! A garbage row goes only when every slot's disk has confirmed the free or is out: a disk that is down keeps its rows,
//! so that what comes back with it is freed then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use index::query::GarbageRow;
use index::{CommandBody, IndexService, Query, QueryAnswer};
use parking_lot::Mutex;
use platform::Clock;
use shards::ShardService;
use tokio::sync::watch;
use types::{CommitStamp, DiskId, DiskState, Layout, PlacementGroupId, RunId, Slot};

use crate::duty::{Duty, DutyError, Step, propose};

/// Rows of a step.
const ROWS_MAX: usize = 1000;
/// How often collect looks for rows whose time has come.
const PERIOD: Duration = Duration::from_secs(2);
/// How often rows that wait for a disk are tried again.
const PERIOD_OF_WAITING: Duration = Duration::from_secs(30);
/// The part of the grace time that is waited for while a disk is full.
const GRACE_DIVISOR_WHEN_FULL: u32 = 60;

/// Who knows how full the disks of the whole cluster are.
#[async_trait]
pub trait Room: Send + Sync {
    /// Whether some disk takes nothing more.
    async fn is_some_disk_full(&self) -> bool;
}

/// The duty.
pub struct Collect {
    index: Arc<dyn IndexService>,
    shards: Arc<dyn ShardService>,
    room: Arc<dyn Room>,
    layout: watch::Receiver<Arc<Layout>>,
    clock: Arc<dyn Clock>,
    grace: Duration,
    after: Mutex<Option<Vec<u8>>>,
}

impl Collect {
    /// Collects runs that were freed more than `grace` ago, by `room` sooner.
    pub fn new(
        index: Arc<dyn IndexService>,
        shards: Arc<dyn ShardService>,
        room: Arc<dyn Room>,
        layout: watch::Receiver<Arc<Layout>>,
        clock: Arc<dyn Clock>,
        grace: Duration,
    ) -> Self {
        Self { index, shards, room, layout, clock, grace, after: Mutex::new(None) }
    }

    async fn grace_now(&self) -> Duration {
        if self.room.is_some_disk_full().await { self.grace / GRACE_DIVISOR_WHEN_FULL } else { self.grace }
    }

    /// Frees the runs of `rows` on all disks that can be asked, and returns the rows that are done with.
    async fn free(&self, rows: &[GarbageRow]) -> Vec<Vec<u8>> {
        let layout = self.layout.borrow().clone();
        let mut wanted: BTreeMap<(DiskId, PlacementGroupId), Vec<RunId>> = BTreeMap::new();
        let mut waiting = vec![false; rows.len()];
        for (row, waits) in rows.iter().zip(&mut waiting) {
            for disk in disks_of(&layout, row) {
                match layout.disk(disk).map(|disk| disk.state) {
                    Some(DiskState::Up | DiskState::Draining) => {
                        wanted.entry((disk, row.run.group)).or_default().push(row.run.id)
                    }
                    Some(DiskState::Down) => *waits = true,
                    Some(DiskState::Out) | None => {}
                }
            }
        }
        let frees = wanted.into_iter().map(async |((disk, group), runs)| {
            let outcome = self.shards.free(disk, group, runs).await;
            ((disk, group), outcome.is_ok())
        });
        let outcomes: BTreeMap<_, _> = join_all(frees).await.into_iter().collect();
        let confirmed = |row: &GarbageRow| {
            disks_of(&layout, row).iter().all(|disk| outcomes.get(&(*disk, row.run.group)).is_none_or(|ok| *ok))
        };
        rows.iter()
            .zip(waiting)
            .filter(|(row, waits)| !waits && confirmed(row))
            .map(|(row, _)| row.row.clone())
            .collect()
    }
}

/// The disks that have shards of a row's run: of a slot that moves, the owner and the heir.
fn disks_of(layout: &Layout, row: &GarbageRow) -> Vec<DiskId> {
    let Some(group) = layout.group(row.run.group) else { return Vec::new() };
    let shards = u8::try_from(row.run.profile.width()).expect("a profile's shards are counted in 8 bits");
    let slot_of = |shard| usize::from(row.run.slot_of(shard).0);
    (0..shards).filter_map(|shard| group.slots.get(slot_of(shard))).flat_map(Slot::disks).collect()
}

#[async_trait]
impl Duty for Collect {
    fn name(&self) -> &'static str {
        "collect"
    }

    async fn step(&self) -> Result<Step, DutyError> {
        let grace = u64::try_from(self.grace_now().await.as_micros()).unwrap_or(u64::MAX);
        let freed_before = CommitStamp(self.clock.now().0.saturating_sub(grace));
        let after = self.after.lock().take();
        let resumed = after.is_some();
        let answer = self.index.query(Query::Garbage { freed_before, after, limit: ROWS_MAX }).await?;
        let QueryAnswer::Garbage(rows) = answer else {
            return Err(DutyError::Other("a query for garbage was answered with something else".to_owned()));
        };
        let Some(last) = rows.last() else {
            return Ok(Step::Idle(if resumed { PERIOD_OF_WAITING } else { PERIOD }));
        };
        let last = last.row.clone();
        let full = rows.len() == ROWS_MAX;
        let done = self.free(&rows).await;
        let all_done = done.len() == rows.len();
        if !done.is_empty() {
            propose(&*self.index, CommandBody::RemoveGarbage { rows: done }).await?;
        }
        if full {
            *self.after.lock() = Some(last);
            return Ok(Step::Again);
        }
        Ok(Step::Idle(if all_done { PERIOD } else { PERIOD_OF_WAITING }))
    }
}
