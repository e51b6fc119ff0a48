//! What waits to be written on a connection, and who waits for answers to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::{BODY_BYTES_MAX, PAYLOAD_BYTES_MAX, SessionKeys};
use crate::client::CallError;
use crate::encoding::FrameHead;

/// A frame to be written.
#[derive(Debug)]
pub(crate) struct OutFrame {
    /// Head and payload.
    pub(super) head: Vec<u8>,
    pub(super) body: Vec<Bytes>,
    pub(super) checksum: u128,
    /// Of a request.
    number: Option<u64>,
}

/// What a request was answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) payload: Bytes,
    pub(crate) body: Vec<Bytes>,
}

impl OutFrame {
    pub(crate) fn new(keys: &SessionKeys, head: &FrameHead, payload: &[u8], body: Vec<Bytes>) -> Self {
        let checksum = keys.checksum_of(&body);
        Self { head: head.encode_with(payload), body, checksum, number: None }
    }
}

pub(crate) type Outcome = Result<Reply, CallError>;

/// What is to be written next.
#[derive(Debug)]
pub(crate) enum Taken {
    Frames(Vec<OutFrame>),
    /// Nothing more; the connection is to be ended.
    Closed,
}

/// What waits to be written on a connection, and who waits for answers to it. Requests are numbered as they come.
pub(crate) struct Outbox {
    keys: Arc<SessionKeys>,
    state: Mutex<State>,
    ready: Notify,
    /// Requests of the peer that are being answered.
    answering: AtomicUsize,
}

/// A request of the peer that is being answered, until it is dropped.
pub(crate) struct Answering(Arc<Outbox>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answering.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct State {
    queue: Vec<OutFrame>,
    next_number: u64,
    /// Requests below this number have been handed to the writer: the peer may see them.
    taken_below: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Outcome>>,
    closed: Option<String>,
}

impl Outbox {
    pub(crate) fn new(keys: Arc<SessionKeys>) -> Self {
        Self { keys, state: Mutex::default(), ready: Notify::new(), answering: AtomicUsize::new(0) }
    }

    /// Queues a frame that nobody answers. Where the connection is over, it is dropped.
    pub(crate) fn push(&self, head: &FrameHead, payload: &[u8], body: Vec<Bytes>) {
        self.push_frame(self.frame(head, payload, body));
    }

    /// The same with a frame that [`Outbox::frame`] made.
    pub(crate) fn push_frame(&self, frame: OutFrame) {
        let mut state = self.state.lock();
        if state.closed.is_none() {
            state.queue.push(frame);
            drop(state);
            self.ready.notify_one();
        }
    }

    /// Queues a request; its number, and where its outcome comes.
    ///
    /// # Errors
    /// [`CallError::NotSent`]: the connection is over, or the request too long.
    pub(crate) fn request(
        &self,
        head: impl FnOnce(u64) -> FrameHead,
        payload: &[u8],
        body: Vec<Bytes>,
    ) -> Result<(u64, oneshot::Receiver<Outcome>), CallError> {
        let not_sent = |reason: String| CallError::NotSent { reason };
        let body_bytes: usize = body.iter().map(Bytes::len).sum();
        if payload.len() > PAYLOAD_BYTES_MAX || body_bytes > BODY_BYTES_MAX {
            return Err(not_sent(format!("a request of {} and {body_bytes} bytes is too long", payload.len())));
        }
        let checksum = self.keys.checksum_of(&body);
        let (sender, outcome) = oneshot::channel();
        let mut state = self.state.lock();
        if let Some(reason) = &state.closed {
            return Err(not_sent(reason.clone()));
        }
        let number = state.next_number;
        state.next_number += 1;
        let head = head(number).encode_with(payload);
        state.waiting.insert(number, sender);
        state.queue.push(OutFrame { head, body, checksum, number: Some(number) });
        drop(state);
        self.ready.notify_one();
        Ok((number, outcome))
    }

    /// Nobody waits for the outcome of a request any more: it is not sent, or the peer is told. Says whether the peer
    /// may have seen it.
    pub(crate) fn abandon(&self, number: u64) -> bool {
        let mut state = self.state.lock();
        if state.waiting.remove(&number).is_none() {
            return true;
        }
        if number >= state.taken_below {
            state.queue.retain(|frame| frame.number != Some(number));
            return false;
        }
        drop(state);
        self.push(&FrameHead::Cancel { number }, &[], Vec::new());
        true
    }

    /// Hands an outcome to whoever waits for it; one that nobody waits for is dropped.
    pub(crate) fn settle(&self, number: u64, outcome: Outcome) {
        let waiting = self.state.lock().waiting.remove(&number);
        if let Some(waiting) = waiting {
            let _ = waiting.send(outcome);
        }
    }

    /// The connection is over: nothing more is written, and all who wait are told whether the peer may have seen their
    /// request.
    pub(crate) fn close(&self, reason: &str) {
        self.end(reason, false);
    }

    fn end(&self, reason: &str, writes_what_is_queued: bool) {
        let mut state = self.state.lock();
        if state.closed.is_none() {
            state.closed = Some(reason.to_owned());
        }
        if !writes_what_is_queued {
            state.queue.clear();
        }
        let waiting = std::mem::take(&mut state.waiting);
        let taken_below = state.taken_below;
        drop(state);
        for (number, waiting) in waiting {
            let reason = reason.to_owned();
            let error = if number < taken_below { CallError::Lost { reason } } else { CallError::NotSent { reason } };
            let _ = waiting.send(Err(error));
        }
        self.ready.notify_one();
    }

    /// As [`Outbox::close`], but what is queued is still written.
    pub(crate) fn finish(&self, reason: &str) {
        self.end(reason, true);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed.is_some()
    }

    /// Counts a request of the peer as being answered until the guard is dropped.
    pub(crate) fn answering(self: &Arc<Self>) -> Answering {
        self.answering.fetch_add(1, Ordering::Relaxed);
        Answering(Arc::clone(self))
    }

    /// Whether there is more under way than what was just queued. Where one asks and one answers, waiting for others
    /// would only cost time.
    fn is_busy(&self) -> bool {
        self.answering.load(Ordering::Relaxed) > 0 || self.state.lock().waiting.len() > 1
    }

    /// Waits for frames, and takes all that are there.
    pub(crate) async fn take(&self) -> Taken {
        loop {
            {
                let mut state = self.state.lock();
                if !state.queue.is_empty() {
                    state.taken_below = state.next_number;
                    return Taken::Frames(std::mem::take(&mut state.queue));
                }
                if state.closed.is_some() {
                    return Taken::Closed;
                }
            }
            self.ready.notified().await;
            if self.is_busy() {
                // Others are about to add something: one write for all of it costs each a third.
                tokio::task::yield_now().await;
            }
        }
    }

    /// A frame that nobody answers, ready to be queued.
    pub(crate) fn frame(&self, head: &FrameHead, payload: &[u8], body: Vec<Bytes>) -> OutFrame {
        OutFrame::new(&self.keys, head, payload, body)
    }
}
