//! What a connection is doing, and the watchdog that ends it when the client does nothing.
//!
//! The transport and the request's body note progress in an [`Activity`] (plain counters, no clock); every tick the
//! [`Watchdog`] looks whether they moved. So a slow head, a stalled body, a client that doesn't read its answer and an
//! idle connection cost one timer a connection and nothing a request. Where the gateway itself is slow, the client is
//! not blamed: only waits for the client's bytes, or for it to take ours, count.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::task::AtomicWaker;
use tokio::time::{Instant, Sleep};

use crate::framing::Phase;

/// How long the head of a request may still take that begins as the gateway ends.
const DRAIN_HEAD_PATIENCE: Duration = Duration::from_secs(1);

/// How long a client may take. Checked a few times in each limit, so the end comes a little late, never early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a TLS handshake.
    pub handshake: Duration,
    /// From a request's first byte to the end of its headers.
    pub head: Duration,
    /// Between requests; the connection is then closed.
    pub idle: Duration,
    /// Without a byte of a body that the gateway waits for, or without taking a byte of an answer.
    pub stall: Duration,
    /// The least bytes a second, over [`Timeouts::rate_window`], while the gateway waits for the client; 0: any.
    pub bytes_per_second_min: u64,
    /// Over how long the rate is measured.
    pub rate_window: Duration,
    /// How long a client that is still sending may go on after its answer, so that the answer reaches it.
    pub linger: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            idle: Duration::from_secs(120),
            stall: Duration::from_secs(60),
            bytes_per_second_min: 64,
            rate_window: Duration::from_secs(120),
            linger: Duration::from_secs(5),
        }
    }
}

/// What one connection is doing. Written by its transport and bodies, read by its watchdog.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    phase: AtomicU8,
    heads: AtomicU64,
    requests: AtomicU32,
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    is_send_blocked: AtomicBool,
    body: BodyWait,
    drains: AtomicBool,
    connection: AtomicWaker,
}

/// A request's body that waits for the client.
#[derive(Debug, Default)]
struct BodyWait {
    is_waiting: AtomicBool,
    is_over: AtomicBool,
    waker: AtomicWaker,
}

impl Activity {
    /// Notes bytes that arrived, and what they left the client in the middle of.
    pub(crate) fn note_received(&self, bytes: usize, phase: Phase) {
        self.received_bytes.fetch_add(bytes as u64, Relaxed);
        let before = self.phase.swap(phase as u8, Relaxed);
        if phase == Phase::Head && before != Phase::Head as u8 {
            self.heads.fetch_add(1, Relaxed);
        }
    }

    /// Notes bytes that the client's side took.
    pub(crate) fn note_sent(&self, bytes: usize) {
        self.sent_bytes.fetch_add(bytes as u64, Relaxed);
        self.is_send_blocked.store(false, Relaxed);
    }

    /// Notes that the client's side takes nothing more for now.
    pub(crate) fn note_send_blocked(&self) {
        self.is_send_blocked.store(true, Relaxed);
    }

    /// Whether an answer is stuck half way.
    pub(crate) fn is_send_blocked(&self) -> bool {
        self.is_send_blocked.load(Relaxed)
    }

    /// Counts a request until the guard is dropped with the last of its answer.
    pub(crate) fn begin_request(self: &std::sync::Arc<Self>) -> RequestUnderWay {
        self.requests.fetch_add(1, Relaxed);
        self.body.is_over.store(false, Relaxed);
        RequestUnderWay(std::sync::Arc::clone(self))
    }

    /// Requests whose answer isn't complete.
    pub(crate) fn requests_under_way(&self) -> u32 {
        self.requests.load(Relaxed)
    }

