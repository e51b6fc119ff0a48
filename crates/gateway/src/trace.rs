//! Requests as they end, for whoever watches.
//!
//! While nobody does, a request costs one atomic load. A watcher that is too slow misses requests and is told how many;
//! it never holds one up. What is shown has no query, headers or bodies: these may hold signatures and keys.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::broadcast;
use types::Timestamp;

/// Requests that may wait for a watcher.
const WAITING_MAX: usize = 4096;

/// One request that has ended.
#[derive(Debug, Clone)]
pub struct TracedRequest {
    /// When it ended.
    pub ended: Timestamp,
    /// `x-amz-request-id` of its answer.
    pub request_id: String,
    /// Who sent it.
    pub peer: SocketAddr,
    /// The HTTP method.
    pub method: String,
    /// The path as it was sent: bucket and key, escaped.
    pub path: String,
    /// S3's name of the operation; `Other` for what is none.
    pub operation: &'static str,
    /// The HTTP status of its answer.
    pub status: u16,
    /// Bytes of its body.
    pub received_bytes: u64,
    /// Bytes of its answer's body.
    pub sent_bytes: u64,
    /// From its head to the last byte of its answer.
    pub took: Duration,
    /// Whether all of the answer was handed over.
    pub is_complete: bool,
}

/// What a watcher sees.
#[derive(Debug, Clone)]
pub enum Traced {
    /// A request has ended.
    Request(Arc<TracedRequest>),
    /// So many ended unseen: the watcher was too slow.
    Missed(u64),
}

/// Where requests are shown as they end.
#[derive(Debug, Clone)]
pub struct Traces {
    /// Asking the channel itself would take its lock.
    watchers: Arc<AtomicUsize>,
    requests: broadcast::Sender<Arc<TracedRequest>>,
}

impl Traces {
    pub(crate) fn new() -> Self {
        Self { watchers: Arc::default(), requests: broadcast::Sender::new(WAITING_MAX) }
    }

    /// Shows requests that end from now on.
    pub fn watch(&self) -> TraceFeed {
        self.watchers.fetch_add(1, Relaxed);
        TraceFeed { watchers: Arc::clone(&self.watchers), requests: self.requests.subscribe() }
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.watchers.load(Relaxed) > 0
    }

    pub(crate) fn show(&self, request: TracedRequest) {
        // The last watcher may have left meanwhile.
        let _ = self.requests.send(Arc::new(request));
    }
}

/// One watcher's view.
#[derive(Debug)]
pub struct TraceFeed {
    watchers: Arc<AtomicUsize>,
    requests: broadcast::Receiver<Arc<TracedRequest>>,
}

impl TraceFeed {
    /// The next request that ends; `None` once the gateway is gone.
    pub async fn next(&mut self) -> Option<Traced> {
        match self.requests.recv().await {
            Ok(request) => Some(Traced::Request(request)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Traced::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl Drop for TraceFeed {
    fn drop(&mut self) {
        self.watchers.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(number: u64) -> TracedRequest {
        TracedRequest {
            ended: Timestamp::from_seconds(number),
            request_id: number.to_string(),
            peer: SocketAddr::from(([127, 0, 0, 1], 9)),
            method: "GET".to_owned(),
            path: "/bucket/key".to_owned(),
            operation: "GetObject",
            status: 200,
            received_bytes: 0,
            sent_bytes: 1,
            took: Duration::from_millis(1),
            is_complete: true,
        }
    }

    #[tokio::test]
    async fn who_watches_sees_requests_in_their_order_and_what_it_was_too_slow_for() {
        let traces = Traces::new();
        assert!(!traces.is_watched());
        let mut feed = traces.watch();
        assert!(traces.is_watched());
        let count = WAITING_MAX as u64 + 10;
        (0..count).for_each(|number| traces.show(request(number)));
        let Some(Traced::Missed(missed)) = feed.next().await else { panic!("it was too slow") };
        for number in missed..count {
            let Some(Traced::Request(seen)) = feed.next().await else { panic!("request {number} is shown") };
            assert_eq!(seen.request_id, number.to_string());
        }
        drop(feed);
        assert!(!traces.is_watched());
    }

    #[tokio::test]
    async fn a_feed_ends_only_with_its_gateway() {
        let traces = Traces::new();
        let mut feed = traces.watch();
        traces.show(request(1));
        drop(traces);
        assert!(matches!(feed.next().await, Some(Traced::Request(_))));
        assert!(feed.next().await.is_none());
    }
}
