//! SHA-1 and SHA-256 of one body, on the workers.
//!
//! The CPU computes them at 1.6 GB/s with instructions of its own; there is nothing to gain from doing several at once,
//! so a body's pieces are hashed one after the other wherever a worker is free.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use platform::Workers;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

/// Above it, the body's sender waits.
const QUEUE_BYTES_MAX: usize = 1 << 20;

/// Which of the two, and how far they are.
#[derive(Clone, Default)]
pub(super) struct ShaState {
    pub(super) sha1: Option<Sha1>,
    pub(super) sha256: Option<Sha256>,
}

impl ShaState {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        if let Some(sha1) = &mut self.sha1 {
            sha1.update(bytes);
        }
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
    }
}

/// One body's SHA digests.
pub(super) struct ShaStream {
    workers: Workers,
    queue: Arc<Queue>,
}

struct Queue {
    inner: Mutex<Pieces>,
    progress: Notify,
}

struct Pieces {
    /// Taken while a worker has it.
    state: Option<ShaState>,
    waiting: VecDeque<Bytes>,
    queued_bytes: usize,
}

impl ShaStream {
    pub(super) fn begin(workers: Workers, state: ShaState) -> Self {
        let inner = Mutex::new(Pieces { state: Some(state), waiting: VecDeque::new(), queued_bytes: 0 });
        Self { workers, queue: Arc::new(Queue { inner, progress: Notify::new() }) }
    }

    /// Queues the next bytes and waits while too many are queued.
    pub(super) async fn update(&mut self, piece: Bytes) {
        self.push(piece);
        self.wait_until_at_most(QUEUE_BYTES_MAX).await;
    }

    fn push(&self, piece: Bytes) {
        let mut pieces = self.queue.inner.lock();
        pieces.queued_bytes += piece.len();
        pieces.waiting.push_back(piece);
        if let Some(state) = pieces.state.take() {
            let queue = Arc::clone(&self.queue);
            self.workers.spawn(move || queue.work(state));
        }
    }

    /// The digests' state, once all that was queued is hashed.
    pub(super) async fn finish(self) -> ShaState {
        self.wait_until_at_most(0).await;
        self.queue.inner.lock().state.take().expect("the worker gave it back with the last piece")
    }

    async fn wait_until_at_most(&self, bytes: usize) {
        loop {
            let progress = self.queue.progress.notified();
            if self.queue.inner.lock().queued_bytes <= bytes {
                return;
            }
            progress.await;
        }
    }
}

impl Queue {
    /// Hashes what waits, until nothing does.
    fn work(&self, mut state: ShaState) {
        let mut done = 0;
        loop {
            let mut pieces = self.inner.lock();
            pieces.queued_bytes -= done;
            let next = pieces.waiting.pop_front();
            let Some(piece) = next else {
                pieces.state = Some(state);
                drop(pieces);
                self.progress.notify_one();
                return;
            };
            drop(pieces);
            if done > 0 {
                self.progress.notify_one();
            }
            state.update(&piece);
            done = piece.len();
        }
    }
}