    /// Notes that a body waits for the client. Ready once the watchdog gave the client up.
    pub(crate) fn poll_body_given_up(&self, cx: &Context<'_>) -> Poll<()> {
        self.body.is_waiting.store(true, Relaxed);
        self.body.waker.register(cx.waker());
        if self.body.is_over.load(Relaxed) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Notes that the body waits no more.
    pub(crate) fn note_body_arrived(&self) {
        self.body.is_waiting.store(false, Relaxed);
    }

    /// Asks the connection to take no further request.
    pub(crate) fn drain(&self) {
        self.drains.store(true, Relaxed);
        self.connection.wake();
    }

    /// Whether [`Activity::drain`] was called.
    pub(crate) fn drains(&self) -> bool {
        self.drains.load(Relaxed)
    }

    /// Returns once [`Activity::drain`] is called. For whoever has the connection alone.
    pub(crate) async fn draining(&self) {
        std::future::poll_fn(|cx| {
            self.keep_waker(cx.waker());
            if self.drains() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Keeps the connection's waker for [`Activity::drain`].
    pub(crate) fn keep_waker(&self, waker: &Waker) {
        self.connection.register(waker);
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            phase if phase == Phase::Head as u8 => Phase::Head,
            phase if phase == Phase::Body as u8 => Phase::Body,
            _ => Phase::Idle,
        }
    }

    fn give_body_up(&self) {
        self.body.is_over.store(true, Relaxed);
        self.body.waker.wake();
    }
}

/// A request whose answer isn't complete.
#[derive(Debug)]
pub(crate) struct RequestUnderWay(std::sync::Arc<Activity>);

impl Drop for RequestUnderWay {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Relaxed);
        self.0.body.is_waiting.store(false, Relaxed);
    }
}

/// What the watchdog found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The head under way did not arrive in time: answer that, and close.
    HeadTimeout,
    /// Nothing is under way for long: close.
    Idle,
    /// The client does not take its answer: close.
    Stalled,
}

/// Looks at an [`Activity`] every tick.
#[derive(Debug)]
pub(crate) struct Watchdog {
    timeouts: Timeouts,
    tick: Duration,
    sleep: Pin<Box<Sleep>>,
    /// Once the connection drains: how long a head that has begun may take.
    drain: Option<Pin<Box<Sleep>>>,
    head: Countdown,
    idle: Countdown,
    body: Transfer,
    answer: Transfer,
}

impl Watchdog {
    pub(crate) fn new(timeouts: Timeouts) -> Self {
        let shortest = timeouts.head.min(timeouts.idle).min(timeouts.stall).min(timeouts.rate_window);
        let tick = (shortest / 8).clamp(Duration::from_millis(10), Duration::from_secs(5));
        Self {
            timeouts,
            tick,
            sleep: Box::pin(tokio::time::sleep(tick)),
            drain: None,
            head: Countdown::default(),
            idle: Countdown::default(),
            body: Transfer::default(),
            answer: Transfer::default(),
        }
    }

    /// Gives a head that has begun, or begins, little time: without a request there is nothing to wait for.
    pub(crate) fn drain(&mut self) {
        self.drain = Some(Box::pin(tokio::time::sleep(DRAIN_HEAD_PATIENCE)));
    }

    /// Ready when the connection is to end; a stalled body is given up on the way.
    pub(crate) fn poll(&mut self, activity: &Activity, cx: &mut Context<'_>) -> Poll<Verdict> {
        if let Some(drain) = &mut self.drain
            && drain.as_mut().poll(cx).is_ready()
        {
            self.drain = None;
            if activity.phase() == Phase::Head && activity.requests_under_way() == 0 && !activity.is_send_blocked() {
                return Poll::Ready(Verdict::Idle);
            }
        }
        while self.sleep.as_mut().poll(cx).is_ready() {
            self.sleep.as_mut().reset(Instant::now() + self.tick);
            if let Some(verdict) = self.look(activity) {
                return Poll::Ready(verdict);
            }
        }
        Poll::Pending
    }

    fn look(&mut self, activity: &Activity) -> Option<Verdict> {
        let (tick, timeouts) = (self.tick, &self.timeouts);
        let (phase, is_busy) = (activity.phase(), activity.requests_under_way() > 0);

        let head = (phase == Phase::Head && !is_busy).then(|| activity.heads.load(Relaxed));
        if self.head.is_over(head, tick, timeouts.head) {
            return Some(Verdict::HeadTimeout);
        }
        let received = activity.received_bytes.load(Relaxed);
        let sent = activity.sent_bytes.load(Relaxed);
        let is_idle = phase == Phase::Idle && !is_busy && !activity.is_send_blocked();
        if self.idle.is_over(is_idle.then_some(received + sent), tick, timeouts.idle) {
            return Some(Verdict::Idle);
        }
        if self.body.is_stalled(activity.body.is_waiting.load(Relaxed), received, tick, timeouts) {
            activity.give_body_up();
        }
        if self.answer.is_stalled(activity.is_send_blocked(), sent, tick, timeouts) {
            return Some(Verdict::Stalled);
        }
        None
    }
}

/// How long one and the same thing has been seen.
#[derive(Debug, Default)]
struct Countdown {
    seen: Option<u64>,
    elapsed: Duration,
}

