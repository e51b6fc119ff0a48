//! Runs that writes gave up, on their way to the collector.
//!
//! The data path and refused commits hand over runs that no command will name; they are proposed as garbage in the
//! background. What is lost here (a full queue, a crash) is found later as orphans of a ticket that is over.

use tokio::sync::mpsc;
use types::{HomeKey, Run};

use crate::data::DiscardSink;

/// Runs that are proposed together at most.
const BATCH_MAX: usize = 256;

/// The writers' end of the queue.
#[derive(Debug, Clone)]
pub struct DiscardQueue(mpsc::Sender<Vec<Run>>);

/// The other end, for [`crate::Objects::start`].
#[derive(Debug)]
pub struct GivenUpRuns {
    receiver: mpsc::Receiver<Vec<Run>>,
    queue: DiscardQueue,
}

impl DiscardQueue {
    /// A queue of at most `capacity` writes' runs, and its other end.
    pub fn new(capacity: usize) -> (Self, GivenUpRuns) {
        let (sender, receiver) = mpsc::channel(capacity);
        let queue = Self(sender);
        (queue.clone(), GivenUpRuns { receiver, queue })
    }
}

impl DiscardSink for DiscardQueue {
    fn discard(&self, mut runs: Vec<Run>, home: &HomeKey) {
        if runs.is_empty() {
            return;
        }
        for run in &mut runs {
            run.home.get_or_insert_with(|| home.clone());
        }
        // What finds the queue full waits for the ticket's end.
        let _ = self.0.try_send(runs);
    }
}

impl GivenUpRuns {
    /// The writers' end.
    pub(crate) fn queue(&self) -> DiscardQueue {
        self.queue.clone()
    }

    /// Waits for runs, then takes what else is there.
    pub(crate) async fn next(&mut self) -> Vec<Run> {
        let mut batch = self.receiver.recv().await.expect("this end holds a sender, too");
        while batch.len() < BATCH_MAX
            && let Ok(more) = self.receiver.try_recv()
        {
            batch.extend(more);
        }
        batch
    }
}
