//! Measures how long commits take where they are made: on the node that leads their range.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use index::{Answer, Command, FIRST_DATA_RANGE, IndexError, IndexService, Query, QueryAnswer, Router, SYSTEM_RANGE};
use metrics::{Histogram, histogram};
use parking_lot::Mutex;
use platform::Clock;
use telemetry::metric;
use types::RangeId;

/// The ranges of this node, with their commits timed.
pub(crate) struct TimedIndex {
    index: Arc<dyn IndexService>,
    clock: Arc<dyn Clock>,
    router: Router,
    /// By range: as many as there are here.
    commits: Mutex<BTreeMap<RangeId, Histogram>>,
}

impl TimedIndex {
    /// Asks `index`. Metrics must be collected already.
    pub(crate) fn new(index: Arc<dyn IndexService>, clock: Arc<dyn Clock>) -> Self {
        let commits = [SYSTEM_RANGE, FIRST_DATA_RANGE].map(|range| (range, of_range(range)));
        Self { index, clock, router: Router::default(), commits: Mutex::new(commits.into()) }
    }
}

fn of_range(range: RangeId) -> Histogram {
    histogram!(metric::COMMIT_SECONDS, "range" => range.to_string())
}

#[async_trait]
impl IndexService for TimedIndex {
    async fn propose(&self, command: Command) -> Result<Answer, IndexError> {
        self.router.propose(self, command).await
    }

    async fn query(&self, query: Query) -> Result<QueryAnswer, IndexError> {
        self.router.query(self, query).await
    }

    async fn propose_to(&self, range: RangeId, command: Command) -> Result<Answer, IndexError> {
        let begun = self.clock.monotonic();
        let outcome = self.index.propose_to(range, command).await;
        if outcome.is_ok() {
            let seconds = (self.clock.monotonic() - begun).as_secs_f64();
            self.commits.lock().entry(range).or_insert_with(|| of_range(range)).record(seconds);
        }
        outcome
    }

    async fn query_at(&self, range: RangeId, query: Query) -> Result<QueryAnswer, IndexError> {
        self.index.query_at(range, query).await
    }
}
