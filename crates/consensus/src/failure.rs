//! The end of the index in this process: why, and who wants to know.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use platform::threads::Condvar;
use tokio::sync::watch;

/// Clones tell of the same end.
#[derive(Debug, Clone)]
pub(crate) struct Failure(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    reason: watch::Sender<Option<String>>,
    closing: Mutex<bool>,
    wake: Condvar,
}

impl Failure {
    pub(crate) fn new() -> Self {
        let inner = Inner { reason: watch::Sender::new(None), closing: Mutex::default(), wake: Condvar::new() };
        Self(Arc::new(inner))
    }

    /// The index can't go on. The first reason is the one that is kept.
    pub(crate) fn report(&self, reason: String) {
        tracing::error!(reason, "the index can't go on in this process");
        self.0.reason.send_if_modified(|known| {
            let first = known.is_none();
            known.get_or_insert(reason);
            first
        });
    }

    /// Why it can't go on.
    pub(crate) fn reason(&self) -> Option<String> {
        self.0.reason.borrow().clone()
    }

    /// Whether it can't go on.
    pub(crate) fn is_reported(&self) -> bool {
        self.0.reason.borrow().is_some()
    }

    /// Waits until it can't go on.
    pub(crate) async fn reported(&self) -> String {
        let mut reason = self.0.reason.subscribe();
        let reported = reason.wait_for(Option::is_some).await.map(|reason| reason.clone());
        reported.ok().flatten().unwrap_or_default()
    }

    /// Has threads that wait for better times give up.
    pub(crate) fn close(&self) {
        *self.0.closing.lock() = true;
        self.0.wake.notify_all();
    }

    /// Waits for `patience`; `true` at once when it is time to give up.
    pub(crate) fn wait_or_closing(&self, patience: Duration) -> bool {
        let mut closing = self.0.closing.lock();
        if !*closing {
            self.0.wake.wait_for(&mut closing, patience);
        }
        *closing
    }
}
