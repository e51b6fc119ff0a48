//! The client's end of one connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use platform::BufferPool;
use telemetry::RequestName;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::CallError;
use crate::RpcSettings;
use crate::connection::{Connection, Receiver};
use crate::encoding::{FrameHead, Service};
use crate::handshake::{Established, NAMES_SINCE};
use crate::wire::{BodyMemory, InFrame, Outbox, Reply};

/// The client's end of one connection.
pub(crate) struct Link {
    outbox: Arc<Outbox>,
    /// One for each request that the server lets be unanswered.
    permits: Semaphore,
    /// Whether the server reads the names of S3 requests.
    reads_names: bool,
    /// The server takes no more requests here.
    is_closing: Arc<AtomicBool>,
}

/// A request that is abandoned when dropped.
struct Asked<'a> {
    outbox: &'a Outbox,
    number: Option<u64>,
}

impl Asked<'_> {
    /// Whether the peer may have seen it.
    fn abandon(&mut self) -> bool {
        self.number.take().is_none_or(|number| self.outbox.abandon(number))
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl Link {
    /// Begins to use a connection.
    pub(crate) fn start(established: Established, pool: BufferPool, settings: RpcSettings) -> Arc<Self> {
        let permits = Semaphore::new(established.in_flight_max as usize);
        let reads_names = established.version >= NAMES_SINCE;
        let memory = BodyMemory { pool, budget: None, patience: settings.memory_patience };
        let connection = Connection::new(established, memory, &settings);
        let is_closing = Arc::new(AtomicBool::new(false));
        let link = Self { outbox: connection.outbox(), permits, reads_names, is_closing: Arc::clone(&is_closing) };
        let receiver = Answers { outbox: connection.outbox(), is_closing };
        tokio::spawn(connection.run(receiver, settings));
        Arc::new(link)
    }

    /// Whether new requests may go here.
    pub(crate) fn is_usable(&self) -> bool {
        !self.is_closing.load(Ordering::Relaxed) && !self.outbox.is_closed()
    }

    /// Sends a request and waits for its answer. Dropped before, the server is told that nobody waits.
    pub(crate) async fn call(
        &self,
        service: Service,
        payload: &[u8],
        body: Vec<Bytes>,
        deadline: Instant,
    ) -> Result<Reply, CallError> {
        let late = |when: &str| format!("the time for the call is over, {when}");
        let not_sent = || CallError::NotSent { reason: late("and it was not sent") };
        let _permit = match timeout_at(deadline, self.permits.acquire()).await {
            Ok(permit) => permit.expect("the semaphore is never closed"),
            Err(_elapsed) => return Err(not_sent()),
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
        let name = RequestName::current().filter(|_| self.reads_names);
        let head = |number| match name {
            None => FrameHead::Request { number, timeout_ms, service },
            Some(RequestName(name)) => FrameHead::Named { number, timeout_ms, service, name },
        };
        let (number, outcome) = self.outbox.request(head, payload, body)?;
        let mut asked = Asked { outbox: &self.outbox, number: Some(number) };
        match timeout_at(deadline, outcome).await {
            Ok(outcome) => {
                asked.number = None;
                outcome.unwrap_or_else(|_ended| Err(CallError::Lost { reason: "the connection ended".to_owned() }))
            }
            Err(_elapsed) if asked.abandon() => Err(CallError::Lost { reason: late("and no answer came") }),
            Err(_elapsed) => Err(not_sent()),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.outbox.close("the connection is not used any more");
    }
}

/// Hands answers to those who wait for them.
struct Answers {
    outbox: Arc<Outbox>,
    is_closing: Arc<AtomicBool>,
}

impl Receiver for Answers {
    fn receive(&mut self, frame: InFrame) -> Result<(), String> {
        match frame.head {
            FrameHead::Answer { number } => {
                let body = frame.body.unwrap_or_default();
                self.outbox.settle(number, Ok(Reply { payload: frame.payload, body }));
            }
            FrameHead::Refused { number, refusal } => self.outbox.settle(number, Err(CallError::Refused(refusal))),
            FrameHead::Closing => self.is_closing.store(true, Ordering::Relaxed),
            FrameHead::Request { .. }
            | FrameHead::Named { .. }
            | FrameHead::Cancel { .. }
            | FrameHead::Ping
            | FrameHead::Pong => {
                return Err("the server asks, where it is to answer".to_owned());
            }
        }
        Ok(())
    }
}
