//! Measures how long commits take where they are made: on the node that leads their range.

use std::sync::Arc;

use async_trait::async_trait;
use index::{Answer, Command, FIRST_DATA_RANGE, IndexError, IndexService, Query, QueryAnswer, SYSTEM_RANGE};
use metrics::{Histogram, histogram};
use platform::Clock;
use telemetry::metric;

/// The ranges of this node, with their commits timed.
pub(crate) struct TimedIndex {
    index: Arc<dyn IndexService>,
    clock: Arc<dyn Clock>,
    system: Histogram,
    data: Histogram,
}

impl TimedIndex {
    /// Asks `index`. Metrics must be collected already.
    pub(crate) fn new(index: Arc<dyn IndexService>, clock: Arc<dyn Clock>) -> Self {
        let of = |range: types::RangeId| histogram!(metric::COMMIT_SECONDS, "range" => range.to_string());
        Self { index, clock, system: of(SYSTEM_RANGE), data: of(FIRST_DATA_RANGE) }
    }
}

#[async_trait]
impl IndexService for TimedIndex {
    async fn propose(&self, command: Command) -> Result<Answer, IndexError> {
        let of_range = if command.body.is_of_system_range() { &self.system } else { &self.data };
        let begun = self.clock.monotonic();
        let outcome = self.index.propose(command).await;
        if outcome.is_ok() {
            of_range.record((self.clock.monotonic() - begun).as_secs_f64());
        }
        outcome
    }

    async fn query(&self, query: Query) -> Result<QueryAnswer, IndexError> {
        self.index.query(query).await
    }
}
