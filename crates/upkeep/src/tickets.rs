//! Tickets: ends those of writers that went away, raises the floor in the data ranges, and collects orphans: shards of
//! dead tickets that no version refers to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use index::{Answer, CommandBody, IndexService, Query, QueryAnswer};
use parking_lot::Mutex;
use shards::{ShardAddress, ShardError, ShardService};
use tokio::sync::watch;
use types::{CommitStamp, DiskId, Layout, RunId, TicketId};

use crate::duty::{Duty, DutyError, Step, propose};
use crate::repair::run_lives;

/// How often tickets are looked at, at least.
const PERIOD_MAX: Duration = Duration::from_secs(60);
/// How often, as a part of the idle time after which a ticket is over: one in so many.
const PERIOD_SHARE: u32 = 4;
/// Garbage rows of one page.
const ROWS_MAX: usize = 1000;
/// Shards that a step looks at.
const SHARDS_MAX: usize = 1000;

/// The duty.
pub struct Tickets {
    index: Arc<dyn IndexService>,
    shards: Arc<dyn ShardService>,
    layout: watch::Receiver<Arc<Layout>>,
    idle_max: Duration,
    sweep: Mutex<Option<Sweep>>,
    swept_to: Mutex<TicketId>,
}

/// A pass over all disks for orphans below a floor.
struct Sweep {
    floor: TicketId,
    disks: Vec<DiskId>,
    after: Option<ShardAddress>,
}

impl Tickets {
    /// Looks after the tickets of the whole cluster. One that was not renewed for `idle_max` is over.
    pub fn new(
        index: Arc<dyn IndexService>,
        shards: Arc<dyn ShardService>,
        layout: watch::Receiver<Arc<Layout>>,
        idle_max: Duration,
    ) -> Self {
        Self { index, shards, layout, idle_max, sweep: Mutex::new(None), swept_to: Mutex::new(TicketId(0)) }
    }

    fn period(&self) -> Duration {
        (self.idle_max / PERIOD_SHARE).min(PERIOD_MAX)
    }

    /// Looks at the next shards of a sweep; `None` when the sweep is over.
    async fn sweep(&self, mut sweep: Sweep) -> Result<Option<Sweep>, DutyError> {
        let Some(disk) = sweep.disks.last().copied() else { return Ok(None) };
        let listed = match self.shards.list(disk, sweep.after, SHARDS_MAX).await {
            Ok(listed) => listed,
            // A disk that failed is swept after it came back, with the next floor.
            Err(ShardError::DiskDown { .. } | ShardError::UnknownDisk { .. } | ShardError::Unreachable { .. }) => {
                Vec::new()
            }
            Err(error) => return Err(error.into()),
        };
        let Some(last) = listed.last() else {
            sweep.disks.pop();
            sweep.after = None;
            return Ok(Some(sweep));
        };
        sweep.after = Some(last.address);
        let old = listed.iter().map(|shard| shard.address).filter(|address| address.run.ticket < sweep.floor);
        let mut dead: BTreeMap<RunId, ShardAddress> = BTreeMap::new();
        for address in old {
            if !dead.contains_key(&address.run) && !self.lives(disk, address).await? {
                dead.insert(address.run, address);
            }
        }
        // Asked after the index said that nothing names them: what was freed by then waits for readers under way, and
        // is the collector's.
        if !dead.is_empty() {
            self.leave_garbage_out(&mut dead).await?;
        }
        for (run, address) in dead {
            self.shards.free(disk, address.group, vec![run]).await?;
            tracing::info!(%disk, %run, "an orphan was freed");
        }
        Ok(Some(sweep))
    }

    /// Takes the runs out that have a garbage row.
    async fn leave_garbage_out(&self, dead: &mut BTreeMap<RunId, ShardAddress>) -> Result<(), DutyError> {
        let mut after = None;
        loop {
            let query = Query::Garbage { freed_before: CommitStamp(u64::MAX), after: after.take(), limit: ROWS_MAX };
            let QueryAnswer::Garbage(rows) = self.index.query(query).await? else {
                return Err(DutyError::Other("a query for garbage was answered with something else".to_owned()));
            };
            for row in &rows {
                dead.remove(&row.run.id);
            }
            match rows.last() {
                Some(last) if rows.len() == ROWS_MAX && !dead.is_empty() => after = Some(last.row.clone()),
                _ => return Ok(()),
            }
        }
    }

    /// Whether the index names the run of a shard. A shard whose header cannot be read is left to scrub.
    async fn lives(&self, disk: DiskId, address: ShardAddress) -> Result<bool, DutyError> {
        let Ok(header) = self.shards.header(disk, address).await else { return Ok(true) };
        run_lives(&*self.index, &header.home, address.run).await
    }
}

/// Ends tickets that were not renewed for `idle_max`; answers the floor, which every data range holds once this returns.
///
/// # Errors
/// [`DutyError::Index`].
pub(crate) async fn raise_floor(index: &dyn IndexService, idle_max: Duration) -> Result<TicketId, DutyError> {
    let idle_us_max = u64::try_from(idle_max.as_micros()).unwrap_or(u64::MAX);
    let Answer::Floor(floor) = propose(index, CommandBody::ExpireTickets { idle_us_max }).await? else {
        return Err(DutyError::Other("expiring tickets was answered with something else".to_owned()));
    };
    propose(index, CommandBody::RaiseFloor { floor }).await?;
    Ok(floor)
}

#[async_trait]
impl Duty for Tickets {
    fn name(&self) -> &'static str {
        "tickets"
    }

    async fn step(&self) -> Result<Step, DutyError> {
        let under_way = self.sweep.lock().take();
        let sweep = match under_way {
            Some(sweep) => sweep,
            None => {
                let floor = raise_floor(&*self.index, self.idle_max).await?;
                if floor == *self.swept_to.lock() {
                    return Ok(Step::Idle(self.period()));
                }
                let up = |disk: &&types::Disk| disk.state.is_read();
                let disks = self.layout.borrow().disks.iter().filter(up).map(|disk| disk.id).collect();
                Sweep { floor, disks, after: None }
            }
        };
        let floor = sweep.floor;
        match self.sweep(sweep).await? {
            Some(rest) => {
                *self.sweep.lock() = Some(rest);
                Ok(Step::Again)
            }
            None => {
                *self.swept_to.lock() = floor;
                Ok(Step::Idle(self.period()))
            }
        }
    }
}