impl Countdown {
    fn is_over(&mut self, now: Option<u64>, tick: Duration, limit: Duration) -> bool {
        if now.is_none() || now != self.seen {
            *self = Self { seen: now, elapsed: Duration::ZERO };
            return false;
        }
        self.elapsed += tick;
        self.elapsed >= limit
    }
}

/// Bytes that flow while we wait for the client.
#[derive(Debug, Default)]
struct Transfer {
    seen_bytes: u64,
    still: Duration,
    waited: Duration,
    window_bytes: u64,
}

impl Transfer {
    fn is_stalled(&mut self, is_waiting: bool, bytes: u64, tick: Duration, timeouts: &Timeouts) -> bool {
        let moved = bytes - std::mem::replace(&mut self.seen_bytes, bytes);
        self.window_bytes += moved;
        if !is_waiting {
            self.still = Duration::ZERO;
            return false;
        }
        self.still = if moved == 0 { self.still + tick } else { Duration::ZERO };
        self.waited += tick;
        let mut is_slow = false;
        if self.waited >= timeouts.rate_window {
            is_slow = self.window_bytes < timeouts.bytes_per_second_min * self.waited.as_secs();
            (self.waited, self.window_bytes) = (Duration::ZERO, 0);
        }
        is_slow || self.still >= timeouts.stall
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const SHORT: Timeouts = Timeouts {
        handshake: Duration::from_secs(1),
        head: Duration::from_secs(8),
        idle: Duration::from_secs(16),
        stall: Duration::from_secs(16),
        bytes_per_second_min: 100,
        rate_window: Duration::from_secs(32),
        linger: Duration::from_secs(1),
    };

    async fn verdict(activity: &Activity) -> Verdict {
        let mut watchdog = Watchdog::new(SHORT);
        std::future::poll_fn(|cx| watchdog.poll(activity, cx)).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_in_is_over_after_its_time() {
        let activity = Activity::default();
        activity.note_received(1, Phase::Head);
        let trickle = async {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                activity.note_received(1, Phase::Head);
            }
        };
        tokio::select! {
            verdict = verdict(&activity) => assert_eq!(verdict, Verdict::HeadTimeout),
            () = trickle => unreachable!(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_has_begun_holds_up_no_draining_and_a_request_does() {
        let activity = Arc::new(Activity::default());
        activity.note_received(1, Phase::Head);
        let drained = async || {
            let mut watchdog = Watchdog::new(SHORT);
            watchdog.drain();
            tokio::time::timeout(SHORT.head / 2, std::future::poll_fn(|cx| watchdog.poll(&activity, cx))).await
        };
        assert_eq!(drained().await, Ok(Verdict::Idle));
        let _request = activity.begin_request();
        assert!(drained().await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_ends_and_a_busy_one_does_not() {
        let activity = Arc::new(Activity::default());
        let begun = Instant::now();
        assert_eq!(verdict(&activity).await, Verdict::Idle);
        assert!(begun.elapsed() >= SHORT.idle);

        let _request = activity.begin_request();
        let busy = tokio::time::timeout(Duration::from_secs(3600), verdict(&activity)).await;
        assert!(busy.is_err(), "{busy:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stands_still_or_crawls_is_given_up() {
        for bytes_per_second in [0, 99] {
            let activity = Arc::new(Activity::default());
            let _request = activity.begin_request();
            let given_up = std::future::poll_fn(|cx| activity.poll_body_given_up(cx));
            let trickle = async {
                loop {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    activity.note_received(bytes_per_second, Phase::Body);
                }
            };
            tokio::select! {
                () = given_up => {}
                verdict = verdict(&activity) => unreachable!("{verdict:?}"),
                () = trickle => unreachable!(),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_keeps_the_rate_is_not_given_up() {
        let activity = Arc::new(Activity::default());
        let _request = activity.begin_request();
        let given_up = std::future::poll_fn(|cx| activity.poll_body_given_up(cx));
        let flow = async {
            for _ in 0..3600 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                activity.note_received(110, Phase::Body);
            }
        };
        tokio::select! {
            () = given_up => panic!("given up"),
            verdict = verdict(&activity) => panic!("{verdict:?}"),
            () = flow => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_take_its_answer_is_left() {
        let activity = Arc::new(Activity::default());
        let _request = activity.begin_request();
        activity.note_send_blocked();
        assert_eq!(verdict(&activity).await, Verdict::Stalled);
    }
}
