//! The server's end of one connection.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use telemetry::{RequestName, carried};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::dispatch::{Answered, Dispatch};
use crate::connection::Receiver;
use crate::encoding::{CallRefusal, FrameHead, Service};
use crate::handshake::Caller;
use crate::wire::{InFrame, OutFrame, Outbox};

/// The server's end of one connection. What still runs when it is dropped is given up.
pub(super) struct Serving {
    pub(super) dispatch: Arc<Dispatch>,
    pub(super) caller: Caller,
    /// Whether the caller may be of no cluster yet: then nothing but joining is answered here, and only here.
    pub(super) joins: bool,
    pub(super) outbox: Arc<Outbox>,
    pub(super) running: Arc<Running>,
    pub(super) in_flight_max: usize,
}

/// The requests of a connection that are being answered.
#[derive(Default)]
pub(super) struct Running {
    tasks: Mutex<BTreeMap<u64, AbortHandle>>,
    finished: Notify,
}

impl Running {
    /// Returns when no request is being answered any more.
    pub(super) async fn idle(&self) {
        loop {
            let finished = self.finished.notified();
            tokio::pin!(finished);
            finished.as_mut().enable();
            if self.tasks.lock().is_empty() {
                return;
            }
            finished.await;
        }
    }

    /// Takes a request out together with handing over its answer: nobody finds it gone and its answer not there.
    fn finish(&self, number: u64, hand_over: impl FnOnce()) {
        let mut tasks = self.tasks.lock();
        hand_over();
        tasks.remove(&number);
        drop(tasks);
        self.finished.notify_waiters();
    }
}

impl Receiver for Serving {
    fn receive(&mut self, frame: InFrame) -> Result<(), String> {
        match frame.head {
            FrameHead::Request { number, timeout_ms, service } => {
                self.begin(number, Duration::from_millis(timeout_ms.into()), service, None, frame)
            }
            FrameHead::Named { number, timeout_ms, service, name } => {
                let timeout = Duration::from_millis(timeout_ms.into());
                self.begin(number, timeout, service, Some(RequestName(name)), frame)
            }
            FrameHead::Cancel { number } => {
                let task = self.running.tasks.lock().remove(&number);
                if let Some(task) = task {
                    task.abort();
                    self.running.finished.notify_waiters();
                }
                Ok(())
            }
            FrameHead::Answer { .. }
            | FrameHead::Refused { .. }
            | FrameHead::Ping
            | FrameHead::Pong
            | FrameHead::Closing => Err("the client answers, where it is to ask".to_owned()),
        }
    }
}

impl Serving {
    fn begin(
        &self,
        number: u64,
        timeout: Duration,
        service: Service,
        name: Option<RequestName>,
        frame: InFrame,
    ) -> Result<(), String> {
        let mut tasks = self.running.tasks.lock();
        if tasks.len() >= self.in_flight_max {
            return Err("more requests are unanswered than were agreed".to_owned());
        }
        if tasks.contains_key(&number) {
            return Err("a request has the number of one that is unanswered".to_owned());
        }
        let Some(body) = frame.body else {
            self.outbox.push(&FrameHead::Refused { number, refusal: CallRefusal::Busy }, &[], Vec::new());
            return Ok(());
        };
        if (service == Service::Join) != self.joins {
            let what = "a connection to join over is for nothing else".to_owned();
            let refused = FrameHead::Refused { number, refusal: CallRefusal::Forbidden { what } };
            self.outbox.push(&refused, &[], Vec::new());
            return Ok(());
        }
        let (dispatch, caller) = (Arc::clone(&self.dispatch), self.caller);
        let (outbox, running) = (Arc::clone(&self.outbox), Arc::clone(&self.running));
        let (payload, answering) = (frame.payload, self.outbox.answering());
        let answer = async move {
            let answer = carried(name, dispatch.answer(caller, service, payload, body));
            let answer = tokio::time::timeout(timeout, answer).await;
            let frame = frame_of(&outbox, number, answer.unwrap_or(Err(CallRefusal::DeadlinePassed)));
            drop(answering);
            running.finish(number, || outbox.push_frame(frame));
        };
        if service != Service::Raft {
            tasks.insert(number, tokio::spawn(answer).abort_handle());
            return Ok(());
        }
        // Begun here, so that the voters see messages in the order in which they came.
        drop(tasks);
        let mut answer: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(answer);
        if answer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            // Under the lock: the task ends by taking itself out.
            let mut tasks = self.running.tasks.lock();
            tasks.insert(number, tokio::spawn(answer).abort_handle());
        }
        Ok(())
    }
}

fn frame_of(outbox: &Outbox, number: u64, answer: Result<Answered, CallRefusal>) -> OutFrame {
    let refused = |refusal| outbox.frame(&FrameHead::Refused { number, refusal }, &[], Vec::new());
    match answer {
        Ok(answered) if answered.is_too_long() => {
            refused(CallRefusal::Unreadable { reason: "the answer is too long".to_owned() })
        }
        Ok(Answered { payload, body }) => outbox.frame(&FrameHead::Answer { number }, &payload, body),
        Err(refusal) => refused(refusal),
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        for (_, task) in std::mem::take(&mut *self.running.tasks.lock()) {
            task.abort();
        }
        self.running.finished.notify_waiters();
    }
}
