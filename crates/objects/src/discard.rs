//! Runs that writes gave up, on their way to the collector.
//!
//! The data path hands over runs that no command will name; they are proposed as garbage in the background. What is
//! lost here (a full queue, a crash) is found later as orphans of a ticket that is over.

use tokio::sync::mpsc;
use types::{HomeKey, Run};

use crate::data::DiscardSink;

/// The data path's end of the queue.
#[derive(Debug, Clone)]
pub struct DiscardQueue(mpsc::Sender<Vec<Run>>);

/// The other end, for [`crate::Objects::start`].
#[derive(Debug)]
pub struct GivenUpRuns(pub(crate) mpsc::Receiver<Vec<Run>>);

impl DiscardQueue {
    /// A queue of at most `capacity` writes' runs, and its other end.
    pub fn new(capacity: usize) -> (Self, GivenUpRuns) {
        let (sender, receiver) = mpsc::channel(capacity);
        (Self(sender), GivenUpRuns(receiver))
    }
}

impl DiscardSink for DiscardQueue {
    fn discard(&self, mut runs: Vec<Run>, home: &HomeKey) {
        for run in &mut runs {
            run.home.get_or_insert_with(|| home.clone());
        }
        // What finds the queue full waits for the ticket's end.
        let _ = self.0.try_send(runs);
    }
}
