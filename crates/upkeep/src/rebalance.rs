//! Rebalancing: slots move, a few at a time, until disks hold what is in proportion to their size. Whether they do is an
//! operator's wish, which stands in the system range; once no move is worth it, the wish is fulfilled and taken back.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use index::command::Rebalancing;
use index::{CommandBody, IndexService, Query, QueryAnswer};
use placement::{begin_moves, moving_slots, plan_rebalance};
use tokio::sync::watch;
use types::Layout;

use crate::duty::{Duty, DutyError, Step, propose};
use crate::heirs::{ClusterChanges, even_slot_bytes};

/// How many slots move at a time.
const AT_ONCE: usize = 4;
/// How often it is looked whether more may move.
const PERIOD: Duration = Duration::from_secs(2);

/// The duty.
pub struct Rebalance {
    index: Arc<dyn IndexService>,
    changes: Arc<dyn ClusterChanges>,
    layout: watch::Receiver<Arc<Layout>>,
}

impl Rebalance {
    /// Moves slots while `index` says so.
    pub fn new(
        index: Arc<dyn IndexService>,
        changes: Arc<dyn ClusterChanges>,
        layout: watch::Receiver<Arc<Layout>>,
    ) -> Self {
        Self { index, changes, layout }
    }
}

/// Whether slots are moved for disks' shares.
///
/// # Errors
/// [`DutyError`].
pub async fn rebalancing(index: &dyn IndexService) -> Result<Rebalancing, DutyError> {
    match index.query(Query::Rebalancing).await? {
        QueryAnswer::Rebalancing(rebalancing) => Ok(rebalancing),
        _ => Err(DutyError::Other("a query for rebalancing was answered with something else".to_owned())),
    }
}

#[async_trait]
impl Duty for Rebalance {
    fn name(&self) -> &'static str {
        "rebalance"
    }

    async fn step(&self) -> Result<Step, DutyError> {
        if rebalancing(&*self.index).await? != Rebalancing::On {
            return Ok(Step::Idle(PERIOD));
        }
        let layout = self.layout.borrow().clone();
        let moving = moving_slots(&layout).len();
        if moving >= AT_ONCE {
            return Ok(Step::Idle(PERIOD));
        }
        let bytes = self.changes.shard_bytes().await;
        let plan = |layout: &Layout| {
            let more = AT_ONCE.saturating_sub(moving_slots(layout).len());
            begin_moves(layout, &plan_rebalance(layout, even_slot_bytes(layout, &bytes), more))
        };
        if moving == 0 && plan(&layout).is_none() {
            tracing::info!("disks hold what is in proportion to their size");
            propose(&*self.index, CommandBody::SetRebalancing(Rebalancing::Off)).await?;
        } else {
            self.changes.change_layout(&plan).await?;
        }
        Ok(Step::Idle(PERIOD))
    }
}
