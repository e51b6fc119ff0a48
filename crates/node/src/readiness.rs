//! Whether requests should come here.

use std::sync::Arc;
use std::time::Duration;

use gateway::Readiness;
use index::{IndexService, Query};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often readiness is looked at.
const PERIOD: Duration = Duration::from_secs(2);
/// How long the index may take to answer before the node is not ready.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keeps readiness true to the index (a node that cannot ask it can neither read nor write), until the end begins.
pub(crate) struct ReadinessWatch {
    readiness: Arc<watch::Sender<Readiness>>,
    task: JoinHandle<()>,
}

impl ReadinessWatch {
    pub(crate) fn start(index: Arc<dyn IndexService>, readiness: watch::Sender<Readiness>) -> Self {
        let readiness = Arc::new(readiness);
        let task = tokio::spawn(watch_index(index, Arc::clone(&readiness)));
        Self { readiness, task }
    }

    /// Says from now on that no new requests should come here.
    pub(crate) async fn drain(self) {
        self.task.abort();
        // Nothing that it had asked for says anything else afterwards.
        let _ = self.task.await;
        self.readiness.send_replace(Readiness::NotReady { reason: "it was told to stop, and drains".to_owned() });
    }
}

async fn watch_index(index: Arc<dyn IndexService>, readiness: Arc<watch::Sender<Readiness>>) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = match tokio::time::timeout(PATIENCE, index.query(Query::Cluster)).await {
            Ok(Ok(_)) => Readiness::Ready,
            Ok(Err(error)) => Readiness::NotReady { reason: error.to_string() },
            Err(_) => Readiness::NotReady { reason: "the index does not answer".to_owned() },
        };
        readiness.send_if_modified(|before| {
            let changed = *before != now;
            if changed {
                *before = now;
            }
            changed
        });
    }
}
