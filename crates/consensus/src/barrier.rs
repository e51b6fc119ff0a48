//! What makes queries linearizable: before one is answered, this node asks a majority whether it still leads, and waits
//! until all that was committed then is applied. Queries that wait share one such round.

use std::sync::Arc;

use index::IndexError;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::group::Group;
use crate::machine::{ReadJob, ReaderPool};

#[derive(Default)]
struct Queue {
    waiting: Vec<ReadJob>,
    closed: Option<IndexError>,
}

#[derive(Default)]
struct Inner {
    queue: Mutex<Queue>,
    wake: Notify,
}

/// A group's barrier.
#[derive(Clone)]
pub(crate) struct ReadBarrier {
    inner: Arc<Inner>,
}

impl ReadBarrier {
    /// Starts passing queries on to the readers.
    pub(crate) fn start(group: Arc<dyn Group>, readers: Arc<ReaderPool>) -> Self {
        let inner = Arc::new(Inner::default());
        tokio::spawn(run(inner.clone(), group, readers));
        Self { inner }
    }

    /// Queues a query.
    pub(crate) fn push(&self, job: ReadJob) {
        {
            let mut queue = self.inner.queue.lock();
            if let Some(error) = &queue.closed {
                let error = error.clone();
                drop(queue);
                return job.refuse(error);
            }
            queue.waiting.push(job);
        }
        self.inner.wake.notify_one();
    }

    /// Refuses all queries from now on.
    pub(crate) fn close(&self, error: &IndexError) {
        let refused = {
            let mut queue = self.inner.queue.lock();
            queue.closed = Some(error.clone());
            std::mem::take(&mut queue.waiting)
        };
        self.inner.wake.notify_one();
        for job in refused {
            job.refuse(error.clone());
        }
    }
}

async fn run(inner: Arc<Inner>, group: Arc<dyn Group>, readers: Arc<ReaderPool>) {
    loop {
        inner.wake.notified().await;
        loop {
            let jobs = {
                let mut queue = inner.queue.lock();
                if queue.closed.is_some() {
                    return;
                }
                std::mem::take(&mut queue.waiting)
            };
            if jobs.is_empty() {
                break;
            }
            match group.read_barrier().await {
                Ok(needs) => readers.push(jobs.into_iter().map(|job| job.after(needs))),
                Err(error) => jobs.into_iter().for_each(|job| job.refuse(error.clone())),
            }
        }
    }
}
