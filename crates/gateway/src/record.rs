//! What is counted, logged and shown of each request, once the last of its answer is handed to the socket or broken off.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::StatusCode;
use http::request::Parts;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use platform::Clock;
use s3_wire::Operation;
use telemetry::metric;

use crate::request_id::RequestId;
use crate::trace::{TracedRequest, Traces};

/// The counters of all operations, made when first used.
pub(crate) struct RequestMetrics {
    operations: Box<[OnceLock<OperationMetrics>]>,
    under_way: OnceLock<Gauge>,
}

/// What is counted under one operation's name.
struct OperationMetrics {
    name: &'static str,
    seconds: Histogram,
    received: Counter,
    sent: Counter,
    /// One for each of [`STATUSES`].
    statuses: [OnceLock<Counter>; STATUSES.len()],
}

/// The statuses that have a handle of their own.
const STATUSES: [u16; 16] = [200, 204, 206, 304, 400, 403, 404, 405, 409, 411, 412, 416, 500, 501, 503, 507];

/// The name of requests that are no S3 operation: health pages, and what could not be read.
const OTHER: &str = "Other";

impl RequestMetrics {
    pub(crate) fn new() -> Self {
        // The last one is for requests that are no operation.
        Self { operations: (0..=Operation::ALL.len()).map(|_| OnceLock::new()).collect(), under_way: OnceLock::new() }
    }

    fn of(&self, operation: Option<Operation>) -> &OperationMetrics {
        let (index, name) = match operation {
            Some(operation) => (operation as usize, operation.name()),
            None => (Operation::ALL.len(), OTHER),
        };
        self.operations[index].get_or_init(|| OperationMetrics {
            name,
            seconds: histogram!(metric::REQUEST_SECONDS, "operation" => name),
            received: counter!(metric::RECEIVED_BYTES, "operation" => name),
            sent: counter!(metric::SENT_BYTES, "operation" => name),
            statuses: [const { OnceLock::new() }; STATUSES.len()],
        })
    }

    fn under_way(&self) -> &Gauge {
        self.under_way.get_or_init(|| gauge!(metric::REQUESTS_UNDER_WAY))
    }
}

impl OperationMetrics {
    fn count(&self, status: u16) {
        let make = || counter!(metric::REQUESTS, "operation" => self.name, "status" => status.to_string());
        match STATUSES.iter().position(|each| *each == status) {
            Some(index) => self.statuses[index].get_or_init(make).increment(1),
            None => make().increment(1),
        }
    }
}

impl std::fmt::Debug for RequestMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RequestMetrics")
    }
}

/// One request; counted, logged and shown when it is dropped.
#[derive(Debug)]
pub(crate) struct RequestRecord {
    metrics: Arc<RequestMetrics>,
    clock: Arc<dyn Clock>,
    begun: Duration,
    id: RequestId,
    pub(crate) operation: Option<Operation>,
    pub(crate) status: StatusCode,
    pub(crate) received_bytes: u64,
    pub(crate) sent_bytes: u64,
    /// Whether all of the answer was handed over.
    pub(crate) is_complete: bool,
    /// What else is shown of it, where somebody watches.
    traced: Option<Box<TracedHead>>,
}

/// What those who watch see of a request's head.
#[derive(Debug)]
struct TracedHead {
    traces: Traces,
    peer: SocketAddr,
    method: String,
    path: String,
}

impl RequestRecord {
    pub(crate) fn begin(metrics: Arc<RequestMetrics>, clock: Arc<dyn Clock>, id: RequestId) -> Self {
        metrics.under_way().increment(1.0);
        let begun = clock.monotonic();
        Self {
            metrics,
            clock,
            begun,
            id,
            operation: None,
            status: StatusCode::OK,
            received_bytes: 0,
            sent_bytes: 0,
            is_complete: false,
            traced: None,
        }
    }

    /// The request's.
    pub(crate) fn id(&self) -> RequestId {
        self.id
    }

    /// Has the request shown when it ends.
    pub(crate) fn trace(&mut self, traces: &Traces, peer: SocketAddr, head: &Parts) {
        let (method, path) = (head.method.to_string(), head.uri.path().to_owned());
        self.traced = Some(Box::new(TracedHead { traces: traces.clone(), peer, method, path }));
    }

    fn show(&mut self, operation: &'static str, took: Duration) {
        let Some(head) = self.traced.take() else { return };
        let TracedHead { traces, peer, method, path } = *head;
        traces.show(TracedRequest {
            ended: self.clock.now(),
            request_id: self.id.to_string(),
            peer,
            method,
            path,
            operation,
            status: self.status.as_u16(),
            received_bytes: self.received_bytes,
            sent_bytes: self.sent_bytes,
            took,
            is_complete: self.is_complete,
        });
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        let took = self.clock.monotonic().saturating_sub(self.begun);
        let metrics = self.metrics.of(self.operation);
        metrics.count(self.status.as_u16());
        metrics.seconds.record(took.as_secs_f64());
        metrics.received.increment(self.received_bytes);
        metrics.sent.increment(self.sent_bytes);
        self.metrics.under_way().decrement(1.0);
        self.id.name().sync_scope(|| {
            tracing::debug!(
                operation = metrics.name,
                status = self.status.as_u16(),
                received_bytes = self.received_bytes,
                sent_bytes = self.sent_bytes,
                took_us = took.as_micros() as u64,
                is_complete = self.is_complete,
                "request"
            );
        });
        let name = metrics.name;
        self.show(name, took);
    }
}
